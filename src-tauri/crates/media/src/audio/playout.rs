//! The receiving half of a voice: jitter buffer, decoder, repair, concealment and stretching, giving a block each 10 ms.

use std::time::{Duration, Instant};

use super::decoder::OpusDecoder;
use super::jitter::{AudioPacket, CAPACITY, Inserted, JitterBuffer, JitterCounts, Step};
use super::noise::ComfortNoise;
use super::opus::{MAX_PACKET_SAMPLES, OpusError, carries_fec, packet_samples};
use super::stretch::{AHEAD, Jump, MAX_LAG, MIN_LAG, Sound};
use super::{BLOCK_SAMPLES, Block, SAMPLE_RATE, samples_to_duration};
use crate::stats::AudioReceiveCounts;

/// Invented sound is faded over from 80 to 160 ms into comfort noise, for a codec's invention soon sounds like a machine.
const FADE_FROM: usize = 3_840;
const FADE_OVER: f32 = 3_840.0;
/// Real sound comes back over 5 ms where what was invented had faded.
const RETURN: usize = 240;
/// The codec invents in steps of 2.5 ms.
const CODEC_STEP: usize = 120;
/// What comes out of the codec was put in this much (6.5 ms) after it in the packets' time: the look-ahead of a sender's Opus
/// for voice.
const CODEC_DELAY: u32 = 312;
/// The steps of deep redundancy: 10 ms.
const DRED_STEP: usize = 480;

/// Sound that is this much (10 ms) later than it should be is played faster.
const TOO_LATE: i64 = ms(10);
/// From here on (40 ms) more often and with less regard for how well a place to cut fits.
const MUCH_TOO_LATE: i64 = ms(40);
/// And from here on (150 ms) wherever.
const FAR_TOO_LATE: i64 = ms(150);
/// Sound that is this much (5 ms) earlier than it should be is slowed down more often and with less regard.
const MUCH_TOO_EARLY: i64 = ms(5);
const FAR_TOO_EARLY: i64 = ms(30);
/// Between two stretches at least so much is played, so that nobody hears a change of pace: 100 ms; in a hurry 30 ms.
const CALM: i64 = ms(100);
const HURRY: i64 = ms(30);
/// How alike two places have to be, to go from one to the other (1: the same).
const ALIKE: f32 = 0.9;
const ALIKE_ENOUGH: f32 = 0.4;
/// What is quieter than -60 dB of full scale can be cut anywhere.
const INAUDIBLE: f32 = 0.001;

const fn ms(time: i64) -> i64 {
    time * SAMPLE_RATE as i64 / 1_000
}

/// Packets in, blocks out, for one remote voice.
#[derive(Debug)]
pub struct AudioPlayout {
    jitter: JitterBuffer,
    decoder: OpusDecoder,
    /// Decoded, not yet played. jitter buffer -> mixer; at most two packets of 120 ms.
    sound: Sound,
    noise: ComfortNoise,
    scratch: Vec<f32>,
    counts: AudioReceiveCounts,
    /// Samples made up one after the other, up to now.
    gap: usize,
    /// Whether the last samples count as concealed.
    concealing: bool,
    /// Whether the sound to come does not follow what was played, since all is played later now.
    displaced: bool,
    /// Samples played since the last stretch.
    paced: i64,
    damaged: u64,
    /// Packets played, which the next push frees. audio thread -> whoever pushes; at most [`CAPACITY`], more are freed at once.
    spent: Vec<Vec<u8>>,
}

impl AudioPlayout {
    /// An empty one.
    ///
    /// # Errors
    /// [`OpusError::Codec`] when there is no memory for the decoder.
    pub fn new() -> Result<Self, OpusError> {
        Ok(Self {
            jitter: JitterBuffer::new(),
            decoder: OpusDecoder::new()?,
            sound: Sound::new(2 * MAX_PACKET_SAMPLES + BLOCK_SAMPLES),
            noise: ComfortNoise::new(),
            scratch: vec![0.0; MAX_PACKET_SAMPLES],
            counts: AudioReceiveCounts::default(),
            gap: 0,
            concealing: false,
            displaced: false,
            paced: 0,
            damaged: 0,
            spent: Vec::with_capacity(CAPACITY),
        })
    }

    /// Takes an RTP payload in.
    ///
    /// # Errors
    /// [`OpusError`] for an empty, overlong or damaged packet; it is counted and dropped.
    pub fn push(&mut self, sequence: u16, timestamp: u32, data: Vec<u8>, now: Instant) -> Result<Inserted, OpusError> {
        self.spent.clear();
        let samples = match packet_samples(&data) {
            Ok(samples) => samples as u32,
            Err(error) => {
                self.damaged += 1;
                return Err(error);
            }
        };
        // Copies are looked for only where something is missing before the packet.
        let covers = if self.jitter.follows(sequence) { 0 } else { self.reach(&data, samples) };
        Ok(self.jitter.insert(AudioPacket { sequence, timestamp, samples, covers, data }, now))
    }

