//! `cargo xtask icons`: every picture of the program's symbol, made from its drawings in `icons/*.svg` by Tauri's own tool,
//! whose version is pinned, so that the same drawing gives the same bytes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::run;

/// Edges in pixels: what desktops' icon themes and Windows' shell ask for.
const SIZES: &[u32] = &[16, 24, 32, 48, 64, 128, 256, 512];

/// The tray's drawings, their edges in pixels, and the pictures' names; the program's `desktop/tray/icon.rs` takes them in.
/// macOS wants shapes, of 22 points at two pixels a point.
const TRAY: &[(&str, u32, &str)] = &[
    ("tray", 32, "tray-small"),
    ("tray", 64, "tray"),
    ("tray-muted", 32, "tray-muted-small"),
    ("tray-muted", 64, "tray-muted"),
    ("tray-template", 44, "tray-template"),
    ("tray-muted-template", 44, "tray-muted-template"),
];

/// Makes all pictures anew.
///
/// # Errors
/// When Tauri's tool is not there or a drawing is none.
pub fn run() -> anyhow::Result<()> {
    draw(&folder())
}

/// Whether the pictures are what the drawings say.
///
/// # Errors
/// Names a picture that is not.
pub fn are_fresh() -> anyhow::Result<()> {
    let fresh = tempfile::tempdir()?;
    draw(fresh.path())?;
    for name in names() {
        let kept = std::fs::read(folder().join(&name)).with_context(|| format!("icons/{name} is missing"))?;
        let made = std::fs::read(fresh.path().join(&name))?;
        let same = if name.ends_with(".icns") { parts(&made) == parts(&kept) } else { made == kept };
        anyhow::ensure!(
            same,
            "icons/{name} is not what its drawing says; run `cargo xtask icons` and commit the result"
        );
    }
    Ok(())
}

/// The pictures in an Apple icon (a head of 8 bytes; then each with a type and a length, big-endian, that counts both), which
/// the tool writes in any order.
fn parts(icns: &[u8]) -> BTreeSet<&[u8]> {
    let mut parts = BTreeSet::new();
    let mut rest = icns.get(8..).unwrap_or_default();
    while let Some(length) = rest.get(4..8).and_then(|length| length.try_into().ok()).map(u32::from_be_bytes) {
        let (part, after) = rest.split_at(rest.len().min((length as usize).max(8)));
        parts.insert(part);
        rest = after;
    }
    parts
}

fn folder() -> PathBuf {
    run::root().join("icons")
}

fn names() -> Vec<String> {
    let sizes = SIZES.iter().map(|edge| format!("{edge}x{edge}.png"));
    let tray = TRAY.iter().map(|(_, _, name)| format!("{name}.png"));
    sizes.chain(tray).chain(["icon.icns".to_owned(), "icon.ico".to_owned()]).collect()
}

fn draw(into: &Path) -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let sizes = SIZES.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    render("ahoy", into, &["--png", &sizes])?;
    // Without sizes the tool also makes what phones and shops want; only the two containers are taken.
    render("ahoy", work.path(), &[])?;
    for name in ["icon.icns", "icon.ico"] {
        std::fs::copy(work.path().join(name), into.join(name)).with_context(|| format!("no {name} was made"))?;
    }
    for (drawing, edge, name) in TRAY {
        render(drawing, work.path(), &["--png", &edge.to_string()])?;
        std::fs::copy(work.path().join(format!("{edge}x{edge}.png")), into.join(format!("{name}.png")))?;
    }
    Ok(())
}

fn render(drawing: &str, into: &Path, more: &[&str]) -> anyhow::Result<()> {
    let source = folder().join(format!("{drawing}.svg"));
    run::quietly(run::tauri().arg("icon").arg(source).arg("--output").arg(into).args(more)).map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Width and height of a PNG: the first chunk is IHDR (PNG, section 11.2.2).
    fn size(png: &[u8]) -> (u32, u32) {
        assert_eq!(&png[1..4], b"PNG");
        let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        (number(16), number(20))
    }

    #[test]
    fn each_picture_is_there_in_the_size_that_its_name_says() {
        for edge in SIZES {
            let png = std::fs::read(folder().join(format!("{edge}x{edge}.png"))).unwrap();
            assert_eq!(size(&png), (*edge, *edge));
        }
        for (_, edge, name) in TRAY {
            assert_eq!(size(&std::fs::read(folder().join(format!("{name}.png"))).unwrap()), (*edge, *edge));
        }
    }

    #[test]
    fn the_windows_icon_holds_the_small_sizes_too() {
        let ico = std::fs::read(folder().join("icon.ico")).unwrap();
        // ICONDIR: reserved, type 1, count; then ICONDIRENTRYs of 16 bytes that begin with the width, 0 for 256.
        let count = usize::from(u16::from_le_bytes([ico[4], ico[5]]));
        let mut widths: Vec<u8> = (0..count).map(|entry| ico[6 + entry * 16]).collect();
        widths.sort_unstable();
        assert_eq!(widths, [0, 16, 24, 32, 48, 64]);
    }

    #[test]
    fn an_apple_icon_is_the_same_in_any_order_and_nonsense_is_no_icon() {
        let icns = |order: [&str; 2]| {
            let one = |kind: &str| [kind.as_bytes(), &[0, 0, 0, 10], &[1, 2]].concat();
            [b"icns\0\0\0\x1c".to_vec(), one(order[0]), one(order[1])].concat()
        };
        assert_eq!(parts(&icns(["ic07", "ic08"])), parts(&icns(["ic08", "ic07"])));
        assert_ne!(parts(&icns(["ic07", "ic08"])), parts(&icns(["ic07", "ic09"])));
        assert_eq!(parts(&[0; 7]).len() + parts(&[]).len(), 0);
        assert!(!parts(&[0; 32]).is_empty(), "a length of nothing must not be read for ever");
    }

    #[test]
    fn the_bundle_names_pictures_that_are_made() {
        let text = std::fs::read_to_string(run::root().join("tauri.conf.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&text).unwrap();
        let named = config["bundle"]["icon"].as_array().unwrap();
        for icon in named {
            let name = icon.as_str().unwrap().strip_prefix("icons/").unwrap();
            assert!(names().iter().any(|made| made == name), "{name} is not made by `cargo xtask icons`");
        }
        assert_eq!(named.len(), SIZES.len() + 2);
    }
}
