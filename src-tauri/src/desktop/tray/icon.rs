//! The tray's pictures, which `cargo xtask icons` makes of their drawings; a call, a ring and a shared screen add a
//! sign in the corner.

use tauri::image::Image;

use crate::desktop::controls::Standing;

/// Teal of a call, amber of a ring, red of what is shown: as in the interface's tokens.
const CALL: [u8; 3] = [0x2c, 0xc5, 0xb6];
const RING: [u8; 3] = [0xf4, 0xb0, 0x4a];
const SHOW: [u8; 3] = [0xff, 0x73, 0x78];
/// What macOS' menu bar takes for ink; it colours it itself.
#[cfg(any(target_os = "macos", test))]
const INK: [u8; 3] = [0; 3];

/// Pixels of the icon as RGBA.
#[derive(Debug, PartialEq, Eq)]
pub struct Pixels {
    /// Width and height.
    pub size: u32,
    /// Row by row.
    pub rgba: Vec<u8>,
}

/// The icon in the sizes that trays ask for.
#[cfg(any(not(target_os = "macos"), test))]
pub fn drawn(standing: Standing, shares: bool) -> [Pixels; 2] {
    let [small, large] = if standing == Standing::Muted {
        [tauri::include_image!("icons/tray-muted-small.png"), tauri::include_image!("icons/tray-muted.png")]
    } else {
        [tauri::include_image!("icons/tray-small.png"), tauri::include_image!("icons/tray.png")]
    };
    let sign = match standing {
        _ if shares => Some(SHOW),
        Standing::Resting | Standing::Muted => None,
        Standing::Ringing => Some(RING),
        Standing::Talking => Some(CALL),
    };
    [draw(&small, sign), draw(&large, sign)]
}

/// The icon as a shape, for macOS' menu bar.
#[cfg(any(target_os = "macos", test))]
pub fn shape(standing: Standing, shares: bool) -> Pixels {
    let base = if standing == Standing::Muted {
        tauri::include_image!("icons/tray-muted-template.png")
    } else {
        tauri::include_image!("icons/tray-template.png")
    };
    let sign = match standing {
        _ if shares => Some(INK),
        Standing::Resting | Standing::Muted => None,
        Standing::Ringing | Standing::Talking => Some(INK),
    };
    draw(&base, sign)
}

fn draw(base: &Image<'_>, sign: Option<[u8; 3]>) -> Pixels {
    let size = base.width();
    let mut rgba = base.rgba().to_vec();
    let Some(colour) = sign else { return Pixels { size, rgba } };
    let edge = size as f32;
    let (centre, radius) = (edge * 0.74, edge * 0.25);
    for (place, pixel) in rgba.chunks_exact_mut(4).enumerate() {
        let (x, y) = ((place as u32 % size) as f32 + 0.5 - centre, (place as u32 / size) as f32 + 0.5 - centre);
        let distance = x.hypot(y);
        // A gap around the sign keeps it apart from the icon at sixteen pixels too.
        let gap = coverage(distance - radius - edge * 0.06);
        pixel[3] = (f32::from(pixel[3]) * (1.0 - gap)) as u8;
        let disc = coverage(distance - radius);
        if disc > 0.0 {
            pixel[..3].copy_from_slice(&colour);
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

    const ALL: [Standing; 4] = [Standing::Resting, Standing::Ringing, Standing::Talking, Standing::Muted];

    /// The middle of the sign.
    fn signed(pixels: &Pixels) -> &[u8] {
        let at = pixels.size * 74 / 100;
        &pixels.rgba[((at * pixels.size + at) * 4) as usize..][..4]
    }

    #[test]
    fn each_state_looks_different_in_every_size() {
        let icons: Vec<Vec<Pixels>> =
            ALL.map(|standing| drawn(standing, false).into_iter().chain([shape(standing, false)]).collect()).into();
        for pixels in icons.iter().flatten() {
            assert_eq!(pixels.rgba.len(), (pixels.size * pixels.size * 4) as usize);
        }
        for (at, one) in icons.iter().enumerate() {
            for (other_at, other) in icons.iter().enumerate().skip(at + 1) {
                assert_ne!(one[0], other[0], "{:?} and {:?}", ALL[at], ALL[other_at]);
                assert_ne!(one[1], other[1], "{:?} and {:?}", ALL[at], ALL[other_at]);
                // A menu bar has one colour, so a ring is told from a call by its notification and its window.
                let both_signed = (ALL[at], ALL[other_at]) == (Standing::Ringing, Standing::Talking);
                assert_eq!(one[2] == other[2], both_signed, "{:?} and {:?}", ALL[at], ALL[other_at]);
            }
        }
    }

    #[test]
    fn a_call_is_teal_a_ring_amber_a_shared_screen_red_and_a_shape_has_no_colour() {
        let signs = [
            (Standing::Talking, false, CALL),
            (Standing::Ringing, false, RING),
            (Standing::Talking, true, SHOW),
            (Standing::Muted, true, SHOW),
        ];
        for (standing, shares, colour) in signs {
            for pixels in drawn(standing, shares) {
                assert_eq!(signed(&pixels), [colour[0], colour[1], colour[2], 255], "{standing:?}");
            }
        }
        assert_ne!(drawn(Standing::Talking, true), drawn(Standing::Muted, true), "the mute is seen beside it");
        for standing in ALL {
            let coloured = shape(standing, true).rgba.chunks_exact(4).any(|pixel| pixel[3] > 0 && pixel[..3] != INK);
            assert!(!coloured, "{standing:?}");
        }
    }
}
