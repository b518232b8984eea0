import { mount } from 'svelte';
import App from '../App.svelte';
import { Face } from '../lib/face.svelte';
import { language, speak } from '../lib/language.svelte';
import type { Language, Theme } from '../lib/types';
import '../styles/base.css';
import { DevBridge } from './bridge';
import Gallery from './Gallery.svelte';
import { scenes } from './scenes';

// What goes wrong unseen is kept here, for whoever looks at every screen by a program.
const failures: string[] = [];
Object.assign(window, { __gallery: { failures, scenes: Object.keys(scenes) } });
addEventListener('error', (event) => failures.push(String(event.error ?? event.message)));
addEventListener('unhandledrejection', (event) => failures.push(String(event.reason)));
for (const level of ['error', 'warn'] as const) {
  const say = console[level];
  console[level] = (...said: unknown[]) => {
    failures.push(said.map(String).join(' '));
    say(...said);
  };
}

// ?scene=in-call&theme=light&language=de shows one screen as the window would; without a scene, all of them.
const asked = new URLSearchParams(location.search);
const target = document.getElementById('app') as HTMLElement;
speak((asked.get('language') ?? language()) as Language);
const scene = scenes[asked.get('scene') ?? '']?.();
if (scene === undefined) {
  mount(Gallery, { target, props: { names: Object.keys(scenes) } });
} else {
  scene.snapshot.theme = (asked.get('theme') ?? 'system') as Theme;
  const face = new Face(new DevBridge(scene.snapshot, scene));
  mount(App, { target, props: { face, route: scene.route, view: scene.view, tab: scene.tab } });
  void face.start().then(() => {
    // &press=Connection presses what has this accessible name, so that menus and panels can be looked at too.
    const press = asked.get('press') ?? scene.press;
    setTimeout(() => document.querySelector<HTMLElement>(`[aria-label^="${press}"], [title="${press}"]`)?.click(), 100);
  });
}
