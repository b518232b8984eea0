//! What is printed: JSON lines or sentences, and the files of what was decoded.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ahoy_engine::media::wav::{WavError, WavStream, WavWriter};
use ahoy_engine::media::y4m::Y4mWriter;
use ahoy_engine::media::{Block, FrameRate, I420, Scaler, VideoFrame, pattern, scale};
use ahoy_engine::{Clock, PictureWish, Taps};
use serde_json::{Value, json};

/// media threads -> writer thread; 1 s of pictures and more of sound; full: the new one is left out, its line too.
const QUEUE: usize = 128;
/// Pictures that may wait for a slow reader of `--video-out`; more would be tens of megabytes.
const PICTURES: usize = 30;

/// For a slow reader at the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prints lines. Cheap to clone; usable from any thread.
#[derive(Clone)]
pub struct Printer {
    json: bool,
    failed: Arc<Mutex<bool>>,
}

impl Printer {
    pub fn new(json: bool) -> Self {
        Self { json, failed: Arc::default() }
    }

    /// One event: a JSON line with `t_ms` and `event` first, or a sentence.
    pub fn event(&self, t_ms: f64, event: &str, more: Value, sentence: &str) {
        if self.json {
            // By hand, so that time and name stand first for whoever reads along.
            let more = more.to_string();
            let more =
                more.strip_prefix('{').filter(|rest| *rest != "}").map_or("}".to_owned(), |rest| format!(",{rest}"));
            self.line(&format!("{{\"t_ms\":{},\"event\":{}{more}", t_ms.round() as u64, Value::from(event)));
        } else if !sentence.is_empty() {
            self.line(sentence);
        }
    }

    /// Whether lines are JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// A finished line.
    pub fn line(&self, line: &str) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = std::io::stdout().lock();
        // Whoever read our lines is gone: the call need not end for it.
        *failed |= writeln!(out, "{line}").and_then(|()| out.flush()).is_err();
    }
}

enum Item {
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
    Heard(Box<Block>),
    End,
}

/// Writes lines of pictures and the files, away from the media threads.
pub struct Recorder {
    items: SyncSender<Item>,
    waiting: Arc<std::sync::atomic::AtomicUsize>,
    thread: JoinHandle<()>,
    frames: bool,
    video: bool,
    share: bool,
    audio: bool,
}

/// Where what was decoded goes.
pub struct Files {
    /// Camera pictures; one in each such time.
    pub video: Option<(PathBuf, Duration)>,
    /// Pictures of a shared screen.
    pub share: Option<PathBuf>,
    /// Sound.
    pub audio: Option<PathBuf>,
}

impl Recorder {
    /// A recorder for what the command line asks for; `None` when that is nothing.
    pub fn start(printer: Printer, frames: bool, files: Files, wish: PictureWish) -> anyhow::Result<Option<Self>> {
        let Files { video: video_out, share: share_out, audio: audio_out } = files;
        if !frames && video_out.is_none() && share_out.is_none() && audio_out.is_none() {
            return Ok(None);
        }
        let (items, received) = sync_channel(QUEUE);
        let waiting = Arc::<std::sync::atomic::AtomicUsize>::default();
        let (video, share, audio) = (video_out.is_some(), share_out.is_some(), audio_out.is_some());
        let writing = Writing {
            printer,
            clock: Clock::start(),
            frames,
            wish,
            waiting: Arc::clone(&waiting),
            every: video_out.as_ref().map_or(Duration::ZERO, |(_, every)| *every),
            written: None,
            video: video_out.map_or(Out::None, |(path, _)| Out::Wanted(path)),
            share: share_out.map_or(Out::None, Out::Wanted),
            audio: audio_out.map_or(Out::None, Out::Wanted),
        };
        let thread = std::thread::Builder::new().name("recorder".to_owned()).spawn(move || writing.run(&received))?;
        Ok(Some(Self { items, waiting, thread, frames, video, share, audio }))
    }

    /// The callbacks for the engine.
    pub fn taps(&self) -> Taps {
        use std::sync::atomic::Ordering;
        let mut taps = Taps::default();
        if self.frames {
            let items = self.items.clone();
            taps.captured = Some(Arc::new(move |frame: &VideoFrame| {
                drop(items.try_send(Item::Captured { number: frame.number, at: frame.captured }));
            }));
        }
        if self.frames || self.video {
            let (items, waiting) = (self.items.clone(), Arc::clone(&self.waiting));
            taps.shown = Some(Arc::new(move |frame: &VideoFrame, at: Instant| {
                if waiting.fetch_add(1, Ordering::AcqRel) < PICTURES
                    && items.try_send(Item::Shown { frame: frame.clone(), at }).is_ok()
                {
                    return;
                }
                waiting.fetch_sub(1, Ordering::AcqRel);
            }));
        }
        if self.frames || self.share {
            let items = self.items.clone();
            // They are few; one that finds no room is left out.
            taps.screen_shown = Some(Arc::new(move |frame: &VideoFrame, at: Instant| {
                drop(items.try_send(Item::Shared { frame: frame.clone(), at }));
            }));
        }
        if self.audio {
            let items = self.items.clone();
            taps.heard =
                Some(Arc::new(move |block: &Block, _: Instant| drop(items.try_send(Item::Heard(Box::new(*block))))));
        }
        taps
    }

