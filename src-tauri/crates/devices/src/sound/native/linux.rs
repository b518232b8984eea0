//! Which sound system to ask on Linux: the sound server over PulseAudio's protocol (PipeWire speaks it too), else ALSA.
//!
//! Unproven: ALSA with a real card, and PipeWire's side of the protocol; PulseAudio itself is tested against its daemon.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cpal::HostId;
use cpal::traits::{DeviceTrait, HostTrait};

use super::pulse::{self, Connection};
use crate::worker::Stop;
use crate::{DeviceError, DeviceInfo, Kind};

/// How often is looked whether a sound server is there (again), and at what no server tells of: cards and cameras.
const LOOK: Duration = Duration::from_millis(200);
/// A server that does not answer is left in peace for so long.
const HUNG_PAUSE: Duration = Duration::from_secs(3);

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

/// What there is: the sound server's devices if one answers, else ALSA's.
pub(super) fn list(kind: Kind) -> Result<Vec<DeviceInfo>, DeviceError> {
    match Connection::open().and_then(|mut server| server.list(kind)) {
        Ok(devices) => Ok(devices),
        Err(error) => match pulse::list_error(kind, &error) {
            // A server that hangs has the cards.
            hung @ DeviceError::Hung { .. } => Err(hung),
            none => cards(kind).map_err(|_| none),
        },
    }
}

fn cards(kind: Kind) -> Result<Vec<DeviceInfo>, DeviceError> {
    let devices = super::enumerate(&*alsa(kind)?, kind)?;
    // ALSA has its "default" without any card, too.
    let none = || DeviceError::NoSystem { kind, detail: "nor is there a sound card".into() };
    if devices.iter().any(|device| device.id.as_str().contains(CARD)) { Ok(devices) } else { Err(none()) }
}

/// Waits for a moment at which the lists may be others: the sound server tells; without one, the kernel's list of cards is
/// read now and then.
#[derive(Default)]
pub(crate) struct Changes {
    server: Option<Connection>,
    /// The server went while a list was read, and lists read before may be wrong now.
    gone: bool,
    /// Until then the server is not tried.
    rest: Option<Instant>,
    cards: String,
}

impl Changes {
    /// Asks to be told from now on, so that nothing changes unseen after a list was read.
    pub(crate) fn begin(&mut self) {
        if self.server.is_some() || self.rest.is_some_and(|until| until > Instant::now()) {
            return;
        }
        match Connection::open().and_then(|mut server| server.subscribe().map(|()| server)) {
            Ok(server) => self.server = Some(server),
            Err(error) => {
                let hung = matches!(pulse::list_error(Kind::Speaker, &error), DeviceError::Hung { .. });
                self.rest = hung.then(|| Instant::now() + HUNG_PAUSE);
            }
        }
    }

    /// Waits until sound devices may have changed, for `stop`, or for some while; tells whether to look.
    pub(crate) fn wait(&mut self, stop: &Stop) -> bool {
        if std::mem::take(&mut self.gone) {
            return true;
        }
        if let Some(server) = &mut self.server {
            match server.wait(LOOK) {
                Ok(changed) => return changed,
                Err(error) => tracing::info!(%error, "the sound server is gone"),
            }
            self.server = None;
            return true;
        }
        self.begin();
        if self.server.is_some() {
            return true;
        }
        stop.wait_until(Instant::now() + LOOK);
        let cards = std::fs::read_to_string("/proc/asound/cards").unwrap_or_default();
        std::mem::replace(&mut self.cards, cards) != self.cards
    }

    pub(crate) fn list(&mut self, kind: Kind) -> Result<Vec<DeviceInfo>, DeviceError> {
        if let Some(server) = &mut self.server {
            match server.list(kind) {
                Ok(devices) => return Ok(devices),
                Err(error) => tracing::info!(%error, "the sound server gives no list"),
            }
            self.server = None;
            self.gone = true;
        }
        list(kind)
    }
}

pub(super) use pulse::stable_name;

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
        _ => pulse::worth_listing(id.id()),
    }
}

const CARD: &str = "plughw:CARD=";

/// A card under its name with conversions; numbers change with the order in which the kernel finds cards.
fn is_card(id: &cpal::DeviceId) -> bool {
    let card = id.id().strip_prefix(CARD);
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
