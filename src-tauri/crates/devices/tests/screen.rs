//! Screens and windows of a real X server with a real window manager.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ahoy_devices::{
    Choice, Lister, Picker, ScreenError, ScreenEvent, ScreenRequest, ScreenStream, SourceKind, THUMBNAIL, open_screen,
};
use ahoy_media::video::VideoFrame;
use ahoy_testkit::display::VirtualDisplay;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::*;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

const SOON: Duration = Duration::from_secs(10);
const SIZE: (u32, u32) = (1_280, 720);

/// The display is found by an environment variable, so one test at a time.
struct Desk {
    display: VirtualDisplay,
    _one: MutexGuard<'static, ()>,
}

fn desk() -> Desk {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let display = VirtualDisplay::start(SIZE.0, SIZE.1).unwrap();
    // SAFETY: the tests of this file hold one lock, and threads that look for a display live only inside a test.
    unsafe { std::env::set_var("DISPLAY", display.name()) };
    // SAFETY: as above.
    unsafe { std::env::remove_var("WAYLAND_DISPLAY") };
    // SAFETY: as above.
    unsafe { std::env::remove_var("XDG_SESSION_TYPE") };
    Desk { display, _one: one }
}

/// Somebody's program with a window.
struct Program {
    connection: RustConnection,
    window: Window,
    gc: Gcontext,
}

impl Program {
    fn new(desk: &Desk, title: &str, (width, height): (u16, u16)) -> Self {
        let (connection, number) = x11rb::connect(Some(desk.display.name())).unwrap();
        let screen = &connection.setup().roots[number];
        let (window, gc) = (connection.generate_id().unwrap(), connection.generate_id().unwrap());
        let wish = CreateWindowAux::new().background_pixel(0x0040_4040).event_mask(EventMask::EXPOSURE);
        let class = WindowClass::INPUT_OUTPUT;
        connection
            .create_window(screen.root_depth, window, screen.root, 40, 30, width, height, 0, class, 0, &wish)
            .unwrap();
        let class = b"paper\0Paper\0";
        connection
            .change_property8(PropMode::REPLACE, window, AtomEnum::WM_NAME, AtomEnum::STRING, title.as_bytes())
            .unwrap();
        connection.change_property8(PropMode::REPLACE, window, AtomEnum::WM_CLASS, AtomEnum::STRING, class).unwrap();
        let icon = connection.intern_atom(false, b"_NET_WM_ICON").unwrap().reply().unwrap().atom;
        let pixels: Vec<u32> = [2, 2].into_iter().chain([0xFF00_80FF; 4]).collect();
        connection.change_property32(PropMode::REPLACE, window, icon, AtomEnum::CARDINAL, &pixels).unwrap();
        connection.create_gc(gc, window, &CreateGCAux::new()).unwrap();
        connection.map_window(window).unwrap();
        connection.sync().unwrap();
        desk.display.wait_for_window(title, SOON).unwrap();
        Self { connection, window, gc }
    }

    fn fill(&self, colour: u32, (x, y): (i16, i16), (width, height): (u16, u16)) {
        self.connection.change_gc(self.gc, &ChangeGCAux::new().foreground(colour)).unwrap();
        self.connection.poly_fill_rectangle(self.window, self.gc, &[Rectangle { x, y, width, height }]).unwrap();
        self.connection.sync().unwrap();
    }

    fn resize(&self, width: u32, height: u32) {
        let wish = ConfigureWindowAux::new().width(width).height(height);
        self.connection.configure_window(self.window, &wish).unwrap();
        self.connection.sync().unwrap();
    }

    fn id(&self) -> String {
        format!("window:{:x}", self.window)
    }
}

/// A capture under way.
struct Watched {
    _stream: ScreenStream,
    frames: Receiver<VideoFrame>,
    events: Receiver<ScreenEvent>,
}

fn watch(choice: Choice) -> Watched {
    let ((frame, frames), (event, events)) = (mpsc::channel(), mpsc::channel());
    let stream = open_screen(
        ScreenRequest::new(choice),
        move |taken| drop(frame.send(taken)),
        move |told| drop(event.send(told)),
    );
    Watched { _stream: stream.unwrap(), frames, events }
}

impl Watched {
    fn event(&self) -> ScreenEvent {
        self.events.recv_timeout(SOON).unwrap()
    }

