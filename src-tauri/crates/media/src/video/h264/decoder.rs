//! The decoder on openh264: refuses what it cannot decode in full, and says when it needs a key frame.

use std::fmt;

use openh264::OpenH264API;
use openh264::decoder::{Decoder, DecoderConfig};
use openh264::formats::YUVSource;

use super::nal::{self, NalKind};
use super::{DecodeError, Decoded, VideoDecoder};
use crate::video::I420;

/// The longest side that is decoded; a hostile parameter set could else claim gigabytes.
pub const MAX_WIDTH: u32 = 4_096;
/// The longest shorter side that is decoded.
pub const MAX_HEIGHT: u32 = 2_304;

/// H.264 by openh264, without concealment: after a missing or damaged picture nothing is shown until the next key frame.
pub struct H264Decoder {
    state: State,
}

/// ```text
/// NeedKeyFrame --access unit with an IDR slice--> Decoding --error, reset--> NeedKeyFrame
/// ```
enum State {
    /// The codec is made anew at the next key frame, so that no damage outlives one.
    NeedKeyFrame,
    Decoding(Box<Decoder>),
}

impl H264Decoder {
    /// A decoder; the codec itself is made with the first key frame.
    pub fn new() -> Self {
        Self { state: State::NeedKeyFrame }
    }
}

impl VideoDecoder for H264Decoder {
    fn decode(&mut self, access_unit: &[u8], into: &mut I420) -> Result<Decoded, DecodeError> {
        let contents = Contents::of(access_unit);
        if let Some((width, height)) = contents.too_large {
            self.state = State::NeedKeyFrame;
            return Err(DecodeError::TooLarge { width, height });
        }
        if matches!(self.state, State::NeedKeyFrame) {
            if !contents.key_frame {
                return Err(DecodeError::NeedKeyFrame);
            }
            let decoder = Decoder::with_api_config(OpenH264API::from_source(), DecoderConfig::new())
                .map_err(|error| DecodeError::Codec(error.to_string()))?;
            self.state = State::Decoding(Box::new(decoder));
        }
        let State::Decoding(decoder) = &mut self.state else { return Err(DecodeError::NeedKeyFrame) };
        let outcome = match decoder.decode(access_unit) {
            Ok(Some(picture)) => {
                copy_picture(&picture, into).then_some(Decoded::Picture { key_frame: contents.key_frame })
            }
            // A whole access unit gives its picture at once (there is no reordering in baseline); if it does not, it
            // was not whole.
            Ok(None) if contents.slices => None,
            Ok(None) => Some(Decoded::Nothing),
            Err(_) => None,
        };
        outcome.ok_or_else(|| {
            self.state = State::NeedKeyFrame;
            DecodeError::Damaged
        })
    }

    fn reset(&mut self) {
        self.state = State::NeedKeyFrame;
    }
}

impl Default for H264Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for H264Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decoding = matches!(self.state, State::Decoding(_));
        f.debug_struct("H264Decoder").field("decoding", &decoding).finish()
    }
}

/// What an access unit claims to hold.
#[derive(Default)]
struct Contents {
    key_frame: bool,
    slices: bool,
    too_large: Option<(u32, u32)>,
}

impl Contents {
    fn of(access_unit: &[u8]) -> Self {
        let mut contents = Self::default();
        for unit in nal::units(access_unit) {
            match NalKind::of(unit[0]) {
                NalKind::Idr => (contents.key_frame, contents.slices) = (true, true),
                NalKind::Slice => contents.slices = true,
                NalKind::Sps => {
                    if let Some(sps) = nal::parse_sps(unit) {
                        let (long, short) = (sps.width.max(sps.height), sps.width.min(sps.height));
                        if long > MAX_WIDTH || short > MAX_HEIGHT {
                            contents.too_large = Some((sps.width, sps.height));
                        }
                    }
                }
                NalKind::Pps | NalKind::Other(_) => {}
            }
        }
        contents
    }
}

/// Copies the codec's rows without their padding; false when the codec's picture is not to be believed.
fn copy_picture(source: &impl YUVSource, into: &mut I420) -> bool {
    let (width, height) = source.dimensions();
    let (stride, chroma_stride, _) = source.strides();
    if width == 0 || height == 0 || width > MAX_WIDTH as usize || height > MAX_WIDTH as usize {
        return false;
    }
    into.resize(width as u32, height as u32);
    let chroma = into.chroma_width() as usize;
    copy_plane(source.y(), stride, &mut into.y, width)
        && copy_plane(source.u(), chroma_stride, &mut into.u, chroma)
        && copy_plane(source.v(), chroma_stride, &mut into.v, chroma)
}

fn copy_plane(from: &[u8], stride: usize, into: &mut [u8], width: usize) -> bool {
    if stride < width || from.len() + stride < into.len() / width * stride + width {
        return false;
    }
    for (to, row) in into.chunks_exact_mut(width).zip(from.chunks(stride)) {
        to.copy_from_slice(&row[..width]);
    }
    true
}
