//! The screen-send thread: encodes what is shown when it changes, then once more until it is sharp, and else sleeps.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ahoy_media::LatestSlot;
use ahoy_media::rate::budget::{Want, coder_rate};
use ahoy_media::units::{Bitrate, FrameRate};
use ahoy_media::video::{ScreenEncoder, VideoEncoder, VideoFrame};
use ahoy_peer::{OutgoingVideo, SendOutcome, VideoSender};
use bytes::Bytes;

use super::{Note, Post, join, spawn};
use crate::event::VideoEncodeCounts;

/// Text of some kind can be shown with this.
const LEAST: Bitrate = Bitrate::kbps(100);
/// Before the connection says anything.
const FIRST: Bitrate = Bitrate::kbps(500);
/// With this a whole new page of 1440 rows is sharp within half a second.
const MOST: Bitrate = Bitrate::kbps(8_000);
/// What packets take of a share is reckoned for so many pictures a second.
const PICTURES: u32 = 20;
/// The path is asked again after this whether there is room for a picture.
const ROOM: Duration = Duration::from_millis(8);

/// What a shared screen asks of the budget.
pub(super) const WANT: Want = Want { least: LEAST, most: MOST };

/// Where the screen's thread puts its pictures.
#[derive(Clone)]
pub(super) struct ScreenInput {
    /// screen -> screen-send thread; depth 1, newest wins. `None` only wakes the thread.
    slot: LatestSlot<Option<VideoFrame>>,
    control: Arc<Mutex<Control>>,
}

impl ScreenInput {
    pub fn put(&self, frame: VideoFrame) {
        let counts = &mut lock(&self.control).counts;
        counts.source.frames += 1;
        (counts.source.width, counts.source.height) = (frame.picture.width, frame.picture.height);
        self.slot.put(Some(frame));
    }
}

#[derive(Debug, Default)]
struct Control {
    sender: Option<VideoSender>,
    /// Something is to be shown.
    on: bool,
    paused: bool,
    /// The other side takes the stream.
    ready: bool,
    force_key: bool,
    /// Of the budget, headers included.
    share: Option<Bitrate>,
    counts: VideoEncodeCounts,
}

fn lock(control: &Mutex<Control>) -> MutexGuard<'_, Control> {
    control.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct ScreenSend {
    input: ScreenInput,
    thread: JoinHandle<()>,
}

impl ScreenSend {
    pub fn start(post: Post) -> std::io::Result<Self> {
        let input = ScreenInput { slot: LatestSlot::new(), control: Arc::default() };
        let theirs = input.clone();
        let thread = spawn("ahoy-screen-send", move || Sending::new(theirs, post).run())?;
        Ok(Self { input, thread })
    }

    pub fn input(&self) -> ScreenInput {
        self.input.clone()
    }

    /// Serves another connection, or none. Nothing is shown on it yet.
    pub fn connect(&self, sender: Option<VideoSender>) {
        *lock(&self.input.control) = Control { sender, ..Control::default() };
        self.input.slot.put(None);
    }

    /// Something is shown from now on, or no more. Counts begin anew.
    pub fn switch(&self, on: bool) {
        let mut control = lock(&self.input.control);
        let sender = control.sender.take();
        let share = control.share;
        *control = Control { sender, share, on, ..Control::default() };
        if let Some(sender) = &control.sender {
            sender.set_demand(if on { MOST.as_bps() } else { 0 });
        }
        drop(control);
        self.input.slot.put(None);
    }

    /// The picture stands still, or goes on.
    pub fn pause(&self, paused: bool) {
        lock(&self.input.control).paused = paused;
        self.input.slot.put(None);
    }

    /// The other side takes the stream, and needs a key frame.
    pub fn key_frame_wanted(&self) {
        let mut control = lock(&self.input.control);
        control.ready = true;
        control.force_key = true;
        drop(control);
        self.input.slot.put(None);
    }

    /// The picture's share of the budget, headers included.
    pub fn set_share(&self, share: Bitrate) {
        lock(&self.input.control).share = Some(share);
    }

