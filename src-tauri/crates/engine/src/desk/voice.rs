//! What is done to the microphone's sound: as given for this run, else as remembered.

use super::Desk;
use crate::api::Voice;
use crate::av::Treatment;
use crate::config::EngineConfig;
use crate::store::Store;

const SETTING: &str = "voice";

/// What the engine begins with.
pub(crate) fn treatment(config: &EngineConfig, store: &Store) -> Treatment {
    Treatment { settings: voice(config, store).into(), synthetic: config.voice.is_some() }
}

fn voice(config: &EngineConfig, store: &Store) -> Voice {
    let remembered = || store.setting(SETTING).and_then(|text| serde_json::from_str(text).ok());
    config.voice.or_else(remembered).unwrap_or_default()
}

impl Desk {
    pub(super) fn voice(&self) -> Voice {
        voice(&self.config, &self.store)
    }

    pub(super) fn set_voice(&mut self, voice: Voice) {
        self.store.set(SETTING, serde_json::to_string(&voice).expect("four switches can be written as JSON"));
        // From here on the person's own choice counts.
        if let Some(given) = &mut self.config.voice {
            *given = voice;
        }
        self.av.treat(treatment(&self.config, &self.store));
        self.changed = true;
    }
}
