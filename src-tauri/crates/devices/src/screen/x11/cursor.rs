//! The cursor, which the X server leaves out of its pictures.

use x11rb::protocol::xfixes::{ConnectionExt as _, CursorNotifyMask};
use x11rb::protocol::xproto::ConnectionExt as _;

use super::{Display, ScreenError};

/// The cursor's shape and place.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    shape: Option<Shape>,
    /// On the root window.
    place: (i32, i32),
}

#[derive(Debug)]
struct Shape {
    width: usize,
    height: usize,
    hot: (i32, i32),
    /// Alpha, red, green and blue from the upper byte down, premultiplied.
    pixels: Vec<u32>,
}

/// What lay under the cursor.
#[derive(Debug, Default)]
pub(super) struct Covered {
    rows: Vec<(usize, Vec<u8>)>,
}

impl Cursor {
    /// Asks to be told of new shapes, and takes the one of now.
    pub(super) fn new(display: &Display) -> Result<Self, ScreenError> {
        let root = display.screen.root;
        display.connection.xfixes_select_cursor_input(root, CursorNotifyMask::DISPLAY_CURSOR)?;
        let mut cursor = Self::default();
        cursor.reshape(display)?;
        cursor.follow(display)?;
        Ok(cursor)
    }

    /// The shape is another now.
    pub(super) fn reshape(&mut self, display: &Display) -> Result<(), ScreenError> {
        // None while nobody has set one.
        let Ok(image) = display.connection.xfixes_get_cursor_image()?.reply() else {
            self.shape = None;
            return Ok(());
        };
        let (width, height) = (usize::from(image.width), usize::from(image.height));
        let whole = image.cursor_image.len() == width * height;
        self.shape = whole.then(|| Shape {
            width,
            height,
            hot: (image.xhot.into(), image.yhot.into()),
            pixels: image.cursor_image,
        });
        Ok(())
    }

    /// Looks where it is; whether it has moved.
    pub(super) fn follow(&mut self, display: &Display) -> Result<bool, ScreenError> {
        let pointer = display.connection.query_pointer(display.screen.root)?.reply()?;
        let place = (i32::from(pointer.root_x), i32::from(pointer.root_y));
        Ok(std::mem::replace(&mut self.place, place) != place)
    }

    /// The rows of a picture in which it is seen, whose left upper corner lies there on the root window.
    pub(super) fn rows(&self, origin: (i32, i32), (width, height): (u32, u32)) -> Option<std::ops::Range<u32>> {
        let shape = self.shape.as_ref()?;
        let (left, top) = self.corner(shape, origin);
        let right = left + shape.width as i32;
        let (top, bottom) = (top.max(0), (top + shape.height as i32).min(height as i32));
        (left < width as i32 && right > 0 && top < bottom).then_some(top as u32..bottom as u32)
    }

    fn corner(&self, shape: &Shape, origin: (i32, i32)) -> (i32, i32) {
        (self.place.0 - shape.hot.0 - origin.0, self.place.1 - shape.hot.1 - origin.1)
    }

    /// Draws it into a picture of four bytes a pixel; gives what was there before.
    pub(super) fn draw(&self, bytes: &mut [u8], size: (u32, u32), origin: (i32, i32)) -> Covered {
        let mut covered = Covered::default();
        let (Some(shape), Some(rows)) = (&self.shape, self.rows(origin, size)) else { return covered };
        let (left, top) = self.corner(shape, origin);
        let (from, to) = (left.max(0) as usize, (left + shape.width as i32).min(size.0 as i32) as usize);
        for row in rows {
            let start = (row as usize * size.0 as usize + from) * 4;
            let under = &mut bytes[start..start + (to - from) * 4];
            covered.rows.push((start, under.to_vec()));
            let across = (row as i32 - top) as usize * shape.width + (from as i32 - left) as usize;
            for (pixel, over) in under.chunks_exact_mut(4).zip(&shape.pixels[across..]) {
                let [blue, green, red, alpha] = over.to_le_bytes();
                for (below, above) in pixel.iter_mut().zip([blue, green, red]) {
                    let shining = u32::from(*below) * (255 - u32::from(alpha)) / 255;
                    *below = (shining + u32::from(above)).min(255) as u8;
                }
            }
        }
        covered
    }
}

impl Covered {
    /// Takes the cursor out again.
    pub(super) fn restore(self, bytes: &mut [u8]) {
        for (start, row) in self.rows {
            bytes[start..start + row.len()].copy_from_slice(&row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(place: (i32, i32)) -> Cursor {
        let pixels = vec![0xFFFF_FFFF, 0x8000_0000, 0, 0xFF00_00FF];
        Cursor { shape: Some(Shape { width: 2, height: 2, hot: (0, 0), pixels }), place }
    }

    #[test]
    fn the_cursor_is_blended_in_and_taken_out_again() {
        let clean = vec![200_u8; 4 * 4 * 4];
        let mut bytes = clean.clone();
        let covered = cursor((11, 12)).draw(&mut bytes, (4, 4), (10, 10));
        let pixel = |x: usize, y: usize| bytes[(y * 4 + x) * 4..][..3].to_vec();
        assert_eq!(pixel(1, 2), [255, 255, 255]);
        assert_eq!(pixel(2, 2), [99, 99, 99], "half seen through");
        assert_eq!(pixel(1, 3), [200, 200, 200], "not there");
        assert_eq!(pixel(2, 3), [255, 0, 0], "blue");
        covered.restore(&mut bytes);
        assert_eq!(bytes, clean);
    }

    #[test]
    fn at_the_edge_a_part_of_it_is_drawn_and_beyond_it_nothing() {
        for (place, rows) in
            [((9, 9), Some(0..1)), ((13, 13), Some(3..4)), ((14, 10), None), ((8, 10), None), ((-400, 9_000), None)]
        {
            let mut bytes = vec![0_u8; 4 * 4 * 4];
            let cursor = cursor(place);
            assert_eq!(cursor.rows((10, 10), (4, 4)), rows, "{place:?}");
            cursor.draw(&mut bytes, (4, 4), (10, 10)).restore(&mut bytes);
            assert!(bytes.iter().all(|byte| *byte == 0));
        }
    }
}
