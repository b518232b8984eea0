//! What devices there are.

use crate::worker::bounded;
use crate::{DeviceError, DeviceId, DeviceInfo, Kind, Traits, camera, sound};

/// The devices of one kind, real ones first, the system's default among them marked, the synthetic ones last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// What can be chosen. Never empty, since the synthetic devices are always there; files are not listed.
    pub devices: Vec<DeviceInfo>,
    /// Why no real device could be looked for (no sound server, a system that does not answer), where that is so.
    pub problem: Option<DeviceError>,
}

/// Lists the devices of one kind. Takes up to two seconds when the system does not answer, so it belongs on a blocking
/// thread; opens no device, so no camera light goes on.
pub fn list(kind: Kind) -> Listing {
    let real = bounded(kind, move || match kind {
        Kind::Camera => camera::list(),
        Kind::Microphone | Kind::Speaker => sound::list(kind),
    });
    listing(kind, real.and_then(|devices| devices))
}

/// What was found, with the synthetic ones.
pub(crate) fn listing(kind: Kind, found: Result<Vec<DeviceInfo>, DeviceError>) -> Listing {
    let (mut devices, problem) = match found {
        Ok(devices) => (devices, None),
        Err(problem) => (Vec::new(), Some(problem)),
    };
    devices.extend(synthetic(kind));
    Listing { devices, problem }
}

fn synthetic(kind: Kind) -> Vec<DeviceInfo> {
    let made = |id, label: &str| {
        let (label, traits) = (label.to_owned(), Traits::default());
        DeviceInfo { id, label, is_default: false, synthetic: true, traits }
    };
    match kind {
        Kind::Camera => vec![made(DeviceId::pattern(), "Test pattern")],
        Kind::Microphone => vec![made(DeviceId::tone(), "Test tone"), made(DeviceId::none(), "Silence")],
        Kind::Speaker => vec![made(DeviceId::none(), "No sound")],
    }
}
