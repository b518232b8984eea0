//! A whole endpoint without a window: signaling, call, media, store.
//!
//! ```text
//! commands ──► call task ──► snapshots, rare events          pictures by slot, levels by watch,
//!               │  ▲                                       the chart's figures by question
//!               │  ▲  (sole owner of the session, the store and the list of links)
//!   links ◄─────┤  ├─── link tasks, one for each rendezvous
//!   connection ◄┤  ├─── connection task, one for each peer connection
//!   media ◄─────┘  └─── media threads
//! ```
//! [`Engine::start`] opens a profile and starts all of it; [`EngineHandle::shutdown`] ends all of it and waits.

pub mod api;
mod av;
mod clock;
mod config;
mod connection;
mod desk;
pub mod device_words;
mod event;
mod handle;
mod link;
mod profile;
pub mod quality;
mod role;
mod store;
pub mod words;

/// What pictures and sound are made of, for programs that look into them.
pub mod media {
    pub use ahoy_media::LatestSlot;
    pub use ahoy_media::audio::{Block, wav};
    pub use ahoy_media::units::FrameRate;
    pub use ahoy_media::video::{I420, Scaler, VideoFrame, pattern, scale, y4m};
}

pub use ahoy_devices::{DeviceInfo, Kind as DeviceKind, Listing, list as list_devices};
pub use ahoy_protocol::{AhoyId, ContactCard, LinkError};
pub use clock::Clock;
pub use config::{DEFAULT_SERVER, EngineConfig, Loopback, PictureWish, ProfilePlace, Strangers, Taps};
pub use event::{
    AudioEncodeCounts, CallQuality, CallStats, Event, Happened, LimitationDurations, ProcessUsage, Tone,
    VideoEncodeCounts, VideoSource,
};
pub use handle::{CommandError, Engine, EngineHandle, StartError};
pub use profile::ProfileError;
pub use store::SchemaError;
