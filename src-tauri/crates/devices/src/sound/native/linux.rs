//! Which sound system to ask on Linux: the sound server over PulseAudio's protocol (PipeWire speaks it too), else ALSA.
//!
//! Unproven: ALSA with a real card, and PipeWire's side of the protocol; PulseAudio itself is tested against its daemon.

use std::sync::{Arc, Mutex, PoisonError};

use cpal::HostId;
use cpal::traits::{DeviceTrait, HostTrait};

use crate::{DeviceError, Kind};

/// The one connection to the sound server, for all lists and streams of this process. The library behind it leaves a
/// thread and a socket behind with each connection that is let go while the server is silent (pulseaudio 0.3.2: its
/// reactor looks for the end only when woken), so none is let go but a dead one, whose thread has ended.
static SERVER: Mutex<Option<Arc<cpal::Host>>> = Mutex::new(None);

/// The sound server if one answers, else ALSA if it has a card.
pub(super) fn host(kind: Kind) -> Result<Arc<cpal::Host>, DeviceError> {
    let problem = match server() {
        Ok(host) => return Ok(host),
        Err(error) => error.to_string(),
    };
    let host = alsa(kind)?;
    let has_card =
        host.devices().is_ok_and(|mut devices| devices.any(|device| device.id().is_ok_and(|id| is_card(&id))));
    if has_card {
        return Ok(host);
    }
    Err(DeviceError::NoSystem { kind, detail: format!("{problem}; nor is there a sound card") })
}

/// The host that an identifier belongs to.
pub(super) fn host_of(kind: Kind, id: &cpal::DeviceId) -> Result<Arc<cpal::Host>, DeviceError> {
    match id.host() {
        HostId::Alsa => alsa(kind),
        HostId::PulseAudio => server().map_err(|error| super::system_error(kind, &error)),
        #[allow(unreachable_patterns, reason = "which hosts there are depends on features that others may turn on")]
        other => cpal::host_from_id(other).map(Arc::new).map_err(|error| super::system_error(kind, &error)),
    }
}

fn server() -> Result<Arc<cpal::Host>, cpal::Error> {
    let lock = || SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    // Asked outside the lock: a server that hangs must not keep others from finding out by themselves.
    let kept = lock().clone();
    if let Some(host) = kept {
        if host.devices().is_ok() {
            return Ok(host);
        }
        let mut kept = lock();
        if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, &host)) {
            *kept = None;
        }
    }
    super::cookie::ensure();
    let host = Arc::new(cpal::host_from_id(HostId::PulseAudio)?);
    *lock() = Some(Arc::clone(&host));
    Ok(host)
}

/// Whether a person should see it. ALSA offers each card under a dozen names: the one that converts is enough. A server's
/// monitors hear what the speaker plays, so as a microphone (or the default one, where there is no other) they would send
/// everybody's voice back; they can still be opened by their identifier.
pub(super) fn worth_listing(id: &cpal::DeviceId) -> bool {
    match id.host() {
        HostId::Alsa => id.id() == "default" || is_card(id),
        _ => !id.id().ends_with(".monitor"),
    }
}

/// A card under its name with conversions; numbers change with the order in which the kernel finds cards.
fn is_card(id: &cpal::DeviceId) -> bool {
    let card = id.id().strip_prefix("plughw:CARD=");
    card.is_some_and(|card| !card.starts_with(|first: char| first.is_ascii_digit()))
}

fn alsa(kind: Kind) -> Result<Arc<cpal::Host>, DeviceError> {
    hush();
    cpal::host_from_id(HostId::Alsa).map(Arc::new).map_err(|error| super::system_error(kind, &error))
}

/// ALSA's library writes to standard error whatever it tries in vain. Its handler goes by thread, and each of our device
/// threads that gets to ALSA passes here first.
fn hush() {
    if let Err(error) = alsa::Output::local_error_handler() {
        tracing::debug!(%error, "ALSA cannot be kept from writing to standard error");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_cards_and_sources_and_neither_aliases_nor_monitors() {
        let seen = |host, id: &str| worth_listing(&cpal::DeviceId::new(host, id));
        assert!(seen(HostId::PulseAudio, "alsa_input.usb-0d8c_USB_Sound_Device-00.mono-fallback"));
        assert!(!seen(HostId::PulseAudio, "alsa_output.pci-0000_00_1f.3.analog-stereo.monitor"));
        assert!(seen(HostId::Alsa, "plughw:CARD=PCH,DEV=0"));
        assert!(seen(HostId::Alsa, "default"));
        for alias in ["hw:CARD=PCH,DEV=0", "plughw:CARD=0,DEV=0", "surround51:CARD=PCH,DEV=0", "null", "pulse"] {
            assert!(!seen(HostId::Alsa, alias), "{alias}");
        }
    }
}
