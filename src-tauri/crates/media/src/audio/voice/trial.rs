//! Trying what one has: three seconds of the microphone, played back, or some notes for the speaker.

use std::time::Duration;

use super::health::{CLIPPED, FULL_SCALE, SILENT, VOICED};
use crate::audio::{BLOCK_SAMPLES, Block, Level, RingSound};

/// So much of the microphone is recorded.
pub const RECORDED: Duration = Duration::from_secs(3);
const RECORDED_BLOCKS: usize = 300;
/// A microphone that is opened clicks, and what is done to its sound has to settle: so much is not recorded.
const SETTLING_BLOCKS: usize = 20;
/// Silence behind what is played, until a device has really played it: 300 ms.
const TAIL_BLOCKS: usize = 30;
/// The loudest 10 ms of a voice, in dB of full scale, are above this, however far away; a quiet room is below.
const FAINT: f32 = -55.0;
/// Rise and fall of what is played back, samples (10 ms), so that it does not click.
const EDGE: usize = BLOCK_SAMPLES;

/// What three seconds say of a microphone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialVerdict {
    /// Somebody was heard.
    Heard,
    /// Nothing came, not even the noise of a room.
    Silent,
    /// There was sound, but hardly a voice.
    Faint,
    /// The loud parts were cut at full scale.
    Clipped,
}

/// What came of the last 10 ms of a microphone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Nothing is recorded, or the recording goes on.
    Nothing,
    /// The recording began with this block.
    Began,
    /// It is whole, and is played from now on.
    Whole(TrialVerdict),
}

/// One trial, which does not outlive itself: what was recorded is dropped with it.
///
/// ```text
/// microphone() ──► Recording ──3 s──► Playing ──played──► over
/// speaker() ─────► Notes ──played──────────────────────► over
/// ```
#[derive(Debug)]
pub struct Trial {
    state: State,
}

#[derive(Debug)]
enum State {
    Recording { samples: Vec<f32>, settling: usize, judge: Judge },
    Playing { samples: Vec<f32>, played: usize },
    Notes { sound: RingSound, blocks: usize },
}

/// What is heard while it records, as the microphone gave it.
#[derive(Debug, Default)]
struct Judge {
    /// The loudest 10 ms, dBFS; `None` before the first.
    loudest: Option<f32>,
    /// Of blocks as loud as a voice: samples, and those of them that are cut.
    voiced: usize,
    cut: usize,
}

impl Trial {
    /// Records three seconds, then plays them back.
    pub fn microphone() -> Self {
        let samples = Vec::with_capacity(RECORDED_BLOCKS * BLOCK_SAMPLES);
        Self { state: State::Recording { samples, settling: SETTLING_BLOCKS, judge: Judge::default() } }
    }

    /// Plays some notes.
    pub fn speaker() -> Self {
        let blocks = RingSound::TRIAL_BLOCKS + TAIL_BLOCKS;
        Self { state: State::Notes { sound: RingSound::trial(), blocks } }
    }

    /// Hears the next 10 ms: as the microphone gave them, and as others would hear them.
    pub fn hear(&mut self, given: &Block, treated: &Block) -> Heard {
        let State::Recording { samples, settling, judge } = &mut self.state else { return Heard::Nothing };
        if *settling > 0 {
            *settling -= 1;
            return Heard::Nothing;
        }
        judge.hear(given);
        samples.extend_from_slice(treated);
        if samples.len() < RECORDED_BLOCKS * BLOCK_SAMPLES {
            return if samples.len() == BLOCK_SAMPLES { Heard::Began } else { Heard::Nothing };
        }
        let verdict = judge.verdict();
        let mut samples = std::mem::take(samples);
        soften(&mut samples);
        self.state = State::Playing { samples, played: 0 };
        Heard::Whole(verdict)
    }

    /// Whether a speaker has something to play.
    pub fn plays(&self) -> bool {
        match self.state {
            State::Recording { .. } => false,
            State::Playing { .. } | State::Notes { .. } => true,
        }
    }

    /// Adds the next 10 ms to `block`, cut at full scale. False: that was all.
    pub fn mix_into(&mut self, block: &mut Block) -> bool {
        match &mut self.state {
            State::Recording { .. } => true,
            State::Playing { samples, played } => {
                let rest = samples.get(*played..).unwrap_or_default();
                for (sample, own) in block.iter_mut().zip(rest) {
                    *sample = (*sample + own).clamp(-1.0, 1.0);
                }
                *played += BLOCK_SAMPLES;
                *played < samples.len() + TAIL_BLOCKS * BLOCK_SAMPLES
            }
            State::Notes { sound, blocks } => {
                *blocks = blocks.saturating_sub(1);
                if *blocks >= TAIL_BLOCKS {
                    sound.mix_into(block);
                }
                *blocks > 0
            }
        }
    }
}