    /// Waits for a picture that fits.
    fn until(&self, what: &str, fits: impl Fn(&VideoFrame) -> bool) -> VideoFrame {
        let end = Instant::now() + SOON;
        let mut seen = 0;
        while let Ok(frame) = self.frames.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if fits(&frame) {
                return frame;
            }
            seen += 1;
        }
        panic!("{what} did not come; {seen} other pictures did");
    }

    /// Until nothing comes any more; what is under way, and what a window manager still does to a new window, comes first.
    fn settle(&self) {
        let end = Instant::now() + SOON;
        while self.idle() > 0 {
            assert!(Instant::now() < end, "pictures come although nothing changes");
        }
    }

    /// How many come within a time in which nothing changes.
    fn idle(&self) -> usize {
        // What is under way still comes.
        std::thread::sleep(Duration::from_millis(200));
        while self.frames.try_recv().is_ok() {}
        std::thread::sleep(Duration::from_millis(600));
        self.frames.try_iter().count()
    }
}

fn luma(frame: &VideoFrame, x: u32, y: u32) -> u8 {
    frame.picture.y[(y * frame.picture.width + x) as usize]
}

/// White, in limited range.
fn white(luma: u8) -> bool {
    luma >= 230
}

#[test]
fn screens_and_windows_are_listed_with_names_icons_and_thumbnails() {
    let desk = desk();
    let invoice = Program::new(&desk, "Invoice 7", (400, 300));
    invoice.fill(0x00FF_FFFF, (0, 0), (400, 300));
    let _over = Program::new(&desk, "On top", (400, 300));
    let mut lister = Lister::new().unwrap();
    assert_eq!(lister.picker(), Picker::Own);
    // Until it is redirected, the server keeps nothing of a covered window.
    lister.list().unwrap();
    invoice.fill(0x00FF_FFFF, (0, 0), (400, 300));
    let listed = lister.list().unwrap();
    let names: Vec<_> = listed.iter().map(|one| (one.info.kind, one.info.name.as_str())).collect();
    println!("{names:?}");
    assert_eq!(names[0].0, SourceKind::Screen);
    assert_eq!((listed[0].info.width, listed[0].info.height), SIZE);
    assert_eq!(names[1..], [(SourceKind::Window, "On top"), (SourceKind::Window, "Invoice 7")], "uppermost first");
    let window = &listed[2];
    assert_eq!(window.info.app.as_deref(), Some("Paper"));
    assert_eq!(window.info.id, invoice.id());
    let icon = window.icon.as_ref().unwrap();
    assert_eq!((icon.width, icon.height, &icon.rgba[..4]), (2, 2, &[0, 0x80, 0xFF, 0xFF][..]));
    for one in &listed {
        let thumbnail = one.thumbnail.as_ref().unwrap();
        assert!(thumbnail.is_consistent() && thumbnail.width <= THUMBNAIL.0 && thumbnail.height <= THUMBNAIL.1);
    }
    let thumbnail = window.thumbnail.as_ref().unwrap();
    let bright = thumbnail.y.iter().filter(|luma| white(**luma)).count();
    assert!(bright * 10 > thumbnail.y.len() * 9, "a covered window is seen whole: {bright} of {}", thumbnail.y.len());
}

#[test]
fn a_window_is_followed_through_change_cover_resize_and_close() {
    let desk = desk();
    let program = Program::new(&desk, "Letter", (320, 240));
    let watched = watch(Choice::Source(program.id()));
    let ScreenEvent::Opened(info) = watched.event() else { panic!("it opens first") };
    assert_eq!((info.kind, info.name.as_str(), info.width, info.height), (SourceKind::Window, "Letter", 320, 240));
    let first = watched.until("the first picture", |_| true);
    assert_eq!((first.picture.width, first.picture.height), (320, 240));
    assert!(!white(luma(&first, 100, 100)));
    watched.settle();
    assert_eq!(watched.idle(), 0, "nothing changes, so nothing comes");

    let drawn = Instant::now();
    program.fill(0x00FF_FFFF, (90, 91), (31, 33));
    let changed = watched.until("what was drawn", |frame| white(luma(frame, 100, 100)));
    println!("seen {:?} after it was drawn", drawn.elapsed());
    assert!(!white(luma(&changed, 89, 100)) && !white(luma(&changed, 121, 100)), "and nothing beside it");
    assert!(!white(luma(&changed, 100, 90)) && white(luma(&changed, 100, 123)) && !white(luma(&changed, 100, 125)));

    // Another window covers it: what is shown is still this one.
    let over = Program::new(&desk, "Secret", (600, 500));
    over.fill(0x00FF_FFFF, (0, 0), (600, 500));
    program.fill(0x00FF_FFFF, (0, 0), (20, 20));
    let covered = watched.until("what is drawn under another window", |frame| white(luma(frame, 10, 10)));
    assert!(!white(luma(&covered, 200, 200)), "nothing of the other window is seen");

    program.resize(501, 301);
    let resized = watched.until("the new size", |frame| frame.picture.width == 500);
    assert_eq!(resized.picture.height, 300, "odd sides are cut to even ones");
    program.fill(0x00FF_FFFF, (480, 280), (10, 10));
    watched.until("what is drawn in the new part", |frame| white(luma(frame, 485, 285)));

    program.connection.destroy_window(program.window).unwrap();
    program.connection.sync().unwrap();
    // It is unmapped first, which may be noticed by itself, as may that it was uncovered.
    let ended = std::iter::repeat_with(|| watched.event()).find(|event| matches!(event, ScreenEvent::Ended(_)));
    assert_eq!(ended, Some(ScreenEvent::Ended(ScreenError::Closed)));
}

