//! Stretching decoded sound in time: jumps forward or back to where the sound is alike, blended over.

use super::SAMPLE_RATE;

/// The shortest jump: 2.5 ms, the period of 400 Hz.
pub const MIN_LAG: usize = SAMPLE_RATE as usize / 400;
/// The longest: 15 ms, so that a period of the deepest voice (67 Hz) fits in.
pub const MAX_LAG: usize = SAMPLE_RATE as usize * 15 / 1_000;
/// Sound is compared and blended over so much: 10 ms.
pub const OVERLAP: usize = SAMPLE_RATE as usize / 100;
/// Sound to come that leaving out the longest period takes.
pub const AHEAD: usize = MAX_LAG + OVERLAP;
/// Sound gone by that is kept, to repeat it.
const HISTORY: usize = MAX_LAG * 2 + OVERLAP;
/// Blending into new sound after invented sound: 5 ms.
const JOIN: usize = OVERLAP / 2;
/// Every sixth sample (a mean) is enough for the first search.
const COARSE: usize = 6;

/// Decoded sound: some that was played already, and all that is still to come.
#[derive(Debug)]
pub struct Sound {
    /// At most `HISTORY` played samples and `capacity` to come: a few packets.
    samples: Vec<f32>,
    /// The first sample to come.
    at: usize,
    coarse: Vec<f32>,
}

/// A place to jump to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jump {
    /// Samples left out or repeated.
    pub lag: usize,
    /// How alike both places are, at most 1.
    pub likeness: f32,
}

impl Sound {
    /// Silence gone by, and nothing to come. `capacity`: the most samples to come, for which memory is set aside.
    pub fn new(capacity: usize) -> Self {
        let mut samples = Vec::with_capacity(2 * (HISTORY + capacity));
        samples.resize(HISTORY, 0.0);
        Self { samples, at: HISTORY, coarse: Vec::with_capacity((AHEAD + MAX_LAG) / COARSE + 2) }
    }

    /// Samples to come.
    pub fn len(&self) -> usize {
        self.samples.len() - self.at
    }

    /// Appends new sound.
    pub fn append(&mut self, sound: &[f32]) {
        self.samples.extend_from_slice(sound);
    }

    /// Takes the next samples to come; where there are too few, silence ends them.
    pub fn take(&mut self, into: &mut [f32]) {
        let len = into.len().min(self.len());
        into[..len].copy_from_slice(&self.samples[self.at..self.at + len]);
        into[len..].fill(0.0);
        self.at += len;
        if self.at > 2 * HISTORY {
            let gone = self.at - HISTORY;
            self.samples.copy_within(gone.., 0);
            self.samples.truncate(self.samples.len() - gone);
            self.at = HISTORY;
        }
    }

    /// The root mean square of the next [`OVERLAP`] samples.
    pub fn level(&self) -> f32 {
        let next = &self.samples[self.at..(self.at + OVERLAP).min(self.samples.len())];
        (next.iter().map(|sample| sample * sample).sum::<f32>() / next.len().max(1) as f32).sqrt()
    }

    /// Where to jump to in order to leave out at most `most` samples; needs [`AHEAD`] to come.
    pub fn jump_forward(&mut self, most: usize) -> Option<Jump> {
        let most = most.min(MAX_LAG);
        if most < MIN_LAG || self.len() < AHEAD {
            return None;
        }
        Some(self.search(self.at, most, Direction::Forward))
    }

    /// Where to jump to in order to repeat at most `most` samples; needs [`OVERLAP`] to come.
    pub fn jump_back(&mut self, most: usize) -> Option<Jump> {
        let most = most.min(MAX_LAG);
        if most < MIN_LAG || self.len() < OVERLAP {
            return None;
        }
        Some(self.search(self.at, most, Direction::Back))
    }

    /// Leaves out what a jump found by [`Sound::jump_forward`] says.
    pub fn accelerate(&mut self, jump: Jump) {
        let from = self.at;
        let blended = self.blend(from, from + jump.lag);
        self.samples[from + jump.lag..from + jump.lag + OVERLAP].copy_from_slice(&blended);
        self.samples.copy_within(from + jump.lag.., from);
        self.samples.truncate(self.samples.len() - jump.lag);
    }

    /// Repeats what a jump found by [`Sound::jump_back`] says.
    pub fn expand(&mut self, jump: Jump) {
        let (from, len) = (self.at, self.samples.len());
        let blended = self.blend(from, from - jump.lag);
        self.samples.resize(len + jump.lag, 0.0);
        self.samples.copy_within(from - jump.lag + OVERLAP..len, from + OVERLAP);
        self.samples[from..from + OVERLAP].copy_from_slice(&blended);
    }

    /// Appends new sound that does not follow what is there: leaves out its beginning, up to where it is alike to what
    /// would have come, and blends over. Gives how many samples were left out, at most `most`.
    pub fn join(&mut self, sound: &[f32], most: usize) -> usize {
        if sound.len() < JOIN {
            self.append(sound);
            return 0;
        }
        let end = self.samples.len();
        let lag = self.search(end - OVERLAP, MAX_LAG, Direction::Back).lag;
        let mut goes_on = [0.0; JOIN];
        for (n, sample) in goes_on.iter_mut().enumerate() {
            *sample = self.samples[end - lag + n % lag];
        }
        let last = most.min(MAX_LAG).min(sound.len() - JOIN);
        let mut best = (0.0, 0);
        for start in 0..=last {
            let likeness = likeness(&goes_on, &sound[start..start + JOIN]);
            // What is hardly better is not worth a longer cut.
            if likeness > best.0 + 0.001 {
                best = (likeness, start);
            }
        }
        let sound = &sound[best.1..];
        self.append(sound);
        for (n, old) in goes_on.iter().enumerate() {
            let share = (n as f32 + 0.5) / JOIN as f32;
            self.samples[end + n] = old + (sound[n] - old) * share;
        }
        best.1
    }

