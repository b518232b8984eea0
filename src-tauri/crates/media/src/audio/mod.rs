//! Sound: 10 ms blocks at 48 kHz, Opus, jitter buffering, levels.

mod decoder;
pub mod delay;
pub mod jitter;
pub mod level;
pub mod mix;
pub mod mute;
mod noise;
pub mod opus;
pub mod playout;
pub mod resample;
pub mod ring;
mod stereo;
mod stretch;
pub mod voice;
pub mod wav;

use std::time::Duration;

pub use jitter::{AudioPacket, Inserted, JitterBuffer, Step};
pub use level::{Level, LevelMeter};
pub use mute::Mute;
pub use opus::{Dred, OpusDecoder, OpusEncoder, OpusError, OpusPacket, OpusSettings, PacketDuration};
pub use playout::AudioPlayout;
pub use resample::Resampler;
pub use ring::RingSound;
pub use stereo::{STEREO_PACKET_SAMPLES, StereoEncoder};
pub use voice::{BadMicrophone, MicrophoneHealth, VoiceCounts, VoiceProcessor, VoiceSettings};

/// The rate at which all sound is handled inside, in samples a second.
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples in a block: 10 ms.
pub const BLOCK_SAMPLES: usize = 480;
/// The time a block takes.
pub const BLOCK_DURATION: Duration = Duration::from_millis(10);

/// 10 ms of one channel, in [-1, 1].
pub type Block = [f32; BLOCK_SAMPLES];

/// A block of silence.
pub const SILENCE: Block = [0.0; BLOCK_SAMPLES];

/// Samples at 48 kHz as time.
pub fn samples_to_duration(samples: u64) -> Duration {
    Duration::from_nanos(samples.saturating_mul(1_000_000_000 / 1_000) / u64::from(SAMPLE_RATE / 1_000))
}

/// Time as samples at 48 kHz, rounded down.
pub fn duration_to_samples(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() * u128::from(SAMPLE_RATE) / 1_000_000_000).unwrap_or(u64::MAX)
}
