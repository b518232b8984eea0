//! The video-receive thread: decodes what the network put together, some pictures ahead, and shows each at its time; newest
//! wins at the window.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ahoy_media::LatestSlot;
use ahoy_media::stats::{VideoReceiveCounts, VideoReceiveStats};
use ahoy_media::sync::{Medium, Shown as ShownNow};
use ahoy_media::video::playout::{Arrival, DECODED, Due, Inserted, Place};
use ahoy_media::video::{Decoded, FrameBuffer, H264Decoder, I420, VideoDecoder, VideoFrame};
use ahoy_peer::{ClockReport, IncomingPicture, IncomingVideo, VideoSink};

use super::audio::OnceFlag;
use super::in_step::InStep;
use super::queue::Queue;
use super::{Note, Post, join, spawn};

/// network task -> video-receive thread; 60 items = 2 s, though the thread empties it into the frame buffer at once; full:
/// the oldest goes, and a key frame is asked for.
const INCOMING: usize = 60;
/// Pictures kept for reuse: one with the window, one in the slot, one being filled, one spare, and those that wait.
const POOL: usize = 4 + DECODED;
/// A decoder that does not keep up asks for a key frame this often.
const ASK_AGAIN: Duration = Duration::from_secs(1);

enum Item {
    /// Of this connection.
    Video(u64, IncomingVideo),
    /// The other side's camera went off: nothing more is shown until it sends again.
    Stopped,
    /// Another connection, or none: the decoder is freed.
    Reset(InStep),
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
    in_step: InStep,
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