    /// From the sound at one place over into that at another.
    fn blend(&self, from: usize, to: usize) -> [f32; OVERLAP] {
        std::array::from_fn(|n| {
            let share = (n as f32 + 0.5) / OVERLAP as f32;
            let (old, new) = (self.samples[from + n], self.samples[to + n]);
            old + (new - old) * share
        })
    }

    /// Compares the sound at `place` with that some lag before or after; coarsely everywhere, then exactly near the best.
    fn search(&mut self, place: usize, most: usize, direction: Direction) -> Jump {
        let begin = match direction {
            Direction::Forward => place,
            Direction::Back => place - most,
        };
        self.coarse.clear();
        let piece = &self.samples[begin..place + OVERLAP + if direction == Direction::Forward { most } else { 0 }];
        self.coarse.extend(piece.chunks_exact(COARSE).map(|few| few.iter().sum::<f32>()));
        let (len, far) = (OVERLAP / COARSE, most / COARSE);
        let mut best = (f32::MIN, MIN_LAG / COARSE);
        for lag in MIN_LAG / COARSE..=far {
            let (one, other) = match direction {
                Direction::Forward => (0, lag),
                Direction::Back => (far, far - lag),
            };
            let (Some(one), Some(other)) = (self.coarse.get(one..one + len), self.coarse.get(other..other + len))
            else {
                continue;
            };
            let likeness = likeness(one, other);
            if likeness > best.0 {
                best = (likeness, lag);
            }
        }
        let near = best.1 * COARSE;
        let mut found = Jump { lag: near.clamp(MIN_LAG, most), likeness: f32::MIN };
        for lag in near.saturating_sub(8).max(MIN_LAG)..=(near + 8).min(most) {
            let other = match direction {
                Direction::Forward => place + lag,
                Direction::Back => place - lag,
            };
            let likeness = likeness(&self.samples[place..place + OVERLAP], &self.samples[other..other + OVERLAP]);
            if likeness > found.likeness {
                found = Jump { lag, likeness };
            }
        }
        found
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Back,
}

/// The normalised correlation of two pieces of the same length: 1 where they are the same but for loudness, 0 where one is
/// silent.
fn likeness(one: &[f32], other: &[f32]) -> f32 {
    let (mut product, mut first, mut second) = (0.0, 1e-9, 1e-9);
    for (one, other) in one.iter().zip(other) {
        product += one * other;
        first += one * one;
        second += other * other;
    }
    product / f32::sqrt(first * second)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tone(frequency: f64, len: usize) -> Vec<f32> {
        let step = std::f64::consts::TAU * frequency / f64::from(SAMPLE_RATE);
        (0..len).map(|n| 0.5 * (n as f64 * step).sin() as f32).collect()
    }

    /// The largest residue of x[n+1] + x[n-1] = 2 cos(w) x[n], which a tone has none of, over the tone's amplitude.
    fn roughness(samples: &[f32], frequency: f64) -> f64 {
        let double = 2.0 * (std::f64::consts::TAU * frequency / f64::from(SAMPLE_RATE)).cos();
        let residue = |three: &[f32]| (f64::from(three[0]) + f64::from(three[2]) - double * f64::from(three[1])).abs();
        samples.windows(3).map(residue).fold(0.0, f64::max) / 0.5
    }

    fn drain(sound: &mut Sound) -> Vec<f32> {
        let mut out = vec![0.0; sound.len()];
        sound.take(&mut out);
        out
    }

    #[test]
    fn a_tone_that_is_shortened_or_lengthened_stays_that_tone() {
        for frequency in [97.0, 200.0, 440.0, 1_003.0, 3_100.0] {
            for forward in [true, false] {
                let mut sound = Sound::new(9_600);
                sound.append(&tone(frequency, 4_800));
                let mut first = vec![0.0; 2_400];
                sound.take(&mut first);
                let before = sound.len();
                let jump = if forward { sound.jump_forward(MAX_LAG) } else { sound.jump_back(MAX_LAG) }.unwrap();
                assert!(jump.likeness > 0.98, "{frequency}: {jump:?}");
                if forward {
                    sound.accelerate(jump);
                    assert_eq!(sound.len(), before - jump.lag);
                } else {
                    sound.expand(jump);
                    assert_eq!(sound.len(), before + jump.lag);
                }
                first.extend(drain(&mut sound));
                let rough = roughness(&first, frequency);
                // A click of a hundredth of full scale would give 0.02.
                assert!(rough < 0.004, "{frequency} Hz, forward {forward}: {rough} {jump:?}");
            }
        }
    }

    #[test]
    fn new_sound_is_joined_where_it_fits() {
        let mut sound = Sound::new(9_600);
        let old = tone(200.0, 4_800);
        sound.append(&old);
        // The same tone a third of a period later.
        let new = &tone(200.0, 6_000)[80..];
        let cut = sound.join(new, MAX_LAG);
        // 4,800 samples are 20 whole periods, so it fits after the rest of a period.
        assert!((cut as i64 - 160).abs() <= 2, "{cut}");
        assert!(roughness(&drain(&mut sound), 200.0) < 0.01);
    }

    #[test]
    fn too_little_sound_is_left_alone() {
        let mut sound = Sound::new(960);
        sound.append(&[0.1; 479]);
        assert_eq!((sound.jump_forward(MAX_LAG), sound.jump_back(MAX_LAG)), (None, None));
        assert_eq!(sound.join(&[0.1; 20], 100), 0);
        let mut out = [1.0; 600];
        sound.take(&mut out);
        assert_eq!((out[498], out[499], sound.len()), (0.1, 0.0, 0));
    }
}
