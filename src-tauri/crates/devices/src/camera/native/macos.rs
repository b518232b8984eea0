//! How AVFoundation cameras are found and named. Unproven: type-checked only, never run.
//!
//! nokhwa 0.10 mistakes bi-planar 4:2:0 for YUYV here and asks for 10-bit when it wants NV12 (its pull request 246), so
//! pictures may come out wrong until this file reads AVFoundation itself.

use nokhwa::utils::ApiBackend;

use super::Found;
use crate::{DeviceError, DeviceId, Kind};

/// Cameras by their unique identifier; nokhwa gives it in `misc`.
pub(super) fn find() -> Result<Vec<Found>, DeviceError> {
    let cameras = nokhwa::query(ApiBackend::AVFoundation)
        .map_err(|error| DeviceError::NoSystem { kind: Kind::Camera, detail: error.to_string() })?;
    let found = |camera: nokhwa::utils::CameraInfo| Found {
        id: DeviceId(format!("avf:{}", camera.misc())),
        label: camera.human_name(),
        index: camera.index().clone(),
    };
    Ok(cameras.into_iter().map(found).collect())
}
