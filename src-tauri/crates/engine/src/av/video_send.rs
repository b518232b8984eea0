//! The video-send thread: encodes the latest picture at the rate now allowed, and never queues one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ahoy_media::LatestSlot;
use ahoy_media::units::{Bitrate, FrameRate};
use ahoy_media::video::scale::fit;
use ahoy_media::video::{H264Encoder, I420, Scaler, VideoEncoder, VideoFrame};
use ahoy_peer::{OutgoingVideo, SendOutcome, VideoSender};
use bytes::Bytes;

use super::{join, spawn};
use crate::config::PictureWish;
use crate::event::VideoEncodeCounts;

/// Of the rate for both, what sound takes with its headers.
const SOUND: Bitrate = Bitrate::kbps(60);
/// Below this a picture says nothing.
const LEAST: Bitrate = Bitrate::kbps(80);
/// Bits a pixel beyond which nobody sees a difference: 720p30 gets 2.5 Mbps.
const BITS_PER_PIXEL: f64 = 0.09;

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
        let _ = self.slot.take();
    }
}

#[derive(Debug, Default)]
struct Control {
    sender: Option<VideoSender>,
    gate_open: bool,
    force_key: bool,
    rate: Option<Bitrate>,
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
    pub fn start(picture: PictureWish) -> std::io::Result<Self> {
        let input = Input { slot: LatestSlot::new(), control: Arc::default() };
        let theirs = input.clone();
        let thread = spawn("ahoy-video-send", move || Sending::new(theirs, picture).run())?;
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

    pub fn set_rate(&self, bits_per_second: u64) {
        lock(&self.input.control).rate = Some(Bitrate::bps(bits_per_second));
    }

    pub fn counts(&self) -> VideoEncodeCounts {
        let mut counts = lock(&self.input.control).counts;
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
    encoder: Option<H264Encoder>,
    scaler: Scaler,
    scaled: Arc<I420>,
    /// A picture was refused or not encoded: nothing after it can be decoded.
    broken: bool,
    last_captured: Option<Instant>,
}

impl Sending {
    fn new(input: Input, picture: PictureWish) -> Self {
        Self {
            input,
            picture,
            encoder: None,
            scaler: Scaler::new(),
            scaled: Arc::new(I420::default()),
            broken: true,
            last_captured: None,
        }
    }

    fn run(mut self) {
        while let Ok(frame) = self.input.slot.wait() {
            let (sender, force_key, rate) = {
                let mut control = lock(&self.input.control);
                let sender = if control.gate_open { control.sender.clone() } else { None };
                let force = sender.is_some() && frame.is_some() && std::mem::take(&mut control.force_key);
                (sender, force, control.rate)
            };
            let Some(sender) = sender else {
                self.encoder = None;
                self.broken = true;
                continue;
            };
            if let Some(frame) = frame {
                self.send(&sender, frame, force_key, rate);
            }
        }
    }

    fn send(&mut self, sender: &VideoSender, frame: VideoFrame, force_key: bool, rate: Option<Bitrate>) {
        // The gate's opening sends the newest picture once more; the camera may have been quicker.
        if self.last_captured.is_some_and(|last| frame.captured <= last) && !force_key {
            return;
        }
        let Some(frame) = self.shaped(frame) else { return };
        let (width, height) = (frame.picture.width, frame.picture.height);
        let most = Bitrate::bps((f64::from(width * height * self.picture.fps) * BITS_PER_PIXEL) as u64).max(LEAST);
        let bitrate = rate.map_or(most, |rate| (rate - SOUND).clamp(LEAST, most));
        let encoder = self.encoder.get_or_insert_with(|| H264Encoder::new(bitrate, FrameRate::fps(self.picture.fps)));
        encoder.set_bitrate(bitrate);
        let began = Instant::now();
        let encoded = encoder.encode(&frame, force_key || self.broken);
        let took = began.elapsed();
        self.last_captured = Some(frame.captured);
        match encoded {
            Ok(Some(picture)) => {
                self.count(&picture, took);
                let key = picture.key_frame;
                let unit = OutgoingVideo { access_unit: Bytes::from(picture.data), captured: frame.captured, key };
                self.broken = match sender.send(unit) {
                    SendOutcome::Queued => false,
                    SendOutcome::Held | SendOutcome::Dropped(_) | SendOutcome::KeyFrameNeeded | SendOutcome::Closed => {
                        true
                    }
                };
            }
            Ok(None) => self.broken |= force_key,
            Err(error) => {
                tracing::warn!(%error, "a picture is not sent");
                self.broken = true;
            }
        }
    }

    fn count(&self, picture: &ahoy_media::video::EncodedPicture, took: Duration) {
        let counts = &mut lock(&self.input.control).counts;
        counts.frames_encoded += 1;
        counts.key_frames_encoded += u64::from(picture.key_frame);
        counts.qp_sum += u64::from(picture.qp.unwrap_or(0));
        counts.total_encode_time += took.as_secs_f64();
        (counts.frame_width, counts.frame_height) = (picture.width, picture.height);
    }

    /// The picture as it is, or an even-sized one no larger than wished; a file or a camera may give anything.
    fn shaped(&mut self, frame: VideoFrame) -> Option<VideoFrame> {
        let (width, height) = (frame.picture.width, frame.picture.height);
        let (to_width, to_height) = fit(width, height, self.picture.width.max(16), self.picture.height.max(16));
        if (width, height) == (to_width, to_height) {
            return Some(frame);
        }
        if Arc::get_mut(&mut self.scaled).is_none() {
            self.scaled = Arc::new(I420::default());
        }
        let into = Arc::get_mut(&mut self.scaled).expect("just made, nobody else has it");
        if let Err(error) = self.scaler.scale(&frame.picture, to_width, to_height, into) {
            tracing::warn!(%error, "a picture is not sent");
            return None;
        }
        Some(VideoFrame { picture: Arc::clone(&self.scaled), ..frame })
    }
}
