//! How like the pictures that arrived are to those that were drawn: SSIM of their luma at the size that was sent.

use std::io::{BufRead as _, BufReader, Read};

use ahoy_testkit::picture::ssim;
use anyhow::Context as _;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::film::{self, Drawing, HEIGHT, PatternReading, WIDTH};

/// Compares pictures, from whoever they come, with what was drawn.
pub struct Judge {
    drawing: Drawing,
    resizer: Resizer,
    scaled: Vec<u8>,
}

impl Judge {
    /// Of the pattern that is sent.
    pub fn new() -> Self {
        Self { drawing: Drawing::new(), resizer: Resizer::new(), scaled: vec![0; (WIDTH * HEIGHT) as usize] }
    }

    /// What the picture says and how like it is to the drawn one that says the same, 1 for equal; `None` when it cannot be
    /// read.
    pub fn rate(&mut self, luma: &[u8], width: u32, height: u32) -> Option<(PatternReading, f64)> {
        let says = film::read(luma, width, height)?;
        // As `ahoy-cli --video-out` scales.
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        let source = TypedImageRef::<U8>::from_buffer(width, height, luma).ok()?;
        let mut target = TypedImage::<U8>::from_buffer(WIDTH, HEIGHT, &mut self.scaled).ok()?;
        self.resizer.resize_typed(&source, &mut target, &options).ok()?;
        Some((says, ssim(&self.scaled, self.drawing.luma(says), WIDTH as usize)))
    }

    /// Every readable picture of a Y4M file: when it was drawn, Unix ms, and its likeness. Its writer may still be at it: a
    /// picture that is not whole is left out.
    ///
    /// # Errors
    /// When it is no such file.
    pub fn rate_film(&mut self, film: impl Read) -> anyhow::Result<Vec<(f64, f64)>> {
        let mut film = BufReader::new(film);
        let mut header = String::new();
        film.read_line(&mut header)?;
        let side = |key: char| header.split(' ').find_map(|word| word.strip_prefix(key)?.parse::<u32>().ok());
        let (width, height) = side('W').zip(side('H')).with_context(|| format!("no size in {header:?}"))?;
        let luma = (width * height) as usize;
        let mut picture = vec![0; luma + 2 * (width.div_ceil(2) * height.div_ceil(2)) as usize];
        let mut rated = Vec::new();
        loop {
            let mut line = String::new();
            if film.read_line(&mut line)? == 0 || film.read_exact(&mut picture).is_err() {
                return Ok(rated);
            }
            anyhow::ensure!(line.starts_with("FRAME"), "no picture begins with {line:?}");
            rated.extend(
                self.rate(&picture[..luma], width, height).map(|(says, likeness)| (says.unix_ms as f64, likeness)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half as wide and high.
    fn halved(luma: &[u8]) -> Vec<u8> {
        let (width, height) = (WIDTH as usize, HEIGHT as usize);
        let mean = |x: usize, y: usize| {
            let at = |x: usize, y: usize| u32::from(luma[y * width + x]);
            ((at(2 * x, 2 * y) + at(2 * x + 1, 2 * y) + at(2 * x, 2 * y + 1) + at(2 * x + 1, 2 * y + 1) + 2) / 4) as u8
        };
        (0..height / 2).flat_map(|y| (0..width / 2).map(move |x| mean(x, y))).collect()
    }

    #[test]
    fn what_arrives_as_it_was_drawn_is_perfect_and_what_became_small_is_not() {
        let says = PatternReading { number: 77, unix_ms: 1_763_700_000_123 };
        let drawn = Drawing::new().luma(says).to_vec();
        let mut judge = Judge::new();
        let (read, perfect) = judge.rate(&drawn, WIDTH, HEIGHT).unwrap();
        assert!(read == says && (perfect - 1.0).abs() < 1e-9, "{read:?}: {perfect}");
        let (_, small) = judge.rate(&halved(&drawn), WIDTH / 2, HEIGHT / 2).unwrap();
        assert!((0.3..0.99).contains(&small), "{small}");
        assert!(judge.rate(&vec![90; drawn.len()], WIDTH, HEIGHT).is_none());
    }

    #[test]
    fn a_film_that_is_still_written_counts_as_far_as_it_goes() {
        let mut drawing = Drawing::new();
        let mut film = format!("YUV4MPEG2 W{WIDTH} H{HEIGHT} F30:1 Ip A1:1 C420mpeg2\n").into_bytes();
        for unix_ms in [1_000, 2_000, 3_000] {
            film.extend_from_slice(b"FRAME\n");
            film.extend_from_slice(drawing.luma(PatternReading { number: 5, unix_ms }));
            film.extend(std::iter::repeat_n(128, (WIDTH * HEIGHT / 2) as usize));
        }
        film.truncate(film.len() - 100);
        let rated = Judge::new().rate_film(&film[..]).unwrap();
        assert_eq!(rated.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1_000.0, 2_000.0]);
        assert!(Judge::new().rate_film(&b"RIFF"[..]).is_err());
    }
}
