//! How Video4Linux cameras are found and named.
//!
//! Unproven: everything here and in `super` that needs a real V4L2 device has been compiled and tested on made-up
//! directories only. Known from reading nokhwa 0.10 with its V4L2 bindings 0.1: it refuses a camera whose present rate is
//! not a whole number, ignores row padding, and waits for a picture without limit (a camera that hangs is told of by the
//! stall watcher, and its thread is left behind on closing).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nokhwa::utils::CameraIndex;

use super::Found;
use crate::{DeviceError, DeviceId};

/// Cameras by the place they are plugged into: `/dev/v4l/by-path` names port and interface, so two cameras of one make
/// differ and a replugged one keeps its name. A node without such a link (virtual cameras) goes by its name in sysfs.
pub(super) fn find() -> Result<Vec<Found>, DeviceError> {
    Ok(find_in(Path::new("/sys/class/video4linux"), Path::new("/dev/v4l/by-path")))
}

fn find_in(class: &Path, by_path: &Path) -> Vec<Found> {
    let links = links(by_path);
    let mut nodes: Vec<(u32, PathBuf)> = entries(class)
        .filter_map(|path| Some((path.file_name()?.to_str()?.strip_prefix("video")?.parse().ok()?, path)))
        .collect();
    nodes.sort_unstable();
    nodes.into_iter().filter_map(|(number, path)| describe(number, &path, &links)).collect()
}

fn describe(number: u32, path: &Path, links: &BTreeMap<String, String>) -> Option<Found> {
    // A USB camera has several nodes; all but the first carry metadata, not pictures.
    let first = fs::read_to_string(path.join("index")).is_ok_and(|index| index.trim() == "0");
    if !first {
        return None;
    }
    let label = fs::read_to_string(path.join("name")).map(|name| name.trim().to_owned()).unwrap_or_default();
    let place = match links.get(&format!("video{number}")) {
        Some(link) => link.clone(),
        None => format!("name-{label}"),
    };
    let label = if label.is_empty() { format!("Camera {number}") } else { label };
    Some(Found { id: DeviceId(format!("v4l2:{place}")), label, index: CameraIndex::Index(number) })
}

/// From `video0` to its name below by-path. Of two links to one node (udev makes `usb-` and `usbv2-` ones) the first in the
/// alphabet is taken, always the same.
fn links(by_path: &Path) -> BTreeMap<String, String> {
    let mut links = BTreeMap::new();
    let mut paths: Vec<_> = entries(by_path).collect();
    paths.sort_unstable();
    for path in paths {
        let target = fs::read_link(&path).ok();
        let node = target.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()).map(str::to_owned);
        if let (Some(node), Some(name)) = (node, path.file_name().and_then(|name| name.to_str())) {
            links.entry(node).or_insert_with(|| name.to_owned());
        }
    }
    links
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(class: &Path, number: u32, index: u32, name: &str) {
        let path = class.join(format!("video{number}"));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("index"), format!("{index}\n")).unwrap();
        fs::write(path.join("name"), format!("{name}\n")).unwrap();
    }

    fn ids(found: &[Found]) -> Vec<&str> {
        found.iter().map(|camera| camera.id.as_str()).collect()
    }

    #[test]
    fn a_camera_keeps_its_identifier_when_the_system_numbers_it_anew() {
        let home = tempfile::tempdir().unwrap();
        let (class, by_path) = (home.path().join("class"), home.path().join("by-path"));
        fs::create_dir_all(&by_path).unwrap();
        node(&class, 0, 0, "Webcam");
        node(&class, 1, 1, "Webcam");
        node(&class, 10, 0, "Virtual");
        let link = by_path.join("pci-0000:00:14.0-usb-0:1:1.0-video-index0");
        std::os::unix::fs::symlink("../../video0", &link).unwrap();
        let before = find_in(&class, &by_path);
        assert_eq!(ids(&before), ["v4l2:pci-0000:00:14.0-usb-0:1:1.0-video-index0", "v4l2:name-Virtual"]);

        fs::remove_dir_all(&class).unwrap();
        fs::remove_file(&link).unwrap();
        node(&class, 4, 0, "Webcam");
        std::os::unix::fs::symlink("../../video4", &link).unwrap();
        let after = find_in(&class, &by_path);
        assert_eq!(ids(&after), ["v4l2:pci-0000:00:14.0-usb-0:1:1.0-video-index0"]);
        assert_eq!(after[0].index, CameraIndex::Index(4));
    }

    #[test]
    fn a_system_without_cameras_gives_an_empty_list() {
        assert!(find_in(Path::new("/nonexistent"), Path::new("/nonexistent")).is_empty());
    }
}
