//! The encoder on openh264: constrained baseline, real-time camera mode.

use std::fmt;
use std::ptr::from_mut;
use std::time::Instant;

use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate as CodecFrameRate, FrameType, Profile, RateControlMode,
    UsageType, VuiConfig,
};
use openh264::formats::YUVSource;
use openh264::{OpenH264API, Timestamp};
use openh264_sys2::{
    ENCODER_OPTION_BITRATE, ENCODER_OPTION_FRAME_RATE, ENCODER_OPTION_GET_STATISTICS, ENCODER_OPTION_MAX_BITRATE,
    ENCODER_OPTION_TRACE_LEVEL, SBitrateInfo, SEncoderStatistics, SPATIAL_LAYER_ALL, WELS_LOG_QUIET,
};

use super::hold::Hold;
use super::{EncodeError, EncodedPicture, VideoEncoder};
use crate::units::{Bitrate, FrameRate};
use crate::video::{I420, VideoFrame};

/// Below this the codec's rate control makes no sense of its target.
const MIN_BITRATE: Bitrate = Bitrate::kbps(10);
/// What the highest level carries (5.2), and well inside the codec's 32-bit sums.
const MAX_BITRATE: Bitrate = Bitrate::kbps(100_000);

/// H.264 by openh264.
pub struct H264Encoder {
    bitrate: Bitrate,
    frame_rate: FrameRate,
    state: State,
    hold: Hold,
    /// The first frame's time: the codec counts milliseconds from there.
    epoch: Option<Instant>,
}

/// ```text
/// Closed --first frame, or one of another size--> Open --error, or another size--> Closed
/// ```
enum State {
    Closed,
    Open { encoder: Box<Encoder>, width: u32, height: u32 },
}

impl H264Encoder {
    /// An encoder that will hold `bitrate` at `frame_rate`. The codec itself is made with the first frame.
    pub fn new(bitrate: Bitrate, frame_rate: FrameRate) -> Self {
        Self {
            bitrate: bitrate.clamp(MIN_BITRATE, MAX_BITRATE),
            frame_rate,
            state: State::Closed,
            hold: Hold::new(),
            epoch: None,
        }
    }

    /// The rate it holds now.
    pub fn bitrate(&self) -> Bitrate {
        self.bitrate
    }

    fn open(&self) -> Result<Box<Encoder>, EncodeError> {
        let config = EncoderConfig::new()
            .usage_type(UsageType::CameraVideoRealTime)
            .rate_control_mode(RateControlMode::Bitrate)
            .bitrate(BitRate::from_bps(self.asked().as_bps() as u32))
            .max_frame_rate(CodecFrameRate::from_hz(self.frame_rate.as_f32()))
            .profile(Profile::Baseline)
            .vui(VuiConfig::bt601())
            // After a drop of the rate the codec would skip nearly everything: frames are dropped before it, not in it.
            .skip_frames(false)
            // Key frames come on request and at the start only; a scene cut is no reason for a burst.
            .scene_change_detect(false)
            // Measured at 720p30 and 1.5 Mbps of a camera's picture: a sixth less time than the stock settings for 0.15 dB.
            .complexity(Complexity::Low)
            .adaptive_quantization(false)
            // A single slice is coded at a time, so more threads would only wait.
            .num_threads(1);
        let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), config).map_err(codec_error)?;
        let mut level = WELS_LOG_QUIET;
        // Else setting up prints a warning about the frames it may not skip.
        // SAFETY: the option reads one integer, which outlives the call.
        unsafe {
            encoder.raw_api().set_option(ENCODER_OPTION_TRACE_LEVEL, from_mut(&mut level).cast());
        }
        Ok(Box::new(encoder))
    }

    /// What the codec is asked for, so that [`Self::bitrate`] comes out.
    fn asked(&self) -> Bitrate {
        self.hold.ask(self.bitrate).clamp(MIN_BITRATE, MAX_BITRATE)
    }

    fn tell_bitrate(&mut self) {
        let asked = self.asked();
        let State::Open { encoder, .. } = &mut self.state else { return };
        let mut info = SBitrateInfo { iLayer: SPATIAL_LAYER_ALL, iBitrate: asked.as_bps() as i32 };
        // The ceiling first, else a target above the old ceiling is refused. The answer can be an error although the
        // new rate took effect (the codec compares with its level's limit), so it is not looked at.
        // SAFETY: both options read one SBitrateInfo, which outlives the calls.
        unsafe {
            let api = encoder.raw_api();
            api.set_option(ENCODER_OPTION_MAX_BITRATE, from_mut(&mut info).cast());
            api.set_option(ENCODER_OPTION_BITRATE, from_mut(&mut info).cast());
        }
    }
}

