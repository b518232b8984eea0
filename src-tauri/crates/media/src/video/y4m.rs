//! YUV4MPEG2 files with 4:2:0 pictures, over any reader and writer.

use std::io::{ErrorKind, Read, Write};

use super::I420;
use crate::units::FrameRate;

/// The longest header line that is read, in bytes.
const MAX_LINE: usize = 1_024;
/// The longest side that is read, in pixels.
const MAX_SIDE: u32 = 8_192;

/// Why a Y4M file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Y4mError {
    /// It does not begin as a Y4M file does.
    #[error("this is not a Y4M video file")]
    NotY4m,
    /// The header is damaged.
    #[error("the header of this Y4M file is damaged ({0})")]
    Header(&'static str),
    /// Another way of sampling colours than 4:2:0 with 8 bits.
    #[error("this Y4M file has pictures of the kind {0}; convert it to C420 (8 bits)")]
    Colours(String),
    /// The file ends in the middle of a picture, or the picture's own header is damaged.
    #[error("this Y4M file is damaged at picture {0}")]
    Damaged(u64),
    /// The file could not be read or written.
    #[error("the Y4M file cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// A picture of another size than the file's was to be written.
    #[error("a picture of {0}x{1} does not fit into this Y4M file")]
    Size(u32, u32),
}

/// Reads pictures one after the other. Wrap files in a `BufReader`.
#[derive(Debug)]
pub struct Y4mReader<R: Read> {
    reader: R,
    width: u32,
    height: u32,
    frame_rate: FrameRate,
    number: u64,
}

impl<R: Read> Y4mReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Y4mError`] for anything but a sound 4:2:0 file.
    pub fn new(mut reader: R) -> Result<Self, Y4mError> {
        let line = read_line(&mut reader)?.ok_or(Y4mError::NotY4m)?;
        let line = std::str::from_utf8(&line).map_err(|_| Y4mError::NotY4m)?;
        let mut words = line.split(' ');
        if words.next() != Some("YUV4MPEG2") {
            return Err(Y4mError::NotY4m);
        }
        let (mut width, mut height, mut frame_rate) = (0, 0, FrameRate::default());
        for word in words.filter(|word| !word.is_empty()) {
            let (key, value) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
            match key {
                "W" => width = value.parse().map_err(|_| Y4mError::Header("width"))?,
                "H" => height = value.parse().map_err(|_| Y4mError::Header("height"))?,
                "F" => frame_rate = parse_rate(value).ok_or(Y4mError::Header("frame rate"))?,
                // 4:2:0 with the chroma sited in one way or another; sites differ by half a pixel.
                "C" if !matches!(value, "420" | "420jpeg" | "420paldv" | "420mpeg2") => {
                    return Err(Y4mError::Colours(value.to_owned()));
                }
                // Interlacing, aspect and extensions change nothing in how the bytes lie.
                _ => {}
            }
        }
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(Y4mError::Header("size"));
        }
        Ok(Self { reader, width, height, frame_rate, number: 0 })
    }

    /// Pixels across.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Pixels down.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The file's frame rate.
    pub fn frame_rate(&self) -> FrameRate {
        self.frame_rate
    }

    /// Reads the next picture into `into`, whose memory is reused, and gives its place in the file (from 0); `None` at the end.
    ///
    /// # Errors
    /// [`Y4mError::Damaged`] when the file ends early, [`Y4mError::Io`].
    pub fn read(&mut self, into: &mut I420) -> Result<Option<u64>, Y4mError> {
        let number = self.number;
        let line = match read_line(&mut self.reader) {
            Ok(None) => return Ok(None),
            Ok(Some(line)) => line,
            Err(Y4mError::Io(error)) => return Err(Y4mError::Io(error)),
            Err(_) => return Err(Y4mError::Damaged(number)),
        };
        if line != b"FRAME" && !line.starts_with(b"FRAME ") {
            return Err(Y4mError::Damaged(number));
        }
        into.resize(self.width, self.height);
        for plane in [&mut into.y, &mut into.u, &mut into.v] {
            self.reader.read_exact(plane).map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => Y4mError::Damaged(number),
                _ => Y4mError::Io(error),
            })?;
        }
        self.number += 1;
        Ok(Some(number))
    }

    /// Gives the reader back, as to seek it to the start and begin again.
    pub fn into_inner(self) -> R {
        self.reader
    }
}

/// Writes pictures one after the other; also into a pipe.
#[derive(Debug)]
pub struct Y4mWriter<W: Write> {
    writer: W,
    width: u32,
    height: u32,
}

impl<W: Write> Y4mWriter<W> {
    /// Writes the header. Wrap files in a `BufWriter`.
    ///
    /// # Errors
    /// [`Y4mError::Io`].
    pub fn new(mut writer: W, width: u32, height: u32, frame_rate: FrameRate) -> Result<Self, Y4mError> {
        let milli = (f64::from(frame_rate.as_f32()) * 1_000.0).round() as u64;
        let (numerator, denominator) = if milli.is_multiple_of(1_000) { (milli / 1_000, 1) } else { (milli, 1_000) };
        writeln!(writer, "YUV4MPEG2 W{width} H{height} F{numerator}:{denominator} Ip A1:1 C420mpeg2")?;
        Ok(Self { writer, width, height })
    }

    /// The size that all its pictures have.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Appends a picture.
    ///
    /// # Errors
    /// [`Y4mError::Size`] for one of another size (nothing is written), [`Y4mError::Io`].
    pub fn write(&mut self, picture: &I420) -> Result<(), Y4mError> {
        if (picture.width, picture.height) != (self.width, self.height) || !picture.is_consistent() {
            return Err(Y4mError::Size(picture.width, picture.height));
        }
        self.writer.write_all(b"FRAME\n")?;
        for plane in [&picture.y, &picture.u, &picture.v] {
            self.writer.write_all(plane)?;
        }
        Ok(())
    }

    /// Hands on what the writer may hold back.
    ///
    /// # Errors
    /// [`Y4mError::Io`].
    pub fn flush(&mut self) -> Result<(), Y4mError> {
        Ok(self.writer.flush()?)
    }
}

/// A line without its end; `None` when there is nothing more.
fn read_line(reader: &mut impl Read) -> Result<Option<Vec<u8>>, Y4mError> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match reader.read(&mut byte) {
            Ok(0) if line.is_empty() => return Ok(None),
            Ok(0) => return Err(Y4mError::Header("it ends early")),
            Ok(_) if byte[0] == b'\n' => return Ok(Some(line)),
            Ok(_) if line.len() >= MAX_LINE => return Err(Y4mError::Header("it does not end")),
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn parse_rate(value: &str) -> Option<FrameRate> {
    let (numerator, denominator) = value.split_once(':')?;
    FrameRate::ratio(numerator.parse().ok()?, denominator.parse().ok()?)
}
