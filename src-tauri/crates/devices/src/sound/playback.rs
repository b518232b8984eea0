//! From the thread that mixes to a speaker's callback.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahoy_media::audio::{BLOCK_SAMPLES, Block, Resampler, SAMPLE_RATE};
use cpal::{FromSample, Sample};
use rtrb::{Consumer, Producer, RingBuffer};

/// What both ends count.
#[derive(Debug, Default)]
pub(super) struct PlaybackCounters {
    /// Times the device found too little after having begun.
    pub(super) underruns: AtomicU64,
    /// Blocks that did not fit.
    pub(super) overruns: AtomicU64,
    /// From the callback to being heard, in microseconds.
    pub(super) latency_us: AtomicU64,
    /// Calls of the callback: the device lives.
    pub(super) calls: AtomicU64,
}

/// Whether the callback plays or gathers.
///
/// ```text
/// Gathering ──a period and 10 ms wait──► Playing ──too little (counted)──► Gathering
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feeding {
    Gathering,
    Playing,
}

/// The callback's end: copies and counts. No allocation, lock, log or panic.
pub(super) struct PlaybackEnd {
    samples: Consumer<f32>,
    counters: Arc<PlaybackCounters>,
    feeding: Feeding,
    rate: usize,
}

/// The writer's end.
pub(super) struct PlaybackWriter {
    samples: Producer<f32>,
    counters: Arc<PlaybackCounters>,
    rate: usize,
    resampler: Option<Resampler>,
    piece: Vec<f32>,
}

/// Makes the two ends for a device of `rate` samples a second.
///
/// Writer -> callback; mono samples at the device's rate, 200 ms; full: the block being written is dropped and counted.
pub(super) fn playback(
    rate: u32,
    counters: Arc<PlaybackCounters>,
) -> Result<(PlaybackWriter, PlaybackEnd), ahoy_media::audio::resample::ResampleError> {
    let rate_samples = rate as usize;
    let (producer, consumer) = RingBuffer::new(rate_samples / 5);
    let resampler = match rate {
        SAMPLE_RATE => None,
        rate => Some(Resampler::new(SAMPLE_RATE, rate, 1, BLOCK_SAMPLES)?),
    };
    let end = PlaybackEnd {
        samples: consumer,
        counters: Arc::clone(&counters),
        feeding: Feeding::Gathering,
        rate: rate_samples,
    };
    // A block makes at most this much at the fastest rate, and 1 % for drift.
    let piece = Vec::with_capacity(rate_samples / 100 + rate_samples / 1000 + 16);
    Ok((PlaybackWriter { samples: producer, counters, rate: rate_samples, resampler, piece }, end))
}

impl PlaybackEnd {
    /// Fills `out`, frames of `channels` samples, to be heard `latency_us` microseconds from now. Up to two channels get
    /// the sound; more (surround) stay silent, so that a voice comes from the front.
    pub(super) fn fill<T>(&mut self, out: &mut [T], channels: usize, latency_us: u64)
    where
        T: Sample + FromSample<f32>,
    {
        self.counters.calls.fetch_add(1, Ordering::Relaxed);
        self.counters.latency_us.store(latency_us, Ordering::Relaxed);
        let channels = channels.max(1);
        let frames = out.len() / channels;
        let waiting = self.samples.slots();
        if self.feeding == Feeding::Gathering {
            // 10 ms above what is asked for now: the writer comes every 10 ms and not to the microsecond. Never more
            // than 60 ms, which fits into the ring whatever the device asks for.
            let enough = (frames + self.rate / 100).min(self.rate * 6 / 100);
            if waiting < enough {
                out.fill(T::EQUILIBRIUM);
                return;
            }
            self.feeding = Feeding::Playing;
        }
        let playable = frames.min(waiting);
        if playable < frames {
            self.counters.underruns.fetch_add(1, Ordering::Relaxed);
            self.feeding = Feeding::Gathering;
        }
        let mut targets = out.chunks_exact_mut(channels);
        if let Ok(chunk) = self.samples.read_chunk(playable) {
            for (sample, frame) in chunk.into_iter().zip(&mut targets) {
                // Beyond full scale some conversions wrap around, which is a bang.
                let sample = T::from_sample(sample.clamp(-1.0, 1.0));
                for (channel, target) in frame.iter_mut().enumerate() {
                    *target = if channel < 2 { sample } else { T::EQUILIBRIUM };
                }
            }
        }
        for frame in targets {
            frame.fill(T::EQUILIBRIUM);
        }
    }
}

