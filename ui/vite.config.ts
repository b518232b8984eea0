import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';

export default defineConfig(({ mode }) => ({
  plugins: [svelte(), svelteTesting()],
  // The window loads everything from its own origin; the oldest engines are WebKitGTK 2.40 and Safari 16.4.
  build: {
    target: ['safari16.4', 'chrome111'],
    outDir: 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    // `--mode gallery` builds every screen on a page of its own; what is shipped knows nothing of it.
    rolldownOptions: { input: mode === 'gallery' ? 'gallery.html' : 'index.html' },
  },
  // The gallery shows the engine's sentences too, and the tests read what the shell says.
  server: { open: '/gallery.html', fs: { allow: ['.', '../src-tauri/src', '../src-tauri/capabilities', '../src-tauri/crates/engine/words'] } },
  test: {
    environment: 'happy-dom',
    include: ['tests/**/*.test.ts'],
    css: true,
    setupFiles: ['tests/setup.ts'],
  },
}));