    fn handle_clock(&self, report: ClockReport) {
        self.in_step.handle_clock(Medium::Picture, report);
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
            in_step: InStep::default(),
            buffer: FrameBuffer::new(),
            decoder: H264Decoder::new(),
            pool: Vec::new(),
            number: 0,
            asked: None,
        };
        let thread = spawn("ahoy-video-recv", move || receiving.run())?;
        Ok(Self { queue, shared, overflowed, made: AtomicU64::new(0), thread })
    }

    pub fn sink(&self, in_step: InStep) -> VideoIn {
        let connection = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let (queue, overflowed) = (self.queue.clone(), Arc::clone(&self.overflowed));
        VideoIn { connection, queue, overflowed, first: Arc::default(), in_step }
    }

    pub fn connect(&self, sink: &VideoIn) {
        *self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner) = VideoReceiveStats::new();
        self.shared.connection.store(sink.connection, Ordering::Release);
        self.queue.put(Item::Reset(sink.in_step.clone()));
    }

    pub fn disconnect(&self) {
        self.shared.connection.store(0, Ordering::Release);
        self.queue.put(Item::Reset(InStep::default()));
    }

    pub fn stopped(&self) {
        self.queue.put(Item::Stopped);
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

/// A decoded picture that waits for its time.
struct Waiting {
    picture: Arc<I420>,
    first_arrived: Instant,
    arrived: Instant,
    /// What decoding it took.
    took: Duration,
}

struct Receiving {
    queue: Queue<Item>,
    shared: Arc<Shared>,
    overflowed: Arc<AtomicBool>,
    remote: LatestSlot<VideoFrame>,
    shown: Option<Shown>,
    post: Post,
    in_step: InStep,
    buffer: FrameBuffer<IncomingPicture, Waiting>,
    decoder: H264Decoder,
    pool: Vec<Arc<I420>>,
    number: u64,
    /// When a key frame was asked for because decoding does not keep up.
    asked: Option<Instant>,
}

impl Receiving {
    fn run(mut self) {
        loop {
            // What came meanwhile is taken in before anything is decoded or shown: it may make it needless.
            let next = self.queue.try_take().or_else(|| {
                let due = self.work();
                self.queue.take_until(due)
            });
            match next {
                Some(Item::Video(connection, video)) => self.take_in(connection, video),
                Some(Item::Stopped) => self.stop(),
                Some(Item::Reset(in_step)) => {
                    self.in_step = in_step;
                    self.buffer = FrameBuffer::new();
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
            self.buffer.forget_coded();
            self.begin_anew();
        }
        match video {
            IncomingVideo::Picture(picture) => {
                self.stats(VideoReceiveStats::on_received);
                let IncomingPicture { timestamp, key, arrived, repaired, .. } = picture;
                let arrival = Arrival { timestamp, key, repaired, at: arrived };
                if self.buffer.insert(picture, arrival) == Inserted::Overflowed {
                    self.begin_anew();
                }
                let not_before = self.in_step.lock().picture_not_before(timestamp, arrived);
                self.buffer.hold(timestamp, not_before);
            }
            // The connection asks for a key frame by itself, and nothing else follows; what came before can be shown.
            IncomingVideo::Broken => self.stats(VideoReceiveStats::on_dropped),
        }
    }

    /// Pictures are missing that those to come build on.
    fn begin_anew(&mut self) {
        self.decoder.reset();
        (self.post)(Note::KeyFrameNeeded);
    }

    /// Shows what is due, or else decodes one picture. Gives when to be called again; `None`: when something comes.
    fn work(&mut self) -> Option<Instant> {
        let now = Instant::now();
        if let Some(due) = self.buffer.next_to_show(now) {
            self.show(due, now);
            return Some(now);
        }
        let next = self.buffer.next_to_decode(now);
        let dropped = self.buffer.take_dropped();
        if dropped > 0 {
            self.stats(|stats| stats.on_dropped_many(dropped));
        }
        if self.buffer.wants_key(now) && self.asked.is_none_or(|last| now > last + ASK_AGAIN) {
            self.asked = Some(now);
            (self.post)(Note::KeyFrameNeeded);
        }
        match next {
            Some((unit, place)) => {
                self.decode(&unit, place);
                Some(now)
            }
            None => self.buffer.poll_timeout(now),
        }
    }

    fn decode(&mut self, unit: &IncomingPicture, place: Place) {
        let began = Instant::now();
        let mut picture = self.free_picture();
        let into = Arc::get_mut(&mut picture).expect("a free picture is nobody else's");
        match self.decoder.decode(&unit.access_unit, into) {
            Ok(Decoded::Picture { key_frame }) => {
                let now = Instant::now();
                let took = now.saturating_duration_since(began);
                let since = now.saturating_duration_since(unit.first_arrived);
                self.stats(|stats| stats.on_decoded(key_frame, took, since));
                let (first_arrived, arrived) = (unit.first_arrived, unit.arrived);
                let waiting = Waiting { picture: Arc::clone(&picture), first_arrived, arrived, took };
                self.buffer.insert_decoded(waiting, place);
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

    fn show(&mut self, due: Due<Waiting>, now: Instant) {
        let Waiting { picture, first_arrived, arrived, took } = due.picture;
        let (width, height) = (picture.width, picture.height);
        self.in_step.lock().handle_shown(ShownNow { timestamp: due.timestamp, at: now, held: due.held });
        if self.number == 0 {
            (self.post)(Note::FirstVideo(now, width, height));
        }
        let frame = VideoFrame { picture, captured: arrived, number: self.number };
        self.number += 1;
        if let Some(shown) = &self.shown {
            shown(&frame, now);
        }
        self.remote.put(frame);
        let waited = now.saturating_duration_since(first_arrived).saturating_sub(took);
        let dropped = self.buffer.take_dropped();
        self.stats(|stats| {
            stats.on_emitted(waited, due.target, due.minimum);
            stats.on_dropped_many(dropped);
            stats.on_rendered(width, height, now);
        });
    }

    /// Shows nothing of what is there. It is decoded all the same: what comes when the camera goes on again builds on it.
    fn stop(&mut self) {
        for unit in self.buffer.stop() {
            let mut picture = self.free_picture();
            let into = Arc::get_mut(&mut picture).expect("a free picture is nobody else's");
            // What fails now is told by the next picture.
            let _ = self.decoder.decode(&unit.access_unit, into);
            self.stats(VideoReceiveStats::on_dropped);
        }
        let _ = self.remote.take();
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
