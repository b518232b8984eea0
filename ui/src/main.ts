import { mount } from 'svelte';
import App from './App.svelte';
import { Face } from './lib/face.svelte';
import { tauriBridge } from './lib/tauri';
import './styles/base.css';

const face = new Face(tauriBridge());
mount(App, { target: document.getElementById('app') as HTMLElement, props: { face, route: location.hash } });
void face.start();
