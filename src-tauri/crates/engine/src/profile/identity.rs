//! Where the identity's secret is kept: in the system's keychain, or in a file that only its owner can read.

use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use ahoy_protocol::Identity;

use super::ProfileError;
use crate::words::Phrase;

/// A keychain may ask the person for a password; longer than this nobody types.
const KEYCHAIN_WAIT: Duration = Duration::from_secs(60);
const SERVICE: &str = "ahoy";
const ENTRY: &str = "identity";

/// Whether the system's keychain may be used for this profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keychain {
    Ask,
    LeaveAlone,
}

/// The identity of the profile in `folder`.
///
/// A file always wins. Without one, the marker `identity.in-keychain` says that the keychain has it, and then a keychain
/// that does not answer must not lead to a new identity. Without either, this is the first start.
pub(super) fn open(folder: &Path, keychain: Keychain, notices: &mut Vec<Phrase>) -> Result<Identity, ProfileError> {
    let file = folder.join("identity.key");
    let marker = folder.join("identity.in-keychain");
    match std::fs::read_to_string(&file) {
        Ok(text) => return parse(&text).ok_or_else(|| ProfileError::IdentityDamaged(file.display().to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            return Err(ProfileError::IdentityDamaged(file.display().to_string()));
        }
        Err(_) if !file.exists() => {}
        Err(error) => return Err(ProfileError::IdentityUnreadable(file.display().to_string(), error.to_string())),
    }
    if keychain == Keychain::Ask && marker.exists() {
        return load_from_keychain().map_err(ProfileError::Keychain);
    }
    let identity = Identity::generate();
    if keychain == Keychain::Ask {
        match keep_in_keychain(&identity) {
            Ok(()) if std::fs::write(&marker, identity.id().to_string()).is_ok() => return Ok(identity),
            Ok(()) => {}
            Err(why) => {
                tracing::info!(%why, "no keychain");
                notices.push(Phrase::IdentityInFile { file: file.display().to_string() });
            }
        }
    }
    if let Err(error) = keep_in_file(&file, &identity) {
        tracing::warn!(%error, "the identity is not kept");
        notices.clear();
        notices.push(Phrase::IdentityNotKept { folder: folder.display().to_string() });
    }
    Ok(identity)
}

fn parse(text: &str) -> Option<Identity> {
    let seed = data_encoding::HEXLOWER.decode(text.trim().as_bytes()).ok()?;
    Some(Identity::from_seed(seed.try_into().ok()?))
}

/// Whole or not at all: written beside, then renamed, so that a full disk leaves no half of a key.
fn keep_in_file(file: &Path, identity: &Identity) -> std::io::Result<()> {
    let beside = file.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&beside).and_then(|mut out| {
        writeln!(out, "{}", data_encoding::HEXLOWER.encode(identity.seed()))?;
        out.sync_all()
    });
    let kept = written.and_then(|()| std::fs::rename(&beside, file));
    if kept.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    kept
}

fn load_from_keychain() -> Result<Identity, String> {
    in_time(|| {
        let secret = keyring::Entry::new(SERVICE, ENTRY).and_then(|entry| entry.get_secret());
        secret.map_err(|error| error.to_string())
    })
    .and_then(|secret| secret.try_into().map(Identity::from_seed).map_err(|_| "it holds something else".to_owned()))
}

/// Kept only when it can be read back.
fn keep_in_keychain(identity: &Identity) -> Result<(), String> {
    let seed = *identity.seed();
    let back = in_time(move || {
        let entry = keyring::Entry::new(SERVICE, ENTRY).map_err(|error| error.to_string())?;
        entry.set_secret(&seed).map_err(|error| error.to_string())?;
        entry.get_secret().map_err(|error| error.to_string())
    })?;
    if back == seed { Ok(()) } else { Err("it gives back something else".to_owned()) }
}

/// Some keychains wait for ever when nobody is there to unlock them; their thread is left to its fate.
fn in_time<T: Send + 'static>(ask: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    let (answer, answered) = mpsc::channel();
    let thread = std::thread::Builder::new().name("ahoy-keychain".to_owned());
    thread.spawn(move || drop(answer.send(ask()))).map_err(|error| error.to_string())?;
    answered.recv_timeout(KEYCHAIN_WAIT).unwrap_or_else(|_| Err("it does not answer".to_owned()))
}
