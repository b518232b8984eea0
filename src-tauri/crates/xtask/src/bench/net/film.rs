//! The film that Chromium's camera shows: the pattern that `ahoy-cli` shows with `--camera pattern`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

// The product's own file, compiled in here because its crate needs an assembler and this one must not.
#[path = "../../../../media/src/video/pattern.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the product uses all of it, this program only the drawing")]
mod pattern;

use self::pattern::Pattern;
pub use self::pattern::PatternReading;

/// The pattern's ground repeats after so many pictures, so a film of this length loops without a jump in it.
const PICTURES: u32 = 256;
/// Of the pictures that are sent.
pub const WIDTH: u32 = 1280;
/// Of the pictures that are sent.
pub const HEIGHT: u32 = 720;
/// Of the pattern, for both programs.
pub const SEED: u32 = 1;

/// As much of a planar 4:2:0 picture as the pattern asks for.
#[derive(Debug, Clone, Default)]
struct I420 {
    width: u32,
    height: u32,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl I420 {
    fn black(width: u32, height: u32) -> Self {
        let mut picture = Self::default();
        picture.resize(width, height);
        picture
    }

    fn resize(&mut self, width: u32, height: u32) {
        (self.width, self.height) = (width, height);
        let chroma = (width.div_ceil(2) * height.div_ceil(2)) as usize;
        self.y.resize((width * height) as usize, 16);
        self.u.resize(chroma, 128);
        self.v.resize(chroma, 128);
    }

    fn chroma_width(&self) -> u32 {
        self.width.div_ceil(2)
    }

    fn is_consistent(&self) -> bool {
        self.y.len() == (self.width * self.height) as usize
    }
}

/// Writes it as Y4M, 720p30, some 350 MB.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path) -> anyhow::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(file, "YUV4MPEG2 W{WIDTH} H{HEIGHT} F30:1 Ip A1:1 C420jpeg")?;
    let mut pattern = Pattern::new(SEED);
    let mut picture = I420::black(WIDTH, HEIGHT);
    for number in 0..PICTURES {
        pattern.draw(&mut picture, number, 0);
        file.write_all(b"FRAME\n")?;
        for plane in [&picture.y, &picture.u, &picture.v] {
            file.write_all(plane)?;
        }
    }
    Ok(file.flush()?)
}

/// What the pattern in a picture says, told from its luma; `None` when that is unclear.
pub fn read(luma: &[u8], width: u32, height: u32) -> Option<PatternReading> {
    pattern::read(&I420 { width, height, y: luma.to_vec(), ..I420::default() })
}

/// Draws single pictures of the pattern.
pub struct Drawing {
    pattern: Pattern,
    picture: I420,
}

impl Drawing {
    /// Of the pattern that is sent.
    pub fn new() -> Self {
        Self { pattern: Pattern::new(SEED), picture: I420::black(WIDTH, HEIGHT) }
    }

    /// The luma, [`WIDTH`] x [`HEIGHT`], of the picture that says this.
    pub fn luma(&mut self, says: PatternReading) -> &[u8] {
        self.pattern.draw(&mut self.picture, says.number, says.unix_ms);
        &self.picture.y
    }
}