impl VideoEncoder for H264Encoder {
    fn encode(&mut self, frame: &VideoFrame, force_key: bool) -> Result<Option<EncodedPicture>, EncodeError> {
        let picture = frame.picture.as_ref();
        check_size(picture)?;
        let size = (picture.width, picture.height);
        let fits = matches!(self.state, State::Open { width, height, .. } if (width, height) == size);
        if !fits {
            self.hold.restart();
            self.state = State::Open { encoder: self.open()?, width: size.0, height: size.1 };
        }
        let State::Open { encoder, .. } = &mut self.state else { return Ok(None) };
        // Before the first frame the codec is not set up, and begins with a key frame by itself.
        if force_key && fits {
            encoder.force_intra_frame();
        }
        let epoch = *self.epoch.get_or_insert(frame.captured);
        let millis = frame.captured.saturating_duration_since(epoch).as_millis() as u64;
        let stream = match encoder.encode_at(&Planes(picture), Timestamp::from_millis(millis)) {
            Ok(stream) => stream,
            Err(error) => {
                self.state = State::Closed;
                return Err(codec_error(error));
            }
        };
        let key_frame = match stream.frame_type() {
            FrameType::IDR => true,
            FrameType::I | FrameType::P | FrameType::IPMixed => false,
            FrameType::Skip | FrameType::Invalid => return Ok(None),
        };
        let mut data = Vec::new();
        stream.write_vec(&mut data);
        if data.is_empty() {
            return Ok(None);
        }
        let qp = mean_qp(encoder);
        if !key_frame && self.hold.handle(data.len(), qp, self.bitrate, self.frame_rate) {
            self.tell_bitrate();
        }
        Ok(Some(EncodedPicture {
            data,
            key_frame,
            captured: frame.captured,
            number: frame.number,
            width: size.0,
            height: size.1,
            qp,
        }))
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) {
        let bitrate = bitrate.clamp(MIN_BITRATE, MAX_BITRATE);
        if bitrate != self.bitrate {
            self.bitrate = bitrate;
            self.hold.restart();
            self.tell_bitrate();
        }
    }

    fn set_frame_rate(&mut self, frame_rate: FrameRate) {
        if frame_rate == self.frame_rate {
            return;
        }
        self.frame_rate = frame_rate;
        self.hold.restart();
        let State::Open { encoder, .. } = &mut self.state else { return };
        let mut hertz = frame_rate.as_f32();
        // SAFETY: the option reads one float, which outlives the call.
        unsafe {
            encoder.raw_api().set_option(ENCODER_OPTION_FRAME_RATE, from_mut(&mut hertz).cast());
        }
    }
}

impl fmt::Debug for H264Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H264Encoder").field("bitrate", &self.bitrate).field("frame_rate", &self.frame_rate).finish()
    }
}

pub(super) fn check_size(picture: &I420) -> Result<(), EncodeError> {
    let (width, height) = (picture.width, picture.height);
    let even = width.is_multiple_of(2) && height.is_multiple_of(2);
    let bounded = width.min(height) >= 16 && width.max(height) <= 3_840 && width.min(height) <= 2_160;
    if even && bounded && picture.is_consistent() { Ok(()) } else { Err(EncodeError::Size { width, height }) }
}

pub(super) fn codec_error(error: openh264::Error) -> EncodeError {
    EncodeError::Codec(error.to_string())
}

fn mean_qp(encoder: &mut Encoder) -> Option<u8> {
    let mut statistics = SEncoderStatistics::default();
    // SAFETY: the option writes one SEncoderStatistics.
    let answer =
        unsafe { encoder.raw_api().get_option(ENCODER_OPTION_GET_STATISTICS, from_mut(&mut statistics).cast()) };
    u8::try_from(statistics.uiAverageFrameQP).ok().filter(|qp| answer == 0 && *qp <= 51)
}

/// A picture as the codec's binding wants to see it; `check_size` has vouched for the planes.
pub(super) struct Planes<'a>(pub(super) &'a I420);

impl YUVSource for Planes<'_> {
    fn dimensions(&self) -> (usize, usize) {
        (self.0.width as usize, self.0.height as usize)
    }

    fn strides(&self) -> (usize, usize, usize) {
        let chroma = self.0.chroma_width() as usize;
        (self.0.width as usize, chroma, chroma)
    }

    fn y(&self) -> &[u8] {
        &self.0.y
    }

    fn u(&self) -> &[u8] {
        &self.0.u
    }

    fn v(&self) -> &[u8] {
        &self.0.v
    }
}
