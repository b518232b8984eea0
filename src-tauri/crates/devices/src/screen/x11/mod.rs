//! X11: screens by RandR, windows by the window manager's list (EWMH), pictures through shared memory.

mod capture;
mod cursor;
mod list;
mod shm;

use x11rb::connection::Connection as _;
use x11rb::errors::{ConnectError, ConnectionError, ReplyError, ReplyOrIdError};
use x11rb::protocol::composite::ConnectionExt as _;
use x11rb::protocol::damage::ConnectionExt as _;
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::xfixes::ConnectionExt as _;
use x11rb::protocol::xproto::{ConnectionExt as _, ImageOrder, Screen, Window};
use x11rb::rust_connection::RustConnection;

use super::{Capture, Choice, Listed, Picker, ScreenError, ScreenRequest, Screens};
use crate::worker::Stop;

x11rb::atom_manager! {
    /// The words that window managers use (EWMH, ICCCM).
    pub(super) Atoms: AtomsCookie {
        UTF8_STRING,
        _NET_CLIENT_LIST,
        _NET_CLIENT_LIST_STACKING,
        _NET_WM_ICON,
        _NET_WM_NAME,
        _NET_WM_PID,
        _NET_WM_STATE,
        _NET_WM_STATE_HIDDEN,
        _NET_WM_STATE_SKIP_TASKBAR,
        _NET_WM_WINDOW_TYPE,
        _NET_WM_WINDOW_TYPE_DESKTOP,
        _NET_WM_WINDOW_TYPE_DOCK,
        WM_STATE,
    }
}

/// A part of the root window, or of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    x: i32,
    y: i32,
    width: u32,
    height: u32,
}

/// What an identifier means.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// The screen of this name.
    Screen(String),
    Window(Window),
}

impl Target {
    fn id(&self) -> String {
        match self {
            Self::Screen(name) => format!("screen:{name}"),
            Self::Window(window) => format!("window:{window:x}"),
        }
    }

    fn parse(id: &str) -> Option<Self> {
        match id.split_once(':')? {
            ("screen", name) => Some(Self::Screen(name.to_owned())),
            ("window", window) => Some(Self::Window(Window::from_str_radix(window, 16).ok()?)),
            _ => None,
        }
    }
}

/// A connection to the X server, with all that is needed of it.
struct Display {
    connection: RustConnection,
    screen: Screen,
    atoms: Atoms,
}

impl Display {
    fn open() -> Result<Self, ScreenError> {
        if std::env::var_os("DISPLAY").is_none_or(|display| display.is_empty()) {
            return Err(ScreenError::NoScreen { detail: "DISPLAY is not set".to_owned() });
        }
        let (connection, number) = x11rb::connect(None)?;
        let setup = connection.setup();
        if setup.image_byte_order != ImageOrder::LSB_FIRST {
            return Err(failed("its bytes are the other way round"));
        }
        let screen = setup.roots.get(number).cloned().ok_or_else(|| failed("it has no screen"))?;
        let four_bytes =
            |depth: u8| setup.pixmap_formats.iter().any(|format| format.depth == depth && format.bits_per_pixel == 32);
        if screen.root_depth < 24 || !four_bytes(screen.root_depth) {
            return Err(failed(&format!("its colours have {} bits", screen.root_depth)));
        }
        let atoms = Atoms::new(&connection)?;
        // Each answers before it may be used; one that is missing is an error.
        connection.randr_query_version(1, 5)?.reply()?;
        connection.xfixes_query_version(5, 0)?.reply()?;
        connection.damage_query_version(1, 1)?.reply()?;
        connection.composite_query_version(0, 4)?.reply()?;
        let atoms = atoms.reply()?;
        Ok(Self { connection, screen, atoms })
    }

    /// Screens by name, the primary one first.
    fn monitors(&self) -> Result<Vec<(String, Area)>, ScreenError> {
        let reply = self.connection.randr_get_monitors(self.screen.root, true)?.reply()?;
        let mut monitors = reply.monitors;
        monitors.sort_by_key(|monitor| !monitor.primary);
        let mut found = Vec::with_capacity(monitors.len());
        for monitor in monitors.iter().filter(|monitor| monitor.width > 0 && monitor.height > 0) {
            let name = self.connection.get_atom_name(monitor.name)?.reply()?.name;
            let (x, y) = (monitor.x.into(), monitor.y.into());
            let area = Area { x, y, width: monitor.width.into(), height: monitor.height.into() };
            found.push((String::from_utf8_lossy(&name).into_owned(), area));
        }
        if found.is_empty() {
            let (width, height) = (self.screen.width_in_pixels.into(), self.screen.height_in_pixels.into());
            found.push(("X11".to_owned(), Area { x: 0, y: 0, width, height }));
        }
        Ok(found)
    }
}

struct X11 {
    display: Display,
    pictures: list::Pictures,
}

pub(super) fn screens() -> Result<Box<dyn Screens>, ScreenError> {
    Ok(Box::new(X11 { display: Display::open()?, pictures: list::Pictures::default() }))
}

impl Screens for X11 {
    fn picker(&self) -> Picker {
        Picker::Own
    }

    fn list(&mut self) -> Result<Vec<Listed>, ScreenError> {
        list::list(&self.display, &mut self.pictures)
    }

    fn open(&mut self, request: &ScreenRequest, _stop: &Stop) -> Result<Box<dyn Capture>, ScreenError> {
        let target = match &request.choice {
            Choice::Source(id) => Target::parse(id).ok_or(ScreenError::Missing)?,
            // There is no picker of the system: its first screen.
            Choice::System => {
                Target::Screen(self.display.monitors()?.into_iter().next().ok_or(ScreenError::Missing)?.0)
            }
        };
        Ok(Box::new(capture::X11Capture::open(target, request)?))
    }
}

fn failed(detail: &str) -> ScreenError {
    ScreenError::Failed { detail: format!("the X server: {detail}") }
}

impl From<ConnectError> for ScreenError {
    fn from(error: ConnectError) -> Self {
        Self::NoScreen { detail: error.to_string() }
    }
}

impl From<ConnectionError> for ScreenError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::UnsupportedExtension => failed("it lacks an extension"),
            _ => Self::Lost { detail: error.to_string() },
        }
    }
}

impl From<ReplyError> for ScreenError {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ConnectionError(error) => error.into(),
            ReplyError::X11Error(error) => failed(&format!("{:?}", error.error_kind)),
        }
    }
}

impl From<ReplyOrIdError> for ScreenError {
    fn from(error: ReplyOrIdError) -> Self {
        match error {
            ReplyOrIdError::ConnectionError(error) => error.into(),
            ReplyOrIdError::X11Error(error) => failed(&format!("{:?}", error.error_kind)),
            ReplyOrIdError::IdsExhausted => failed("it has no names left"),
        }
    }
}
