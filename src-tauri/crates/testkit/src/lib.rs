//! Development only: detectors of tones and pictures' quality, seeded chance, counters of this process for leak tests,
//! our programs and browsers as child processes.

pub mod alloc;
pub mod counts;
pub mod display;
pub mod endpoint;
pub mod link;
pub mod link_json;
pub mod picture;
pub mod process;
#[cfg(unix)]
pub mod pulse;
pub mod rng;
pub mod tone;
pub mod webdriver;

pub use alloc::CountingAllocator;
pub use counts::ProcessCounts;
pub use rng::{Seeded, seeded};
pub use tone::{Tone, ToneReading};
