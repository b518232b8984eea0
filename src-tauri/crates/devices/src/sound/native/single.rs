//! Windows (WASAPI, shared mode) and macOS (CoreAudio): one host, always there. Unproven: type-checked only, never run.

use std::sync::Arc;

use crate::{DeviceError, Kind};

pub(super) fn host(_kind: Kind) -> Result<Arc<cpal::Host>, DeviceError> {
    Ok(Arc::new(cpal::default_host()))
}

pub(super) fn host_of(kind: Kind, id: &cpal::DeviceId) -> Result<Arc<cpal::Host>, DeviceError> {
    cpal::host_from_id(id.host()).map(Arc::new).map_err(|error| super::system_error(kind, &error))
}

pub(super) fn worth_listing(_id: &cpal::DeviceId) -> bool {
    true
}