    /// The next 10 ms. Silence before the first packet and when nothing came for long. Allocates nothing.
    pub fn pull(&mut self, block: &mut Block, now: Instant) {
        while self.sound.len() < BLOCK_SAMPLES {
            self.step(now);
        }
        self.stretch(now);
        self.sound.take(block);
        self.paced += BLOCK_SAMPLES as i64;
        self.counts.total_samples_received += BLOCK_SAMPLES as u64;
    }

    /// What was received and invented so far, under W3C names.
    pub fn counts(&self) -> AudioReceiveCounts {
        let jitter = self.jitter.counts();
        AudioReceiveCounts {
            packets_discarded: jitter.late + jitter.shortened + self.damaged,
            jitter: self.jitter.interarrival_jitter().as_secs_f64(),
            ..self.counts
        }
    }

    /// RTP time of the sound that the next [`AudioPlayout::pull`] begins with, 48 kHz; `None` while there is none.
    pub fn position(&self) -> Option<u32> {
        Some(self.jitter.position()?.wrapping_sub(self.sound.len() as u32).wrapping_sub(CODEC_DELAY))
    }

    /// Waits so much longer than the network asks for, so that the sound is not ahead of the picture. The sound is
    /// stretched there.
    pub fn set_raise(&mut self, raise: Duration) {
        self.jitter.set_raise(raise);
    }

    /// What the jitter buffer counted.
    pub fn jitter_counts(&self) -> JitterCounts {
        self.jitter.counts()
    }

    /// The jitter buffer, to look at.
    pub fn jitter(&self) -> &JitterBuffer {
        &self.jitter
    }

    /// How much of the sound before a packet can be rebuilt from it, in samples.
    fn reach(&mut self, data: &[u8], samples: u32) -> u32 {
        let copy = if carries_fec(data) { samples } else { 0 };
        copy.max(self.decoder.dred_reach(data) as u32)
    }

    fn step(&mut self, now: Instant) {
        let early = self.sound.len() / BLOCK_SAMPLES * BLOCK_SAMPLES;
        match self.jitter.next(early, now) {
            Step::Packet { packet, skip, waited } => self.decode(packet, skip as usize, waited),
            Step::Rebuild { before, samples } => self.rebuild(before as usize, samples as usize),
            Step::Conceal { samples } => self.conceal(samples as usize),
            Step::Expand { samples } => {
                self.conceal(samples as usize);
                self.displaced = true;
            }
            Step::Silence { samples } => {
                self.make_up(samples as usize);
                self.concealing = false;
            }
            Step::Idle => self.idle(),
        }
    }

    fn decode(&mut self, packet: AudioPacket, skip: usize, waited: Duration) {
        match self.decoder.decode(&packet.data, &mut self.scratch) {
            Ok(len) => {
                let skip = skip.min(len);
                let emitted = (len - skip) as f64;
                let ahead = samples_to_duration(self.sound.len() as u64);
                self.counts.jitter_buffer_delay += (waited + ahead).as_secs_f64() * emitted;
                self.counts.jitter_buffer_target_delay += self.jitter.target().as_secs_f64() * emitted;
                self.counts.jitter_buffer_minimum_delay += self.jitter.minimum().as_secs_f64() * emitted;
                self.counts.jitter_buffer_emitted_count += (len - skip) as u64;
                self.noise.listen(&self.scratch[..len]);
                self.play(skip, len);
            }
            Err(_) => {
                self.damaged += 1;
                self.conceal((packet.samples as usize).saturating_sub(skip));
            }
        }
        if self.spent.len() < CAPACITY {
            self.spent.push(packet.data);
        }
    }

    /// Rebuilds what began `before` samples ahead of the next packet.
    fn rebuild(&mut self, before: usize, samples: usize) {
        let Some(carrier) = self.jitter.first() else { return self.conceal(samples) };
        let length = carrier.samples as usize;
        if before == samples && before <= length && carries_fec(&carrier.data) {
            // The copy is of the whole packet, also where only its end is needed.
            if let Ok(len) = self.decoder.decode_fec(&carrier.data, length, &mut self.scratch)
                && len >= samples
            {
                self.counts.fec_samples += samples as u64;
                return self.play(len - samples, len);
            }
        }
        let (whole, after) = (before.next_multiple_of(DRED_STEP), before - samples);
        // The features begin some frames before the sound that is made of them.
        if self.decoder.load_dred(&carrier.data, whole + 8 * DRED_STEP) >= whole
            && let Ok(len) = self.decoder.decode_dred(whole, whole - after, &mut self.scratch)
            && len >= samples
        {
            self.counts.dred_samples += samples as u64;
            return self.play(len - samples, len);
        }
        self.conceal(samples);
    }

