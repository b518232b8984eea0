//! The encoder for screens, on openh264: every picture at its own quantiser, chosen by what is new in it.
//!
//! The codec's own rate control knows cameras. A screen stands still for minutes and then becomes another in one picture; so
//! it is switched off here, and the quantiser follows from what is new, what that cost before, and what the path has room
//! for:
//!
//! ```text
//! quiet, then a new page ──► coarse at once, about half a second of the path
//! moving (scrolling, video) ─► as coarse as some twenty pictures a second need
//! quiet again ─────────────► the same picture again, finer each time, until it is sharp; then nothing at all
//! ```

use std::fmt;
use std::ptr::from_mut;
use std::time::{Duration, Instant};

use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate as CodecFrameRate, FrameType, Profile, RateControlMode,
    UsageType, VuiConfig,
};
use openh264::{OpenH264API, Timestamp};
use openh264_sys2::{ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, ENCODER_OPTION_TRACE_LEVEL, SEncParamExt, WELS_LOG_QUIET};

use super::change::Before;
use super::encoder::{Planes, check_size, codec_error};
use super::{EncodeError, EncodedPicture, VideoEncoder};
use crate::units::{Bitrate, FrameRate};
use crate::video::{I420, VideoFrame};

/// Finer than this nobody sees a difference.
const SHARP: u8 = 20;
/// Coarser than this text cannot be read.
const COARSEST: u8 = 43;
/// What moves is not looked at that closely.
const FINEST_MOVING: u8 = 24;
/// Two changes closer than this are a movement.
const MOVING: Duration = Duration::from_millis(250);
/// A new page after quiet may take so much of the path's time.
const PAGE: Duration = Duration::from_millis(450);
/// A picture of a movement may take so much.
const MOTION: Duration = Duration::from_millis(50);
/// It is made finer after so much quiet.
const QUIET: Duration = Duration::from_millis(80);
/// And by so much at once. The codec passes over what stands still unless it becomes finer by more than 5 (`JudgeStaticSkip`),
/// and over what is finer than 26 already.
const FINER_STEP: u8 = 8;
/// No rate at all makes no sense.
const MIN_BITRATE: Bitrate = Bitrate::kbps(30);

/// Bits that one unit of edges costs at quantiser [`REFERENCE`], as learned.
#[derive(Debug, Clone, Copy)]
struct Cost(f64);

/// Where the costs are reckoned; six steps are half or twice the bits (H.264, 8.6.1).
const REFERENCE: u8 = 30;

impl Cost {
    /// The finest quantiser whose picture has at most so many bits.
    fn qp(self, edges: u64, bits: f64) -> f64 {
        let at_reference = self.0 * edges as f64;
        f64::from(REFERENCE) + 6.0 * (at_reference.max(1.0) / bits.max(1.0)).log2()
    }

    fn learn(&mut self, edges: u64, qp: u8, bits: f64) {
        // Of little nothing is learned.
        if edges < 2_000 {
            return;
        }
        let seen = bits / edges as f64 * ((f64::from(qp) - f64::from(REFERENCE)) / 6.0).exp2();
        self.0 = (0.5 * self.0 + 0.5 * seen).clamp(0.005, 10.0);
    }
}

/// What is coded, and what it cost until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Key,
    Motion,
    Finer,
}

/// H.264 for screens.
pub struct ScreenEncoder {
    bitrate: Bitrate,
    state: State,
    before: Before,
    costs: [Cost; 3],
    epoch: Option<Instant>,
    /// Of the last picture that was given out.
    qp: u8,
    /// When something changed last.
    changed: Option<Instant>,
    /// It is as fine as it gets.
    sharp: bool,
}

/// ```text
/// Closed --first frame, or one of another size--> Open --error, or another size--> Closed
/// ```
enum State {
    Closed,
    Open { encoder: Box<Encoder>, width: u32, height: u32 },
}

impl ScreenEncoder {
    /// An encoder whose pictures are made for a path of this rate.
    pub fn new(bitrate: Bitrate) -> Self {
        Self {
            bitrate: bitrate.max(MIN_BITRATE),
            state: State::Closed,
            before: Before::default(),
            // Pages of text at 1080p; movement is cheaper, since it is found elsewhere in the picture before.
            costs: [Cost(0.55), Cost(0.35), Cost(0.30)],
            epoch: None,
            qp: COARSEST,
            changed: None,
            sharp: false,
        }
    }

    /// When the last picture is to be encoded once more, to become sharper; `None`: it is as sharp as it gets.
    pub fn finer_at(&self) -> Option<Instant> {
        if self.sharp { None } else { self.changed.map(|changed| changed + QUIET) }
    }

