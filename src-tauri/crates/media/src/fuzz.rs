//! What the fuzz targets do with arbitrary bytes: each is a course of events, in which nothing may panic, grow or stall.
//! `src-tauri/fuzz` drives these with coverage, `tests/fuzz.rs` with seeded random bytes.

use std::io::Cursor;
use std::time::{Duration, Instant};

use crate::Bitrate;
use crate::audio::wav::WavReader;
use crate::audio::{AudioPlayout, SILENCE};
use crate::rate::{
    ClusterId, Estimator, Feedback, Pacer, PacketFate, PacketKind, RateConfig, Released, ReportBlock, SentPacket,
};
use crate::video::playout::{Arrival, CODED, DECODED};
use crate::video::y4m::Y4mReader;
use crate::video::{FrameBuffer, H264Decoder, I420, VideoDecoder};

/// A fuzz target: its name and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every one of this crate.
pub const TARGETS: [Target; 5] = [
    ("estimator", estimator),
    ("frame_buffer", frame_buffer),
    ("jitter_buffer", jitter_buffer),
    ("access_units", access_units),
    ("files", files),
];

/// The longest Opus packet of one frame (RFC 6716, 3.2.1, and its first byte); longer ones exist, which nobody sends.
const LONGEST_OPUS: usize = 1_276;
/// Packets that were sent or are waiting, beyond which the pacer or the estimator would have grown.
const MOST_WAITING: usize = 5_000;

/// An input, read from the front; zeros when it has run out.
#[derive(Debug, Clone)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of it.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether it has run out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// At most so many bytes.
    pub fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// Two bytes, big endian.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Four bytes, big endian.
    pub fn long(&mut self) -> u32 {
        u32::from(self.short()) << 16 | u32::from(self.short())
    }

    /// Up to `most` bytes, mostly the same few again and again: so a short input has long ones, too.
    pub fn payload(&mut self, most: usize) -> Vec<u8> {
        let length = usize::from(self.short()) % (most + 1);
        let few = if self.byte().is_multiple_of(4) { length } else { length.min(16) };
        let taken = self.take(few);
        if taken.is_empty() { vec![0; length] } else { taken.iter().copied().cycle().take(length).collect() }
    }

    /// A time of up to 65 s, mostly short.
    pub fn pause(&mut self) -> Duration {
        match self.byte() {
            255 => Duration::from_millis(self.short().into()),
            millis => Duration::from_millis(u64::from(millis) / 4),
        }
    }
}

/// Some moment, with room before it.
#[expect(clippy::disallowed_methods, reason = "an Instant cannot be made otherwise; it is looked at once")]
pub fn begin() -> Instant {
    Instant::now() + Duration::from_secs(3_600)
}

/// Feedback of any kind for packets that were sent or not, and a pacer that follows it.
pub fn estimator(input: &[u8]) {
    let mut input = Input::new(input);
    let config = RateConfig::default();
    let mut now = begin();
    let mut estimator = Estimator::new(config);
    let mut pacer: Pacer<u8> = Pacer::new(estimator.pacing(now));
    let mut next = 0_u16;
    while !input.is_empty() {
        match input.byte() % 8 {
            0 => now += input.pause(),
            1 => now -= input.pause().min(Duration::from_secs(1)),
            2 => {
                let kind = [PacketKind::Audio, PacketKind::Video, PacketKind::Repair, PacketKind::Retransmission];
                let kind = kind[usize::from(input.byte()) % kind.len()];
                let _ = pacer.push(kind, input.short().into(), 0, now);
            }
            3 => {
                let packets = (0..input.byte() % 64).map(|_| PacketFate {
                    sequence: match input.byte() {
                        255 => input.short(),
                        back => next.wrapping_sub(u16::from(back) % 80),
                    },
                    arrival: match input.byte() {
                        0..=63 => None,
                        255 => Some(Duration::from_micros(u64::from(input.long()) << 20)),
                        millis => Some(Duration::from_millis(u64::from(next) * 5 + u64::from(millis))),
                    },
                });
                estimator.handle_feedback(&Feedback { packets: packets.collect() }, now);
                let _ = estimator.poll_fall();
                if let Some(probe) = estimator.poll_probe(now) {
                    pacer.start_probe(probe);
                }
            }
            4 => estimator.handle_remb(Bitrate::bps(u64::from(input.long()) << (input.byte() % 32)), now),
            5 => {
                let fraction_lost = f64::from(input.byte()) / 128.0 - 0.5;
                let rtt = (input.byte() > 99).then(|| input.pause());
                estimator.handle_report(ReportBlock { fraction_lost, rtt }, now);
            }
            6 => estimator.set_demand(Bitrate::bps(u64::from(input.long()) << (input.byte() % 32))),
            _ => estimator.handle_timeout(now),
        }
        pacer.set_pacing(estimator.pacing(now));
        let mut left = 0;
        while let Some(released) = pacer.poll(now) {
            let (size, kind, cluster): (usize, PacketKind, Option<ClusterId>) = match released {
                Released::Packet { size, kind, cluster, .. } => (size, kind, cluster),
                Released::Padding { size, cluster } => {
                    pacer.padded(Some(size), now);
                    (size, PacketKind::Padding, Some(cluster))
                }
            };
            estimator.handle_sent(SentPacket { sequence: next, size, sent_at: now, kind, cluster });
            next = next.wrapping_add(1);
            left += 1;
            assert!(left < MOST_WAITING, "the pacer gives without end");
        }
        let target = estimator.target();
        assert!(target > Bitrate::ZERO && target <= Bitrate::kbps(1_000_000), "{target:?}");
    }
}

