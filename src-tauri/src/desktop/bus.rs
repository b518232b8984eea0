//! What more than one part asks of D-Bus on Linux.

use std::time::Duration;

use zbus::proxy;
use zbus::zvariant::{OwnedFd, OwnedObjectPath};

/// A service that does not answer in this time is as good as none.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// logind: who sits at the computer, and what may happen to it meanwhile.
#[proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1",
    gen_blocking = false
)]
pub trait LoginManager {
    /// Holds something off for as long as the answer is open.
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::Result<OwnedFd>;
    /// Where a session is; `auto` is the caller's.
    fn get_session(&self, session_id: &str) -> zbus::Result<OwnedObjectPath>;
}
