//! A voice.

use ahoy_media::audio::{Block, SAMPLE_RATE};
use ahoy_testkit::Seeded;

/// Something like speech: syllables of a buzz with a moving pitch through two moving resonances, hisses between them, and
/// pauses after some words, over a quiet background.
pub struct Voice {
    rng: Seeded,
    phase: f64,
    pitch: f64,
    formants: [Resonance; 3],
    sound: Syllable,
    left: usize,
    length: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Syllable {
    Vowel,
    Hiss,
    Pause,
}

#[derive(Default)]
struct Resonance {
    one: f64,
    two: f64,
    frequency: f64,
}

impl Resonance {
    fn pass(&mut self, sample: f64, width: f64) -> f64 {
        let rate = f64::from(SAMPLE_RATE);
        let radius = (-std::f64::consts::PI * width / rate).exp();
        let angle = std::f64::consts::TAU * self.frequency / rate;
        let out = sample * (1.0 - radius) + 2.0 * radius * angle.cos() * self.one - radius * radius * self.two;
        (self.two, self.one) = (self.one, out);
        out
    }
}

impl Voice {
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Seeded::new(seed),
            phase: 0.0,
            pitch: 120.0,
            formants: Default::default(),
            sound: Syllable::Pause,
            left: 0,
            length: 1,
        }
    }

    fn begin_syllable(&mut self) {
        let uniform = |rng: &mut Seeded, from: f64, to: f64| from + (to - from) * rng.below(1_000) as f64 / 1_000.0;
        let draw = self.rng.below(100);
        (self.sound, self.length) = match (self.sound, draw) {
            (Syllable::Vowel, 0..45) => (Syllable::Hiss, 3_000 + self.rng.below(2_500) as usize),
            (Syllable::Vowel, 45..60) => (Syllable::Pause, 7_000 + self.rng.below(14_000) as usize),
            _ => (Syllable::Vowel, 5_000 + self.rng.below(7_000) as usize),
        };
        self.left = self.length;
        self.pitch = uniform(&mut self.rng, 95.0, 170.0);
        self.formants[0].frequency = uniform(&mut self.rng, 300.0, 800.0);
        self.formants[1].frequency = uniform(&mut self.rng, 900.0, 2_200.0);
        self.formants[2].frequency = uniform(&mut self.rng, 2_300.0, 3_200.0);
    }

    /// A number in [-1, 1] from the voice's own chance.
    pub fn noise(&mut self) -> f32 {
        self.rng.noise()
    }

    pub fn fill(&mut self, block: &mut Block) {
        for sample in block {
            if self.left == 0 {
                self.begin_syllable();
            }
            self.left -= 1;
            let done = 1.0 - self.left as f64 / self.length as f64;
            let swell = (std::f64::consts::PI * done).sin().powf(0.5);
            let noise = f64::from(self.rng.noise());
            self.pitch *= 1.0 + 1e-6 * (done - 0.4);
            self.phase += self.pitch / f64::from(SAMPLE_RATE);
            let mut pulse = 0.0;
            if self.phase >= 1.0 {
                self.phase -= 1.0;
                pulse = 30.0;
            }
            let (driven, loud) = match self.sound {
                Syllable::Vowel => (pulse + 0.15 * noise, 1.0),
                Syllable::Hiss => (0.0, 0.05),
                Syllable::Pause => (0.0, 0.0),
            };
            let vowel: f64 = self.formants.iter_mut().map(|formant| formant.pass(driven * swell, 90.0)).sum();
            let hiss = if self.sound == Syllable::Hiss { noise * loud * swell } else { 0.0 };
            *sample = (0.5 * vowel + hiss + 0.0005 * noise).clamp(-0.9, 0.9) as f32;
        }
    }
}
