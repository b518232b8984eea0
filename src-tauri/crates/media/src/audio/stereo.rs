//! Two channels of music and films: the sound of a shared screen.

use std::fmt;

use opusic_c::{Application, Bitrate as CodecBitrate, Channels, Encoder, SampleRate};

use super::opus::{MAX_PACKET_BYTES, OpusError};
use crate::units::Bitrate;

/// Samples of each channel in a packet: 20 ms.
pub const STEREO_PACKET_SAMPLES: u32 = 960;

/// Opus for two channels, tuned for music: the whole band, and nothing taken out that a voice can do without.
pub struct StereoEncoder {
    encoder: Encoder,
    collected: Vec<f32>,
    packet: Vec<u8>,
}

impl StereoEncoder {
    /// An encoder that makes packets of 20 ms at about this rate, 32 to 256 kbps.
    ///
    /// # Errors
    /// [`OpusError::Codec`] when there is no memory for it.
    pub fn new(bitrate: Bitrate) -> Result<Self, OpusError> {
        let mut encoder = Encoder::new(Channels::Stereo, SampleRate::Hz48000, Application::Audio)?;
        encoder.set_bitrate(CodecBitrate::Value(bitrate.as_bps().clamp(32_000, 256_000) as u32))?;
        encoder.set_complexity(9)?;
        let collected = Vec::with_capacity(4 * STEREO_PACKET_SAMPLES as usize);
        Ok(Self { encoder, collected, packet: vec![0; MAX_PACKET_BYTES] })
    }

    /// Takes samples in, left and right in turn; gives a packet each time 20 ms are together.
    ///
    /// # Errors
    /// [`OpusError::Codec`]; the collected sound is then dropped.
    pub fn push(&mut self, samples: &[f32]) -> Result<Option<&[u8]>, OpusError> {
        self.collected.extend_from_slice(samples);
        let needed = 2 * STEREO_PACKET_SAMPLES as usize;
        if self.collected.len() < needed {
            return Ok(None);
        }
        let len = self.encoder.encode_float_to_slice(&self.collected[..needed], &mut self.packet);
        self.collected.drain(..needed);
        Ok(Some(&self.packet[..len?]))
    }
}

impl fmt::Debug for StereoEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StereoEncoder").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::audio::OpusDecoder;

    #[test]
    fn both_channels_are_heard_in_what_one_speaker_plays() {
        let mut encoder = StereoEncoder::new(Bitrate::kbps(96)).unwrap();
        let mut decoder = OpusDecoder::new().unwrap();
        let tone = |hertz: f32, n: usize| 0.4 * (n as f32 * hertz * std::f32::consts::TAU / 48_000.0).sin();
        let mut heard = Vec::new();
        for block in 0..100 {
            let samples: Vec<f32> =
                (block * 480..(block + 1) * 480).flat_map(|n| [tone(500.0, n), tone(1_500.0, n)]).collect();
            if let Some(packet) = encoder.push(&samples).unwrap() {
                let mut out = vec![0.0; 5_760];
                let count = decoder.decode(packet, &mut out).unwrap();
                heard.extend_from_slice(&out[..count]);
            }
        }
        assert_eq!(heard.len(), 50 * STEREO_PACKET_SAMPLES as usize);
        // How much of a pitch is in the second half (Goertzel's sum, written out).
        let power = |hertz: f32| {
            let (mut sine, mut cosine) = (0.0_f32, 0.0_f32);
            for (n, sample) in heard[24_000..].iter().enumerate() {
                let angle = n as f32 * hertz * std::f32::consts::TAU / 48_000.0;
                sine += sample * angle.sin();
                cosine += sample * angle.cos();
            }
            sine.hypot(cosine) / 12_000.0
        };
        assert!(power(500.0) > 0.15 && power(1_500.0) > 0.15, "{} {}", power(500.0), power(1_500.0));
        assert!(power(1_000.0) < 0.01, "{}", power(1_000.0));
    }
}
