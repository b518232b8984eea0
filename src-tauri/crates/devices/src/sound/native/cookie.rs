//! The sound server's cookie.
//!
//! PulseAudio and PipeWire drop a client whose handshake carries no cookie of 256 bytes, even where anybody is let in, and
//! the client library in use sends an empty one when no file has it. The system's own library makes the file when it first
//! needs it; on an account where nothing has used sound yet, that first one is Ahoy. To go when the `pulseaudio` crate does
//! the same.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The length of the handshake's cookie (`PA_NATIVE_COOKIE_LENGTH`).
const BYTES: usize = 256;

/// Sees to it that there is a cookie. A failure is only logged: the connection then tells what is wrong.
pub(super) fn ensure() {
    let Some(home) = std::env::home_dir() else { return };
    if std::env::var_os("PULSE_COOKIE").is_some_and(|path| Path::new(&path).exists()) {
        return;
    }
    if let Err(error) = ensure_in(&home) {
        tracing::warn!(%error, "the sound server's cookie cannot be written");
    }
}

fn ensure_in(home: &Path) -> io::Result<()> {
    let cookie: PathBuf = home.join(".config/pulse/cookie");
    if cookie.exists() || home.join(".pulse-cookie").exists() {
        return Ok(());
    }
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    if let Some(folder) = cookie.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // Whole or not at all: another program may look for it at this moment.
    let draft = cookie.with_extension(std::process::id().to_string());
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?.write_all(&bytes)?;
    fs::rename(&draft, &cookie)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_fresh_account_gets_a_private_cookie_and_an_old_one_keeps_its_own() {
        let home = tempfile::tempdir().unwrap();
        ensure_in(home.path()).unwrap();
        let file = home.path().join(".config/pulse/cookie");
        let first = fs::read(&file).unwrap();
        assert_eq!(first.len(), BYTES);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        ensure_in(home.path()).unwrap();
        assert_eq!(fs::read(&file).unwrap(), first);
    }

    #[test]
    fn a_home_that_cannot_be_written_is_an_error_and_no_panic() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(".config"), "a file in the way").unwrap();
        assert!(ensure_in(home.path()).is_err());
    }
}
