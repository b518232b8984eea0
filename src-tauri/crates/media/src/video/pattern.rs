//! A moving test pattern that says in the picture itself which frame it is and when it was drawn.
//!
//! ```text
//! +--------------------------------+
//! | colour bars                    |  1/10 of the height
//! | a still ground with a camera's |
//! | noise, tinted by who shows it; |
//! | in the middle somebody who     |
//! | moves;     (o) a bouncing disc |
//! +--------------------------------+
//! | 16 x 6 black and white cells   |  6/20 of the height
//! +--------------------------------+
//! ```
//!
//! The cells, row by row, most significant bit first: frame number (32 bits, Gray coded so that one cell changes from
//! frame to frame), clock (48 bits), CRC-16 of both (16 bits). All places are fractions of the picture's size, so the
//! code survives scaling; the cells are far apart in luma, so it survives hard quantisation.

use super::I420;

const COLUMNS: usize = 16;
const ROWS: usize = 6;
/// Luma of a cell that says 0 and of one that says 1: far apart, and cheaper to code than the extremes.
const DARK: u8 = 48;
const LIGHT: u8 = 208;
/// A cell's mean must be at least this far from the middle; natural pictures hardly ever satisfy it 96 times.
const CLEAR: i32 = 20;
const MIDDLE: i32 = 128;
/// The smallest side that can be drawn and read, in pixels.
pub const MIN_SIDE: u32 = 64;
/// The ground repeats after this many rows and columns.
const PERIOD: usize = 256;

/// What a pattern says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatternReading {
    /// The frame's running number.
    pub number: u32,
    /// When it was drawn: milliseconds since 1970 (UTC), 48 bits of them.
    pub unix_ms: u64,
}

/// Draws the pattern; keeps the ground, which depends on the size only.
#[derive(Debug)]
pub struct Pattern {
    seed: u32,
    /// `PERIOD` rows, each as wide as the picture and a period more, so that drifting is copying from another place.
    ground: Vec<u8>,
    /// A second texture, laid over the first where somebody moves; it drifts the other way, so no motion vector fits both
    /// and it costs bits as a face does.
    veil: Vec<u8>,
    /// What a sensor adds to a still scene, 0..=4; each frame takes it from another place.
    noise: Vec<u8>,
    ground_width: usize,
}

impl Pattern {
    /// A pattern; the seed gives the tint and texture, so that two people's pictures differ.
    pub fn new(seed: u32) -> Self {
        Self { seed, ground: Vec::new(), veil: Vec::new(), noise: Vec::new(), ground_width: 0 }
    }

    /// Draws frame `number` over the whole picture. Pictures smaller than [`MIN_SIDE`] either way become black.
    ///
    /// Motion depends on `number` only. `unix_ms` is cut to 48 bits.
    pub fn draw(&mut self, picture: &mut I420, number: u32, unix_ms: u64) {
        let (width, height) = (picture.width, picture.height);
        picture.resize(width, height);
        if width < MIN_SIDE || height < MIN_SIDE {
            picture.y.fill(16);
            picture.u.fill(128);
            picture.v.fill(128);
            return;
        }
        self.make_ground(width as usize);
        self.draw_ground(picture, number);
        draw_bars(picture, number);
        draw_disc(picture, number);
        draw_code(picture, number, unix_ms);
    }

    fn make_ground(&mut self, width: usize) {
        if self.ground_width == width {
            return;
        }
        let (coarse, fine) = (Lattice::new(self.seed), Lattice::new(!self.seed));
        // Smooth noise on a slanted wave, 60..172: enough texture to need bits, smooth enough to be coded at all.
        self.ground = periodic(width, |x, y| {
            let slope = (x + y) % PERIOD;
            let wave = if slope < PERIOD / 2 { slope } else { PERIOD - slope };
            60 + wave / 2 + coarse.at(x, y)
        });
        self.veil = periodic(width, |x, y| fine.at(3 * x, 3 * y));
        let mut state = self.seed | 1;
        self.noise = periodic(width, |_, _| {
            state = xorshift(state);
            (state >> 8) as usize % 5
        });
        self.ground_width = width;
    }

