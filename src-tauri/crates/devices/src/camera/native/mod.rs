//! Real cameras, by nokhwa: raw buffers only, none of its decoders, which go over RGB.
//!
//! What differs between systems is how a camera is named for good; that is one file a system.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;
#[cfg(windows)]
use windows as system;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ahoy_media::video::{Converter, PixelFormat, RawPicture, VideoFrame};
use nokhwa::utils::{CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution};
use nokhwa::{Camera, NokhwaError};

use super::choose::{Offer, Packing, choose};
use super::pictures::Pictures;
use super::{CameraInfo, CameraRequest, Next, Source};
use crate::worker::Stop;
use crate::{DeviceError, DeviceId, DeviceInfo, Kind, Selection, Traits};

/// The packings that are read, in nokhwa's words.
const PACKINGS: [FrameFormat; 3] = [FrameFormat::NV12, FrameFormat::YUYV, FrameFormat::MJPEG];
/// After so many damaged pictures in a row (some 2 s) the camera counts as broken; single ones happen on USB.
const DAMAGED_LIMIT: u32 = 60;

/// A camera that is there.
struct Found {
    id: DeviceId,
    label: String,
    index: CameraIndex,
}

/// Real cameras, then the synthetic one. Opens none, so no light goes on.
pub(crate) fn list() -> Result<Vec<DeviceInfo>, DeviceError> {
    let info = |(at, found): (usize, Found)| DeviceInfo {
        id: found.id,
        label: found.label,
        // No system has a notion of a default camera; the first is what every program takes.
        is_default: at == 0,
        synthetic: false,
        traits: Traits::default(),
    };
    Ok(system::find()?.into_iter().enumerate().map(info).collect())
}

pub(super) fn open(request: &CameraRequest) -> Result<Box<dyn Source>, DeviceError> {
    let mut found = system::find()?.into_iter();
    let (found, asked) = match &request.device {
        Selection::SystemDefault => (found.next(), None),
        Selection::Device(id) => (found.find(|camera| camera.id == *id), Some(id.0.clone())),
    };
    let found = found.ok_or(DeviceError::NotFound { kind: Kind::Camera, id: asked })?;
    Ok(Box::new(NativeSource::open(found, request)?))
}

struct NativeSource {
    camera: Camera,
    info: CameraInfo,
    packing: PixelFormat,
    converter: Converter,
    pictures: Pictures,
    number: u64,
    damaged: u32,
}

impl NativeSource {
    fn open(found: Found, request: &CameraRequest) -> Result<Self, DeviceError> {
        let wish = CameraFormat::new(Resolution::new(request.width, request.height), FrameFormat::NV12, request.fps);
        // nokhwa wants a format before it can say which there are.
        let nearest = RequestedFormat::with_formats(RequestedFormatType::Closest(wish), &PACKINGS);
        let any = RequestedFormat::with_formats(RequestedFormatType::None, &PACKINGS);
        let mut camera = Camera::new(found.index.clone(), nearest)
            .or_else(|_| Camera::new(found.index.clone(), any))
            .map_err(|error| open_error(&error))?;
        if let Ok(formats) = camera.compatible_camera_formats() {
            let offers: Vec<Offer> = formats.iter().filter_map(offer).collect();
            let best = choose(&offers, request.width, request.height, request.fps);
            let exact = |format| RequestedFormat::with_formats(RequestedFormatType::Exact(format), &PACKINGS);
            if let Some(format) = best.and_then(|best| formats.into_iter().find(|format| offer(format) == Some(best)))
                && format != camera.camera_format()
                && let Err(error) = camera.set_camera_requset(exact(format))
            {
                // What it had is good enough to show a picture.
                tracing::warn!(%error, %format, "a camera refuses a format that it offers");
            }
        }
        camera.open_stream().map_err(|error| open_error(&error))?;
        let format = camera.camera_format();
        let packing = match format.format() {
            FrameFormat::NV12 => PixelFormat::Nv12,
            FrameFormat::YUYV => PixelFormat::Yuyv,
            FrameFormat::MJPEG => PixelFormat::Mjpeg,
            FrameFormat::GRAY | FrameFormat::RAWRGB | FrameFormat::RAWBGR => {
                let detail = format!("it offers only {}", format.format());
                return Err(DeviceError::Unsupported { kind: Kind::Camera, detail });
            }
        };
        let info = CameraInfo {
            id: found.id,
            label: found.label,
            width: format.width(),
            height: format.height(),
            fps: f64::from(format.frame_rate()),
            format: format.format().to_string(),
        };
        Ok(Self {
            camera,
            info,
            packing,
            converter: Converter::new(),
            pictures: Pictures::default(),
            number: 0,
            damaged: 0,
        })
    }
}

