//! The screen-receive thread: decodes what the other side shows and shows it at once. Nothing is held back to make movement
//! even: who points at something should be seen pointing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ahoy_media::LatestSlot;
use ahoy_media::stats::{VideoReceiveCounts, VideoReceiveStats};
use ahoy_media::video::{Decoded, H264Decoder, I420, VideoDecoder, VideoFrame};
use ahoy_peer::{IncomingPicture, IncomingVideo, VideoSink};

use super::queue::Queue;
use super::{Note, Post, join, spawn};

/// network task -> screen-receive thread; 60 pictures = 2 s of movement; full: the oldest goes, and a key frame is asked for.
const INCOMING: usize = 60;
/// Pictures kept for reuse: one with the window, one in the slot, one being filled.
const POOL: usize = 3;

enum Item {
    /// Of this connection.
    Video(u64, IncomingVideo),
    /// Nothing is shown any more, or another connection is served: all is forgotten.
    Reset,
    Stop,
}

/// Received pictures of a shared screen on their way to the screen-receive thread.
#[derive(Clone)]
pub(crate) struct ScreenIn {
    connection: u64,
    queue: Queue<Item>,
    /// The queue was full: pictures are missing.
    overflowed: Arc<AtomicBool>,
}

impl VideoSink for ScreenIn {
    fn handle_video(&self, video: IncomingVideo) {
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

pub(super) struct ScreenReceive {
    queue: Queue<Item>,
    shared: Arc<Shared>,
    overflowed: Arc<AtomicBool>,
    made: AtomicU64,
    thread: JoinHandle<()>,
}

type Shown = Arc<dyn Fn(&VideoFrame, Instant) + Send + Sync>;

impl ScreenReceive {
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
        let thread = spawn("ahoy-screen-recv", move || receiving.run())?;
        Ok(Self { queue, shared, overflowed, made: AtomicU64::new(0), thread })
    }

    pub fn sink(&self) -> ScreenIn {
        let connection = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        ScreenIn { connection, queue: self.queue.clone(), overflowed: Arc::clone(&self.overflowed) }
    }

    pub fn connect(&self, sink: &ScreenIn) {
        self.shared.connection.store(sink.connection, Ordering::Release);
        self.reset();
    }

    pub fn disconnect(&self) {
        self.shared.connection.store(0, Ordering::Release);
        self.reset();
    }

    /// The other side shows nothing any more.
    pub fn reset(&self) {
        *self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner) = VideoReceiveStats::new();
        self.queue.put(Item::Reset);
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
            match self.queue.take_until(None) {
                Some(Item::Video(connection, video)) => self.take_in(connection, video),
                Some(Item::Reset) => {
                    self.decoder = H264Decoder::new();
                    self.pool = Vec::new();
                    self.number = 0;
                    let _ = self.remote.take();
                }
                Some(Item::Stop) => return,
                None => {}
            }
        }
    }

    fn take_in(&mut self, connection: u64, video: IncomingVideo) {
        if connection != self.shared.connection.load(Ordering::Acquire) {
            return;
        }
        if self.overflowed.swap(false, Ordering::AcqRel) {
            self.decoder.reset();
            (self.post)(Note::ScreenKeyFrameNeeded);
        }
        match video {
            IncomingVideo::Picture(picture) => self.decode(&picture),
            // The connection asks for a key frame by itself.
            IncomingVideo::Broken => self.stats(VideoReceiveStats::on_dropped),
        }
    }

    fn decode(&mut self, unit: &IncomingPicture) {
        self.stats(VideoReceiveStats::on_received);
        let began = Instant::now();
        let mut picture = self.free_picture();
        let into = Arc::get_mut(&mut picture).expect("a free picture is nobody else's");
        match self.decoder.decode(&unit.access_unit, into) {
            Ok(Decoded::Picture { key_frame }) => {
                let now = Instant::now();
                let (took, since) = (now - began, now.saturating_duration_since(unit.first_arrived));
                self.stats(|stats| stats.on_decoded(key_frame, took, since));
                self.show(Arc::clone(&picture), unit, now);
            }
            Ok(Decoded::Nothing) => {}
            Err(error) => {
                tracing::debug!(%error, "a picture of the screen is not shown");
                self.stats(VideoReceiveStats::on_dropped);
                if error.wants_key_frame() {
                    (self.post)(Note::ScreenKeyFrameNeeded);
                }
            }
        }
        if self.pool.len() < POOL {
            self.pool.push(picture);
        }
    }

    fn show(&mut self, picture: Arc<I420>, unit: &IncomingPicture, now: Instant) {
        let (width, height) = (picture.width, picture.height);
        let frame = VideoFrame { picture, captured: unit.arrived, number: self.number };
        if let Some(shown) = &self.shown {
            shown(&frame, now);
        }
        self.remote.put(frame);
        if self.number == 0 {
            (self.post)(Note::ScreenFirst(now, width, height));
        }
        self.number += 1;
        self.stats(|stats| {
            stats.on_emitted(Duration::ZERO, Duration::ZERO, Duration::ZERO);
            stats.on_rendered(width, height, now);
        });
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
