import { advised } from './quality';
import { t } from './words';
import type { Snapshot } from './types';

/** What a screen reader says about a change, and whether it may interrupt. */
export interface Announcement {
  text: string;
  urgent: boolean;
}

/** What changed from one snapshot to the next that must be heard: ring, answer, mute, reconnecting, end. */
export function announcement(before: Snapshot | null, after: Snapshot): Announcement | null {
  const old = before?.call ?? null;
  const call = after.call;
  if (call === null) return null;
  const name = call.name;
  const sameCall = old?.callId === call.callId;
  if (!sameCall || old.phase.type !== call.phase.type) {
    switch (call.phase.type) {
      case 'incoming':
        return { text: t(call.videoWanted ? 'said.incoming-video' : 'said.incoming-audio', { name }), urgent: true };
      case 'calling':
        return { text: t('call.calling-name', { name }), urgent: false };
      case 'ringing':
        return { text: t('said.ringing', { name }), urgent: false };
      case 'connecting':
        return { text: t('call.connecting'), urgent: false };
      case 'active':
        return sameCall && old.phase.type === 'reconnecting'
          ? { text: t('said.reconnected'), urgent: true }
          : { text: t('said.connected', { name }), urgent: false };
      case 'reconnecting':
        return { text: t('said.reconnecting'), urgent: true };
      case 'ended':
        return { text: call.phase.sentence.text, urgent: true };
    }
  }
  if (old.local.microphone !== call.local.microphone) {
    return { text: t(call.local.microphone ? 'said.microphone-on' : 'said.microphone-off'), urgent: true };
  }
  if (old.local.camera !== call.local.camera) {
    return { text: t(call.local.camera ? 'said.camera-on' : 'said.camera-off'), urgent: false };
  }
  if (old.remote.microphone !== call.remote.microphone) {
    return { text: t(call.remote.microphone ? 'said.remote-unmuted' : 'said.remote-muted', { name }), urgent: false };
  }
  if (old.remote.camera !== call.remote.camera) {
    return { text: t(call.remote.camera ? 'said.remote-camera-on' : 'call.camera-off', { name }), urgent: false };
  }
  if (!old.remote.paused && call.remote.paused) {
    return { text: t('call.picture-paused', { name }), urgent: false };
  }
  const advice = advised(call);
  if (advice !== null && advice.todo !== advised(old)?.todo) {
    return { text: [advice.what, advice.todo].filter((part) => part !== null).join(' '), urgent: false };
  }
  return null;
}
