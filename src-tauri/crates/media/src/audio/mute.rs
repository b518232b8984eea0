//! Muting: the samples really become zeros, before anything encodes them.

/// Zeroes samples while muted. The block in which the state changes is faded, so that it does not click; from the next
/// block on every sample is exactly zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mute {
    /// Samples pass.
    #[default]
    Open,
    /// Samples are zero.
    Muted,
}

impl Mute {
    /// Applies the wanted state to the next block, in place.
    pub fn apply(&mut self, muted: bool, block: &mut [f32]) {
        let wanted = if muted { Self::Muted } else { Self::Open };
        let step = 1.0 / block.len().max(1) as f32;
        match (*self, wanted) {
            (Self::Open, Self::Open) => {}
            (Self::Muted, Self::Muted) => block.fill(0.0),
            (Self::Open, Self::Muted) => {
                for (n, sample) in block.iter_mut().enumerate() {
                    *sample *= 1.0 - (n + 1) as f32 * step;
                }
            }
            (Self::Muted, Self::Open) => {
                for (n, sample) in block.iter_mut().enumerate() {
                    *sample *= n as f32 * step;
                }
            }
        }
        *self = wanted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn muting_fades_one_block_and_then_every_sample_is_exactly_zero() {
        let mut mute = Mute::default();
        let mut block = [0.5f32; 480];
        mute.apply(false, &mut block);
        assert!(block.iter().all(|sample| *sample == 0.5));
        mute.apply(true, &mut block);
        assert!(block.windows(2).all(|pair| pair[1] <= pair[0] && pair[0] - pair[1] < 0.01));
        let mut block = [0.5f32; 480];
        mute.apply(true, &mut block);
        assert!(block.iter().all(|sample| *sample == 0.0));
        let mut block = [0.5f32; 480];
        mute.apply(false, &mut block);
        assert!(block[0] == 0.0 && block[479] > 0.49);
    }
}
