//! Lines of pictures and the files of what was decoded, written away from the media threads.
//!
//! Pictures and sound have a thread each: both may go into named pipes, and whoever reads the two may wait for one while the
//! other is not opened yet.

mod film;
mod sound;

use std::fs::OpenOptions;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ahoy_engine::media::{Block, VideoFrame};
use ahoy_engine::{PictureWish, Taps};

use crate::out::Printer;
use film::Pictures;

/// media threads -> writer threads; 1 s of pictures or sound and more; full: the new one is left out, its line too.
const QUEUE: usize = 128;
/// Pictures that may wait for a slow reader of `--video-out`; more would be tens of megabytes.
const WAITING: usize = 30;
/// For a slow reader at the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be written.
pub struct Wanted {
    /// A line for each picture.
    pub frames: bool,
    /// The film, and the time between two of its pictures.
    pub video: Option<(PathBuf, Duration)>,
    /// The pictures of a shared screen.
    pub share: Option<PathBuf>,
    /// The sound.
    pub audio: Option<PathBuf>,
}

/// The two writers; a part that is not wanted has none.
pub struct Recorder {
    pictures: Option<Writer<film::Item>>,
    sound: Option<Writer<Block>>,
    waiting: Arc<std::sync::atomic::AtomicUsize>,
    frames: bool,
    /// What is shared is written or told of.
    shares: bool,
}

impl Recorder {
    /// Starts the threads that are needed.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(printer: Printer, wanted: Wanted, wish: PictureWish) -> anyhow::Result<Self> {
        let waiting = Arc::<std::sync::atomic::AtomicUsize>::default();
        let Wanted { frames, video, share, audio } = wanted;
        let shares = frames || share.is_some();
        let pictures = (shares || video.is_some()).then(|| {
            let files = film::Files { video, share };
            let pictures = Pictures::new(printer, frames, files, wish, Arc::clone(&waiting));
            Writer::start("pictures", move |items| pictures.run(items))
        });
        let sound = audio.map(|path| Writer::start("sound", move |blocks| sound::write(path, blocks)));
        Ok(Self { pictures: pictures.transpose()?, sound: sound.transpose()?, waiting, frames, shares })
    }

    /// The callbacks for the engine.
    pub fn taps(&self) -> Taps {
        use std::sync::atomic::Ordering;
        let mut taps = Taps::default();
        if let Some(pictures) = &self.pictures {
            if self.frames {
                let items = pictures.items.clone();
                taps.captured = Some(Arc::new(move |frame: &VideoFrame| {
                    let captured = film::Item::Captured { number: frame.number, at: frame.captured };
                    drop(items.try_send(Some(captured)));
                }));
            }
            let (items, waiting) = (pictures.items.clone(), Arc::clone(&self.waiting));
            taps.shown = Some(Arc::new(move |frame: &VideoFrame, at: Instant| {
                if waiting.fetch_add(1, Ordering::AcqRel) < WAITING
                    && items.try_send(Some(film::Item::Shown { frame: frame.clone(), at })).is_ok()
                {
                    return;
                }
                waiting.fetch_sub(1, Ordering::AcqRel);
            }));
        }
        if let (Some(pictures), true) = (&self.pictures, self.shares) {
            let items = pictures.items.clone();
            // They are few; one that finds no room is left out.
            taps.screen_shown = Some(Arc::new(move |frame: &VideoFrame, at: Instant| {
                drop(items.try_send(Some(film::Item::Shared { frame: frame.clone(), at })));
            }));
        }
        if let Some(sound) = &self.sound {
            let items = sound.items.clone();
            taps.heard = Some(Arc::new(move |block: &Block, _: Instant| {
                let _ = items.try_send(Some(*block));
            }));
        }
        taps
    }

    /// Writes what waits and closes the files. A named pipe that nobody reads is given up after [`PATIENCE`].
    pub fn close(self) {
        let until = Instant::now() + PATIENCE;
        if let Some(pictures) = self.pictures {
            pictures.close(until);
        }
        if let Some(sound) = self.sound {
            sound.close(until);
        }
    }
}

/// A thread and its queue, which ends with `None`.
struct Writer<T> {
    items: SyncSender<Option<T>>,
    thread: JoinHandle<()>,
}

impl<T: Send + 'static> Writer<T> {
    fn start(name: &str, run: impl FnOnce(&Receiver<Option<T>>) + Send + 'static) -> std::io::Result<Self> {
        let (items, received) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&received))?;
        Ok(Self { items, thread })
    }

    fn close(self, until: Instant) {
        let mut end = Some(None);
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

impl<T> Out<T> {
    /// Opens it if that is still to be done, and writes; after an error, which is told, the call goes on without the file.
    fn write(
        &mut self,
        open: impl FnOnce(&Path) -> anyhow::Result<T>,
        write: impl FnOnce(&mut T) -> anyhow::Result<()>,
    ) {
        let outcome = match self {
            Self::None => return,
            Self::Wanted(path) => open(path).map(|opened| *self = Self::Open(opened)),
            Self::Open(_) => Ok(()),
        };
        let outcome = outcome.and_then(|()| if let Self::Open(opened) = self { write(opened) } else { Ok(()) });
        if let Err(error) = outcome {
            give_up(&error);
            *self = Self::None;
        }
    }
}

#[expect(clippy::print_stderr, reason = "a person runs this program")]
fn give_up(error: &anyhow::Error) {
    eprintln!("{error:#}");
}

fn open(path: &Path) -> anyhow::Result<BufWriter<std::fs::File>> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path);
    file.map(|file| BufWriter::with_capacity(1 << 20, file))
        .map_err(|error| anyhow::anyhow!("{} cannot be written: {error}. Give another file.", path.display()))
}
