//! Capturing a screen or a window: what is damaged is read anew, nothing else, and the cursor is drawn in.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahoy_media::video::scale::fit;
use ahoy_media::video::{Converter, I420, PixelFormat, RawPicture, Scaler, VideoFrame};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::composite::{ConnectionExt as _, Redirect};
use x11rb::protocol::damage::{ConnectionExt as _, Damage, ReportLevel};
use x11rb::protocol::randr::{ConnectionExt as _, NotifyMask};
use x11rb::protocol::xfixes::{ConnectionExt as _, Region};
use x11rb::protocol::xproto::{ChangeWindowAttributesAux, ConnectionExt as _, EventMask, MapState, Pixmap, Window};

use super::cursor::Cursor;
use super::shm::Pixels;
use super::{Area, Display, ScreenError, Target, failed, list};
use crate::screen::{Capture, Next, ScreenRequest, SourceInfo};
use crate::worker::Stop;

/// Smaller pictures cannot be coded.
const LEAST_SIDE: u32 = 16;
/// A window that is being resized refuses to be read for a moment; one that does so for this many looks in a row is broken.
const MOST_REFUSALS: u32 = 30;

/// Where the picture is read from.
#[derive(Debug)]
enum Source {
    /// This part of the root window.
    Screen { name: String, area: Area },
    /// What the server keeps of the window, also where another covers it.
    Window { window: Window, pixmap: Option<Pixmap>, place: (i32, i32) },
}

pub(super) struct X11Capture {
    display: Display,
    info: SourceInfo,
    source: Source,
    interval: Duration,
    largest: (u32, u32),
    damage: Damage,
    region: Region,
    cursor: Cursor,
    pixels: Option<Pixels>,
    /// The rows of the picture that are not as on the screen.
    stale: Range<u32>,
    /// The rows in which the cursor was drawn last.
    cursor_rows: Range<u32>,
    damaged: bool,
    /// The size, or what the server keeps of the window, is another.
    resized: bool,
    hidden: bool,
    refusals: u32,
    /// Before this nothing is read.
    not_before: Instant,
    canvas: I420,
    part: I420,
    converter: Converter,
    scaler: Scaler,
    number: u64,
}

impl X11Capture {
    pub(super) fn open(target: Target, request: &ScreenRequest) -> Result<Self, ScreenError> {
        let display = Display::open()?;
        let root = display.screen.root;
        let connection = &display.connection;
        let (info, source, drawable) = match target {
            Target::Screen(name) => {
                let monitors = display.monitors()?;
                let area = monitors.iter().find(|(known, _)| *known == name).ok_or(ScreenError::Missing)?.1;
                connection.randr_select_input(root, NotifyMask::SCREEN_CHANGE | NotifyMask::CRTC_CHANGE)?;
                (list::screen_info(&name, area), Source::Screen { name, area }, root)
            }
            Target::Window(window) => {
                let info = list::window_info(&display, window)?.ok_or(ScreenError::Missing)?;
                let events = EventMask::STRUCTURE_NOTIFY;
                let wish = ChangeWindowAttributesAux::new().event_mask(events);
                connection.change_window_attributes(window, &wish)?.check().map_err(|_| ScreenError::Missing)?;
                connection.composite_redirect_window(window, Redirect::AUTOMATIC)?.check()?;
                (info, Source::Window { window, pixmap: None, place: (0, 0) }, window)
            }
        };
        let (damage, region) = (connection.generate_id()?, connection.generate_id()?);
        connection.damage_create(damage, drawable, ReportLevel::NON_EMPTY)?.check()?;
        connection.xfixes_create_region(region, &[])?;
        let cursor = Cursor::new(&display)?;
        Ok(Self {
            display,
            info,
            source,
            interval: request.interval,
            largest: request.largest,
            damage,
            region,
            cursor,
            pixels: None,
            stale: 0..0,
            cursor_rows: 0..0,
            damaged: false,
            resized: true,
            hidden: false,
            refusals: 0,
            not_before: Instant::now(),
            canvas: I420::default(),
            part: I420::default(),
            converter: Converter::new(),
            scaler: Scaler::new(),
            number: 0,
        })
    }

