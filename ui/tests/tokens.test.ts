import { describe, expect, it } from 'vitest';
import css from '../src/styles/tokens.css?raw';

const styles = import.meta.glob('../src/**/*.svelte', { query: '?raw', import: 'default', eager: true }) as Record<string, string>;

type Rgb = [number, number, number];

function block(selector: string): Record<string, string> {
  const body = css.match(new RegExp(`${selector.replace(/[[\]]/g, '\\$&')} \\{([^}]*)\\}`))?.[1] ?? '';
  return Object.fromEntries([...body.matchAll(/--([\w-]+):\s*([^;]+);/g)].map((match) => [match[1], match[2]]));
}

function hex(value: string | undefined): Rgb {
  const digits = value?.match(/^#([0-9a-f]{6})$/)?.[1];
  if (digits === undefined) throw new Error(`not a colour: ${String(value)}`);
  return [0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16)) as Rgb;
}

/** `rgb(r g b / a%)` laid over a colour. */
function over(veil: string | undefined, under: Rgb): Rgb {
  const [r, g, b, a] = (veil?.match(/[\d.]+/g) ?? []).map(Number) as [number, number, number, number];
  return [r, g, b].map((part, i) => part * (a / 100) + (under[i] ?? 0) * (1 - a / 100)) as Rgb;
}

/** WCAG 2.2: relative luminance and contrast ratio. */
function luminance(colour: Rgb): number {
  const [r, g, b] = colour.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: Rgb, b: Rgb): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

function hsl(h: number, s: number, l: number): Rgb {
  const f = (n: number) => {
    const k = (n + h / 30) % 12;
    return 255 * (l - s * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return [f(0), f(8), f(4)];
}

const themes = { dark: block("[data-theme='dark']"), light: block("[data-theme='light']") };
const BLACK: Rgb = [0, 0, 0];
const WHITE: Rgb = [255, 255, 255];

describe.each(Object.entries(themes))('the %s theme', (_, theme) => {
  const backgrounds = ['background', 'surface', 'raised'];

  it.each(['text', 'quiet', 'accent', 'accept', 'danger', 'warning'])('--%s can be read on every background', (name) => {
    for (const under of backgrounds) expect(contrast(hex(theme[name]), hex(theme[under]))).toBeGreaterThanOrEqual(4.5);
  });

  it.each(['accent', 'accept', 'danger', 'warning'])('words on --%s can be read', (name) => {
    expect(contrast(hex(theme['on-colour']), hex(theme[name]))).toBeGreaterThanOrEqual(4.5);
  });

  it('text can be read over hovered and pressed things', () => {
    for (const under of backgrounds)
      for (const state of ['hover', 'pressed'])
        expect(contrast(hex(theme['text']), over(theme[state], hex(theme[under])))).toBeGreaterThanOrEqual(4.5);
  });

  it('borders of fields and the focus ring can be seen', () => {
    for (const under of backgrounds) {
      expect(contrast(hex(theme['accent']), hex(theme[under]))).toBeGreaterThanOrEqual(3);
    }
    for (const under of ['background', 'surface']) {
      expect(contrast(hex(theme['control-line']), hex(theme[under]))).toBeGreaterThanOrEqual(3);
    }
  });

  it('names no colour twice, and has the same names as the other', () => {
    expect(Object.keys(theme).sort()).toEqual(Object.keys(themes.dark).sort());
  });
});

describe('over a picture, which may be black or white', () => {
  it.each(['text', 'quiet', 'warning'])('--%s can be read on the veil', (name) => {
    for (const picture of [BLACK, WHITE]) {
      expect(contrast(hex(themes.dark[name]), over(themes.dark['veil'], picture))).toBeGreaterThanOrEqual(4.5);
    }
  });

  it('the icon on the microphone can be seen at any level', () => {
    for (const under of ['meter', 'raised']) {
      expect(contrast(hex(themes.dark['text']), hex(themes.dark[under]))).toBeGreaterThanOrEqual(4.5);
    }
  });
});

describe('initials', () => {
  it('can be read on every hue', () => {
    const root = block(':root');
    const [s, l] = [parseFloat(root['avatar-saturation'] ?? '') / 100, parseFloat(root['avatar-lightness'] ?? '') / 100];
    for (let hue = 0; hue < 360; hue += 1) {
      expect(contrast(hex(root['avatar-text']), hsl(hue, s, l))).toBeGreaterThanOrEqual(4.5);
    }
  });
});

describe('components', () => {
  it.each(Object.entries(styles).filter(([path]) => !path.includes('/dev/')))('%s takes its colours from the tokens', (_, source) => {
    const style = source.match(/<style>([\s\S]*)<\/style>/)?.[1] ?? '';
    expect(style).not.toMatch(/#[0-9a-f]{3,8}\b|rgba?\(/i);
    // Inline styles in markup would be stopped by the content security policy.
    expect(source).not.toMatch(/\sstyle="/);
  });
});
