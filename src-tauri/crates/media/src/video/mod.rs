//! Pictures: frames, conversion, scaling, the test pattern, H.264, the frame buffer, Y4M files.

pub mod convert;
mod frame;
pub mod h264;
mod jpeg;
pub mod pattern;
pub mod playout;
pub mod scale;
pub mod y4m;

pub use convert::{ConvertError, Converter, PixelFormat, RawPicture};
pub use frame::{I420, VideoFrame};
pub use h264::{
    DecodeError, Decoded, EncodeError, EncodedPicture, H264Decoder, H264Encoder, ScreenEncoder, VideoDecoder,
    VideoEncoder,
};
pub use jpeg::to_jpeg;
pub use pattern::{Pattern, PatternReading};
pub use playout::FrameBuffer;
pub use scale::Scaler;