impl Judge {
    fn hear(&mut self, given: &Block) {
        let level = Level::of(given).dbfs();
        self.loudest = Some(self.loudest.map_or(level, |loudest| loudest.max(level)));
        if level > VOICED {
            self.voiced += given.len();
            self.cut += given.iter().filter(|sample| sample.abs() >= FULL_SCALE).count();
        }
    }

    fn verdict(&self) -> TrialVerdict {
        match self.loudest {
            None => TrialVerdict::Silent,
            Some(loudest) if loudest < SILENT => TrialVerdict::Silent,
            Some(loudest) if loudest < FAINT => TrialVerdict::Faint,
            Some(_) if self.cut as f32 > self.voiced as f32 * CLIPPED => TrialVerdict::Clipped,
            Some(_) => TrialVerdict::Heard,
        }
    }
}

fn soften(samples: &mut [f32]) {
    let last = samples.len().saturating_sub(1);
    for step in 0..EDGE.min(samples.len() / 2) {
        let part = step as f32 / EDGE as f32;
        samples[step] *= part;
        samples[last - step] *= part;
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;
    use crate::audio::SILENCE;

    /// A sine of some hertz from this sample on.
    fn sine(hertz: f32, level: f32, from: usize) -> Block {
        std::array::from_fn(|at| (level * (TAU * hertz * (from + at) as f32 / 48_000.0).sin()).clamp(-1.0, 1.0))
    }

    /// Records until it is whole; how many blocks that took from the first recorded one.
    fn record(trial: &mut Trial, level: f32) -> (usize, TrialVerdict) {
        let mut began = None;
        for at in 0..1_000 {
            let block = sine(300.0, level, at * BLOCK_SAMPLES);
            match trial.hear(&block, &block) {
                Heard::Nothing => {}
                Heard::Began => began = Some(at),
                Heard::Whole(verdict) => return (at + 1 - began.expect("it began first"), verdict),
            }
            assert!(!trial.plays(), "nothing is played while it records");
        }
        panic!("it recorded without an end");
    }

    #[test]
    fn three_seconds_are_recorded_and_come_back_once_as_they_were() {
        let mut trial = Trial::microphone();
        assert_eq!(record(&mut trial, 0.3), (300, TrialVerdict::Heard));
        let mut played = Vec::new();
        loop {
            let mut block = SILENCE;
            let more = trial.mix_into(&mut block);
            played.extend_from_slice(&block);
            if !more {
                break;
            }
        }
        assert_eq!(played.len(), 330 * BLOCK_SAMPLES);
        let expected = sine(300.0, 0.3, (SETTLING_BLOCKS + 150) * BLOCK_SAMPLES);
        assert_eq!(played[150 * BLOCK_SAMPLES..151 * BLOCK_SAMPLES], expected);
        assert!(played[300 * BLOCK_SAMPLES..].iter().all(|sample| *sample == 0.0));
        let steepest = played.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(steepest < 0.02, "it clicks: {steepest}");
    }

    #[test]
    fn each_fault_of_a_microphone_has_its_name() {
        for (level, expected) in [
            (0.0, TrialVerdict::Silent),
            (0.00003, TrialVerdict::Silent),
            (0.001, TrialVerdict::Faint),
            (0.02, TrialVerdict::Heard),
            (0.9, TrialVerdict::Heard),
            (1.4, TrialVerdict::Clipped),
        ] {
            assert_eq!(record(&mut Trial::microphone(), level).1, expected, "at {level}");
        }
    }

    #[test]
    fn a_loud_room_and_a_recording_together_stay_within_full_scale() {
        let mut trial = Trial::microphone();
        record(&mut trial, 0.9);
        for at in 0..300 {
            let mut block = sine(300.0, 0.9, at * BLOCK_SAMPLES);
            trial.mix_into(&mut block);
            assert!(block.iter().all(|sample| sample.abs() <= 1.0));
        }
    }

    #[test]
    fn the_notes_end_by_themselves_and_leave_time_to_be_played() {
        let mut trial = Trial::speaker();
        let mut loud = Vec::new();
        loop {
            let mut block = SILENCE;
            let more = trial.mix_into(&mut block);
            loud.push(Level::of(&block).peak > 0.05);
            if !more {
                break;
            }
            assert!(loud.len() < 1_000, "it plays without an end");
        }
        assert!(loud.iter().filter(|loud| **loud).count() > 70, "there is something to hear");
        assert!(loud.ends_with(&[false; TAIL_BLOCKS]));
        assert_eq!(trial.hear(&SILENCE, &SILENCE), Heard::Nothing);
    }
}
