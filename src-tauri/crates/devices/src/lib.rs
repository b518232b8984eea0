//! Cameras, microphones, speakers and screens, real and synthetic, found in the same lists and opened by the same calls.
//!
//! ```text
//! list(kind) ──► DeviceInfo{id} ──► open_camera      ──► a thread that calls on_frame with each picture
//!                                   open_microphone  ──► MicrophoneStream::read_block, 10 ms at a time
//!                                   open_speaker     ──► SpeakerStream::write_block, 10 ms at a time
//! ```
//!
//! Each open device is one value. Dropping it stops the device, joins its thread and gives the hardware back to the
//! system before `drop` returns. What happens to a device while it runs comes as [`DeviceEvent`]s, and a [`Watch`] tells
//! when another is plugged in, pulled out or made the default; nothing reopens by itself, since which device is next best
//! is a person's ranking that lives higher up.
//!
//! Volumes and gains of the system are read by nobody here and set by nobody: they are the person's own.
//!
//! Real devices come from `cpal` (sound) and `nokhwa` (cameras); the code that differs between systems is one file a
//! system. Screens and windows are listed and opened by calls of their own, since a person chooses among them anew each time.

mod camera;
mod error;
mod event;
mod id;
mod list;
mod pacing;
mod screen;
mod screen_sound;
mod sound;
mod watch;
mod worker;

pub use camera::{CameraInfo, CameraRequest, CameraStream, open_camera};
pub use error::DeviceError;
pub use event::DeviceEvent;
pub use id::{DeviceId, DeviceInfo, Kind, Link, Reach, Selection, Traits};
pub use list::{Listing, list};
pub use screen::{
    Choice, Icon, Listed, Lister, Picker, ScreenError, ScreenEvent, ScreenRequest, ScreenStream, SourceInfo,
    SourceKind, THUMBNAIL, open_screen,
};
pub use screen_sound::{SOUND_FRAMES, SoundError, StereoBlock, SystemSound, has_system_sound, open_system_sound};
pub use sound::{
    MicrophoneRequest, MicrophoneStream, SoundInfo, SpeakerRequest, SpeakerStream, open_microphone, open_speaker,
};
pub use watch::Watch;

#[cfg(test)]
#[global_allocator]
static ALLOCATOR: ahoy_testkit::CountingAllocator = ahoy_testkit::CountingAllocator;
