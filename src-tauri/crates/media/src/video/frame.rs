//! Pictures in memory.

use std::sync::Arc;
use std::time::Instant;

/// An I420 picture (ITU-R BT.601 limited range unless said otherwise): three planes, each row tightly packed.
///
/// `y` is `width * height` bytes; `u` and `v` are `ceil(width / 2) * ceil(height / 2)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct I420 {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Luma.
    pub y: Vec<u8>,
    /// Blue difference.
    pub u: Vec<u8>,
    /// Red difference.
    pub v: Vec<u8>,
}

/// A picture with its origin. Cheap to clone.
#[derive(Debug, Clone)]
pub struct VideoFrame {
    /// The pixels, shared.
    pub picture: Arc<I420>,
    /// When the source captured it (this machine's monotonic clock), or when it was received, for a remote one.
    pub captured: Instant,
    /// The source's running index, from 0 since it was opened; for a file, the place in the file.
    pub number: u64,
}

impl I420 {
    /// Width of the chroma planes.
    pub fn chroma_width(&self) -> u32 {
        self.width.div_ceil(2)
    }

    /// Height of the chroma planes.
    pub fn chroma_height(&self) -> u32 {
        self.height.div_ceil(2)
    }

    /// A black picture.
    pub fn black(width: u32, height: u32) -> Self {
        let luma = width as usize * height as usize;
        let chroma = width.div_ceil(2) as usize * height.div_ceil(2) as usize;
        Self { width, height, y: vec![16; luma], u: vec![128; chroma], v: vec![128; chroma] }
    }

    /// Makes this a picture of the given size, keeping the memory where it fits; the pixels are then unspecified.
    pub fn resize(&mut self, width: u32, height: u32) {
        (self.width, self.height) = (width, height);
        let chroma = self.chroma_width() as usize * self.chroma_height() as usize;
        self.y.resize(width as usize * height as usize, 16);
        self.u.resize(chroma, 128);
        self.v.resize(chroma, 128);
    }

    /// Whether the planes are as long as the size says. All code that reads a foreign picture asks this first.
    pub fn is_consistent(&self) -> bool {
        let chroma = self.chroma_width() as usize * self.chroma_height() as usize;
        self.y.len() == self.width as usize * self.height as usize && self.u.len() == chroma && self.v.len() == chroma
    }
}

impl Default for I420 {
    /// An empty picture, to be filled by whoever takes `&mut I420`.
    fn default() -> Self {
        Self::black(0, 0)
    }
}