    /// Appends `scratch[from..to]`, sound that was really said.
    fn play(&mut self, from: usize, to: usize) {
        let heard = gain(self.gap);
        if self.displaced {
            let most = self.jitter.last_excess().clamp(MIN_LAG as i64, MAX_LAG as i64) as usize;
            let cut = self.sound.join(&self.scratch[from..to], most);
            self.counts.removed_samples_for_acceleration += cut as u64;
            self.jitter.on_stretched(-(cut as i64));
        } else {
            if heard < 1.0 {
                for (n, sample) in self.scratch[from..to].iter_mut().take(RETURN).enumerate() {
                    let share = n as f32 / RETURN as f32;
                    *sample *= heard + (1.0 - heard) * share;
                    *sample += self.noise.sample() * (1.0 - heard) * (1.0 - share);
                }
            }
            self.sound.append(&self.scratch[from..to]);
        }
        self.gap = 0;
        self.concealing = false;
        self.displaced = false;
    }

    fn conceal(&mut self, samples: usize) {
        if samples == 0 {
            return;
        }
        if !self.concealing {
            self.counts.concealment_events += 1;
            self.concealing = true;
        }
        self.counts.concealed_samples += samples as u64;
        if gain(self.gap) == 0.0 {
            self.counts.silent_concealed_samples += samples as u64;
        }
        self.make_up(samples);
    }

    /// Appends sound that the codec invents, which fades into comfort noise.
    fn make_up(&mut self, samples: usize) {
        let samples = samples.min(MAX_PACKET_SAMPLES);
        let asked = samples.next_multiple_of(CODEC_STEP);
        let made = match gain(self.gap) {
            // Nothing of it would be heard.
            0.0 => 0,
            _ => self.decoder.conceal(asked, &mut self.scratch).unwrap_or(0).min(samples),
        };
        self.scratch[made..samples].fill(0.0);
        for (n, sample) in self.scratch[..samples].iter_mut().enumerate() {
            let heard = gain(self.gap + n);
            *sample *= heard;
            if heard < 1.0 {
                *sample += self.noise.sample() * (1.0 - heard);
            }
        }
        self.gap = self.gap.saturating_add(samples);
        self.sound.append(&self.scratch[..samples]);
    }

    /// A block of silence. After the first packet it stands for sound that did not come, and counts as concealed.
    fn idle(&mut self) {
        if self.jitter.counts().played > 0 {
            return self.conceal(BLOCK_SAMPLES);
        }
        self.sound.append(&super::SILENCE);
    }

    /// Plays a little faster or slower, where the delay is off the target and the sound allows it.
    fn stretch(&mut self, now: Instant) {
        if self.gap > 0 {
            return;
        }
        let Some(excess) = self.jitter.excess() else { return };
        if excess >= TOO_LATE && self.paced >= if excess >= MUCH_TOO_LATE { HURRY } else { CALM } {
            while self.sound.len() < AHEAD && self.jitter.has_next() {
                self.step(now);
            }
            let need = if excess >= FAR_TOO_LATE { -1.0 } else { need(excess >= MUCH_TOO_LATE) };
            if let Some(jump) = self.sound.jump_forward(excess as usize).filter(|jump| self.fits(*jump, need)) {
                self.sound.accelerate(jump);
                self.counts.removed_samples_for_acceleration += jump.lag as u64;
                self.jitter.on_stretched(-(jump.lag as i64));
                self.paced = 0;
            }
        } else if excess < 0 && self.paced >= if excess <= -MUCH_TOO_EARLY { HURRY } else { CALM } {
            let need = if excess <= -FAR_TOO_EARLY { -1.0 } else { need(excess <= -MUCH_TOO_EARLY) };
            let most = (TOO_LATE - 1 - excess) as usize;
            if let Some(jump) = self.sound.jump_back(most).filter(|jump| self.fits(*jump, need)) {
                self.sound.expand(jump);
                self.counts.inserted_samples_for_deceleration += jump.lag as u64;
                self.jitter.on_stretched(jump.lag as i64);
                self.paced = 0;
            }
        }
    }

    fn fits(&self, jump: Jump, need: f32) -> bool {
        jump.likeness >= need || self.sound.level() <= (2.0 * self.noise.floor()).max(INAUDIBLE)
    }
}

fn need(hurry: bool) -> f32 {
    if hurry { ALIKE_ENOUGH } else { ALIKE }
}

/// How much of the codec's invention is heard, `after` so many samples of it; the rest is comfort noise.
fn gain(after: usize) -> f32 {
    (1.0 - after.saturating_sub(FADE_FROM) as f32 / FADE_OVER).clamp(0.0, 1.0)
}