/// Pictures with any times, whole or not.
pub fn frame_buffer(input: &[u8]) {
    let mut input = Input::new(input);
    let mut buffer = FrameBuffer::<u8, u8>::new();
    let (mut now, mut timestamp) = (begin(), 0_u32);
    while !input.is_empty() {
        let what = input.byte();
        now += input.pause();
        timestamp = if what >= 250 { input.long() } else { timestamp.wrapping_add(u32::from(what) * 60) };
        match what % 8 {
            0 => buffer.forget_coded(),
            1 => buffer.hold(timestamp, (what > 128).then_some(now + Duration::from_secs(u64::from(what)))),
            2 if what == 2 => drop(buffer.stop()),
            _ => {
                let behind = Duration::from_millis(u64::from(what) / 8);
                let arrival = Arrival { timestamp, key: what & 16 != 0, repaired: what & 32 != 0, at: now - behind };
                let _ = buffer.insert(what, arrival);
            }
        }
        while let Some((unit, place)) = buffer.next_to_decode(now) {
            if unit & 64 == 0 {
                buffer.insert_decoded(unit, place);
            }
        }
        while buffer.next_to_show(now).is_some() {}
        let _ = (buffer.wants_key(now), buffer.poll_timeout(now), buffer.take_dropped());
        let (coded, decoded) = buffer.stock();
        assert!(coded <= CODED && decoded <= DECODED, "{coded} {decoded}");
    }
}

/// Packets of sound with any numbers, times and contents.
pub fn jitter_buffer(input: &[u8]) {
    let mut input = Input::new(input);
    let Ok(mut playout) = AudioPlayout::new() else { return };
    let (mut now, mut sequence, mut timestamp, mut block) = (begin(), 0_u16, 0_u32, SILENCE);
    while !input.is_empty() {
        let what = input.byte();
        match what {
            0 => (sequence, timestamp) = (input.short(), input.long()),
            1..=40 => now += input.pause(),
            41..=90 => {
                playout.pull(&mut block, now);
                assert!(block.iter().all(|sample| sample.is_finite()));
                now += Duration::from_millis(10);
            }
            _ => {
                let step = u16::from(what % 4);
                sequence = sequence.wrapping_add(step);
                timestamp = timestamp.wrapping_add(u32::from(step) * 960);
                let _ = playout.push(sequence, timestamp, input.payload(LONGEST_OPUS), now);
            }
        }
        assert!(playout.jitter().len() <= 100);
    }
}

/// Access units of anything.
pub fn access_units(input: &[u8]) {
    let mut input = Input::new(input);
    let (mut decoder, mut picture) = (H264Decoder::new(), I420::default());
    while !input.is_empty() {
        let length = usize::from(input.short() % 2_048);
        if decoder.decode(input.take(length), &mut picture).is_err() {
            decoder.reset();
        }
    }
}

/// Files that a person names. The first byte says of which kind, and whether a good beginning stands before the rest.
pub fn files(bytes: &[u8]) {
    const FILM: &[u8] = b"YUV4MPEG2 W16 H8 F30:1 Ip A1:1 C420jpeg\nFRAME\n";
    const SOUND: &[u8] =
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x02\0\x80\xbb\0\0\0\xee\x02\0\x04\0\x10\0data\xff\xff\xff\xff";
    let Some((kind, rest)) = bytes.split_first() else { return };
    let begun = |beginning: &[u8]| if kind & 2 == 0 { rest.to_vec() } else { [beginning, rest].concat() };
    if kind & 1 == 0 {
        let content = begun(FILM);
        // What is read cannot be more than the file holds, whatever its header says.
        let most = content.len() + 1;
        let Ok(mut film) = Y4mReader::new(Cursor::new(content)) else { return };
        let mut picture = I420::default();
        let pictures = std::iter::from_fn(|| film.read(&mut picture).ok().flatten()).take(most).count();
        assert!(pictures < most, "more pictures than bytes");
    } else {
        let content = begun(SOUND);
        let most = content.len() + 1;
        let Ok(mut sound) = WavReader::new(Cursor::new(content)) else { return };
        let mut samples = Vec::new();
        let blocks = std::iter::from_fn(|| sound.read(480, &mut samples).ok().filter(|frames| *frames > 0));
        let blocks = blocks.take(most).count();
        assert!(blocks < most, "more sound than bytes");
        // A file that cannot be gone back in says so.
        let _ = sound.rewind();
    }
}
