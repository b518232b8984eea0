//! Comfort noise: a voice that stops must not leave a hole.

/// The loudest background imitated: -45 dB of full scale. What is louder is no background.
const MOST: f32 = 0.0056;
/// The quietest sound worth making.
const LEAST: f32 = 1e-5;
/// How much of a new sample passes the low-pass: the noise of rooms is dark.
const PASS: f32 = 0.3;
/// The level of what comes out of the low-pass, for noise in [-1, 1]: sqrt(PASS / (2 - PASS) / 3).
const LEVEL: f32 = 0.242_5;
/// How fast the background is believed to be louder, a piece of 10 ms: 4 dB a second.
const RISE: f32 = 1.005;

/// Learns the level of the background between words, and makes noise of that level.
#[derive(Debug)]
pub struct ComfortNoise {
    floor: f32,
    /// Xorshift; any start but zero. Chance need not be unforeseeable here.
    state: u32,
    low: f32,
}

impl ComfortNoise {
    /// One that knows of no background and is silent.
    pub fn new() -> Self {
        Self { floor: 0.0, state: 0x9e37_79b9, low: 0.0 }
    }

    /// Hears some real sound.
    pub fn listen(&mut self, sound: &[f32]) {
        for piece in sound.chunks_exact(super::BLOCK_SAMPLES) {
            let power = piece.iter().map(|sample| sample * sample).sum::<f32>() / piece.len() as f32;
            let level = power.sqrt();
            self.floor = if self.floor == 0.0 {
                level.min(MOST)
            } else if level < self.floor {
                self.floor + (level - self.floor) * 0.3
            } else {
                (self.floor * RISE).min(level)
            };
            self.floor = self.floor.clamp(LEAST, MOST);
        }
    }

    /// The background's level (root mean square), at most -45 dB of full scale.
    pub fn floor(&self) -> f32 {
        self.floor
    }

    /// The next sample of noise.
    pub fn sample(&mut self) -> f32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        let white = self.state as f32 / (u32::MAX / 2) as f32 - 1.0;
        self.low += PASS * (white - self.low);
        self.low * self.floor / LEVEL
    }
}

impl Default for ComfortNoise {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_is_as_loud_as_the_background_and_never_as_loud_as_a_voice() {
        let mut noise = ComfortNoise::new();
        let mut level = |voice: f32, background: f32| {
            for n in 0..400 {
                let level = if n % 50 < 25 { voice } else { background };
                let block: Vec<f32> = (0..480).map(|k| if k % 2 == 0 { level } else { -level }).collect();
                noise.listen(&block);
            }
            let power: f32 = (0..48_000).map(|_| noise.sample().powi(2)).sum::<f32>() / 48_000.0;
            power.sqrt()
        };
        let quiet = level(0.3, 0.001);
        assert!((0.0007..0.0015).contains(&quiet), "{quiet}");
        let loud = level(0.3, 0.3);
        assert!((0.0045..0.0065).contains(&loud), "{loud}");
    }
}