    fn draw_ground(&self, picture: &mut I420, number: u32) {
        let (width, height) = (picture.width as usize, picture.height as usize);
        let row_of = |texture: &'_ [u8], x: usize, y: usize| -> usize {
            debug_assert_eq!(texture.len(), (width + PERIOD) * PERIOD);
            y % PERIOD * (width + PERIOD) + x % PERIOD
        };
        let step = (width / 320).max(1);
        let drift = number as usize % PERIOD;
        let (right, down) = (drift * step, drift * (step / 2 + 1));
        // Any two odd factors that are far from each other: neighbouring frames have nothing in common.
        let (noise_x, noise_y) = (number as usize * 97, number as usize * 181);
        let end = code_top(height, 0);
        let (middle, reach) = (width / 2, width / 5);
        for (y, row) in picture.y.chunks_exact_mut(width).take(end).enumerate() {
            let (ground, noise) = (row_of(&self.ground, 0, y), row_of(&self.noise, noise_x, y + noise_y));
            lay(row, &self.ground[ground..], &self.noise[noise..]);
            let half = half_width(reach, y, end);
            let (from, to) = (middle - half, middle + half);
            let moved = row_of(&self.ground, right, y + down);
            let over = row_of(&self.veil, PERIOD - right % PERIOD, y + PERIOD - down % PERIOD);
            lay(&mut row[from..to], &self.ground[moved + from..], &self.veil[over + from..]);
        }
        let (u, v) = tint(self.seed);
        picture.u.fill(u);
        picture.v.fill(v);
    }
}

/// One texture laid over another.
fn lay(row: &mut [u8], below: &[u8], above: &[u8]) {
    for ((pixel, below), above) in row.iter_mut().zip(below).zip(above) {
        *pixel = below + above;
    }
}

/// Half the width of whoever moves at row `y` of `end`: an ellipse from the bars to the cells.
fn half_width(reach: usize, y: usize, end: usize) -> usize {
    let away = (2 * y).abs_diff(end);
    reach * (end * end).saturating_sub(away * away).isqrt() / end.max(1)
}

fn xorshift(mut state: u32) -> u32 {
    state ^= state << 13;
    state ^= state >> 17;
    state ^ state << 5
}

/// `PERIOD` rows of `width` and a period more, of a texture that repeats after a period.
fn periodic(width: usize, mut texture: impl FnMut(usize, usize) -> usize) -> Vec<u8> {
    let mut rows = Vec::with_capacity((width + PERIOD) * PERIOD);
    for y in 0..PERIOD {
        let start = rows.len();
        rows.extend((0..PERIOD).map(|x| texture(x, y) as u8));
        for x in PERIOD..width + PERIOD {
            rows.push(rows[start + x - PERIOD]);
        }
    }
    rows
}

/// The colour (U, V) of a seed's ground.
pub fn tint(seed: u32) -> (u8, u8) {
    // Steps of the golden angle: neighbouring seeds lie far apart on the colour circle.
    let angle = f64::from(seed % 360) * 2.399_963;
    ((128.0 + 36.0 * angle.cos()) as u8, (128.0 + 36.0 * angle.sin()) as u8)
}

/// Random heights on a 16 x 16 grid that wraps round, smoothly joined.
struct Lattice([u8; 256]);

impl Lattice {
    fn new(seed: u32) -> Self {
        let mut state = seed ^ 0x9e37_79b9;
        Self(std::array::from_fn(|_| {
            // xorshift; any nonzero state will do.
            state = xorshift(state.max(1));
            (state % 48) as u8
        }))
    }

    /// The height at a place, 0..48.
    fn at(&self, x: usize, y: usize) -> usize {
        let (column, row, dx, dy) = (x / 16 % 16, y / 16 % 16, x % 16, y % 16);
        let corner = |row: usize, column: usize| usize::from(self.0[row % 16 * 16 + column % 16]);
        let top = corner(row, column) * (16 - dx) + corner(row, column + 1) * dx;
        let bottom = corner(row + 1, column) * (16 - dx) + corner(row + 1, column + 1) * dx;
        (top * (16 - dy) + bottom * dy) / 256
    }
}

