//! How much of a screen is another picture than before, in the terms of what coding it costs.

use crate::video::I420;

/// Side of a macroblock (H.264, 6.3).
const BLOCK: usize = 16;

/// The picture as it was last coded, by macroblocks.
#[derive(Debug, Default)]
pub(super) struct Before {
    picture: Option<I420>,
    /// Blocks that changed since the picture was last coded finely, and what is in them.
    rough: Vec<u32>,
}

/// What a picture differs by from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Change {
    /// Edges in the blocks that are new: the sum of the steps from pixel to pixel, which is what coding them costs.
    pub edges: u64,
    /// Share of the blocks that are new, thousandths.
    pub per_mille: u32,
}

impl Before {
    /// Compares with what was coded last, and takes this for the next time.
    pub fn compare(&mut self, picture: &I420) -> Change {
        let (width, height) = (picture.width as usize, picture.height as usize);
        let (across, down) = (width.div_ceil(BLOCK), height.div_ceil(BLOCK));
        let before =
            self.picture.take().filter(|before| (before.width, before.height) == (picture.width, picture.height));
        if before.is_none() {
            self.rough = vec![0; across * down];
        }
        let mut change = Change::default();
        let mut changed = 0;
        for row in 0..down {
            let band = row * BLOCK..((row + 1) * BLOCK).min(height);
            // Most rows of most pictures are as they were: they are looked at once, as a whole.
            if before.as_ref().is_some_and(|before| same_band(before, picture, band.clone())) {
                continue;
            }
            for column in 0..across {
                let columns = column * BLOCK..((column + 1) * BLOCK).min(width);
                if before.as_ref().is_some_and(|before| same_block(before, picture, band.clone(), columns.clone())) {
                    continue;
                }
                let edges = edges(picture, band.clone(), columns);
                self.rough[row * across + column] = edges.max(1);
                change.edges += u64::from(edges);
                changed += 1;
            }
        }
        change.per_mille = (changed * 1_000 / (across * down).max(1)) as u32;
        let mut kept = before.unwrap_or_default();
        kept.clone_from(picture);
        self.picture = Some(kept);
        change
    }

    /// The edges in all that is only coded roughly.
    pub fn rough(&self) -> u64 {
        self.rough.iter().copied().map(u64::from).sum()
    }

    /// The edges of the whole picture, for a key frame.
    pub fn all(&self) -> u64 {
        let Some(picture) = &self.picture else { return 0 };
        let (width, height) = (picture.width as usize, picture.height as usize);
        u64::from(edges(picture, 0..height, 0..width))
    }

    /// All of it is coded roughly: after a key frame.
    pub fn roughen(&mut self) {
        let Some(picture) = &self.picture else { return };
        let (width, height) = (picture.width as usize, picture.height as usize);
        let across = width.div_ceil(BLOCK);
        for (place, rough) in self.rough.iter_mut().enumerate() {
            let (row, column) = (place / across * BLOCK, place % across * BLOCK);
            let (rows, columns) = (row..(row + BLOCK).min(height), column..(column + BLOCK).min(width));
            *rough = edges(picture, rows, columns).max(1);
        }
    }

    /// All of it is coded finely now.
    pub fn refined(&mut self) {
        self.rough.fill(0);
    }

    /// Nothing was coded yet.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

fn same_band(before: &I420, now: &I420, rows: std::ops::Range<usize>) -> bool {
    let width = now.width as usize;
    let chroma = now.chroma_width() as usize;
    let luma = rows.start * width..rows.end * width;
    let colour = rows.start / 2 * chroma..rows.end.div_ceil(2) * chroma;
    before.y[luma.clone()] == now.y[luma]
        && before.u[colour.clone()] == now.u[colour.clone()]
        && before.v[colour.clone()] == now.v[colour]
}

fn same_block(before: &I420, now: &I420, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> bool {
    let same =
        |one: &[u8], other: &[u8], width: usize, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
            rows.into_iter().all(|row| {
                let place = row * width + columns.start..row * width + columns.end;
                one[place.clone()] == other[place]
            })
        };
    let chroma = now.chroma_width() as usize;
    let (colour_rows, colour_columns) =
        (rows.start / 2..rows.end.div_ceil(2), columns.start / 2..columns.end.div_ceil(2));
    same(&before.y, &now.y, now.width as usize, rows, columns)
        && same(&before.u, &now.u, chroma, colour_rows.clone(), colour_columns.clone())
        && same(&before.v, &now.v, chroma, colour_rows, colour_columns)
}

/// The sum of the steps between neighbours, of every second row.
fn edges(picture: &I420, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> u32 {
    let width = picture.width as usize;
    let mut sum = 0_u32;
    for row in rows.step_by(2) {
        let line = &picture.y[row * width + columns.start..row * width + columns.end];
        let steps = line.iter().zip(&line[1..]).map(|(left, right)| u32::from(left.abs_diff(*right)));
        sum = sum.saturating_add(steps.sum());
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> I420 {
        let mut page = I420::black(64, 48);
        for (place, byte) in page.y.iter_mut().enumerate() {
            *byte = if place % 4 < 2 { 16 } else { 235 };
        }
        page
    }

    #[test]
    fn only_what_is_new_counts_and_stays_rough_until_it_is_refined() {
        let (mut before, mut page) = (Before::default(), page());
        let first = before.compare(&page);
        assert_eq!((first.per_mille, first.edges), (1_000, before.rough()));
        before.refined();
        assert_eq!((before.compare(&page), before.rough()), (Change::default(), 0));
        page.y[20 * 64 + 40] = 100;
        let one = before.compare(&page);
        assert_eq!(one.per_mille, 1_000 / 12);
        assert!(one.edges > 0 && one.edges < first.edges / 8);
        assert_eq!(before.rough(), one.edges);
        // Colour alone is a change, too, and a flat block counts for something.
        page.u[0] = 90;
        assert_eq!(before.compare(&page).per_mille, 1_000 / 12);
        assert!(before.all() >= first.edges);
    }

    #[test]
    fn another_size_is_all_new() {
        let mut before = Before::default();
        before.compare(&page());
        before.refined();
        let change = before.compare(&I420::black(32, 18));
        assert_eq!(change.per_mille, 1_000);
        assert!(before.rough() > 0, "flat blocks are to be coded as well");
    }
}
