//! A line for each picture, and the film.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use ahoy_engine::media::y4m::Y4mWriter;
use ahoy_engine::media::{FrameRate, I420, Scaler, VideoFrame, pattern, scale};
use ahoy_engine::{Clock, PictureWish};
use serde_json::json;

use super::{Out, open};
use crate::out::Printer;

pub(super) enum Item {
    Captured {
        number: u64,
        at: Instant,
    },
    Shown {
        frame: VideoFrame,
        at: Instant,
    },
    /// A picture of what the other side shares.
    Shared {
        frame: VideoFrame,
        at: Instant,
    },
}

/// Where pictures go.
pub(super) struct Files {
    /// The camera's, and the time between two of them.
    pub(super) video: Option<(PathBuf, Duration)>,
    /// Those of a shared screen.
    pub(super) share: Option<PathBuf>,
}

/// A Y4M file. It has one size and a call has many: the wished one in the shape of the first picture.
struct Film {
    writer: Y4mWriter<BufWriter<std::fs::File>>,
    scaler: Scaler,
    /// Pictures of another size are scaled into this.
    scaled: I420,
}

impl Film {
    fn new(path: &Path, first: &I420, wish: PictureWish) -> anyhow::Result<Self> {
        let (width, height) = scale::fill(first.width, first.height, wish.width, wish.height);
        let writer = Y4mWriter::new(open(path)?, width, height, FrameRate::fps(wish.fps))?;
        Ok(Self { writer, scaler: Scaler::new(), scaled: I420::default() })
    }

    fn write(&mut self, picture: &I420) -> anyhow::Result<()> {
        let (width, height) = self.writer.size();
        if (picture.width, picture.height) == (width, height) {
            self.writer.write(picture)?;
        } else {
            self.scaler.scale(picture, width, height, &mut self.scaled)?;
            self.writer.write(&self.scaled)?;
        }
        Ok(self.writer.flush()?)
    }
}

/// The pictures' thread.
pub(super) struct Pictures {
    printer: Printer,
    clock: Clock,
    frames: bool,
    wish: PictureWish,
    /// How many pictures are in the queue.
    waiting: Arc<AtomicUsize>,
    /// Between two pictures of the film.
    every: Duration,
    /// When the last of them was shown.
    written: Option<Instant>,
    film: Out<Film>,
    share: Out<Film>,
}

impl Pictures {
    pub(super) fn new(
        printer: Printer,
        frames: bool,
        files: Files,
        wish: PictureWish,
        waiting: Arc<AtomicUsize>,
    ) -> Self {
        let Files { video, share } = files;
        let every = video.as_ref().map_or(Duration::ZERO, |(_, every)| *every);
        let film = video.map_or(Out::None, |(path, _)| Out::Wanted(path));
        let share = share.map_or(Out::None, Out::Wanted);
        Self { printer, clock: Clock::start(), frames, wish, waiting, every, written: None, film, share }
    }

    pub(super) fn run(mut self, items: &Receiver<Option<Item>>) {
        while let Ok(Some(item)) = items.recv() {
            match item {
                Item::Captured { number, at } => {
                    let captured_ms = self.millis(at);
                    let more = json!({ "number": number, "captured_ms": captured_ms });
                    self.printer.event(captured_ms, "captured", more, "");
                }
                Item::Shown { frame, at } => {
                    self.waiting.fetch_sub(1, Ordering::AcqRel);
                    self.shown(&frame, at);
                }
                Item::Shared { frame, at } => self.shared(&frame, at),
            }
        }
    }

    /// A tenth of a millisecond is what the clocks are good for.
    fn millis(&self, at: Instant) -> f64 {
        (self.clock.unix_ms_f64(at) * 10.0).round() / 10.0
    }

    fn shown(&mut self, frame: &VideoFrame, at: Instant) {
        let picture = &frame.picture;
        if self.written.is_none_or(|last| at.saturating_duration_since(last) >= self.every) {
            self.written = Some(at);
            let wish = self.wish;
            self.film.write(|path| Film::new(path, picture, wish), |film| film.write(picture));
        }
        if self.frames {
            let shown_ms = self.millis(at);
            let mut more = json!({ "shown_ms": shown_ms, "width": picture.width, "height": picture.height });
            if let Some(reading) = pattern::read(picture) {
                more["number"] = json!(reading.number);
            }
            self.printer.event(shown_ms, "shown", more, "");
        }
    }

    fn shared(&mut self, frame: &VideoFrame, at: Instant) {
        let picture = &frame.picture;
        let wish = PictureWish { width: picture.width, height: picture.height, ..self.wish };
        self.share.write(|path| Film::new(path, picture, wish), |film| film.write(picture));
        if self.frames {
            let shown_ms = self.millis(at);
            let mut more = json!({ "shown_ms": shown_ms, "width": picture.width, "height": picture.height });
            if let Some(reading) = pattern::read(picture) {
                more["number"] = json!(reading.number);
                more["captured_ms"] = json!(reading.unix_ms);
            }
            self.printer.event(shown_ms, "share-shown", more, "");
        }
    }
}
