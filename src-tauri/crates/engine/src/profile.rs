//! A profile: the folder with a person's identity, database and lock.

mod identity;

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ahoy_protocol::Identity;

use crate::words::Phrase;

/// Which profile to use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ProfilePlace {
    /// The person's own, where the system keeps such data; the identity is in the keychain where there is one.
    #[default]
    Default,
    /// In this folder, everything in files.
    Folder(PathBuf),
}

impl ProfilePlace {
    /// The folder that it means, whether it is there or not; `None` where the system names no place for a person's data.
    pub fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Default => Some(directories::ProjectDirs::from("", "", "ahoy")?.data_dir().to_owned()),
            Self::Folder(folder) => Some(folder.clone()),
        }
    }
}

/// Why a profile cannot be used. Its text is the catalogue's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Another copy of the program uses it.
    InUse(String),
    /// The identity's file does not hold an identity.
    IdentityDamaged(String),
    /// It is there but cannot be read.
    IdentityUnreadable(String, String),
    /// The keychain does not give it.
    Keychain(String),
    /// The system names no place for a person's data.
    NoHome,
}

impl From<&ProfileError> for Phrase {
    fn from(error: &ProfileError) -> Self {
        match error.clone() {
            ProfileError::InUse(folder) => Phrase::StartInUse { folder },
            ProfileError::IdentityDamaged(file) => Phrase::StartIdentityDamaged { file },
            ProfileError::IdentityUnreadable(file, why) => Phrase::StartIdentityUnreadable { file, why },
            ProfileError::Keychain(why) => Phrase::StartKeychain { why },
            ProfileError::NoHome => Phrase::StartNoHome {},
        }
    }
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Phrase::from(self).fmt(f)
    }
}

/// An opened profile. Nobody else can open it while this value lives.
#[derive(Debug)]
pub struct Profile {
    folder: PathBuf,
    identity: Arc<Identity>,
    /// Held for its lock.
    _lock: Option<File>,
}

impl Profile {
    /// Makes or opens the folder, locks it and reads the identity, making one at the first start. What is less than it
    /// should be comes as phrases to show.
    ///
    /// # Errors
    /// [`ProfileError`], each a sentence.
    pub fn open(place: &ProfilePlace) -> Result<(Self, Vec<Phrase>), ProfileError> {
        let folder = place.folder().ok_or(ProfileError::NoHome)?;
        let keychain = match place {
            ProfilePlace::Default => identity::Keychain::Ask,
            ProfilePlace::Folder(_) => identity::Keychain::LeaveAlone,
        };
        let mut notices = Vec::new();
        // A folder that cannot be made shows again when the identity cannot be kept.
        let _ = make_folder(&folder);
        let lock = lock(&folder)?;
        let identity = Arc::new(identity::open(&folder, keychain, &mut notices)?);
        Ok((Self { folder, identity, _lock: lock }, notices))
    }

    /// The key pair.
    pub fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.identity)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Only for the person's own eyes, where the system knows modes.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The system drops the lock with the process, however it ends. A folder that takes no file at all is used unlocked.
fn lock(folder: &Path) -> Result<Option<File>, ProfileError> {
    let path = folder.join("lock");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let Ok(file) = file.or_else(|_| File::open(&path)) else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(ProfileError::InUse(folder.display().to_string())),
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, "this file system knows no locks");
            Ok(None)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn place(folder: &tempfile::TempDir) -> ProfilePlace {
        ProfilePlace::Folder(folder.path().join("profile"))
    }

    #[test]
    fn the_identity_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (first, notices) = Profile::open(&place(&folder)).unwrap();
        assert_eq!(notices, []);
        let id = first.identity().id();
        drop(first);
        assert_eq!(Profile::open(&place(&folder)).unwrap().0.identity().id(), id);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_the_identity() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (profile, _) = Profile::open(&place(&folder)).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(profile.folder()), 0o700);
        assert_eq!(mode(&profile.folder().join("identity.key")), 0o600);
    }

    #[test]
    fn a_second_copy_gets_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let first = Profile::open(&place(&folder)).unwrap();
        let refused = Profile::open(&place(&folder)).unwrap_err();
        assert!(matches!(refused, ProfileError::InUse(_)));
        assert!(refused.to_string().contains("already running"));
        drop(first);
        Profile::open(&place(&folder)).unwrap();
    }

    #[test]
    fn a_damaged_identity_is_refused_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (profile, _) = Profile::open(&place(&folder)).unwrap();
        let key = profile.folder().join("identity.key");
        drop(profile);
        std::fs::write(&key, "not a key").unwrap();
        assert!(matches!(Profile::open(&place(&folder)), Err(ProfileError::IdentityDamaged(_))));
        assert_eq!(std::fs::read_to_string(&key).unwrap(), "not a key");
    }

    #[test]
    fn a_folder_that_cannot_be_made_gives_an_identity_for_this_run_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let (_profile, notices) = Profile::open(&ProfilePlace::Folder(file.join("below"))).unwrap();
        assert_eq!(notices.iter().map(Phrase::key).collect::<Vec<_>>(), ["identity.not-kept"]);
    }
}
