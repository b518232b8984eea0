//! What screens and windows there are, and how they look.

use std::collections::HashSet;

use ahoy_media::video::scale::fit;
use ahoy_media::video::{Converter, I420, PixelFormat, RawPicture, Scaler};
use x11rb::connection::Connection as _;
use x11rb::protocol::composite::{ConnectionExt as _, Redirect};
use x11rb::protocol::xproto::{Atom, AtomEnum, ConnectionExt as _, Drawable, MapState, Window};

use super::shm::Pixels;
use super::{Area, Display, ScreenError, Target};
use crate::screen::{Icon, Listed, SourceInfo, SourceKind, THUMBNAIL};

/// More windows than anybody looks through.
const MOST_WINDOWS: usize = 60;
/// Words of an icon property that are read: sizes up to 256 x 256 and some smaller ones.
const ICON_WORDS: u32 = 200_000;
/// The icon nearest to this side is taken.
const ICON_SIDE: u32 = 64;
/// Words of a list or a name that are read.
const PROPERTY_WORDS: u32 = 4_096;
/// A title is shown in a line or two.
const TITLE_CHARS: usize = 200;

/// What is kept between two listings.
#[derive(Default)]
pub(super) struct Pictures {
    converter: Converter,
    scaler: Scaler,
    whole: I420,
    /// Windows that the server keeps whole for us, also where others cover them. It forgets them with the connection.
    redirected: HashSet<Window>,
}

pub(super) fn list(display: &Display, pictures: &mut Pictures) -> Result<Vec<Listed>, ScreenError> {
    let mut listed = Vec::new();
    for (name, area) in display.monitors()? {
        let thumbnail = pictures.thumbnail(display, display.screen.root, area);
        listed.push(Listed { info: screen_info(&name, area), icon: None, thumbnail });
    }
    let windows = windows(display)?;
    pictures.redirected.retain(|window| windows.contains(window));
    for window in windows.into_iter().take(MOST_WINDOWS) {
        // One that closes meanwhile is left out.
        let Ok(Some(info)) = window_info(display, window) else { continue };
        let icon = icon(display, window);
        let thumbnail = pictures.of_window(display, window);
        listed.push(Listed { info, icon, thumbnail });
    }
    Ok(listed)
}

pub(super) fn screen_info(name: &str, area: Area) -> SourceInfo {
    SourceInfo {
        id: Target::Screen(name.to_owned()).id(),
        kind: SourceKind::Screen,
        name: name.to_owned(),
        app: None,
        width: area.width,
        height: area.height,
    }
}

/// What a window is; `None` for one of this program, or one that nobody would choose.
pub(super) fn window_info(display: &Display, window: Window) -> Result<Option<SourceInfo>, ScreenError> {
    let connection = &display.connection;
    let atoms = &display.atoms;
    let geometry = connection.get_geometry(window)?;
    let states = words(display, window, atoms._NET_WM_STATE, AtomEnum::ATOM.into());
    let types = words(display, window, atoms._NET_WM_WINDOW_TYPE, AtomEnum::ATOM.into());
    let unfit = [atoms._NET_WM_WINDOW_TYPE_DESKTOP, atoms._NET_WM_WINDOW_TYPE_DOCK];
    let own = words(display, window, atoms._NET_WM_PID, AtomEnum::CARDINAL.into()).first() == Some(&std::process::id());
    if own || states.contains(&atoms._NET_WM_STATE_SKIP_TASKBAR) || types.iter().any(|kind| unfit.contains(kind)) {
        return Ok(None);
    }
    let geometry = geometry.reply().map_err(|_| ScreenError::Missing)?;
    let name = text(display, window, atoms._NET_WM_NAME, atoms.UTF8_STRING)
        .or_else(|| text(display, window, AtomEnum::WM_NAME.into(), AtomEnum::ANY.into()));
    // WM_CLASS (ICCCM, 4.1.2.5): instance and class, each with a zero behind it.
    let class = bytes(display, window, AtomEnum::WM_CLASS.into(), AtomEnum::STRING.into());
    let app = class.split(|byte| *byte == 0).nth(1).map(String::from_utf8_lossy).filter(|app| !app.is_empty());
    let app = app.map(|app| shortened(&app));
    Ok(Some(SourceInfo {
        id: Target::Window(window).id(),
        kind: SourceKind::Window,
        name: name.or_else(|| app.clone()).unwrap_or_else(|| format!("0x{window:x}")),
        app,
        width: geometry.width.into(),
        height: geometry.height.into(),
    }))
}

/// The windows that a person knows of, the upper ones first; without a window manager those under the root that can be seen.
fn windows(display: &Display) -> Result<Vec<Window>, ScreenError> {
    let (root, atoms) = (display.screen.root, &display.atoms);
    for list in [atoms._NET_CLIENT_LIST_STACKING, atoms._NET_CLIENT_LIST] {
        let mut windows = words(display, root, list, AtomEnum::WINDOW.into());
        if !windows.is_empty() {
            windows.reverse();
            return Ok(windows);
        }
    }
    let mut children = display.connection.query_tree(root)?.reply()?.children;
    children.reverse();
    children.retain(|window| {
        is_viewable(display, *window) && {
            text(display, *window, AtomEnum::WM_NAME.into(), AtomEnum::ANY.into()).is_some()
        }
    });
    Ok(children)
}

fn is_viewable(display: &Display, window: Window) -> bool {
    let asked = display.connection.get_window_attributes(window).ok();
    asked.and_then(|cookie| cookie.reply().ok()).is_some_and(|state| state.map_state == MapState::VIEWABLE)
}

