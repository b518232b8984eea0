//! WAV files, over any reader and writer.

use std::fmt;
use std::io::{Read, Seek, Write};

use hound::{SampleFormat, WavReader as HoundReader, WavSpec, WavWriter as HoundWriter};

use super::SAMPLE_RATE;

/// Why a WAV file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// Damaged, or not a WAV file.
    #[error("this is not a WAV file that can be played ({0}); convert it to 16-bit WAV")]
    Damaged(String),
    /// Of a kind that is not supported.
    #[error(
        "a WAV file of {channels} channels, {rate} Hz and {bits} bits cannot be played; convert it to 16 bits, 48,000 Hz"
    )]
    Unsupported {
        /// Channels.
        channels: u16,
        /// Hertz.
        rate: u32,
        /// Bits a sample.
        bits: u16,
    },
    /// The file could not be read or written.
    #[error("the WAV file cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
}

impl From<hound::Error> for WavError {
    fn from(error: hound::Error) -> Self {
        match error {
            hound::Error::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Self::Io(error),
            error => Self::Damaged(error.to_string()),
        }
    }
}

/// Reads a WAV file as interleaved samples in [-1, 1]: 8, 16, 24 or 32 bits, or 32-bit floats.
pub struct WavReader<R: Read> {
    reader: HoundReader<R>,
    spec: WavSpec,
}

impl<R: Read> WavReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`WavError`] for a damaged or unusual file.
    pub fn new(reader: R) -> Result<Self, WavError> {
        let reader = HoundReader::new(reader)?;
        let spec = reader.spec();
        let known = match spec.sample_format {
            SampleFormat::Int => matches!(spec.bits_per_sample, 8 | 16 | 24 | 32),
            SampleFormat::Float => spec.bits_per_sample == 32,
        };
        if !known || !(1..=8).contains(&spec.channels) || !(4_000..=384_000).contains(&spec.sample_rate) {
            let (channels, rate, bits) = (spec.channels, spec.sample_rate, spec.bits_per_sample);
            return Err(WavError::Unsupported { channels, rate, bits });
        }
        Ok(Self { reader, spec })
    }

    /// Samples a second of each channel.
    pub fn rate(&self) -> u32 {
        self.spec.sample_rate
    }

    /// Channels.
    pub fn channels(&self) -> usize {
        usize::from(self.spec.channels)
    }

    /// Appends up to `frames` frames (a sample of each channel) to `into` and gives how many; 0 at the end.
    ///
    /// # Errors
    /// [`WavError`] when the file ends early; what was read before stands in `into`.
    pub fn read(&mut self, frames: usize, into: &mut Vec<f32>) -> Result<usize, WavError> {
        let (channels, before) = (self.channels(), into.len());
        let wanted = frames.saturating_mul(channels);
        let scale = 1.0 / (1u64 << (self.spec.bits_per_sample - 1)) as f32;
        match self.spec.sample_format {
            SampleFormat::Int => {
                for sample in self.reader.samples::<i32>().take(wanted) {
                    into.push(sample? as f32 * scale);
                }
            }
            SampleFormat::Float => {
                for sample in self.reader.samples::<f32>().take(wanted) {
                    let sample = sample?;
                    into.push(if sample.is_finite() { sample } else { 0.0 });
                }
            }
        }
        Ok((into.len() - before) / channels)
    }

    /// Reads on from the first frame again.
    ///
    /// # Errors
    /// [`WavError::Io`].
    pub fn rewind(&mut self) -> Result<(), WavError>
    where
        R: Seek,
    {
        self.reader.seek(0).map_err(WavError::Io)
    }
}

impl<R: Read> fmt::Debug for WavReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WavReader").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// Writes one channel at 48 kHz as 16-bit WAV into something that can seek; the length is put right at the end.
pub struct WavWriter<W: Write + Seek> {
    writer: HoundWriter<W>,
}

impl<W: Write + Seek> WavWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// [`WavError::Io`].
    pub fn new(writer: W) -> Result<Self, WavError> {
        let spec =
            WavSpec { channels: 1, sample_rate: SAMPLE_RATE, bits_per_sample: 16, sample_format: SampleFormat::Int };
        Ok(Self { writer: HoundWriter::new(writer, spec)? })
    }

    /// Appends samples; what is beyond full scale is cut.
    ///
    /// # Errors
    /// [`WavError::Io`], as when the disk is full.
    pub fn write(&mut self, samples: &[f32]) -> Result<(), WavError> {
        for sample in samples {
            self.writer.write_sample(to_i16(*sample))?;
        }
        Ok(())
    }

    /// Puts the length into the header, so that what was written so far is a whole file even if nothing more comes.
    ///
    /// # Errors
    /// [`WavError::Io`].
    pub fn flush(&mut self) -> Result<(), WavError> {
        Ok(self.writer.flush()?)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`WavError::Io`].
    pub fn finish(self) -> Result<(), WavError> {
        Ok(self.writer.finalize()?)
    }
}

impl<W: Write + Seek> fmt::Debug for WavWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WavWriter").finish_non_exhaustive()
    }
}

/// Writes one channel at 48 kHz as 16-bit WAV into something that cannot seek (a pipe): the header says "length unknown",
/// as players of streams understand it.
#[derive(Debug)]
pub struct WavStream<W: Write> {
    writer: W,
    bytes: Vec<u8>,
}

impl<W: Write> WavStream<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// [`WavError::Io`].
    pub fn new(mut writer: W) -> Result<Self, WavError> {
        let mut header = Vec::with_capacity(44);
        header.extend_from_slice(b"RIFF\xff\xff\xff\xffWAVEfmt ");
        header.extend_from_slice(&16u32.to_le_bytes());
        header.extend_from_slice(&1u16.to_le_bytes());
        header.extend_from_slice(&1u16.to_le_bytes());
        header.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
        header.extend_from_slice(&(SAMPLE_RATE * 2).to_le_bytes());
        header.extend_from_slice(&2u16.to_le_bytes());
        header.extend_from_slice(&16u16.to_le_bytes());
        header.extend_from_slice(b"data\xff\xff\xff\xff");
        writer.write_all(&header)?;
        Ok(Self { writer, bytes: Vec::new() })
    }

    /// Appends samples; what is beyond full scale is cut.
    ///
    /// # Errors
    /// [`WavError::Io`], as when the reader of the pipe went away.
    pub fn write(&mut self, samples: &[f32]) -> Result<(), WavError> {
        self.bytes.clear();
        self.bytes.extend(samples.iter().flat_map(|sample| to_i16(*sample).to_le_bytes()));
        Ok(self.writer.write_all(&self.bytes)?)
    }

    /// Hands on what the writer may hold back.
    ///
    /// # Errors
    /// [`WavError::Io`].
    pub fn flush(&mut self) -> Result<(), WavError> {
        Ok(self.writer.flush()?)
    }
}

fn to_i16(sample: f32) -> i16 {
    // `as` cuts at both ends and turns NaN into 0.
    (sample * 32_768.0).round() as i16
}
