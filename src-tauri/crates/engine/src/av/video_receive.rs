//! The video-receive thread: decodes what the network put together, newest wins at the window.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use ahoy_media::LatestSlot;
use ahoy_media::stats::{VideoReceiveCounts, VideoReceiveStats};
use ahoy_media::video::{Decoded, H264Decoder, I420, VideoDecoder, VideoFrame};
use ahoy_peer::{IncomingPicture, IncomingVideo, VideoSink};

use super::audio::OnceFlag;
use super::queue::Queue;
use super::{Note, Post, join, spawn};

/// network task -> video-receive thread; 60 items = 2 s; full: the oldest goes, and a key frame is asked for.
const INCOMING: usize = 60;
/// Pictures kept for reuse: one with the window, one in the slot, one being filled, one spare.
const POOL: usize = 4;

enum Item {
    /// Of this connection.
    Video(u64, IncomingVideo),
    /// Another connection, or none: the decoder is freed.
    Reset,
    Stop,
}

/// Received pictures on their way to the video-receive thread.
#[derive(Clone)]
pub(crate) struct VideoIn {
    connection: u64,
    queue: Queue<Item>,
    /// The queue was full: pictures are missing.
    overflowed: Arc<AtomicBool>,
    first: Arc<OnceFlag>,
}

impl VideoIn {
    /// Calls this with the first picture, on the network task.
    pub fn on_first(&self, tell: impl FnOnce() + Send + 'static) {
        self.first.set(tell);
    }
}

impl VideoSink for VideoIn {
    fn handle_video(&self, video: IncomingVideo) {
        self.first.tell();
        if self.queue.put(Item::Video(self.connection, video)) > 0 {
            self.overflowed.store(true, Ordering::Release);
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    /// Whose pictures are shown; 0 for none.
    connection: AtomicU64,
    stats: Mutex<VideoReceiveStats>,
}

pub(super) struct VideoReceive {
    queue: Queue<Item>,
    shared: Arc<Shared>,
    overflowed: Arc<AtomicBool>,
    made: AtomicU64,
    thread: JoinHandle<()>,
}

type Shown = Arc<dyn Fn(&VideoFrame, Instant) + Send + Sync>;

impl VideoReceive {
    pub fn start(remote: LatestSlot<VideoFrame>, shown: Option<Shown>, post: Post) -> std::io::Result<Self> {
        let queue = Queue::new(INCOMING);
        let shared = Arc::new(Shared::default());
        let overflowed = Arc::new(AtomicBool::new(false));
        let receiving = Receiving {
            queue: queue.clone(),
            shared: Arc::clone(&shared),
            overflowed: Arc::clone(&overflowed),
            remote,
            shown,
            post,
            decoder: H264Decoder::new(),
            pool: Vec::new(),
            number: 0,
        };
        let thread = spawn("ahoy-video-recv", move || receiving.run())?;
        Ok(Self { queue, shared, overflowed, made: AtomicU64::new(0), thread })
    }

    pub fn sink(&self) -> VideoIn {
        let connection = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let (queue, overflowed) = (self.queue.clone(), Arc::clone(&self.overflowed));
        VideoIn { connection, queue, overflowed, first: Arc::default() }
    }

    pub fn connect(&self, sink: &VideoIn) {
        *self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner) = VideoReceiveStats::new();
        self.shared.connection.store(sink.connection, Ordering::Release);
        self.queue.put(Item::Reset);
    }

    pub fn disconnect(&self) {
        self.shared.connection.store(0, Ordering::Release);
        self.queue.put(Item::Reset);
    }

    pub fn stopped(&self) {
        self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner).on_stopped();
    }

    pub fn counts(&self) -> VideoReceiveCounts {
        self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner).counts()
    }

    pub fn close(self) {
        self.queue.put(Item::Stop);
        join(self.thread);
    }
}

struct Receiving {
    queue: Queue<Item>,
    shared: Arc<Shared>,
    overflowed: Arc<AtomicBool>,
    remote: LatestSlot<VideoFrame>,
    shown: Option<Shown>,
    post: Post,
    decoder: H264Decoder,
    pool: Vec<Arc<I420>>,
    number: u64,
}

impl Receiving {
    fn run(mut self) {
        loop {
            match self.queue.take() {
                Item::Video(connection, video) => {
                    if connection == self.shared.connection.load(Ordering::Acquire) {
                        self.take_in(video);
                    }
                }
                Item::Reset => {
                    self.decoder = H264Decoder::new();
                    self.pool = Vec::new();
                    self.number = 0;
                    let _ = self.remote.take();
                }
                Item::Stop => return,
            }
        }
    }

    fn take_in(&mut self, video: IncomingVideo) {
        if self.overflowed.swap(false, Ordering::AcqRel) {
            self.decoder.reset();
            (self.post)(Note::KeyFrameNeeded);
        }
        match video {
            IncomingVideo::Picture(picture) => self.decode(&picture),
            // The connection asks for a key frame by itself.
            IncomingVideo::Broken => {
                self.decoder.reset();
                self.stats(VideoReceiveStats::on_dropped);
            }
        }
    }

    fn decode(&mut self, unit: &IncomingPicture) {
        let began = Instant::now();
        self.stats(|stats| {
            stats.on_received();
            stats.on_emitted(began.saturating_duration_since(unit.first_arrived));
        });
        let mut picture = self.free_picture();
        let into = Arc::get_mut(&mut picture).expect("a free picture is nobody else's");
        match self.decoder.decode(&unit.access_unit, into) {
            Ok(Decoded::Picture { key_frame }) => {
                let now = Instant::now();
                let (width, height) = (picture.width, picture.height);
                let frame = VideoFrame { picture: Arc::clone(&picture), captured: unit.arrived, number: self.number };
                if self.number == 0 {
                    (self.post)(Note::FirstVideo(now, width, height));
                }
                self.number += 1;
                if let Some(shown) = &self.shown {
                    shown(&frame, now);
                }
                self.remote.put(frame);
                self.stats(|stats| {
                    let since = now.saturating_duration_since(unit.first_arrived);
                    stats.on_decoded(key_frame, now.saturating_duration_since(began), since);
                    stats.on_rendered(width, height, now);
                });
            }
            Ok(Decoded::Nothing) => {}
            Err(error) => {
                tracing::debug!(%error, "a picture is not shown");
                self.stats(VideoReceiveStats::on_dropped);
                if error.wants_key_frame() {
                    (self.post)(Note::KeyFrameNeeded);
                }
            }
        }
        if self.pool.len() < POOL {
            self.pool.push(picture);
        }
    }

    /// A picture that nobody looks at any more, or a new one.
    fn free_picture(&mut self) -> Arc<I420> {
        match self.pool.iter_mut().position(|picture| Arc::get_mut(picture).is_some()) {
            Some(place) => self.pool.swap_remove(place),
            None => Arc::new(I420::default()),
        }
    }

    fn stats(&self, change: impl FnOnce(&mut VideoReceiveStats)) {
        change(&mut self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
