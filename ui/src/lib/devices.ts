import type { MenuItem } from '../components/Menu.svelte';
import type { Face } from './face.svelte';
import type { Device, DeviceChoice, DeviceKind, DeviceList } from './types';
import { t } from './words';

/** One possible choice of a device. */
export interface Option {
  choice: DeviceChoice;
  label: string;
  chosen: boolean;
  hint?: string;
}

function same(a: DeviceChoice, b: DeviceChoice): boolean {
  return a.type === b.type && (a.type !== 'device' || b.type !== 'device' || a.id === b.id);
}

function defaultLabel(device: Device | undefined): string {
  return device === undefined ? t('devices.default') : t('devices.default-is', { label: device.label });
}

/** What can be chosen for one kind of device: the system's default, each device, a chosen one that is gone, none. */
export function options(list: DeviceList): Option[] {
  const all: Omit<Option, 'chosen'>[] = [
    { choice: { type: 'system-default' }, label: defaultLabel(list.available.find((device) => device.isDefault)) },
    ...list.available.map((device) => ({ choice: { type: 'device', id: device.id } as const, label: device.label })),
  ];
  const chosen = list.chosen;
  if (chosen.type === 'device' && !list.available.some((device) => device.id === chosen.id)) {
    all.push({ choice: chosen, label: list.chosenLabel ?? chosen.id, hint: t('devices.gone') });
  }
  // Where another serves than the one chosen, it is marked.
  const inUse = (choice: DeviceChoice) => choice.type === 'device' && choice.id === list.inUse;
  if (list.problem !== null) {
    for (const option of all) if (inUse(option.choice) && !same(option.choice, chosen)) option.hint = t('devices.in-use');
  }
  all.push({ choice: { type: 'nothing' }, label: t('devices.none') });
  return all.map((option) => ({ ...option, chosen: same(option.choice, chosen) }));
}

/** The louder device that waits for the person's word. */
export function heldDevice(list: DeviceList): Device | undefined {
  return list.available.find((device) => device.id === list.held);
}

/** The same as lines of a menu. */
export function menuItems(face: Face, kind: DeviceKind, list: DeviceList): MenuItem[] {
  return options(list).map(({ choice, label, chosen, hint }) => ({
    type: 'choice',
    label,
    hint,
    checked: chosen,
    run: () => face.send({ type: 'choose-device', kind, device: choice }),
  }));
}
