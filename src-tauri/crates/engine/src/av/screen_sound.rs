//! The sound of what this side shows: what other programs play, coded where it comes from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ahoy_devices::{SoundError, StereoBlock, SystemSound, open_system_sound};
use ahoy_media::audio::{STEREO_PACKET_SAMPLES, StereoEncoder};
use ahoy_media::units::Bitrate;
use ahoy_peer::{AudioSender, OutgoingAudio, SendOutcome};
use bytes::Bytes;

use super::{Note, Post, ShareId};

/// Good music in two channels.
const BITRATE: Bitrate = Bitrate::kbps(96);
/// What it takes of the budget, headers included.
pub(super) const ON_THE_WIRE: Bitrate = Bitrate::kbps(124);

/// What is needed to send it.
#[derive(Clone)]
pub(super) struct SoundWish {
    pub sender: AudioSender,
    /// Nothing is sent meanwhile.
    pub paused: Arc<AtomicBool>,
}

/// Begins to send it; ends when dropped.
pub(super) fn open(id: ShareId, wish: SoundWish, post: Post) -> Result<SystemSound, SoundError> {
    let SoundWish { sender, paused } = wish;
    let encoder = StereoEncoder::new(BITRATE);
    let mut encoder = encoder.map_err(|error| SoundError { detail: error.to_string() })?;
    let mut timestamp: u32 = rand::random();
    let on_block = move |block: &StereoBlock, captured: Instant| {
        match encoder.push(block) {
            Ok(Some(packet)) => {
                let payload = Bytes::copy_from_slice(packet);
                let at = timestamp;
                timestamp = timestamp.wrapping_add(STEREO_PACKET_SAMPLES);
                if paused.load(Ordering::Acquire) {
                    return;
                }
                // The block that completed the packet is its second.
                let captured = captured.checked_sub(std::time::Duration::from_millis(10)).unwrap_or(captured);
                match sender.send(OutgoingAudio { payload, timestamp: at, captured, voice: false }) {
                    // Counted by the connection.
                    SendOutcome::Queued
                    | SendOutcome::Held
                    | SendOutcome::Dropped(_)
                    | SendOutcome::KeyFrameNeeded
                    | SendOutcome::Closed => {}
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "10 ms of the computer's sound are not sent"),
        }
    };
    open_system_sound(on_block, move |error| post(Note::ShareSound(id, error)))
}
