//! How Media Foundation cameras are found and named. Unproven: type-checked only, never run.

use nokhwa::utils::ApiBackend;

use super::Found;
use crate::{DeviceError, DeviceId, Kind};

/// Cameras by their symbolic link, which names the place on the bus; nokhwa gives it in `misc`.
pub(super) fn find() -> Result<Vec<Found>, DeviceError> {
    let cameras = nokhwa::query(ApiBackend::MediaFoundation)
        .map_err(|error| DeviceError::NoSystem { kind: Kind::Camera, detail: error.to_string() })?;
    let found = |camera: nokhwa::utils::CameraInfo| Found {
        id: DeviceId(format!("mf:{}", camera.misc())),
        label: camera.human_name(),
        index: camera.index().clone(),
    };
    Ok(cameras.into_iter().map(found).collect())
}
