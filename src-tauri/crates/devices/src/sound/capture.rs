//! From a microphone's callback to the thread that reads: the ring, its stamps, and the way to 48 kHz.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ahoy_media::audio::{BLOCK_SAMPLES, Block, Resampler, SAMPLE_RATE};
use cpal::{FromSample, Sample};
use rtrb::{Consumer, Producer, RingBuffer};

/// What both ends count.
#[derive(Debug, Default)]
pub(super) struct CaptureCounters {
    /// Frames that did not fit into the ring, and dropouts the device told of.
    pub(super) overruns: AtomicU64,
    /// Calls of the callback: the device lives.
    pub(super) calls: AtomicU64,
}

/// When the frame of this index was captured.
#[derive(Debug, Clone, Copy)]
struct Mark {
    frame: u64,
    captured: Instant,
}

/// The callback's end: copies, stamps, counts. No allocation, lock, log or panic.
pub(super) struct CaptureEnd {
    samples: Producer<f32>,
    marks: Producer<Mark>,
    counters: Arc<CaptureCounters>,
    written: u64,
}

/// The reader's end.
pub(super) struct CaptureReader {
    samples: Consumer<f32>,
    marks: Consumer<Mark>,
    mark: Option<Mark>,
    read: u64,
    rate: u32,
    resampler: Option<Resampler>,
    /// A piece of 10 ms at the device's rate.
    piece: Vec<f32>,
    /// Resampled, not yet taken.
    ready: Vec<f32>,
}

/// Makes the two ends for a device of `rate` samples a second.
///
/// Callback -> reader; mono samples, 500 ms; full: the newest is dropped and counted. Stamps: 128, one a callback; full: a
/// stamp is left out, and the reader reckons on from the one before.
pub(super) fn capture(
    rate: u32,
    counters: Arc<CaptureCounters>,
) -> Result<(CaptureEnd, CaptureReader), ahoy_media::audio::resample::ResampleError> {
    let (producer, consumer) = RingBuffer::new((rate / 2) as usize);
    let (mark_producer, mark_consumer) = RingBuffer::new(128);
    let piece = (rate / 100) as usize;
    let resampler = match rate {
        SAMPLE_RATE => None,
        rate => Some(Resampler::new(rate, SAMPLE_RATE, 1, piece)?),
    };
    let end = CaptureEnd { samples: producer, marks: mark_producer, counters, written: 0 };
    let reader = CaptureReader {
        samples: consumer,
        marks: mark_consumer,
        mark: None,
        read: 0,
        rate,
        resampler,
        piece: vec![0.0; piece],
        ready: Vec::with_capacity(4 * BLOCK_SAMPLES),
    };
    Ok((end, reader))
}

impl CaptureEnd {
    /// Takes what the device gave: `interleaved` frames of `channels` samples, the first captured at `captured`. One
    /// channel is taken as it is; of more, the first two are averaged (arrays and surround inputs put the voice there).
    pub(super) fn push<T>(&mut self, interleaved: &[T], channels: usize, captured: Instant)
    where
        T: Sample,
        f32: FromSample<T>,
    {
        self.counters.calls.fetch_add(1, Ordering::Relaxed);
        let channels = channels.max(1);
        let frames = interleaved.len() / channels;
        let fitting = frames.min(self.samples.slots());
        if fitting < frames {
            self.counters.overruns.fetch_add((frames - fitting) as u64, Ordering::Relaxed);
        }
        if fitting == 0 {
            return;
        }
        // A full stamp ring costs a stamp, nothing else.
        let _ = self.marks.push(Mark { frame: self.written, captured });
        if let Ok(chunk) = self.samples.write_chunk_uninit(fitting) {
            let mono = interleaved.chunks_exact(channels).take(fitting).map(|frame| match frame {
                [only] => f32::from_sample(*only),
                [left, right, ..] => 0.5 * (f32::from_sample(*left) + f32::from_sample(*right)),
                [] => 0.0,
            });
            // A driver's NaN would poison echo canceller and codec for good.
            chunk.fill_from_iter(mono.map(|sample| if sample.is_finite() { sample } else { 0.0 }));
            self.written += fitting as u64;
        }
    }
}

impl CaptureReader {
    /// See [`super::MicrophoneStream::read_block`].
    pub(super) fn read_block(&mut self, block: &mut Block) -> Option<Instant> {
        if self.resampler.is_none() {
            if self.samples.slots() < BLOCK_SAMPLES {
                return None;
            }
            let captured = self.captured_at(self.read);
            self.samples.pop_entire_slice(block).ok()?;
            self.read += BLOCK_SAMPLES as u64;
            return captured;
        }
        while self.ready.len() < BLOCK_SAMPLES {
            self.resample_piece()?;
        }
        let delay = self.ready.len() + self.resampler.as_ref().map_or(0, Resampler::delay);
        let behind = Duration::from_secs_f64(delay as f64 / f64::from(SAMPLE_RATE));
        let captured = self.captured_at(self.read)?.checked_sub(behind);
        block.copy_from_slice(&self.ready[..BLOCK_SAMPLES]);
        self.ready.drain(..BLOCK_SAMPLES);
        captured
    }

