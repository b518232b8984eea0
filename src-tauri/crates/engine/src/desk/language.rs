//! The language that a person chose, and saying again in it what is already said.

use super::Desk;
use crate::api::{CallPhase, Language};
use crate::store::Store;
use crate::words::Words;

/// What was chosen; `None`: as the system has it.
pub(super) fn chosen(store: &Store) -> Option<Language> {
    store.setting("language").and_then(|text| serde_json::from_str(text).ok()).flatten()
}

impl Desk {
    pub(super) fn set_language(&mut self, language: Option<Language>) {
        self.store.set("language", serde_json::to_string(&language).expect("one word can be written as JSON"));
        self.words = Words::of(language.unwrap_or(self.config.language));
        let said = self.notices.iter_mut().map(|notice| &mut notice.sentence);
        let qualities = self.calls.quality.iter_mut().flat_map(|now| [Some(&mut now.sentence), now.advice.as_mut()]);
        let ended = self.calls.ended.iter_mut().filter_map(|call| match &mut call.phase {
            CallPhase::Ended { sentence, .. } => Some(sentence),
            CallPhase::Calling
            | CallPhase::Ringing
            | CallPhase::Incoming
            | CallPhase::Connecting
            | CallPhase::Active { .. }
            | CallPhase::Reconnecting { .. } => None,
        });
        for sentence in said.chain(qualities.flatten()).chain(ended) {
            self.words.say_again(sentence);
        }
        self.changed = true;
    }
}