    fn open(&self, picture: &I420) -> Result<Box<Encoder>, EncodeError> {
        let config = EncoderConfig::new()
            .usage_type(UsageType::ScreenContentRealTime)
            .rate_control_mode(RateControlMode::Off)
            .bitrate(BitRate::from_bps(20_000_000))
            .max_frame_rate(CodecFrameRate::from_hz(30.0))
            .profile(Profile::Baseline)
            .vui(VuiConfig::bt601())
            .skip_frames(false)
            // It is by this that the codec finds what was scrolled.
            .scene_change_detect(true)
            .complexity(Complexity::Low)
            .adaptive_quantization(false)
            .background_detection(false)
            .num_threads(1);
        let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), config).map_err(codec_error)?;
        let mut level = WELS_LOG_QUIET;
        // SAFETY: the option reads one integer, which outlives the call.
        unsafe {
            encoder.raw_api().set_option(ENCODER_OPTION_TRACE_LEVEL, from_mut(&mut level).cast());
        }
        // The codec is set up with its first picture, and only then takes a quantiser: that one is for nobody.
        let blank = I420::black(picture.width, picture.height);
        encoder.encode_at(&Planes(&blank), Timestamp::ZERO).map_err(codec_error)?;
        Ok(Box::new(encoder))
    }

    /// Chooses the quantiser of a picture with so many new edges.
    fn choose(&self, kind: Kind, edges: u64, moving: bool) -> u8 {
        if kind == Kind::Finer {
            // The last step is one of more than 5, too.
            let next = self.qp.saturating_sub(FINER_STEP);
            return if next < SHARP + FINER_STEP { SHARP } else { next };
        }
        let cost = self.costs[kind as usize];
        let (time, finest) = if moving { (MOTION, FINEST_MOVING) } else { (PAGE, SHARP) };
        let bits = self.bitrate.as_bps() as f64 * time.as_secs_f64();
        (cost.qp(edges, bits).ceil().clamp(0.0, 51.0) as u8).clamp(finest, COARSEST)
    }

    fn set_qp(&mut self, qp: u8) {
        let State::Open { encoder, .. } = &mut self.state else { return };
        let mut parameters = SEncParamExt::default();
        // SAFETY: the first option writes one SEncParamExt and the second reads one, which outlives both calls. Nothing but
        // the quantiser is changed, and that is taken over without a reset (`WelsEncoderParamAdjust`).
        unsafe {
            let api = encoder.raw_api();
            if api.get_option(ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, from_mut(&mut parameters).cast()) == 0 {
                parameters.sSpatialLayers[0].iDLayerQp = qp.into();
                api.set_option(ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, from_mut(&mut parameters).cast());
            }
        }
    }
}

impl VideoEncoder for ScreenEncoder {
    /// `None` also when nothing is new in the picture and it is sharp already, or not to become so yet.
    fn encode(&mut self, frame: &VideoFrame, force_key: bool) -> Result<Option<EncodedPicture>, EncodeError> {
        let picture = frame.picture.as_ref();
        check_size(picture)?;
        let size = (picture.width, picture.height);
        let fits = matches!(self.state, State::Open { width, height, .. } if (width, height) == size);
        if !fits {
            self.before.forget();
            self.state = State::Open { encoder: self.open(picture)?, width: size.0, height: size.1 };
        }
        let key = force_key || !fits;
        let now = frame.captured;
        let change = self.before.compare(picture);
        let is_new = change.per_mille > 0 || change.edges > 0;
        let moving = is_new && self.changed.is_some_and(|last| now < last + MOVING);
        let (kind, edges) = match (key, is_new) {
            (true, _) => (Kind::Key, self.before.all()),
            (false, true) => (Kind::Motion, change.edges),
            (false, false) => (Kind::Finer, self.before.rough()),
        };
        if kind == Kind::Finer && self.finer_at().is_none_or(|at| now < at) {
            return Ok(None);
        }
        let qp = self.choose(kind, edges, moving);
        self.set_qp(qp);
        if is_new || key {
            self.changed = Some(now);
        }
        let State::Open { encoder, .. } = &mut self.state else { return Ok(None) };
        if key {
            encoder.force_intra_frame();
        }
        let epoch = *self.epoch.get_or_insert(now);
        // The blank picture had the first moment.
        let millis = now.saturating_duration_since(epoch).as_millis() as u64 + 1;
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
        let bits = data.len() as f64 * 8.0;
        if key_frame && kind != Kind::Key {
            // The codec saw another scene.
            let all = self.before.all();
            self.costs[Kind::Key as usize].learn(all, qp, bits);
        } else {
            self.costs[kind as usize].learn(edges, qp, bits);
        }
        if key_frame {
            self.before.roughen();
        }
        self.qp = qp;
        self.sharp = qp <= SHARP && (key_frame || kind == Kind::Finer || self.before.rough() == edges);
        if self.sharp {
            self.before.refined();
        } else if kind == Kind::Finer {
            // The next step waits for quiet again, so that what was sent can leave.
            self.changed = Some(now);
        }
        Ok(Some(EncodedPicture {
            data,
            key_frame,
            captured: frame.captured,
            number: frame.number,
            width: size.0,
            height: size.1,
            qp: Some(qp),
        }))
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) {
        self.bitrate = bitrate.max(MIN_BITRATE);
    }

    /// A screen has no steady rate: what moves gets [`MOTION`] a picture.
    fn set_frame_rate(&mut self, _frame_rate: FrameRate) {}
}

impl fmt::Debug for ScreenEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScreenEncoder").field("bitrate", &self.bitrate).field("qp", &self.qp).finish()
    }
}