    /// Writes what waits and closes the files. A named pipe that nobody reads is given up after [`PATIENCE`].
    pub fn close(self) {
        let until = Instant::now() + PATIENCE;
        let mut end = Some(Item::End);
        while !self.thread.is_finished() && Instant::now() < until {
            if let Some(item) = end.take()
                && let Err(TrySendError::Full(item)) = self.items.try_send(item)
            {
                end = Some(item);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if self.thread.is_finished() {
            let _ = self.thread.join();
        }
    }
}

/// A file that is opened when the first of its content is there: opening a named pipe waits for its reader, and a Y4M
/// file begins with the picture's size.
enum Out<T> {
    None,
    Wanted(PathBuf),
    Open(T),
}

/// A WAV file whose length is put right at the end, or a stream where the file cannot be gone back in.
enum Sound {
    File(WavWriter<BufWriter<std::fs::File>>),
    Pipe(WavStream<BufWriter<std::fs::File>>),
}

impl Sound {
    fn new(file: BufWriter<std::fs::File>) -> anyhow::Result<Self> {
        let seekable = file.get_ref().metadata().is_ok_and(|about| about.is_file());
        Ok(if seekable { Self::File(WavWriter::new(file)?) } else { Self::Pipe(WavStream::new(file)?) })
    }

    fn write(&mut self, block: &Block) -> Result<(), WavError> {
        match self {
            Self::File(writer) => writer.write(block),
            // Whoever reads a pipe wants it when it comes.
            Self::Pipe(stream) => stream.write(block).and_then(|()| stream.flush()),
        }
    }

    fn flush(&mut self) -> Result<(), WavError> {
        match self {
            Self::File(writer) => writer.flush(),
            Self::Pipe(stream) => stream.flush(),
        }
    }
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

struct Writing {
    printer: Printer,
    clock: Clock,
    frames: bool,
    wish: PictureWish,
    waiting: Arc<std::sync::atomic::AtomicUsize>,
    /// Between two pictures of the film.
    every: Duration,
    /// When the last of them was shown.
    written: Option<Instant>,
    video: Out<Film>,
    share: Out<Film>,
    audio: Out<Sound>,
}

impl Writing {
    fn run(mut self, items: &Receiver<Item>) {
        while let Ok(item) = items.recv() {
            match item {
                Item::Captured { number, at } => {
                    let captured_ms = self.millis(at);
                    let more = json!({ "number": number, "captured_ms": captured_ms });
                    self.printer.event(captured_ms, "captured", more, "");
                }
                Item::Shown { frame, at } => {
                    self.waiting.fetch_sub(1, std::sync::atomic::Ordering::AcqRel);
                    self.shown(&frame, at);
                }
                Item::Shared { frame, at } => self.shared(&frame, at),
                Item::Heard(block) => self.heard(&block),
                Item::End => break,
            }
        }
        if let Out::Open(audio) = &mut self.audio {
            let _ = audio.flush();
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
            self.film(picture);
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

    fn film(&mut self, picture: &I420) {
        if let Out::Wanted(path) = &self.video {
            self.video = Film::new(path, picture, self.wish).map_or_else(|error| self.give_up(&error), Out::Open);
        }
        if let Out::Open(film) = &mut self.video
            && let Err(error) = film.write(picture)
        {
            self.video = self.give_up(&error);
        }
    }

    fn shared(&mut self, frame: &VideoFrame, at: Instant) {
        let picture = &frame.picture;
        if let Out::Wanted(path) = &self.share {
            let wish = PictureWish { width: picture.width, height: picture.height, ..self.wish };
            self.share = Film::new(path, picture, wish).map_or_else(|error| self.give_up(&error), Out::Open);
        }
        if let Out::Open(film) = &mut self.share
            && let Err(error) = film.write(picture)
        {
            self.share = self.give_up(&error);
        }
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

    fn heard(&mut self, block: &Block) {
        if let Out::Wanted(path) = &self.audio {
            let opened = open(path).and_then(Sound::new);
            self.audio = opened.map_or_else(|error| self.give_up(&error), Out::Open);
        }
        if let Out::Open(audio) = &mut self.audio
            && let Err(error) = audio.write(block)
        {
            self.audio = self.give_up(&error.into());
        }
    }

    /// The call goes on without the file.
    #[expect(clippy::print_stderr, reason = "a person runs this program")]
    fn give_up<T>(&self, error: &anyhow::Error) -> Out<T> {
        eprintln!("{error:#}");
        Out::None
    }
}

fn open(path: &Path) -> anyhow::Result<BufWriter<std::fs::File>> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path);
    file.map(|file| BufWriter::with_capacity(1 << 20, file))
        .map_err(|error| anyhow::anyhow!("{} cannot be written: {error}. Give another file.", path.display()))
}
