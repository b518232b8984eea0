//! The sound of a shared screen: what other programs play, without this program's own, so that nobody hears themselves back.

#[cfg(target_os = "linux")]
mod pulse;

use std::time::Instant;

use crate::worker::Worker;

/// Frames of 10 ms at 48 kHz.
pub const SOUND_FRAMES: usize = 480;

/// 10 ms of two channels, left and right in turn.
pub type StereoBlock = [f32; 2 * SOUND_FRAMES];

/// Why the computer's sound is not shared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the computer's sound cannot be shared ({detail})")]
pub struct SoundError {
    /// What the system said.
    pub detail: String,
}

/// The computer's sound under way. Dropping it ends it and joins its thread.
#[derive(Debug)]
pub struct SystemSound {
    _worker: Worker,
}

/// Begins to record what other programs play. `on_block` is called every 10 ms, silence included, with the moment at which the
/// block began; `on_end` once, when nothing more will come.
///
/// # Errors
/// [`SoundError`] where there is no sound server that can tell programs apart, or it does not answer.
pub fn open_system_sound(
    on_block: impl FnMut(&StereoBlock, Instant) + Send + 'static,
    on_end: impl FnOnce(SoundError) + Send + 'static,
) -> Result<SystemSound, SoundError> {
    open(Box::new(on_block), Box::new(on_end)).map(|_worker| SystemSound { _worker })
}

type OnBlock = Box<dyn FnMut(&StereoBlock, Instant) + Send>;
type OnEnd = Box<dyn FnOnce(SoundError) + Send>;

/// Whether this system can do that at all; cheap to ask, and no promise.
pub fn has_system_sound() -> bool {
    #[cfg(target_os = "linux")]
    return pulse::is_there();
    #[cfg(not(target_os = "linux"))]
    false
}

#[cfg(target_os = "linux")]
fn open(on_block: OnBlock, on_end: OnEnd) -> Result<Worker, SoundError> {
    pulse::open(on_block, on_end)
}

#[cfg(not(target_os = "linux"))]
fn open(_on_block: OnBlock, _on_end: OnEnd) -> Result<Worker, SoundError> {
    Err(SoundError { detail: "not built in for this system yet".to_owned() })
}
