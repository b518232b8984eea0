//! A voice, a network and an ear, in virtual time.

// Each test file uses what it needs.
#![allow(dead_code)]
#![allow(clippy::disallowed_methods)]
// What was measured is worth reading.
#![allow(clippy::print_stdout)]

pub mod room;
mod speech;

use std::time::{Duration, Instant};

use ahoy_media::audio::{AudioPlayout, BLOCK_SAMPLES, Block, OpusEncoder, OpusSettings, SAMPLE_RATE, SILENCE};
use ahoy_testkit::{Seeded, Tone};
pub use speech::Voice;

/// What is said.
pub enum Source {
    Voice(Box<Voice>),
    Tone(Tone),
    /// A voice that says nothing every other two seconds; with the blocks said so far.
    Pausing(Box<Voice>, u32),
}

impl Source {
    pub fn voice(seed: u64) -> Self {
        Self::Voice(Box::new(Voice::new(seed)))
    }

    pub fn pausing(seed: u64) -> Self {
        Self::Pausing(Box::new(Voice::new(seed)), 0)
    }

    pub fn tone(frequency: f64) -> Self {
        Self::Tone(Tone::new(frequency, SAMPLE_RATE, 0.5))
    }

    pub fn fill(&mut self, block: &mut Block) {
        match self {
            Self::Voice(voice) => voice.fill(block),
            Self::Tone(tone) => tone.fill(block),
            Self::Pausing(voice, blocks) => {
                voice.fill(block);
                if *blocks % 400 >= 200 {
                    block.fill_with(|| 0.001 * voice.noise());
                }
                *blocks += 1;
            }
        }
    }
}

/// What becomes of a packet: `None` lost, else how long after it was sent it arrives.
pub trait Network {
    fn carry(&mut self, number: u32) -> Option<Duration>;
}

impl<F: FnMut(u32) -> Option<Duration>> Network for F {
    fn carry(&mut self, number: u32) -> Option<Duration> {
        self(number)
    }
}

/// Loss in runs (Gilbert's model): `share` of all packets in the long run, `run` packets long on average.
pub struct Bursts {
    pub rng: Seeded,
    pub share: f64,
    pub run: f64,
    pub bad: bool,
}

impl Bursts {
    pub fn new(seed: u64, share: f64, run: f64) -> Self {
        Self { rng: Seeded::new(seed), share, run, bad: false }
    }

    pub fn lost(&mut self) -> bool {
        let leave = 1.0 / self.run;
        let enter = self.share * leave / (1.0 - self.share);
        self.bad = if self.bad { !self.rng.chance(leave) } else { self.rng.chance(enter) };
        self.bad
    }
}

/// What was heard.
pub struct Heard {
    pub samples: Vec<f32>,
    pub playout: AudioPlayout,
    /// Bytes of all packets sent.
    pub bytes: usize,
    pub packets: u32,
    pub lost: u32,
    /// Packets of silence that were not sent.
    pub unsent: u32,
    /// The time spent in all pulls, and the longest.
    pub pulling: Duration,
    pub longest: Duration,
}

impl Heard {
    /// The share of what was played that was invented, in percent.
    pub fn concealed(&self) -> f64 {
        let counts = self.playout.counts();
        100.0 * counts.concealed_samples as f64 / counts.total_samples_received as f64
    }

    /// The mean delay in the jitter buffer, in milliseconds.
    pub fn delay(&self) -> f64 {
        let counts = self.playout.counts();
        1_000.0 * counts.jitter_buffer_delay / counts.jitter_buffer_emitted_count as f64
    }

    pub fn report(&self, name: &str) {
        let (counts, jitter) = (self.playout.counts(), self.playout.jitter_counts());
        let percent = |samples: u64| 100.0 * samples as f64 / counts.total_samples_received as f64;
        println!(
            "{name}: concealed {:.2} % (silent {:.2}) in {} events, fec {:.2} %, dred {:.2} %, lost {:.1} %, delay {:.1} ms, \
             target {:?}, slower {:.2} %, faster {:.2} %, {:.1} kbps, late {}, expanded {}, pull {:?} mean, {:?} longest",
            self.concealed(),
            percent(counts.silent_concealed_samples),
            counts.concealment_events,
            percent(counts.fec_samples),
            percent(counts.dred_samples),
            100.0 * f64::from(self.lost) / f64::from(self.packets),
            self.delay(),
            self.playout.jitter().target(),
            percent(counts.inserted_samples_for_deceleration),
            percent(counts.removed_samples_for_acceleration),
            self.bytes as f64 * 8.0 / (counts.total_samples_received as f64 / 48.0),
            jitter.late,
            jitter.expanded,
            self.pulling / (counts.total_samples_received / 480) as u32,
            self.longest,
        );
    }
}

/// Says `seconds` of `source` over `network`. The listener's clock runs `ppm` faster than the speaker's.
pub fn listen(seconds: u32, mut source: Source, settings: OpusSettings, ppm: f64, mut network: impl Network) -> Heard {
    let start = Instant::now();
    let mut encoder = OpusEncoder::new(settings).unwrap();
    let mut playout = AudioPlayout::new().unwrap();
    let length = settings.duration.blocks() as u32;
    let (mut sequence, mut timestamp) = (65_500_u16, u32::MAX - 9_600);
    let mut under_way: Vec<(Instant, u16, u32, Vec<u8>)> = Vec::new();
    let (mut packets, mut lost, mut unsent, mut bytes) = (0, 0, 0, 0);
    let (mut pulling, mut longest) = (Duration::ZERO, Duration::ZERO);
    let tick = Duration::from_millis(10).div_f64(1.0 + ppm / 1e6);
    let mut silent = false;
    let (mut samples, mut spoken) = (Vec::with_capacity(seconds as usize * 48_000), 0);
    for n in 0..seconds * 100 {
        let now = start + tick * n;
        // What the speaker has said by now.
        while start + Duration::from_millis(10) * spoken <= now {
            let sent = start + Duration::from_millis(10) * spoken;
            spoken += 1;
            let mut block = SILENCE;
            source.fill(&mut block);
            let Some(packet) = encoder.push(&block).unwrap() else { continue };
            let number = spoken / length - 1;
            packets += 1;
            bytes += packet.data.len();
            // As browsers do: the first packet of silence is sent, and one now and then.
            let silence = settings.dtx && packet.silence;
            if silence && silent && !number.is_multiple_of(20) {
                unsent += 1;
            } else {
                match network.carry(number) {
                    Some(after) => under_way.push((sent + after, sequence, timestamp, packet.data.to_vec())),
                    None => lost += 1,
                }
                sequence = sequence.wrapping_add(1);
            }
            silent = silence;
            timestamp = timestamp.wrapping_add(packet.samples);
        }
        under_way.sort_by_key(|(at, ..)| *at);
        let arrived = under_way.iter().take_while(|(at, ..)| *at <= now).count();
        for (at, sequence, timestamp, data) in under_way.drain(..arrived) {
            playout.push(sequence, timestamp, data, at).unwrap();
        }
        let mut block = SILENCE;
        let began = Instant::now();
        playout.pull(&mut block, now);
        let took = began.elapsed();
        pulling += took;
        longest = longest.max(took);
        samples.extend_from_slice(&block);
    }
    assert_eq!(samples.len(), seconds as usize * 100 * BLOCK_SAMPLES);
    Heard { samples, playout, bytes, packets, lost, unsent, pulling, longest }
}

pub fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
