//! Screens and windows: one request, one thread, one callback with each picture in which something has changed.
//!
//! ```text
//! Lister::list ──► SourceInfo{id} ──► open_screen ──► a thread that calls on_frame with each new picture
//!                                                     and on_event with Opened, Hidden, Shown, at last Ended
//! ```
//! A picture comes only when something in it changed, so a still page costs nothing; the cursor is in the picture. One trait
//! ([`Screens`]), one file a system.

mod error;
#[cfg(target_os = "macos")]
mod macos;
mod pattern;
mod stream;
#[cfg(target_os = "linux")]
mod wayland;
#[cfg(windows)]
mod windows;
#[cfg(target_os = "linux")]
mod x11;

use std::time::Duration;

use ahoy_media::video::{I420, VideoFrame};

use crate::worker::Stop;
pub use error::ScreenError;
pub use stream::{ScreenEvent, ScreenStream, open_screen};

/// What kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// A whole screen.
    Screen,
    /// One window.
    Window,
}

/// Something that can be captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceInfo {
    /// Good for as long as it is there.
    pub id: String,
    /// Screen or window.
    pub kind: SourceKind,
    /// The screen's name, or the window's title.
    pub name: String,
    /// The program whose window it is.
    pub app: Option<String>,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// A source in a list, with pictures of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What it is.
    pub info: SourceInfo,
    /// Its program's icon.
    pub icon: Option<Icon>,
    /// How it looks now, within [`THUMBNAIL`]; none while it cannot be seen.
    pub thumbnail: Option<I420>,
}

/// An icon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icon {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Red, green, blue and alpha of each pixel, not premultiplied.
    pub rgba: Vec<u8>,
}

/// Thumbnails fit into this.
pub const THUMBNAIL: (u32, u32) = (320, 200);

/// Who lets the person choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picker {
    /// The program, from [`Lister::list`].
    Own,
    /// The system, when [`Choice::System`] is opened.
    System,
}

/// What is to be captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// This source, by its identifier; `pattern` is the test pattern.
    Source(String),
    /// What the system's own picker says.
    System,
}

/// What is wanted of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScreenRequest {
    /// What.
    pub choice: Choice,
    /// Pictures follow each other no quicker than this.
    pub interval: Duration,
    /// Larger sources are scaled into this, whichever way round.
    pub largest: (u32, u32),
}

impl ScreenRequest {
    /// 30 pictures a second of at most 2560 x 1440.
    pub fn new(choice: Choice) -> Self {
        Self { choice, interval: Duration::from_nanos(33_333_333), largest: (2_560, 1_440) }
    }
}

/// One system's screens. Made and used on one thread.
trait Screens {
    /// Who lets the person choose here.
    fn picker(&self) -> Picker;

    /// Screens first, then windows, the one used last first; this program's own windows are left out.
    fn list(&mut self) -> Result<Vec<Listed>, ScreenError>;

    /// Begins to capture; may take as long as the person takes to choose.
    fn open(&mut self, request: &ScreenRequest, stop: &Stop) -> Result<Box<dyn Capture>, ScreenError>;
}

/// A running capture. Made and used on one thread.
trait Capture {
    /// What is captured.
    fn info(&self) -> SourceInfo;

    /// Waits until something has changed, or for `stop`; looks round from time to time.
    fn next(&mut self, stop: &Stop) -> Result<Next, ScreenError>;
}

/// What a [`Capture`] came back with.
enum Next {
    Frame(VideoFrame),
    /// It cannot be seen now (minimised); the last picture stands.
    Hidden,
    /// Told to stop, or nothing has changed for a while.
    Nothing,
}

/// Lists what there is. Keeps its connection to the system while it lives, since some only then know how a covered window
/// looks.
pub struct Lister(Box<dyn Screens>);

impl Lister {
    /// Connects to the system.
    ///
    /// # Errors
    /// [`ScreenError`]: no screens here, or no way to them.
    pub fn new() -> Result<Self, ScreenError> {
        system().map(Self)
    }

    /// Who lets the person choose here.
    pub fn picker(&self) -> Picker {
        self.0.picker()
    }

    /// Screens first, then windows, the one used last first; this program's own windows are left out.
    ///
    /// # Errors
    /// [`ScreenError`], after which a new lister may do.
    pub fn list(&mut self) -> Result<Vec<Listed>, ScreenError> {
        self.0.list()
    }
}

impl std::fmt::Debug for Lister {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lister").field("picker", &self.picker()).finish()
    }
}

/// Wayland's portal where the session is Wayland's, else X11.
#[cfg(target_os = "linux")]
fn system() -> Result<Box<dyn Screens>, ScreenError> {
    if wayland::is_session() {
        return wayland::screens();
    }
    x11::screens()
}

#[cfg(windows)]
fn system() -> Result<Box<dyn Screens>, ScreenError> {
    windows::screens()
}

#[cfg(target_os = "macos")]
fn system() -> Result<Box<dyn Screens>, ScreenError> {
    macos::screens()
}

#[cfg(not(any(target_os = "linux", windows, target_os = "macos")))]
fn system() -> Result<Box<dyn Screens>, ScreenError> {
    Err(ScreenError::NoScreen { detail: "this system is not known".to_owned() })
}
