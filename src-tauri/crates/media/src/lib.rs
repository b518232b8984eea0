//! Frames, clocks, codecs, jitter buffers, mixing, rate control, sound and picture in step; no device, no network.
//!
//! Nothing here reads a clock, opens a socket or spawns a thread: time comes in as an argument, and what comes from the
//! network, a file or a device can be refused but cannot panic.

pub mod audio;
#[doc(hidden)]
pub mod fuzz;
pub mod measure;
pub mod rate;
pub mod slot;
pub mod stats;
pub mod sync;
pub mod units;
pub mod video;

pub use slot::LatestSlot;
pub use units::{Bitrate, FrameRate};