impl Pictures {
    fn of_window(&mut self, display: &Display, window: Window) -> Option<I420> {
        if !is_viewable(display, window) {
            return None;
        }
        let connection = &display.connection;
        if !self.redirected.contains(&window) {
            connection.composite_redirect_window(window, Redirect::AUTOMATIC).ok()?.check().ok()?;
            self.redirected.insert(window);
        }
        let pixmap = connection.generate_id().ok()?;
        connection.composite_name_window_pixmap(window, pixmap).ok()?.check().ok()?;
        let size = connection.get_geometry(pixmap).ok()?.reply().ok();
        let area = size.map(|size| Area { x: 0, y: 0, width: size.width.into(), height: size.height.into() });
        let thumbnail = area.and_then(|area| self.thumbnail(display, pixmap, area));
        connection.free_pixmap(pixmap).ok()?;
        thumbnail
    }

    fn thumbnail(&mut self, display: &Display, drawable: Drawable, area: Area) -> Option<I420> {
        let (width, height) = (area.width & !1, area.height & !1);
        if width < 2 || height < 2 {
            return None;
        }
        let mut pixels = Pixels::new(&display.connection, width, height).ok()?;
        let read = pixels.read(&display.connection, drawable, (area.x, area.y), 0..height);
        let raw = RawPicture { format: PixelFormat::Bgra, width, height, stride: None, data: pixels.bytes() };
        let converted = read.is_ok() && self.converter.convert(&raw, &mut self.whole).is_ok();
        pixels.release(&display.connection);
        let (width, height) = fit(width, height, THUMBNAIL.0, THUMBNAIL.1);
        let mut small = I420::default();
        let made = converted && self.scaler.scale(&self.whole, width.max(2), height.max(2), &mut small).is_ok();
        made.then_some(small)
    }
}

fn property(display: &Display, window: Window, name: Atom, kind: Atom, most: u32) -> Option<(u8, Vec<u8>)> {
    let asked = display.connection.get_property(false, window, name, kind, 0, most).ok()?;
    let reply = asked.reply().ok()?;
    Some((reply.format, reply.value))
}

fn bytes(display: &Display, window: Window, name: Atom, kind: Atom) -> Vec<u8> {
    property(display, window, name, kind, PROPERTY_WORDS).filter(|(format, _)| *format == 8).unwrap_or_default().1
}

fn words(display: &Display, window: Window, name: Atom, kind: Atom) -> Vec<u32> {
    let value = property(display, window, name, kind, PROPERTY_WORDS).filter(|(format, _)| *format == 32);
    as_words(&value.unwrap_or_default().1)
}

fn as_words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]])).collect()
}

fn text(display: &Display, window: Window, name: Atom, kind: Atom) -> Option<String> {
    let text = bytes(display, window, name, kind);
    let text = shortened(&String::from_utf8_lossy(&text));
    (!text.is_empty()).then_some(text)
}

/// A title may be anything: one line of it.
fn shortened(text: &str) -> String {
    let line = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    line.take(TITLE_CHARS).collect::<String>().trim().to_owned()
}

fn icon(display: &Display, window: Window) -> Option<Icon> {
    let kind = AtomEnum::CARDINAL.into();
    let (format, value) = property(display, window, display.atoms._NET_WM_ICON, kind, ICON_WORDS)?;
    (format == 32).then(|| best_icon(&as_words(&value)))?
}

/// The icon whose side is nearest to what is shown, of those one after the other in the property (EWMH): width, height,
/// pixels.
fn best_icon(mut words: &[u32]) -> Option<Icon> {
    let mut best: Option<(u32, Icon)> = None;
    while let [width, height, rest @ ..] = words {
        let count = usize::try_from(u64::from(*width) * u64::from(*height)).ok()?;
        if count == 0 || count > rest.len() {
            break;
        }
        let apart = width.abs_diff(ICON_SIDE);
        if *width <= 256 && *height <= 256 && best.as_ref().is_none_or(|(least, _)| apart < *least) {
            let rgba = rest[..count].iter().flat_map(|pixel| {
                let [blue, green, red, alpha] = pixel.to_le_bytes();
                [red, green, blue, alpha]
            });
            best = Some((apart, Icon { width: *width, height: *height, rgba: rgba.collect() }));
        }
        words = &rest[count..];
    }
    best.map(|(_, icon)| icon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_icons_the_one_nearest_in_size_is_taken_and_lies_are_not_believed() {
        let one = |side: u32, pixel: u32| [vec![side, side], vec![pixel; (side * side) as usize]].concat();
        let all = [one(16, 1), one(48, 0x8011_2233), one(128, 3)].concat();
        let icon = best_icon(&all).expect("one");
        assert_eq!((icon.width, &icon.rgba[..4]), (48, &[0x11, 0x22, 0x33, 0x80][..]));
        assert_eq!(best_icon(&[]), None);
        assert_eq!(best_icon(&[u32::MAX, u32::MAX, 5]), None);
        assert_eq!(best_icon(&[0, 0, 0, 0]), None);
        assert_eq!(best_icon(&[4, 4, 1, 2, 3]), None);
    }

    #[test]
    fn a_title_is_one_short_line() {
        assert_eq!(shortened("  a\nb\u{7}c "), "a b c");
        assert_eq!(shortened(&"x".repeat(9_000)).len(), TITLE_CHARS);
    }
}