    /// Moves 10 ms from the ring through the resampler; `None` when there is less.
    fn resample_piece(&mut self) -> Option<()> {
        let resampler = self.resampler.as_mut()?;
        self.samples.pop_entire_slice(&mut self.piece).ok()?;
        self.read += self.piece.len() as u64;
        resampler.process(&self.piece, &mut self.ready);
        Some(())
    }

    /// When a frame was captured, reckoned from the newest stamp at or before it.
    fn captured_at(&mut self, frame: u64) -> Option<Instant> {
        while self.marks.peek().is_ok_and(|next| next.frame <= frame) {
            self.mark = self.marks.pop().ok();
        }
        let mark = self.mark?;
        let frames = frame.saturating_sub(mark.frame);
        Some(mark.captured + Duration::from_secs_f64(frames as f64 / f64::from(self.rate)))
    }

    /// Samples at 48 kHz that wait.
    pub(super) fn available(&self) -> usize {
        self.ready.len() + self.samples.slots() * SAMPLE_RATE as usize / self.rate as usize
    }

    /// See [`super::MicrophoneStream::skip_to_latest`].
    pub(super) fn skip_to_latest(&mut self, keep: usize) {
        let excess = self.available().saturating_sub(keep);
        if excess == 0 {
            return;
        }
        self.ready.clear();
        let keep_frames = keep * self.rate as usize / SAMPLE_RATE as usize;
        let drop = self.samples.slots().saturating_sub(keep_frames);
        if let Ok(chunk) = self.samples.read_chunk(drop) {
            chunk.commit_all();
            self.read += drop as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(rate: u32) -> (CaptureEnd, CaptureReader, Arc<CaptureCounters>) {
        let counters = Arc::new(CaptureCounters::default());
        let (end, reader) = capture(rate, Arc::clone(&counters)).unwrap();
        (end, reader, counters)
    }

    #[test]
    fn every_format_and_channel_count_becomes_the_same_mono_sound() {
        let (mut end, mut reader, _) = ends(48_000);
        let now = Instant::now();
        end.push(&[0.5_f32; 480], 1, now);
        end.push(&[16_384_i16; 960], 2, now);
        end.push(&[1_i32 << 30; 480 * 6], 6, now);
        end.push(&[192_u8; 480], 1, now);
        end.push(&[f32::NAN; 480], 1, now);
        let mut block = [0.0; BLOCK_SAMPLES];
        for _ in 0..4 {
            assert!(reader.read_block(&mut block).is_some());
            assert!(block.iter().all(|sample| (sample - 0.5).abs() < 0.005), "{}", block[0]);
        }
        assert!(reader.read_block(&mut block).is_some());
        assert!(block.iter().all(|sample| *sample == 0.0));
        assert!(reader.read_block(&mut block).is_none());
    }

    #[test]
    fn stamps_follow_the_samples_through_blocks_of_another_length() {
        let (mut end, mut reader, _) = ends(48_000);
        let start = Instant::now();
        for call in 0..10_u32 {
            end.push(&[0.0_f32; 384], 1, start + Duration::from_millis(8) * call);
        }
        let mut block = [0.0; BLOCK_SAMPLES];
        for expected in [0, 10, 20, 30] {
            let captured = reader.read_block(&mut block).unwrap();
            let error = (captured - start).as_secs_f64() - f64::from(expected) / 1000.0;
            assert!(error.abs() < 1e-4, "block at {expected} ms is off by {error} s");
        }
    }

    #[test]
    fn an_absent_reader_loses_the_newest_and_it_is_counted() {
        let (mut end, mut reader, counters) = ends(48_000);
        let start = Instant::now();
        for call in 0..100_u32 {
            end.push(&[call as f32 / 100.0; 480], 1, start + Duration::from_millis(10) * call);
        }
        assert_eq!(counters.overruns.load(Ordering::Relaxed), 50 * 480);
        let mut block = [0.0; BLOCK_SAMPLES];
        assert_eq!(reader.read_block(&mut block), Some(start));
        reader.skip_to_latest(BLOCK_SAMPLES);
        assert_eq!(reader.available(), BLOCK_SAMPLES);
        let captured = reader.read_block(&mut block).unwrap();
        assert_eq!(block[0], 0.49);
        assert!((captured - start).as_secs_f64() - 0.49 < 1e-4);
    }

    #[test]
    fn a_device_of_44100_hz_is_heard_at_48000() {
        let (mut end, mut reader, _) = ends(44_100);
        let start = Instant::now();
        let mut tone = ahoy_testkit::Tone::new(1000.0, 44_100, 0.5);
        let (mut heard, mut first) = (Vec::new(), None);
        let mut block = [0.0; BLOCK_SAMPLES];
        for call in 0..100_u32 {
            let sound = tone.take(441);
            end.push(&sound, 1, start + Duration::from_millis(10) * call);
            while let Some(captured) = reader.read_block(&mut block) {
                first.get_or_insert(captured);
                heard.extend_from_slice(&block);
            }
        }
        assert!((46_500..=48_000).contains(&heard.len()), "{} samples of a second", heard.len());
        // The filter rings a little before its first sample.
        let reading = ahoy_testkit::tone::detect(&heard[4_800..], 48_000, 40.0).expect("a clean tone");
        assert!((reading.frequency - 1000.0).abs() < 1.0, "{} Hz", reading.frequency);
        let error = first.unwrap().saturating_duration_since(start);
        assert!(error < Duration::from_millis(2), "the stamp of the first block is off by {error:?}");
    }
}
