//! What an engine is started with.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use ahoy_media::audio::Block;
use ahoy_media::video::VideoFrame;
pub use ahoy_peer::Loopback;

use crate::api::{DeviceChoice, Language, Voice};
pub use crate::profile::ProfilePlace;

/// Where people meet who have set nothing: a rendezvous on this computer, at the port that `ahoy-server` takes.
pub const DEFAULT_SERVER: &str = "ws://127.0.0.1:7400";

/// How to start an [`crate::Engine`].
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The profile.
    pub profile: ProfilePlace,
    /// The rendezvous for this run, instead of the remembered one.
    pub server: Option<String>,
    /// The camera for this run, instead of the remembered one.
    pub camera: Option<DeviceChoice>,
    /// The microphone for this run, instead of the remembered one.
    pub microphone: Option<DeviceChoice>,
    /// The speaker for this run, instead of the remembered one.
    pub speaker: Option<DeviceChoice>,
    /// What is done to the microphone's sound for this run, instead of what is remembered, and also to that of a synthetic
    /// microphone, which else passes sample by sample.
    pub voice: Option<Voice>,
    /// The language of a person who has chosen none: the system's, where it is to be followed.
    pub language: Language,
    /// What the camera is asked for.
    pub picture: PictureWish,
    /// What happens when somebody calls who is not a contact.
    pub strangers: Strangers,
    /// Look for devices at the start, for somebody who is shown them.
    pub list_devices: bool,
    /// Whether 127.0.0.1 is offered to the other side.
    pub loopback: Loopback,
    /// What the program wants to be told of each picture and block of sound.
    pub taps: Taps,
}

impl EngineConfig {
    /// Everything as remembered, or as suits most, for this profile.
    pub fn new(profile: ProfilePlace) -> Self {
        Self {
            profile,
            server: None,
            camera: None,
            microphone: None,
            speaker: None,
            voice: None,
            language: Language::default(),
            picture: PictureWish::default(),
            strangers: Strangers::default(),
            list_devices: false,
            loopback: Loopback::default(),
            taps: Taps::default(),
        }
    }
}

/// What the camera is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureWish {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Pictures a second.
    pub fps: u32,
}

impl Default for PictureWish {
    fn default() -> Self {
        Self { width: 1280, height: 720, fps: 30 }
    }
}

/// What happens when somebody calls who is not a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strangers {
    /// Their call is a request that waits, quietly.
    #[default]
    Wait,
    /// They ring as contacts do, but see no address before the answer: for machines that answer everybody.
    Ring,
}

type FrameTap = Arc<dyn Fn(&VideoFrame) + Send + Sync>;
type ShownTap = Arc<dyn Fn(&VideoFrame, Instant) + Send + Sync>;
type HeardTap = Arc<dyn Fn(&Block, Instant) + Send + Sync>;

/// Callbacks on the media threads. Each must return within microseconds and never block: hand on and return.
#[derive(Clone, Default)]
pub struct Taps {
    /// Camera thread: a picture was captured.
    pub captured: Option<FrameTap>,
    /// Video-receive thread: a picture of the other side is shown, at this time.
    pub shown: Option<ShownTap>,
    /// Screen-receive thread: a picture of what the other side shows is shown, at this time.
    pub screen_shown: Option<ShownTap>,
    /// Audio thread: 10 ms were decoded for the speaker, to be heard at this time as far as its system knows (from the first packet on, concealed ones and silence in between too).
    pub heard: Option<HeardTap>,
}

impl fmt::Debug for Taps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taps")
            .field("captured", &self.captured.is_some())
            .field("shown", &self.shown.is_some())
            .field("screen_shown", &self.screen_shown.is_some())
            .field("heard", &self.heard.is_some())
            .finish()
    }
}