/// White, yellow, cyan, green, magenta, red, blue, black at 75 %, BT.601 limited range.
const BARS: [(u8, u8, u8); 8] = [
    (180, 128, 128),
    (162, 44, 142),
    (131, 156, 44),
    (112, 72, 58),
    (84, 184, 198),
    (65, 100, 212),
    (35, 212, 114),
    (16, 128, 128),
];

fn draw_bars(picture: &mut I420, number: u32) {
    let (width, chroma) = (picture.width as usize, picture.chroma_width() as usize);
    let rows = (picture.height as usize / 10) & !1;
    // The bars move by one place every two seconds at 30 fps.
    let first = number as usize / 60 % BARS.len();
    let bar = |x: usize, across: usize| BARS[(x * BARS.len() / across + first) % BARS.len()];
    for (x, pixel) in picture.y[..width].iter_mut().enumerate() {
        *pixel = bar(x, width).0;
    }
    for x in 0..chroma {
        (_, picture.u[x], picture.v[x]) = bar(x, chroma);
    }
    for row in 1..rows {
        picture.y.copy_within(..width, row * width);
    }
    for row in 1..rows / 2 {
        picture.u.copy_within(..chroma, row * chroma);
        picture.v.copy_within(..chroma, row * chroma);
    }
}

fn draw_disc(picture: &mut I420, number: u32) {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let top = height / 10;
    let room = code_top(height, 0) - top;
    let radius = (room.min(width) / 5) as isize;
    // To and fro; the two periods have no common factor, so the path covers the field.
    let swing = |period: u32, room: usize| {
        let at = number % (2 * period);
        let at = if at < period { at } else { 2 * period - at };
        radius + (room as isize - 2 * radius - 1).max(0) * at as isize / period as isize
    };
    let (cx, cy) = (swing(97, width), top as isize + swing(71, room));
    for y in cy - radius..=cy + radius {
        let half = (radius * radius - (y - cy) * (y - cy)).isqrt();
        let (from, to) = ((cx - half).max(0) as usize, ((cx + half + 1).max(0) as usize).min(width));
        let Ok(y) = usize::try_from(y) else { continue };
        if y >= height || from >= to {
            continue;
        }
        picture.y[y * width..][from..to].fill(200);
        if y % 2 == 0 {
            let chroma = picture.chroma_width() as usize;
            picture.u[y / 2 * chroma..][from / 2..to / 2].fill(90);
            picture.v[y / 2 * chroma..][from / 2..to / 2].fill(160);
        }
    }
}

/// The first picture row of a row of cells; row [`ROWS`] is the picture's end.
fn code_top(height: usize, row: usize) -> usize {
    height - height * 3 / 10 * (ROWS - row) / ROWS
}

fn draw_code(picture: &mut I420, number: u32, unix_ms: u64) {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let bits = code_of(number, unix_ms);
    for row in 0..ROWS {
        let (top, bottom) = (code_top(height, row), code_top(height, row + 1));
        for column in 0..COLUMNS {
            let (left, right) = (column * width / COLUMNS, (column + 1) * width / COLUMNS);
            let one = bits >> (95 - (row * COLUMNS + column)) & 1 == 1;
            picture.y[top * width..][left..right].fill(if one { LIGHT } else { DARK });
        }
        for y in top + 1..bottom {
            picture.y.copy_within(top * width..(top + 1) * width, y * width);
        }
    }
    let chroma = picture.chroma_width() as usize;
    let from = code_top(height, 0).div_ceil(2) * chroma;
    picture.u[from..].fill(128);
    picture.v[from..].fill(128);
}

