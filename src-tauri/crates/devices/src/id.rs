//! Who a device is: identifiers that outlive a restart, and what a list shows.

use std::fmt;

/// Names one device for good: the same after a restart, and after unplugging and plugging into the same place.
///
/// A real device's identifier is `system:where-it-is-plugged` and never an index (`pulseaudio:alsa_input.usb-...`,
/// `v4l2:pci-0000:00:14.0-usb-0:1:1.0-video-index0`). The synthetic ones are:
///
/// | identifier | camera | microphone | speaker |
/// |---|---|---|---|
/// | `pattern` | moving test pattern with number and clock | | |
/// | `file:PATH` | Y4M, looped; the frame number is the place in the file | WAV, looped | writes a WAV |
/// | `tone`, `tone:HZ` | | sine of 440 Hz, or of HZ | |
/// | `clap` | | 20 ms of 1 kHz at each full second of the calendar | |
/// | `none` | | silence | swallows everything |
///
/// They are case-sensitive and unique among the devices of one [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(pub String);

impl DeviceId {
    /// The moving test pattern.
    pub fn pattern() -> Self {
        Self("pattern".into())
    }

    /// The 440 Hz tone.
    pub fn tone() -> Self {
        Self("tone".into())
    }

    /// Silence as a microphone, a sink that swallows everything as a speaker.
    pub fn none() -> Self {
        Self("none".into())
    }

    /// A file as a camera (Y4M) or microphone (WAV), or one to be written by a speaker (WAV).
    pub fn file(path: impl AsRef<std::path::Path>) -> Self {
        Self(format!("file:{}", path.as_ref().display()))
    }

    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for DeviceId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for DeviceId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// What a device does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Gives pictures.
    Camera,
    /// Gives sound.
    Microphone,
    /// Takes sound.
    Speaker,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Camera => "camera",
            Self::Microphone => "microphone",
            Self::Speaker => "speaker",
        })
    }
}

/// Which device to open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selection {
    /// What the system has as its default now. Where the sound system itself moves a stream when the default changes,
    /// the stream follows; elsewhere a [`crate::DeviceEvent::Lost`] asks for reopening. Never a synthetic device.
    SystemDefault,
    /// This one and no other.
    Device(DeviceId),
}

/// One line of a device list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Stable identifier.
    pub id: DeviceId,
    /// As the system calls it, for a person to read.
    pub label: String,
    /// The system's default of its kind.
    pub is_default: bool,
    /// Made by this program rather than by the system.
    pub synthetic: bool,
}
