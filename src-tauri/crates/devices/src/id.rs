//! Who a device is: identifiers that outlive a restart, and what a list shows.

use std::fmt;

/// Names one device for good: the same after a restart, and after unplugging and plugging into the same place.
///
/// A real device's identifier is `system:where-it-is-plugged` and never an index (`pulseaudio:alsa_input.usb-...`,
/// `v4l2:pci-0000:00:14.0-usb-0:1:1.0-video-index0`). The synthetic ones are:
///
/// | identifier | camera | microphone | speaker |
/// |---|---|---|---|
/// | `pattern`, `pattern:SEED` | moving test pattern with number and clock, in the process's colours or in SEED's | | |
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

    /// Whether it names a device that this program makes rather than one of the system's. Such a one is always there.
    pub fn is_synthetic(&self) -> bool {
        matches!(self.0.as_str(), "pattern" | "tone" | "clap" | "none")
            || self.0.starts_with("tone:")
            || self.0.starts_with("pattern:")
            || self.0.starts_with("file:")
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
    /// What the system has as its default now; never a synthetic device. When the default changes, some sound systems move
    /// the stream along and some end it; [`crate::Watch`] tells of it everywhere.
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
    /// What else is known of it.
    pub traits: Traits,
}

/// What the system knows of a device besides its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traits {
    /// Who hears what it plays; of speakers.
    pub reach: Reach,
    /// How it is connected.
    pub link: Link,
    /// Another number under the same identifier: the system took the device away and made it anew since, so whatever was
    /// open on the old one plays nowhere.
    pub incarnation: u32,
}

/// Who hears what a speaker plays, the quieter first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Reach {
    /// Whoever wears it: headphones, a headset, an earpiece.
    Private,
    /// The system does not say.
    #[default]
    Unknown,
    /// Everybody around: loudspeakers, a screen's or television's sound.
    Room,
}

/// How a sound device is connected, as far as that makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Link {
    /// By wire, built in, or the system does not say.
    #[default]
    Other,
    /// Bluetooth in its mode for music (A2DP, LE Audio).
    Bluetooth,
    /// Bluetooth in its mode for telephones (HSP or HFP): both ways at once, mono at 8 or 16 kHz.
    Telephone,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_program_makes_is_always_there() {
        for synthetic in ["pattern", "pattern:7", "file:/a.y4m", "tone", "tone:440", "clap", "none"] {
            assert!(DeviceId::from(synthetic).is_synthetic(), "{synthetic}");
        }
        for real in ["patterned", "v4l2:usb-0", "pulseaudio:tone", "alsa:none"] {
            assert!(!DeviceId::from(real).is_synthetic(), "{real}");
        }
    }
}