impl Source for NativeSource {
    fn info(&self) -> CameraInfo {
        self.info.clone()
    }

    fn next(&mut self, _stop: &Stop) -> Result<Next, DeviceError> {
        let buffer = self.camera.frame().map_err(|error| lost(&error))?;
        let captured = captured_at(buffer.capture_timestamp());
        let size = buffer.resolution();
        let raw = RawPicture {
            format: self.packing,
            width: size.width(),
            height: size.height(),
            stride: None,
            data: buffer.buffer(),
        };
        let converter = &mut self.converter;
        let made = self.pictures.make(size.width(), size.height(), |picture| converter.convert(&raw, picture));
        match made {
            Ok(picture) => {
                self.damaged = 0;
                (self.info.width, self.info.height) = (picture.width, picture.height);
                let number = self.number;
                self.number += 1;
                Ok(Next::Frame(VideoFrame { picture, captured, number }))
            }
            Err(error) => {
                self.damaged += 1;
                tracing::debug!(%error, "a camera's picture cannot be converted");
                if self.damaged < DAMAGED_LIMIT {
                    return Ok(Next::Nothing);
                }
                Err(DeviceError::Unsupported { kind: Kind::Camera, detail: error.to_string() })
            }
        }
    }
}

fn offer(format: &CameraFormat) -> Option<Offer> {
    let packing = match format.format() {
        FrameFormat::NV12 => Packing::Nv12,
        FrameFormat::YUYV => Packing::Yuyv,
        FrameFormat::MJPEG => Packing::Mjpeg,
        FrameFormat::GRAY | FrameFormat::RAWRGB | FrameFormat::RAWBGR => return None,
    };
    Some(Offer { width: format.width(), height: format.height(), fps: format.frame_rate(), packing })
}

/// nokhwa gives the driver's moment as time since 1970; on our monotonic clock that is now minus its age. A moment in
/// the future or more than a second ago is a driver's mistake.
fn captured_at(since_1970: Option<Duration>) -> Instant {
    let now = Instant::now();
    let age = since_1970
        .and_then(|stamp| SystemTime::now().duration_since(UNIX_EPOCH).ok()?.checked_sub(stamp))
        .filter(|age| *age < Duration::from_secs(1));
    age.and_then(|age| now.checked_sub(age)).unwrap_or(now)
}

/// nokhwa hands the system's error on as text only, so its words have to be looked at.
fn open_error(error: &NokhwaError) -> DeviceError {
    let detail = error.to_string();
    let words = detail.to_lowercase();
    let kind = Kind::Camera;
    let has = |some: &[&str]| some.iter().any(|word| words.contains(word));
    // EBUSY; MF_E_HW_MFT_FAILED_START_STREAMING and MF_E_VIDEO_RECORDING_DEVICE_PREEMPTED.
    if has(&["busy", "os error 16", "0xc00d3704", "0xc00d3ea3", "preempted", "in use"]) {
        DeviceError::Busy { kind }
    // EACCES, EPERM; E_ACCESSDENIED.
    } else if has(&["permission", "denied", "os error 13", "os error 1)", "0x80070005", "not authorized"]) {
        DeviceError::Denied { kind }
    // ENOENT, ENODEV, ENXIO.
    } else if has(&["no such", "os error 2)", "os error 19", "os error 6)", "not found"]) {
        DeviceError::NotFound { kind, id: Some(detail) }
    } else {
        DeviceError::Unsupported { kind, detail }
    }
}

fn lost(error: &NokhwaError) -> DeviceError {
    DeviceError::Lost { kind: Kind::Camera, detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_become_the_right_sentence() {
        let error = |text: &str| open_error(&NokhwaError::OpenStreamError(text.into()));
        let kind = Kind::Camera;
        assert_eq!(error("Device or resource busy (os error 16)"), DeviceError::Busy { kind });
        assert_eq!(error("Permission denied (os error 13)"), DeviceError::Denied { kind });
        assert!(matches!(error("No such device (os error 19)"), DeviceError::NotFound { .. }));
        assert!(matches!(error("Invalid argument (os error 22)"), DeviceError::Unsupported { .. }));
        assert!(error("busy").to_string().contains("Close that program"));
    }

    #[test]
    fn a_drivers_impossible_time_is_not_believed() {
        let before = Instant::now();
        assert!(captured_at(Some(Duration::ZERO)) >= before);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(captured_at(Some(since + Duration::from_secs(9))) >= before);
        let recent = captured_at(Some(since - Duration::from_millis(40)));
        assert!(recent < before && before - recent < Duration::from_millis(200));
    }
}
