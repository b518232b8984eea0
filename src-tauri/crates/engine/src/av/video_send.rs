//! The video-send thread: encodes the latest picture at the rate now allowed, and never queues one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ahoy_media::LatestSlot;
use ahoy_media::rate::budget::{Want, coder_rate};
use ahoy_media::units::{Bitrate, FrameRate};
use ahoy_media::video::{H264Encoder, VideoEncoder, VideoFrame};
use ahoy_peer::{OutgoingVideo, SendOutcome, VideoSender};
use bytes::Bytes;

use super::shaping::{Limits, Shaped, Shaper};
use super::{Note, Post, join, spawn};
use crate::config::PictureWish;
use crate::event::VideoEncodeCounts;

/// Below this the codec's own control fails.
const LEAST: Bitrate = Bitrate::kbps(60);
/// With less than this of the budget no picture is worth sending (the ladder's last step).
const WORTH: Bitrate = Bitrate::kbps(100);
/// The share before the connection has said anything.
const FIRST: Bitrate = Bitrate::kbps(540);
/// Bits a pixel beyond which nobody sees a difference, at 720 rows: 720p30 gets 2.5 Mbps. A small picture is shown larger
/// than it is and has more detail in each pixel, so it needs more, by this power of the size: 180 rows need 0.19.
const BITS_PER_PIXEL: f64 = 0.09;
const MORE_WHEN_SMALL: f64 = 0.55;
/// What packets add to the coder's bits at high rates.
const WITH_HEADERS: f64 = 1.07;

/// What a picture of this size can use, without headers.
fn most(width: u32, height: u32, frame_rate: FrameRate) -> Bitrate {
    let bits_per_pixel = BITS_PER_PIXEL * (720.0 / f64::from(width.min(height).max(1))).powf(MORE_WHEN_SMALL);
    let pixels_per_second = f64::from(width) * f64::from(height) * f64::from(frame_rate.as_f32());
    Bitrate::bps((pixels_per_second * bits_per_pixel) as u64).max(LEAST)
}

/// What the camera's picture asks of the budget.
pub(super) fn want(wish: PictureWish) -> Want {
    Want { least: WORTH, most: most(wish.width, wish.height, FrameRate::fps(wish.fps)).scaled(WITH_HEADERS).max(WORTH) }
}

/// Where the camera's thread puts its pictures.
#[derive(Clone)]
pub(super) struct Input {
    /// camera -> video-send thread; depth 1, newest wins. `None` only wakes the thread.
    slot: LatestSlot<Option<VideoFrame>>,
    control: Arc<Mutex<Control>>,
}

impl Input {
    pub fn put(&self, frame: VideoFrame) {
        lock(&self.control).last = Some(frame.clone());
        self.slot.put(Some(frame));
    }

    /// No picture of before may be used any more.
    pub fn forget(&self) {
        lock(&self.control).last = None;
        // Not taken out: what lies there may be the word that the connection is gone.
        self.slot.put(None);
    }
}

#[derive(Debug, Default)]
struct Control {
    sender: Option<VideoSender>,
    demand: Bitrate,
    gate_open: bool,
    force_key: bool,
    /// Of the budget, headers included.
    share: Option<Bitrate>,
    /// How large the other side shows the picture.
    window: Option<(u32, u32)>,
    /// So that the gate's opening need not wait for the camera's next picture.
    last: Option<VideoFrame>,
    counts: VideoEncodeCounts,
}

fn lock(control: &Mutex<Control>) -> MutexGuard<'_, Control> {
    control.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct VideoSend {
    input: Input,
    thread: JoinHandle<()>,
}

impl VideoSend {
    pub fn start(picture: PictureWish, post: Post) -> std::io::Result<Self> {
        let input = Input { slot: LatestSlot::new(), control: Arc::default() };
        let theirs = input.clone();
        let thread = spawn("ahoy-video-send", move || Sending::new(theirs, picture, post).run())?;
        Ok(Self { input, thread })
    }

    pub fn input(&self) -> Input {
        self.input.clone()
    }

    /// Serves another connection, or none. The gate is closed and counts begin anew.
    pub fn connect(&self, sender: Option<VideoSender>) {
        let mut control = lock(&self.input.control);
        let counts = if sender.is_some() { VideoEncodeCounts::default() } else { control.counts };
        *control = Control { sender, counts, last: control.last.take(), ..Control::default() };
        drop(control);
        // Lets go of the encoder when there is no connection.
        self.input.slot.put(None);
    }

    pub fn open_gate(&self) {
        let mut control = lock(&self.input.control);
        control.gate_open = true;
        control.force_key = true;
        let last = control.last.clone();
        drop(control);
        self.input.slot.put(last);
    }

    pub fn force_key(&self) {
        lock(&self.input.control).force_key = true;
    }

    /// Tells the connection how much the picture could use, headers included.
    pub fn set_demand(&self, demand: Bitrate) {
        let mut control = lock(&self.input.control);
        control.demand = demand;
        if let Some(sender) = &control.sender {
            sender.set_demand(demand.as_bps());
        }
    }

    /// The picture's share of the budget, headers included.
    pub fn set_share(&self, share: Bitrate) {
        lock(&self.input.control).share = Some(share);
    }