    fn take_events(&mut self) -> Result<(), ScreenError> {
        while let Some(event) = self.display.connection.poll_for_event()? {
            let ours = match &self.source {
                Source::Window { window, .. } => Some(*window),
                Source::Screen { .. } => None,
            };
            match event {
                Event::DamageNotify(_) => self.damaged = true,
                Event::XfixesCursorNotify(_) => {
                    self.cursor.reshape(&self.display)?;
                    self.touch_cursor();
                }
                Event::DestroyNotify(event) if Some(event.window) == ours => return Err(ScreenError::Closed),
                Event::UnmapNotify(event) if Some(event.window) == ours => self.hidden = true,
                Event::MapNotify(event) if Some(event.window) == ours => self.resized = true,
                Event::ConfigureNotify(event) if Some(event.window) == ours => {
                    let size = (u32::from(event.width), u32::from(event.height));
                    self.resized |= size != (self.info.width, self.info.height);
                }
                Event::RandrNotify(_) | Event::RandrScreenChangeNotify(_) => self.look_for_screen()?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Screens were plugged or changed.
    fn look_for_screen(&mut self) -> Result<(), ScreenError> {
        let Source::Screen { name, area } = &mut self.source else { return Ok(()) };
        let monitors = self.display.monitors()?;
        let now = monitors.iter().find(|(known, _)| known == name).ok_or(ScreenError::Gone)?.1;
        if std::mem::replace(area, now) != now {
            self.resized = true;
        }
        Ok(())
    }

    /// Where the picture's left upper corner lies on the root window.
    fn origin(&self) -> (i32, i32) {
        match &self.source {
            Source::Screen { area, .. } => (area.x, area.y),
            Source::Window { place, .. } => *place,
        }
    }

    fn size(&self) -> (u32, u32) {
        self.pixels.as_ref().map_or((0, 0), Pixels::size)
    }

    /// The rows where the cursor was and is are to be drawn anew.
    fn touch_cursor(&mut self) {
        let now = self.cursor.rows(self.origin(), self.size()).unwrap_or(0..0);
        self.stale = hull(&self.stale, &hull(&self.cursor_rows, &now));
    }

    /// Takes the size of now, and what the server keeps of a window; false while it cannot be seen.
    fn prepare(&mut self) -> Result<bool, ScreenError> {
        let connection = &self.display.connection;
        let (width, height) = match &mut self.source {
            Source::Screen { area, .. } => (area.width, area.height),
            Source::Window { window, pixmap, .. } => {
                if let Some(old) = pixmap.take() {
                    connection.free_pixmap(old)?;
                }
                let state = connection.get_window_attributes(*window)?.reply().map_err(|_| ScreenError::Closed)?;
                if state.map_state != MapState::VIEWABLE {
                    return Ok(false);
                }
                let new = connection.generate_id()?;
                if connection.composite_name_window_pixmap(*window, new)?.check().is_err() {
                    return Ok(false);
                }
                *pixmap = Some(new);
                // Of the pixmap: the window may be another size by now, and is told of then.
                let size = connection.get_geometry(new)?.reply()?;
                (size.width.into(), size.height.into())
            }
        };
        let (width, height) = (width & !1, height & !1);
        if width.min(height) < LEAST_SIDE {
            return Ok(false);
        }
        if self.size() != (width, height) {
            if let Some(old) = self.pixels.take() {
                old.release(connection);
            }
            self.pixels = Some(Pixels::new(connection, width, height)?);
        }
        (self.info.width, self.info.height) = (width, height);
        (self.stale, self.cursor_rows) = (0..height, 0..0);
        self.resized = false;
        self.hidden = false;
        Ok(true)
    }

    /// Adds what was damaged since the last look.
    fn take_damage(&mut self) -> Result<(), ScreenError> {
        let connection = &self.display.connection;
        connection.damage_subtract(self.damage, x11rb::NONE, self.region)?;
        let extents = connection.xfixes_fetch_region(self.region)?.reply()?.extents;
        self.damaged = false;
        let (width, height) = self.size();
        // Damage is told of within the drawable; that of a window begins at its own corner.
        let (left, top) = match &self.source {
            Source::Screen { area, .. } => (area.x, area.y),
            Source::Window { .. } => (0, 0),
        };
        let (x, y) = (i32::from(extents.x) - left, i32::from(extents.y) - top);
        let (right, bottom) = (x + i32::from(extents.width), y + i32::from(extents.height));
        if right > 0 && x < width as i32 && bottom > 0 && y < height as i32 && extents.width > 0 {
            self.stale = hull(&self.stale, &(y.max(0) as u32..(bottom as u32).min(height)));
        }
        Ok(())
    }

    fn follow_pointer(&mut self) -> Result<(), ScreenError> {
        let mut moved = self.cursor.follow(&self.display)?;
        if let Source::Window { window, place, .. } = &mut self.source {
            let root = self.display.screen.root;
            let reply = self.display.connection.translate_coordinates(*window, root, 0, 0)?.reply();
            let reply = reply.map_err(|_| ScreenError::Closed)?;
            let now = (i32::from(reply.dst_x), i32::from(reply.dst_y));
            moved |= std::mem::replace(place, now) != now;
        }
        if moved {
            self.touch_cursor();
        }
        Ok(())
    }

    /// Reads the rows that are stale, and gives the picture.
    fn read(&mut self) -> Result<VideoFrame, ScreenError> {
        let captured = Instant::now();
        let origin = self.origin();
        let connection = &self.display.connection;
        let (drawable, corner) = match &self.source {
            Source::Screen { area, .. } => (self.display.screen.root, (area.x, area.y)),
            Source::Window { pixmap, .. } => (pixmap.ok_or_else(|| failed("it keeps no window"))?, (0, 0)),
        };
        let pixels = self.pixels.as_mut().ok_or_else(|| failed("there is no memory for it"))?;
        let size @ (width, height) = pixels.size();
        // Pairs of rows have their colour in common.
        let rows = self.stale.start & !1..self.stale.end.next_multiple_of(2).min(height);
        pixels.read(connection, drawable, corner, rows.clone())?;
        let covered = self.cursor.draw(pixels.bytes_mut(), size, origin);
        let row = width as usize * 4;
        let raw = RawPicture {
            format: PixelFormat::Bgra,
            width,
            height: rows.end - rows.start,
            stride: None,
            data: &pixels.bytes()[rows.start as usize * row..rows.end as usize * row],
        };
        let whole = rows == (0..height);
        let into = if whole { &mut self.canvas } else { &mut self.part };
        let converted = self.converter.convert(&raw, into);
        covered.restore(pixels.bytes_mut());
        converted.map_err(|error| failed(&error.to_string()))?;
        if !whole {
            paste(&self.part, &mut self.canvas, rows.start);
        }
        self.stale = 0..0;
        self.cursor_rows = self.cursor.rows(origin, size).unwrap_or(0..0);
        let number = self.number;
        self.number += 1;
        Ok(VideoFrame { picture: Arc::new(self.fitted()?), captured, number })
    }

    fn fitted(&mut self) -> Result<I420, ScreenError> {
        let (width, height) = (self.canvas.width, self.canvas.height);
        let (across, down) = self.largest;
        let largest = if width >= height { (across, down) } else { (down, across) };
        if width <= largest.0 && height <= largest.1 {
            return Ok(self.canvas.clone());
        }
        let (width, height) = fit(width, height, largest.0, largest.1);
        let mut smaller = I420::default();
        let scaled = self.scaler.scale(&self.canvas, width & !1, height & !1, &mut smaller);
        scaled.map_err(|error| failed(&error.to_string()))?;
        Ok(smaller)
    }

    /// A window that is closed or changes its size refuses to be read.
    fn refused(&mut self, error: ScreenError) -> Result<Next, ScreenError> {
        let Source::Window { window, .. } = &self.source else { return Err(error) };
        if self.display.connection.get_window_attributes(*window)?.reply().is_err() {
            return Err(ScreenError::Closed);
        }
        self.refusals += 1;
        self.resized = true;
        if self.refusals > MOST_REFUSALS { Err(error) } else { Ok(Next::Nothing) }
    }

    /// Waits for the server to say something, or until then.
    fn wait(&self, until: Instant) -> Result<(), ScreenError> {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut fds = [PollFd::new(self.display.connection.stream(), PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(ScreenError::Lost { detail: error.to_string() }),
        }
    }
}

impl Capture for X11Capture {
    fn info(&self) -> SourceInfo {
        self.info.clone()
    }

    fn next(&mut self, _stop: &Stop) -> Result<Next, ScreenError> {
        self.take_events()?;
        if (self.resized || self.hidden) && !self.prepare()? {
            self.hidden = true;
            return Ok(Next::Hidden);
        }
        let now = Instant::now();
        if now < self.not_before {
            self.wait(self.not_before)?;
            return Ok(Next::Nothing);
        }
        self.follow_pointer()?;
        if self.damaged {
            self.take_damage()?;
        }
        if self.stale.is_empty() {
            // The pointer tells nobody that it moves, so it is looked at as often as pictures may follow each other.
            self.wait(now + self.interval)?;
            return Ok(Next::Nothing);
        }
        match self.read() {
            Ok(frame) => {
                self.refusals = 0;
                self.not_before = now + self.interval;
                Ok(Next::Frame(frame))
            }
            Err(error) => {
                self.not_before = now + self.interval;
                self.refused(error)
            }
        }
    }
}

/// The least range that holds both.
fn hull(one: &Range<u32>, other: &Range<u32>) -> Range<u32> {
    match (one.is_empty(), other.is_empty()) {
        (true, _) => other.clone(),
        (_, true) => one.clone(),
        (false, false) => one.start.min(other.start)..one.end.max(other.end),
    }
}

/// Puts some rows of a picture, from an even one on, into the whole.
fn paste(part: &I420, whole: &mut I420, row: u32) {
    let chroma = whole.chroma_width() as usize;
    let (luma_start, chroma_start) = (row as usize * whole.width as usize, row as usize / 2 * chroma);
    whole.y[luma_start..luma_start + part.y.len()].copy_from_slice(&part.y);
    whole.u[chroma_start..chroma_start + part.u.len()].copy_from_slice(&part.u);
    whole.v[chroma_start..chroma_start + part.v.len()].copy_from_slice(&part.v);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hull_of_nothing_is_the_other() {
        assert_eq!(hull(&(0..0), &(3..5)), 3..5);
        assert_eq!(hull(&(3..5), &(9..9)), 3..5);
        assert_eq!(hull(&(3..5), &(8..9)), 3..9);
    }

    #[test]
    fn a_part_is_pasted_where_it_was() {
        let mut whole = I420::black(6, 8);
        let mut part = I420::black(6, 2);
        part.y.fill(99);
        part.u.fill(7);
        paste(&part, &mut whole, 4);
        let rows = |value: u8| (0..8).filter(|row| whole.y[row * 6..][..6] == [value; 6]).collect::<Vec<_>>();
        assert_eq!((rows(99), rows(16).len()), (vec![4, 5], 6));
        assert_eq!(&whole.u[6..9], [7, 7, 7]);
        assert_eq!(whole.u.iter().filter(|byte| **byte == 7).count(), 3);
    }
}