#[test]
fn a_minimised_window_stands_still_and_comes_back() {
    let desk = desk();
    let program = Program::new(&desk, "Letter", (320, 240));
    let watched = watch(Choice::Source(program.id()));
    assert!(matches!(watched.event(), ScreenEvent::Opened(_)));
    watched.until("the first picture", |_| true);
    program.connection.unmap_window(program.window).unwrap();
    program.connection.sync().unwrap();
    assert_eq!(watched.event(), ScreenEvent::Hidden);
    watched.settle();
    program.connection.map_window(program.window).unwrap();
    program.connection.sync().unwrap();
    assert_eq!(watched.event(), ScreenEvent::Shown);
    program.fill(0x00FF_FFFF, (0, 0), (320, 240));
    watched.until("what it draws again", |frame| white(luma(frame, 10, 10)));
}

#[test]
fn the_screen_is_shown_with_its_cursor() {
    let desk = desk();
    let mut lister = Lister::new().unwrap();
    let screen = lister.list().unwrap()[0].info.clone();
    let watched = watch(Choice::Source(screen.id));
    watched.until("the first picture", |frame| (frame.picture.width, frame.picture.height) == SIZE);
    let program = Program::new(&desk, "Letter", (320, 240));
    program.fill(0x0000_0000, (0, 0), (320, 240));
    let point = |x: u32, y: u32| {
        let (x, y) = (x.to_string(), y.to_string());
        let moved = Command::new("xdotool").args(["mousemove", &x, &y]).env("DISPLAY", desk.display.name()).status();
        assert!(moved.unwrap().success());
    };
    point(1_000, 600);
    watched.settle();
    let before = {
        program.fill(0x0000_0000, (0, 0), (1, 1));
        watched.until("a picture", |_| true)
    };
    // How much of the surroundings of a point is another than with the cursor elsewhere.
    let differs = |frame: &VideoFrame, x: u32, y: u32| {
        let around = (y..y + 16).flat_map(|row| (x..x + 16).map(move |column| (column, row)));
        around.filter(|(x, y)| luma(frame, *x, *y).abs_diff(luma(&before, *x, *y)) > 20).count()
    };
    point(700, 300);
    let there = watched.until("the cursor at its new place", |frame| differs(frame, 700, 300) > 5);
    assert!(differs(&there, 1_000, 600) > 5, "it is no longer where it was");
    point(200, 500);
    let elsewhere = watched.until("the cursor elsewhere", |frame| differs(frame, 200, 500) > 5);
    assert_eq!(differs(&elsewhere, 700, 300), 0, "no trace of it is left");
    watched.settle();
    assert_eq!(watched.idle(), 0, "a cursor that rests costs nothing");
}

#[test]
fn what_is_not_there_is_said_in_a_word() {
    let desk = desk();
    for id in ["window:7ffffff", "screen:none", "nonsense", "window:zz", ""] {
        let watched = watch(Choice::Source(id.to_owned()));
        assert_eq!(watched.event(), ScreenEvent::Ended(ScreenError::Missing), "{id}");
    }
    let watched = watch(Choice::Source("pattern".to_owned()));
    assert!(matches!(watched.event(), ScreenEvent::Opened(_)));
    watched.until("a picture of the pattern", |frame| frame.number > 2);
    // The server goes away under a capture.
    let screen = Lister::new().unwrap().list().unwrap()[0].info.id.clone();
    let watched = watch(Choice::Source(screen));
    watched.until("the first picture", |_| true);
    let Desk { display, _one } = desk;
    drop(display);
    assert!(matches!(watched.event(), ScreenEvent::Opened(_)));
    assert!(matches!(watched.event(), ScreenEvent::Ended(ScreenError::Lost { .. })));
    assert!(matches!(Lister::new(), Err(ScreenError::NoScreen { .. })));
}
