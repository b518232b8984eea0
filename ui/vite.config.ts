import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [svelte(), svelteTesting()],
  // The window loads everything from its own origin; the oldest engines are WebKitGTK 2.40 and Safari 16.4.
  build: { target: ['safari16.4', 'chrome111'], outDir: 'dist', emptyOutDir: true, assetsInlineLimit: 0 },
  server: { open: '/gallery.html' },
  test: {
    environment: 'happy-dom',
    include: ['tests/**/*.test.ts'],
    css: true,
    setupFiles: ['tests/setup.ts'],
  },
});
