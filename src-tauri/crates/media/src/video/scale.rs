//! Changing a picture's size.

use std::fmt;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::I420;

/// Why a picture could not be scaled: it is empty, or its planes are not as long as its size says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a picture of {0}x{1} cannot be scaled to {2}x{3}")]
pub struct ScaleError(pub u32, pub u32, pub u32, pub u32);

/// Scales pictures, plane by plane, averaging over all the source pixels that a target pixel covers; keeps its scratch memory.
pub struct Scaler {
    resizer: Resizer,
    options: ResizeOptions,
}

impl Scaler {
    /// A scaler.
    pub fn new() -> Self {
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        Self { resizer: Resizer::new(), options }
    }

    /// Scales `source` to `width` x `height` into `into`, whose memory is reused. The same size is a plain copy.
    ///
    /// # Errors
    /// [`ScaleError`] for an empty or inconsistent source and for an empty target.
    pub fn scale(&mut self, source: &I420, width: u32, height: u32, into: &mut I420) -> Result<(), ScaleError> {
        let error = ScaleError(source.width, source.height, width, height);
        if !source.is_consistent() || source.y.is_empty() || width == 0 || height == 0 {
            return Err(error);
        }
        into.resize(width, height);
        if (source.width, source.height) == (width, height) {
            into.y.copy_from_slice(&source.y);
            into.u.copy_from_slice(&source.u);
            into.v.copy_from_slice(&source.v);
            return Ok(());
        }
        let from = (source.chroma_width(), source.chroma_height());
        let to = (into.chroma_width(), into.chroma_height());
        self.plane(&source.y, (source.width, source.height), &mut into.y, (width, height)).ok_or(error)?;
        self.plane(&source.u, from, &mut into.u, to).ok_or(error)?;
        self.plane(&source.v, from, &mut into.v, to).ok_or(error)
    }

    fn plane(&mut self, source: &[u8], from: (u32, u32), into: &mut [u8], to: (u32, u32)) -> Option<()> {
        let source = TypedImageRef::<U8>::from_buffer(from.0, from.1, source).ok()?;
        let mut target = TypedImage::<U8>::from_buffer(to.0, to.1, into).ok()?;
        // Named, since choosing the kind of pixel while running would link the code of all of them: 4 MB.
        self.resizer.resize_typed(&source, &mut target, Some(&self.options)).ok()
    }
}

impl Default for Scaler {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Scaler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scaler").finish_non_exhaustive()
    }
}

/// The largest even size, at least 2x2, of the source's shape that fits into `max_width` x `max_height` and is not larger
/// than the source.
pub fn fit(width: u32, height: u32, max_width: u32, max_height: u32) -> (u32, u32) {
    fill(width, height, max_width.min(width), max_height.min(height))
}

/// The largest even size, at least 2x2, of the source's shape that fits into `max_width` x `max_height`.
pub fn fill(width: u32, height: u32, max_width: u32, max_height: u32) -> (u32, u32) {
    let (width, height) = (u64::from(width.max(1)), u64::from(height.max(1)));
    let (max_width, max_height) = (u64::from(max_width), u64::from(max_height));
    let (wide, high) = if max_width * height <= max_height * width {
        (max_width, max_width * height / width)
    } else {
        (max_height * width / height, max_height)
    };
    (((wide & !1) as u32).max(2), ((high & !1) as u32).max(2))
}

/// Cuts the last column and row off where the size is odd, in place: H.264 codes even sizes only.
/// A picture one pixel wide or high becomes empty.
pub fn crop_even(picture: &mut I420) {
    if !picture.is_consistent() {
        return;
    }
    let (width, height) = (picture.width as usize, picture.height as usize);
    let (even_width, even_height) = (width & !1, height & !1);
    if (even_width, even_height) == (width, height) {
        return;
    }
    crop_plane(&mut picture.y, width, even_width, even_height);
    crop_plane(&mut picture.u, width.div_ceil(2), even_width / 2, even_height / 2);
    crop_plane(&mut picture.v, width.div_ceil(2), even_width / 2, even_height / 2);
    (picture.width, picture.height) = (even_width as u32, even_height as u32);
    // One side of nothing is a picture of nothing.
    if picture.y.is_empty() {
        (picture.width, picture.height) = (0, 0);
    }
}

fn crop_plane(plane: &mut Vec<u8>, width: usize, to_width: usize, to_height: usize) {
    for row in 0..to_height {
        plane.copy_within(row * width..row * width + to_width, row * to_width);
    }
    plane.truncate(to_width * to_height);
}
