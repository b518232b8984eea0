//! Wayland: there the desktop's portal chooses and PipeWire brings the pictures, which is not built in yet. An X11 connection
//! would give black pictures in such a session, so nothing is shown rather than that.

use super::{ScreenError, Screens};

/// Whether this session is Wayland's.
pub(super) fn is_session() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    set("WAYLAND_DISPLAY") || std::env::var_os("XDG_SESSION_TYPE").is_some_and(|kind| kind == "wayland")
}

pub(super) fn screens() -> Result<Box<dyn Screens>, ScreenError> {
    Err(ScreenError::Unsupported { system: "Wayland" })
}
