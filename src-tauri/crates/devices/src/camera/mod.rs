//! Cameras: one request, one thread, one callback with each picture.

mod choose;
mod native;
mod pictures;
mod stream;
mod synthetic;

use ahoy_media::video::VideoFrame;

use crate::worker::Stop;
use crate::{DeviceError, DeviceId, Kind, Selection};

pub(crate) use native::list;
pub use stream::{CameraStream, open_camera};

/// What is wanted of a camera. A real one gives the nearest it has; [`CameraStream::info`] says what that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraRequest {
    /// Which camera.
    pub device: Selection,
    /// Pixels across; a file keeps its own size.
    pub width: u32,
    /// Pixels down; a file keeps its own size.
    pub height: u32,
    /// Pictures a second; a file keeps its own rate.
    pub fps: u32,
}

/// What an open camera really gives.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraInfo {
    /// The device that is open, also where the system's default was asked for.
    pub id: DeviceId,
    /// As the system calls it.
    pub label: String,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Nominal pictures a second.
    pub fps: f64,
    /// How the device delivers pixels: `YUYV`, `NV12`, `MJPEG`, `I420`.
    pub format: String,
}

/// Where pictures come from; made and used on one thread, which is why it need not be `Send`.
trait Source {
    /// What it gives now.
    fn info(&self) -> CameraInfo;

    /// Waits for the next picture, or for `stop`.
    ///
    /// # Errors
    /// When the device is gone or broken; it is not asked again then.
    fn next(&mut self, stop: &Stop) -> Result<Next, DeviceError>;
}

/// What a [`Source`] came back with.
enum Next {
    Frame(VideoFrame),
    /// Told to stop, or a picture was damaged and left out.
    Nothing,
}

fn open_source(request: &CameraRequest) -> Result<Box<dyn Source>, DeviceError> {
    if let Selection::Device(id) = &request.device {
        if let Some(source) = synthetic::open(id, request)? {
            return Ok(source);
        }
        if id.as_str() == DeviceId::none().as_str() {
            return Err(DeviceError::NotFound { kind: Kind::Camera, id: Some(id.0.clone()) });
        }
    }
    native::open(request)
}