impl PlaybackWriter {
    /// See [`super::SpeakerStream::write_block`].
    pub(super) fn write_block(&mut self, block: &Block) -> bool {
        let written = match &mut self.resampler {
            None => self.samples.push_entire_slice(block).is_ok(),
            Some(resampler) => {
                self.piece.clear();
                resampler.process(block, &mut self.piece);
                self.samples.push_entire_slice(&self.piece).is_ok()
            }
        };
        if !written {
            self.counters.overruns.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    /// Samples at 48 kHz that wait.
    pub(super) fn queued(&self) -> usize {
        let waiting = self.samples.buffer().capacity() - self.samples.slots();
        waiting * SAMPLE_RATE as usize / self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(rate: u32) -> (PlaybackWriter, PlaybackEnd, Arc<PlaybackCounters>) {
        let counters = Arc::new(PlaybackCounters::default());
        let (writer, end) = playback(rate, Arc::clone(&counters)).unwrap();
        (writer, end, counters)
    }

    #[test]
    fn it_gathers_before_it_plays_and_after_running_dry() {
        let (mut writer, mut end, counters) = ends(48_000);
        let mut out = [0.0_f32; 480];
        end.fill(&mut out, 1, 0);
        assert!(writer.write_block(&[0.5; BLOCK_SAMPLES]));
        end.fill(&mut out, 1, 0);
        assert_eq!(out[0], 0.0, "one block is no reserve yet");
        assert_eq!(counters.underruns.load(Ordering::Relaxed), 0, "silence before the beginning is no underrun");
        writer.write_block(&[0.5; BLOCK_SAMPLES]);
        for _ in 0..2 {
            end.fill(&mut out, 1, 7_000);
            assert!(out.iter().all(|sample| *sample == 0.5));
        }
        writer.write_block(&[0.5; BLOCK_SAMPLES]);
        let mut long = [1.0_f32; 600];
        end.fill(&mut long, 1, 0);
        assert_eq!((long[479], long[480]), (0.5, 0.0), "what is there is played, the rest is silence");
        assert_eq!(counters.underruns.load(Ordering::Relaxed), 1);
        end.fill(&mut out, 1, 0);
        assert_eq!(counters.underruns.load(Ordering::Relaxed), 1, "and counted once");
    }

    #[test]
    fn formats_and_channels_of_the_device_get_the_same_sound() {
        let (mut writer, mut end, _) = ends(48_000);
        for level in [0.5, 2.0, -2.0, 0.5, 0.0] {
            writer.write_block(&[level; BLOCK_SAMPLES]);
        }
        let mut stereo = [0_i16; 960];
        end.fill(&mut stereo, 2, 0);
        assert!(stereo.iter().all(|sample| (sample - 16_384).abs() <= 1));
        end.fill(&mut stereo, 2, 0);
        assert_eq!(stereo[0], i16::MAX);
        end.fill(&mut stereo, 2, 0);
        assert_eq!(stereo[0], i16::MIN);
        let mut surround = [1.0_f32; 480 * 6];
        end.fill(&mut surround, 6, 0);
        assert_eq!(surround[..6], [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]);
        let mut bytes = [0_u8; 480];
        end.fill(&mut bytes, 1, 0);
        assert!(bytes.iter().all(|sample| *sample == 128));
    }

    #[test]
    fn when_nobody_plays_the_ring_fills_and_then_refuses() {
        let (mut writer, end, counters) = ends(48_000);
        let taken = (0..30).filter(|_| writer.write_block(&[0.1; BLOCK_SAMPLES])).count();
        assert_eq!((taken, writer.queued()), (20, 9_600));
        assert_eq!(counters.overruns.load(Ordering::Relaxed), 10);
        drop(end);
    }

    #[test]
    fn a_device_of_44100_hz_gets_as_much_time_as_was_written() {
        let (mut writer, mut end, _) = ends(44_100);
        let (mut taken, mut out) = (0, [0.0_f32; 882]);
        for _ in 0..100 {
            writer.write_block(&[0.25; BLOCK_SAMPLES]);
            while writer.queued() > 2 * BLOCK_SAMPLES {
                end.fill(&mut out, 2, 0);
                taken += 441;
            }
        }
        let in_all = taken + writer.queued() * 441 / 480;
        assert!((43_500..=44_100).contains(&in_all), "{in_all} frames of a second");
    }
}