    pub fn counts(&self) -> Option<VideoEncodeCounts> {
        let control = lock(&self.input.control);
        control.on.then_some(control.counts)
    }

    pub fn close(self) {
        self.input.slot.close();
        join(self.thread);
    }
}

/// What the control says now.
struct Now {
    sender: Option<VideoSender>,
    force_key: bool,
    share: Bitrate,
}

struct Sending {
    input: ScreenInput,
    post: Post,
    encoder: Option<ScreenEncoder>,
    /// The newest picture.
    last: Option<VideoFrame>,
    /// It has not been encoded.
    waits: bool,
    /// Nothing before a key frame can be decoded.
    key_due: bool,
    /// The first picture of this share has left.
    told: bool,
}

impl Sending {
    fn new(input: ScreenInput, post: Post) -> Self {
        Self { input, post, encoder: None, last: None, waits: false, key_due: true, told: false }
    }

    fn run(mut self) {
        let mut wake: Option<Instant> = None;
        loop {
            let taken = match wake {
                Some(at) => self.input.slot.take_timeout(at.saturating_duration_since(Instant::now())),
                None => self.input.slot.wait().map(Some),
            };
            let Ok(taken) = taken else { return };
            if let Some(Some(frame)) = taken {
                self.last = Some(frame);
                self.waits = true;
            }
            wake = self.work();
        }
    }

    fn now(&mut self) -> Option<Now> {
        let mut control = lock(&self.input.control);
        if !control.on {
            return None;
        }
        let sender = control.sender.clone().filter(|_| control.ready && !control.paused);
        let force_key = sender.is_some() && self.last.is_some() && std::mem::take(&mut control.force_key);
        Some(Now { sender, force_key, share: control.share.unwrap_or(FIRST) })
    }

    /// Encodes what is to be encoded now; when to look again, if nothing comes before.
    fn work(&mut self) -> Option<Instant> {
        let Some(Now { sender, force_key, share }) = self.now() else {
            // What was shown is not kept.
            *self = Self::new(self.input.clone(), Arc::clone(&self.post));
            return None;
        };
        self.key_due |= force_key;
        let (sender, frame) = (sender?, self.last.clone()?);
        let finer = self.encoder.as_ref().and_then(ScreenEncoder::finer_at);
        let now = Instant::now();
        if !self.waits && !self.key_due && finer.is_none_or(|at| at > now) {
            return finer;
        }
        if share < LEAST {
            return Some(now + 10 * ROOM);
        }
        if !sender.may_encode() {
            // What comes until then is newer.
            lock(&self.input.control).counts.frames_held_back += u64::from(self.waits);
            return Some(now + ROOM);
        }
        self.encode(&sender, frame, share, now);
        self.encoder.as_ref().and_then(ScreenEncoder::finer_at)
    }

    fn encode(&mut self, sender: &VideoSender, frame: VideoFrame, share: Bitrate, now: Instant) {
        let bitrate = coder_rate(share, FrameRate::fps(PICTURES));
        let encoder = self.encoder.get_or_insert_with(|| ScreenEncoder::new(bitrate));
        encoder.set_bitrate(bitrate);
        // What is sent again to become finer is a picture of now, too.
        let captured = if self.waits { frame.captured } else { now };
        let frame = VideoFrame { captured, ..frame };
        self.waits = false;
        let encoded = encoder.encode(&frame, self.key_due);
        let took = now.elapsed();
        match encoded {
            Ok(Some(picture)) => {
                self.count(&picture, took);
                let key = picture.key_frame;
                let unit = OutgoingVideo { access_unit: Bytes::from(picture.data), captured, key };
                self.key_due = match sender.send(unit) {
                    SendOutcome::Queued => false,
                    SendOutcome::Held | SendOutcome::Dropped(_) | SendOutcome::KeyFrameNeeded | SendOutcome::Closed => {
                        true
                    }
                };
                if !self.key_due && !std::mem::replace(&mut self.told, true) {
                    (self.post)(Note::ScreenSent(Instant::now()));
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "a picture of the screen is not sent");
                self.key_due = true;
            }
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
