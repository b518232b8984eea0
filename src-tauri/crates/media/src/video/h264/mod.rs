//! H.264 behind two traits, so that another codec (AV1 for screens) can stand beside it.

mod change;
mod decoder;
mod encoder;
mod hold;
pub mod nal;
mod screen;

use std::time::Instant;

pub use decoder::{H264Decoder, MAX_HEIGHT, MAX_WIDTH};
pub use encoder::H264Encoder;
pub use screen::ScreenEncoder;

use super::{I420, VideoFrame};
use crate::units::{Bitrate, FrameRate};

/// One coded picture.
#[derive(Debug, Clone)]
pub struct EncodedPicture {
    /// An access unit in Annex-B form (start codes); a key frame begins with its parameter sets.
    pub data: Vec<u8>,
    /// Whether decoding can begin here (an IDR picture).
    pub key_frame: bool,
    /// When the source captured it.
    pub captured: Instant,
    /// The source's number of the frame.
    pub number: u64,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// The mean quantiser, 0 (best) to 51, where the codec says it (W3C `qpSum` adds these up).
    pub qp: Option<u8>,
}

/// Why a picture was not encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Odd, smaller than 16x16, beyond 3840x2160 (either way up), or planes that do not match the size.
    #[error("a picture of {width}x{height} cannot be encoded")]
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// The codec refused; it is made anew with the next picture.
    #[error("the H.264 encoder failed: {0}")]
    Codec(String),
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Something before is missing or was damaged: everything up to the next key frame is refused. Ask for one.
    #[error("a key frame is needed")]
    NeedKeyFrame,
    /// This access unit is damaged, or a picture it builds on is missing; from here on a key frame is needed.
    #[error("a damaged or incomplete picture was received")]
    Damaged,
    /// The picture is larger than this decoder accepts; a key frame of a bearable size is needed.
    #[error("a picture of {width}x{height} is too large to be shown")]
    TooLarge {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// The codec could not be set up.
    #[error("the H.264 decoder failed: {0}")]
    Codec(String),
}

impl DecodeError {
    /// Whether the sender should be asked for a key frame (all but a codec that cannot be set up).
    pub fn wants_key_frame(&self) -> bool {
        match self {
            Self::NeedKeyFrame | Self::Damaged | Self::TooLarge { .. } => true,
            Self::Codec(_) => false,
        }
    }
}

/// What came of an access unit that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// The picture was filled in.
    Picture {
        /// Whether it was a key frame.
        key_frame: bool,
    },
    /// It held no picture (parameter sets only); the picture is untouched.
    Nothing,
}

/// Turns pictures into access units. Never skips one by itself and never builds a queue.
pub trait VideoEncoder: Send {
    /// Encodes one frame; `force_key` asks for a key frame. A changed size makes a key frame by itself.
    /// `None` when the codec gave nothing out for this frame.
    ///
    /// # Errors
    /// [`EncodeError`]; the next frame can be tried.
    fn encode(&mut self, frame: &VideoFrame, force_key: bool) -> Result<Option<EncodedPicture>, EncodeError>;

    /// The rate to hold from the next frame on, within a few percent after a second.
    fn set_bitrate(&mut self, bitrate: Bitrate);

    /// The frame rate that the rate control reckons with; to be told when frames really come slower or faster.
    fn set_frame_rate(&mut self, frame_rate: FrameRate);
}

/// Turns access units into pictures.
pub trait VideoDecoder: Send {
    /// Decodes one access unit in Annex-B form into `into`, whose memory is reused.
    ///
    /// # Errors
    /// [`DecodeError`]; `into` is then untouched or unspecified, and decoding goes on with the next key frame.
    fn decode(&mut self, access_unit: &[u8], into: &mut I420) -> Result<Decoded, DecodeError>;

    /// Forgets all pictures: the next access unit must be a key frame (after a lost packet, or when late).
    fn reset(&mut self);
}
