//! How much two pictures' planes differ.

/// Peak signal to noise ratio of two 8-bit planes, in decibels; infinite for equal ones.
///
/// # Panics
/// When the planes differ in length.
pub fn psnr(one: &[u8], other: &[u8]) -> f64 {
    assert_eq!(one.len(), other.len(), "planes of different sizes");
    let squares = one.iter().zip(other).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum::<u64>();
    10.0 * (255.0 * 255.0 * one.len() as f64 / squares as f64).log10()
}

/// Structural similarity of two 8-bit planes (Wang et al. 2004, over 8 x 8 windows every 4 pixels): 1 for equal ones.
///
/// # Panics
/// When the planes are not `width` x the same height, or smaller than a window.
pub fn ssim(one: &[u8], other: &[u8], width: usize) -> f64 {
    const WINDOW: usize = 8;
    const C1: f64 = 6.5025; // (0.01 * 255)^2
    const C2: f64 = 58.5225; // (0.03 * 255)^2
    assert!(
        one.len() == other.len() && width >= WINDOW && one.len().is_multiple_of(width),
        "planes of different sizes"
    );
    let height = one.len() / width;
    assert!(height >= WINDOW, "planes too small");
    let (mut sum, mut count) = (0.0, 0);
    for top in (0..=height - WINDOW).step_by(4) {
        for left in (0..=width - WINDOW).step_by(4) {
            let (mut a1, mut b1, mut a2, mut b2, mut ab) = (0u32, 0u32, 0u32, 0u32, 0u32);
            for row in top..top + WINDOW {
                let at = row * width + left;
                for (a, b) in one[at..at + WINDOW].iter().zip(&other[at..at + WINDOW]) {
                    let (a, b) = (u32::from(*a), u32::from(*b));
                    (a1, b1, a2, b2, ab) = (a1 + a, b1 + b, a2 + a * a, b2 + b * b, ab + a * b);
                }
            }
            let points = (WINDOW * WINDOW) as f64;
            let (a, b) = (f64::from(a1) / points, f64::from(b1) / points);
            let (va, vb) = (f64::from(a2) / points - a * a, f64::from(b2) / points - b * b);
            let covariance = f64::from(ab) / points - a * b;
            sum += (2.0 * a * b + C1) * (2.0 * covariance + C2) / ((a * a + b * b + C1) * (va + vb + C2));
            count += 1;
        }
    }
    sum / f64::from(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seeded;

    #[test]
    fn equal_is_perfect_and_more_noise_is_worse() {
        let mut rng = Seeded::new(3);
        let plane: Vec<u8> = (0..64 * 48).map(|n| (n % 64 * 3 + rng.below(20) as usize) as u8).collect();
        let noisy = |amount: u64, rng: &mut Seeded| -> Vec<u8> {
            plane.iter().map(|pixel| pixel.saturating_add(rng.below(amount) as u8)).collect()
        };
        let (little, much) = (noisy(4, &mut rng), noisy(60, &mut rng));
        assert!(psnr(&plane, &plane).is_infinite() && (ssim(&plane, &plane, 64) - 1.0).abs() < 1e-9);
        assert!(psnr(&plane, &little) > 40.0 && psnr(&plane, &much) < 20.0);
        assert!(ssim(&plane, &little, 64) > 0.95 && ssim(&plane, &much, 64) < 0.8);
    }
}
