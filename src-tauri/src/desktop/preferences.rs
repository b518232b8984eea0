//! What the shell remembers in the profile, beside the engine's database: `shell.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::hotkeys::HotkeyAction;

const FILE: &str = "shell.json";

/// Everything remembered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// Keys by action.
    pub hotkeys: BTreeMap<HotkeyAction, String>,
}

impl Preferences {
    /// Reads them; what cannot be read is as if never set, and said in the log.
    pub fn read(folder: &Path) -> Self {
        let text = match std::fs::read_to_string(folder.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Self::default(),
            Err(error) => {
                tracing::warn!(%error, "{FILE} cannot be read");
                return Self::default();
            }
        };
        serde_json::from_str(&text).unwrap_or_else(|error| {
            tracing::warn!(%error, "{FILE} is damaged and is made anew");
            Self::default()
        })
    }

    /// Writes them, whole or not at all.
    ///
    /// # Errors
    /// When the folder cannot be written; then they hold for this run only.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        let new = folder.join(format!("{FILE}.new"));
        std::fs::write(&new, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&new, folder.join(FILE))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_damage_is_no_end() {
        let folder = std::env::temp_dir().join(format!("ahoy-preferences-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(Preferences::read(&folder), Preferences::default());
        let mut set = Preferences::default();
        set.hotkeys.insert(HotkeyAction::Microphone, "Control+Alt+KeyM".to_owned());
        set.write(&folder).unwrap();
        assert_eq!(Preferences::read(&folder), set);
        std::fs::write(folder.join(FILE), "{\"hotkeys\": 7").unwrap();
        assert_eq!(Preferences::read(&folder), Preferences::default());
        assert!(set.write(&folder.join("nowhere")).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
