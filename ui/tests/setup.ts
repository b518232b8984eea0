import '@testing-library/jest-dom/vitest';
import { afterEach } from 'vitest';
import { speak } from '../src/lib/language.svelte';

// The same places wherever the tests run.
Object.defineProperty(navigator, 'languages', { value: ['en-GB'], configurable: true });

afterEach(() => speak('en'));
