//! The program's icon with a small sign in its corner, drawn rather than kept as files.

use tauri::image::Image;

use crate::desktop::controls::Standing;

/// Teal of a call, red of a closed microphone, amber of a ring: as in the interface's tokens.
const CALL: [u8; 3] = [0x2c, 0xc5, 0xb6];
const MUTED: [u8; 3] = [0xe0, 0x3e, 0x45];
const RING: [u8; 3] = [0xf4, 0xb0, 0x4a];

/// Pixels of the icon as RGBA.
pub struct Pixels {
    /// Width and height.
    pub size: u32,
    /// Row by row.
    pub rgba: Vec<u8>,
}

/// The icon in the sizes that trays ask for.
pub fn drawn(standing: Standing) -> [Pixels; 2] {
    [
        draw(&tauri::include_image!("icons/32x32.png"), standing),
        draw(&tauri::include_image!("icons/64x64.png"), standing),
    ]
}

fn draw(base: &Image<'_>, standing: Standing) -> Pixels {
    let size = base.width();
    let mut rgba = base.rgba().to_vec();
    let colour = match standing {
        Standing::Resting => return Pixels { size, rgba },
        Standing::Ringing => RING,
        Standing::Talking => CALL,
        Standing::Muted => MUTED,
    };
    let edge = size as f32;
    let (centre, radius) = (edge * 0.72, edge * 0.27);
    for (place, pixel) in rgba.chunks_exact_mut(4).enumerate() {
        let (x, y) = ((place as u32 % size) as f32 + 0.5 - centre, (place as u32 / size) as f32 + 0.5 - centre);
        let distance = x.hypot(y);
        // A gap around the sign keeps it apart from the icon at sixteen pixels too.
        let gap = coverage(distance - radius - edge * 0.05);
        pixel[3] = (f32::from(pixel[3]) * (1.0 - gap)) as u8;
        let disc = coverage(distance - radius);
        // The bar of a closed microphone, across the disc.
        let bar = if standing == Standing::Muted {
            coverage((x + y).abs() / std::f32::consts::SQRT_2 - edge * 0.05) * coverage(distance - radius * 0.7)
        } else {
            0.0
        };
        if disc > 0.0 {
            for (channel, tint) in pixel.iter_mut().zip(colour) {
                *channel = (f32::from(tint) * (1.0 - bar) + 255.0 * bar) as u8;
            }
            pixel[3] = pixel[3].max((disc * 255.0) as u8);
        }
    }
    Pixels { size, rgba }
}

/// How much of a pixel lies inside of an edge that is `outside` pixels away.
fn coverage(outside: f32) -> f32 {
    (0.5 - outside).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corner(standing: Standing) -> [u8; 4] {
        let [small, _] = drawn(standing);
        // Right of the sign's middle: inside of its disc, beside its bar.
        let place = ((small.size * 23 / 32) * small.size + small.size * 29 / 32) as usize * 4;
        [small.rgba[place], small.rgba[place + 1], small.rgba[place + 2], small.rgba[place + 3]]
    }

    #[test]
    fn each_state_looks_different() {
        assert_eq!(corner(Standing::Muted), [MUTED[0], MUTED[1], MUTED[2], 255]);
        assert_eq!(corner(Standing::Talking), [CALL[0], CALL[1], CALL[2], 255]);
        assert_eq!(corner(Standing::Ringing), [RING[0], RING[1], RING[2], 255]);
        assert_ne!(corner(Standing::Resting), corner(Standing::Talking));
        for pixels in drawn(Standing::Muted) {
            assert_eq!(pixels.rgba.len(), (pixels.size * pixels.size * 4) as usize);
        }
    }
}
