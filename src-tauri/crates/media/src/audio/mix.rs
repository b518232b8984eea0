//! Adding voices together.

/// Adds `source` onto `into`, sample by sample, as far as both reach.
pub fn add(into: &mut [f32], source: &[f32]) {
    for (to, from) in into.iter_mut().zip(source) {
        *to += from;
    }
}

/// Bends what is louder than full scale back into [-1, 1], softly above 0.9; what is quieter stays bit-exact.
/// Samples that are not numbers become zero.
pub fn soft_limit(block: &mut [f32]) {
    const KNEE: f32 = 0.9;
    for sample in block {
        let size = sample.abs();
        if size > KNEE {
            let over = (size - KNEE) / (1.0 - KNEE);
            *sample = (KNEE + (1.0 - KNEE) * over.tanh()).copysign(*sample);
        } else if sample.is_nan() {
            *sample = 0.0;
        }
    }
}

/// Brings interleaved channels down to one by averaging; `into` is filled as far as whole frames reach.
pub fn downmix(interleaved: &[f32], channels: usize, into: &mut [f32]) {
    let scale = 1.0 / channels.max(1) as f32;
    for (to, frame) in into.iter_mut().zip(interleaved.chunks_exact(channels.max(1))) {
        *to = frame.iter().sum::<f32>() * scale;
    }
}

/// Puts one channel into each of the interleaved channels of `into`.
pub fn upmix(mono: &[f32], channels: usize, into: &mut [f32]) {
    for (frame, sample) in into.chunks_exact_mut(channels.max(1)).zip(mono) {
        frame.fill(*sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_loud_voices_stay_inside_full_scale_and_a_quiet_one_is_untouched() {
        let mut block = [0.9, -0.9, 0.25, f32::NAN, f32::INFINITY];
        add(&mut block, &[0.9, -0.9, 0.0]);
        soft_limit(&mut block);
        assert!(block.iter().all(|sample| sample.abs() <= 1.0), "{block:?}");
        assert!(block[0] > 0.95 && block[1] < -0.95);
        assert_eq!((block[2], block[3]), (0.25, 0.0));
    }

    #[test]
    fn stereo_goes_to_mono_and_back() {
        let mut mono = [0.0; 2];
        downmix(&[0.2, 0.4, -1.0, 1.0], 2, &mut mono);
        assert!((mono[0] - 0.3).abs() < 1e-6 && mono[1] == 0.0);
        let mut stereo = [0.0; 4];
        upmix(&mono, 2, &mut stereo);
        assert_eq!(stereo, [mono[0], mono[0], 0.0, 0.0]);
    }
}
