//! What a call sounds like before it is one: the ring for the callee, the ringing tone for the caller; and what a speaker
//! is tried with.

use std::f32::consts::TAU;

use super::{Block, SAMPLE_RATE};

/// Loud enough for the next room.
const RING_LEVEL: f32 = 0.35;
/// ITU-T E.180 leaves it to the network; this is well under speech.
const TONE_LEVEL: f32 = 0.08;
/// As loud as a voice: a speaker that is turned up must not frighten.
const TRIAL_LEVEL: f32 = 0.2;
/// Rise and fall of each note, samples (8 ms): shorter ones click.
const EDGE: u32 = SAMPLE_RATE / 125;

/// One note: frequency in hertz (0 for a rest) and length in milliseconds.
type Note = (f32, u32);

/// Two rising thirds, then a rest of two seconds.
const RING: &[Note] =
    &[(659.3, 180), (830.6, 180), (987.8, 320), (0.0, 120), (659.3, 180), (830.6, 180), (987.8, 320), (0.0, 2000)];
/// 425 Hz, one second on and four off: the ringing tone of most of Europe (ITU-T E.180, supplement 2).
const RINGING_TONE: &[Note] = &[(425.0, 1000), (0.0, 4000)];

/// A rising chord, and a rest: small speakers play its lowest note, too.
const TRIAL: &[Note] = &[(523.3, 250), (659.3, 250), (784.0, 400), (0.0, 100)];

/// A melody without an end, in blocks of 10 ms.
#[derive(Debug, Clone)]
pub struct RingSound {
    notes: &'static [Note],
    level: f32,
    note: usize,
    /// Samples of the present note already given.
    given: u32,
}

impl RingSound {
    /// Somebody calls.
    pub fn incoming() -> Self {
        Self { notes: RING, level: RING_LEVEL, note: 0, given: 0 }
    }

    /// It rings at the other side.
    pub fn outgoing() -> Self {
        Self { notes: RINGING_TONE, level: TONE_LEVEL, note: 0, given: 0 }
    }

    /// How long the melody of [`RingSound::trial`] is, in blocks of 10 ms.
    pub const TRIAL_BLOCKS: usize = 100;

    /// A speaker is tried.
    pub fn trial() -> Self {
        Self { notes: TRIAL, level: TRIAL_LEVEL, note: 0, given: 0 }
    }

    /// Adds the next 10 ms to `block`, cut at full scale.
    pub fn mix_into(&mut self, block: &mut Block) {
        for sample in block.iter_mut() {
            *sample = (*sample + self.next_sample()).clamp(-1.0, 1.0);
        }
    }

    fn next_sample(&mut self) -> f32 {
        let (hertz, millis) = self.notes[self.note];
        let length = millis * (SAMPLE_RATE / 1000);
        let edge = self.given.min(length - self.given).min(EDGE) as f32 / EDGE as f32;
        let value = self.level * edge * (TAU * hertz * self.given as f32 / SAMPLE_RATE as f32).sin();
        self.given += 1;
        if self.given >= length {
            self.given = 0;
            self.note = (self.note + 1) % self.notes.len();
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::BLOCK_SAMPLES;

    fn seconds(mut sound: RingSound, count: usize) -> Vec<f32> {
        (0..count * 100)
            .flat_map(|_| {
                let mut block = [0.0; BLOCK_SAMPLES];
                sound.mix_into(&mut block);
                block
            })
            .collect()
    }

    fn loud(samples: &[f32]) -> bool {
        samples.iter().any(|sample| sample.abs() > 0.05)
    }

    #[test]
    fn the_ringing_tone_is_one_second_on_and_four_off() {
        let samples = seconds(RingSound::outgoing(), 6);
        let second = |number: usize| &samples[number * 48_000..(number + 1) * 48_000];
        assert!(loud(second(0)) && loud(second(5)));
        assert!((1..5).all(|number| !loud(second(number))));
        let crossings = second(0).windows(2).filter(|pair| pair[0] <= 0.0 && pair[1] > 0.0).count();
        assert!((424..=426).contains(&crossings), "{crossings} Hz");
    }

    #[test]
    fn no_note_begins_or_ends_with_a_click() {
        for sound in [RingSound::incoming(), RingSound::outgoing(), RingSound::trial()] {
            let samples = seconds(sound, 5);
            let steepest = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
            // A sine of 988 Hz at the ring's level moves by 0.045 a sample at most.
            assert!(steepest < 0.05, "{steepest}");
        }
    }
}
