//! Windows (WASAPI, shared mode) and macOS (CoreAudio): one host, always there. Unproven: type-checked only, never run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::worker::Stop;
use crate::{DeviceError, DeviceInfo, Kind};

/// cpal tells an open stream of its own end, and nobody of what was plugged in, so the lists are looked at this often.
const LOOK: Duration = Duration::from_secs(1);

pub(super) fn host(_kind: Kind) -> Result<Arc<cpal::Host>, DeviceError> {
    Ok(Arc::new(cpal::default_host()))
}

pub(super) fn host_of(kind: Kind, id: &cpal::DeviceId) -> Result<Arc<cpal::Host>, DeviceError> {
    cpal::host_from_id(id.host()).map(Arc::new).map_err(|error| super::system_error(kind, &error))
}

pub(super) fn worth_listing(_id: &cpal::DeviceId) -> bool {
    true
}

pub(super) fn stable_name(name: &str) -> &str {
    name
}

pub(super) fn list(kind: Kind) -> Result<Vec<DeviceInfo>, DeviceError> {
    super::enumerate(&*host(kind)?, kind)
}

/// Waits for a moment at which the lists may be others.
#[derive(Debug, Default)]
pub(crate) struct Changes;

impl Changes {
    /// Nothing is to be asked here.
    pub(crate) fn begin(&mut self) {}

    /// Waits until sound devices may have changed, for `stop`, or for some while; tells whether to look.
    pub(crate) fn wait(&mut self, stop: &Stop) -> bool {
        !stop.wait_until(Instant::now() + LOOK)
    }

    pub(crate) fn list(&mut self, kind: Kind) -> Result<Vec<DeviceInfo>, DeviceError> {
        list(kind)
    }
}