    /// How large the other side shows the picture, pixels; `None`: it does not say.
    pub fn set_window(&self, window: Option<(u32, u32)>) {
        lock(&self.input.control).window = window;
    }

    pub fn counts(&self) -> VideoEncodeCounts {
        let control = lock(&self.input.control);
        let mut counts = control.counts;
        if let Some(last) = &control.last {
            (counts.source.width, counts.source.height) = (last.picture.width, last.picture.height);
            counts.source.frames = last.number + 1;
        }
        counts.frames_skipped = self.input.slot.counts().overwritten;
        counts
    }

    pub fn close(self) {
        self.input.slot.close();
        join(self.thread);
    }
}

struct Sending {
    input: Input,
    picture: PictureWish,
    post: Post,
    encoder: Option<H264Encoder>,
    shaper: Shaper,
    /// A picture was refused or not encoded, or the other side asks: nothing before a key frame can be decoded.
    key_due: bool,
    paused: bool,
    last_captured: Option<Instant>,
}

impl Sending {
    fn new(input: Input, picture: PictureWish, post: Post) -> Self {
        Self {
            input,
            picture,
            post,
            encoder: None,
            shaper: Shaper::new(picture),
            paused: false,
            key_due: true,
            last_captured: None,
        }
    }

    fn run(mut self) {
        while let Ok(frame) = self.input.slot.wait() {
            let (sender, force_key, limits) = {
                let mut control = lock(&self.input.control);
                let sender = if control.gate_open { control.sender.clone() } else { None };
                let force = sender.is_some() && frame.is_some() && std::mem::take(&mut control.force_key);
                (sender, force, Limits { share: control.share.unwrap_or(FIRST), window: control.window })
            };
            let Some(sender) = sender else {
                self.encoder = None;
                self.key_due = true;
                self.paused = false;
                // The next call may be over quite another path.
                self.shaper = Shaper::new(self.picture);
                continue;
            };
            if let Some(frame) = frame {
                self.send(&sender, frame, force_key, limits);
            }
        }
    }

    fn send(&mut self, sender: &VideoSender, frame: VideoFrame, force_key: bool, limits: Limits) {
        // The gate's opening sends the newest picture once more; the camera may have been quicker.
        if self.last_captured.is_some_and(|last| frame.captured <= last) && !force_key {
            return;
        }
        self.key_due |= force_key;
        let now = Instant::now();
        let (frame, frame_rate) = match self.shaper.shape(frame, limits, now) {
            Shaped::Encode(frame, frame_rate) => (frame, frame_rate),
            Shaped::Skipped => return,
            Shaped::Paused => return self.pause(),
        };
        self.tell(false);
        // What waits to leave would make this one late; the next will be newer.
        if !sender.may_encode() {
            lock(&self.input.control).counts.frames_held_back += 1;
            return;
        }
        let (width, height) = (frame.picture.width, frame.picture.height);
        let bitrate = coder_rate(limits.share, frame_rate).clamp(LEAST, most(width, height, frame_rate));
        let encoder = self.encoder.get_or_insert_with(|| H264Encoder::new(bitrate, frame_rate));
        encoder.set_bitrate(bitrate);
        encoder.set_frame_rate(frame_rate);
        let encoded = encoder.encode(&frame, self.key_due);
        let took = now.elapsed();
        self.last_captured = Some(frame.captured);
        match encoded {
            Ok(Some(picture)) => {
                self.shaper.handle_encoded(took);
                self.count(&picture, took);
                let key = picture.key_frame;
                let unit = OutgoingVideo { access_unit: Bytes::from(picture.data), captured: frame.captured, key };
                self.key_due = match sender.send(unit) {
                    SendOutcome::Queued => false,
                    SendOutcome::Held | SendOutcome::Dropped(_) | SendOutcome::KeyFrameNeeded | SendOutcome::Closed => {
                        true
                    }
                };
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "a picture is not sent");
                self.key_due = true;
            }
        }
    }

    fn pause(&mut self) {
        self.encoder = None;
        self.key_due = true;
        self.tell(true);
    }

    /// Says when pictures pause for want of rate, and when they go on.
    fn tell(&mut self, paused: bool) {
        let reason = self.shaper.reason();
        lock(&self.input.control).counts.quality_limitation_reason = reason;
        if std::mem::replace(&mut self.paused, paused) != paused {
            (self.post)(Note::PicturePaused(paused));
        }
    }

    fn count(&self, picture: &ahoy_media::video::EncodedPicture, took: Duration) {
        let counts = &mut lock(&self.input.control).counts;
        let size = (counts.frame_width, counts.frame_height);
        let resized = counts.frames_encoded > 0 && size != (picture.width, picture.height);
        counts.quality_limitation_resolution_changes += u64::from(resized);
        counts.frames_encoded += 1;
        counts.key_frames_encoded += u64::from(picture.key_frame);
        counts.qp_sum += u64::from(picture.qp.unwrap_or(0));
        counts.total_encode_time += took.as_secs_f64();
        (counts.frame_width, counts.frame_height) = (picture.width, picture.height);
    }
}