/// Reads the pattern's number and clock off a picture, of whatever size; `None` when there is none or it is unclear.
/// Costs some thousand pixel reads.
pub fn read(picture: &I420) -> Option<PatternReading> {
    if picture.width < MIN_SIDE || picture.height < MIN_SIDE || !picture.is_consistent() {
        return None;
    }
    let mut bits = 0u128;
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let away = cell_mean(picture, row, column) - MIDDLE;
            if away.abs() < CLEAR {
                return None;
            }
            bits = bits << 1 | u128::from(away > 0);
        }
    }
    let (payload, checksum) = (bits >> 16, bits as u16);
    if crc16(payload) != checksum {
        return None;
    }
    let mut number = (payload >> 48) as u32;
    for shift in [1, 2, 4, 8, 16] {
        number ^= number >> shift;
    }
    Some(PatternReading { number, unix_ms: payload as u64 & 0xffff_ffff_ffff })
}

/// The mean luma of up to 8 x 8 points in the middle half of a cell.
fn cell_mean(picture: &I420, row: usize, column: usize) -> i32 {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let middle = |from: usize, to: usize| {
        let quarter = (to - from) / 4;
        let inner = from + quarter..to - quarter;
        let step = inner.len().div_ceil(8).max(1);
        inner.step_by(step)
    };
    let (mut sum, mut count) = (0, 0);
    for y in middle(code_top(height, row), code_top(height, row + 1)) {
        for x in middle(column * width / COLUMNS, (column + 1) * width / COLUMNS) {
            sum += i32::from(picture.y[y * width + x]);
            count += 1;
        }
    }
    sum / count.max(1)
}

/// 96 bits: Gray-coded number, clock, checksum.
fn code_of(number: u32, unix_ms: u64) -> u128 {
    let payload = u128::from(number ^ number >> 1) << 48 | u128::from(unix_ms & 0xffff_ffff_ffff);
    payload << 16 | u128::from(crc16(payload))
}

/// CRC-16/CCITT-FALSE over the 80 bits; its start value keeps an all-dark picture from being frame 0.
fn crc16(payload: u128) -> u16 {
    payload.to_be_bytes()[6..].iter().fold(0xffff_u16, |mut crc, byte| {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
        }
        crc
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_read_at_every_size() {
        for (width, height) in [(64, 64), (66, 64), (160, 90), (320, 180), (640, 360), (1280, 720), (1920, 1080)] {
            let mut pattern = Pattern::new(3);
            let mut picture = I420::black(width, height);
            for (number, unix_ms) in [(0, 0), (1, 1_763_700_000_123), (u32::MAX, 0xffff_ffff_ffff), (12_345, 77)] {
                pattern.draw(&mut picture, number, unix_ms);
                assert_eq!(read(&picture), Some(PatternReading { number, unix_ms }), "{width}x{height}");
            }
        }
    }

    #[test]
    fn a_picture_without_a_pattern_says_nothing() {
        assert_eq!(read(&I420::black(640, 360)), None);
        let mut picture = I420::black(640, 360);
        picture.y.fill(235);
        assert_eq!(read(&picture), None);
        let mut drawn = I420::black(640, 360);
        Pattern::new(1).draw(&mut drawn, 9, 9);
        // One cell overwritten: the checksum notices.
        let top = code_top(360, 2);
        for y in top..code_top(360, 3) {
            drawn.y[y * 640..y * 640 + 40].iter_mut().for_each(|pixel| *pixel = 255 - *pixel);
        }
        assert_eq!(read(&drawn), None);
        drawn.y.truncate(100);
        assert_eq!(read(&drawn), None);
    }

    #[test]
    fn pictures_move_and_people_differ() {
        let (mut first, mut second) = (I420::black(320, 180), I420::black(320, 180));
        let mut pattern = Pattern::new(1);
        pattern.draw(&mut first, 1, 0);
        pattern.draw(&mut second, 2, 0);
        let changed = first.y[..320 * 126].iter().zip(&second.y).filter(|(a, b)| a != b).count();
        assert!(changed > 320 * 126 / 2, "{changed} pixels changed");
        for other in 2..8 {
            let ((u, v), (other_u, other_v)) = (tint(1), tint(other));
            assert!(u.abs_diff(other_u).max(v.abs_diff(other_v)) > 8, "seeds 1 and {other} look alike");
        }
    }
}
