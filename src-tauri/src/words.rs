//! What the shell says itself: on title bars, in the tray, in notifications. The sentences stand in the interface's catalogue.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use ahoy_engine::api::{Language, Snapshot};
use ahoy_engine::words::{Phrase, Words, filled};
use tokio::sync::watch;

/// Where the language of the moment stands.
static SNAPSHOTS: OnceLock<watch::Receiver<Arc<Snapshot>>> = OnceLock::new();

/// From now on everything is said in the language that the engine's snapshots name.
pub fn follow(snapshots: watch::Receiver<Arc<Snapshot>>) {
    // There is one engine in a program; a second would speak no other language.
    let _ = SNAPSHOTS.set(snapshots);
}

/// Without an engine it is the system's.
fn language() -> Language {
    SNAPSHOTS.get().map_or_else(Language::system, |snapshots| snapshots.borrow().language)
}

/// The sentence of this key in the person's language, its `{values}` filled in; the key itself when there is none.
pub fn say(key: &str, values: &[(&str, &str)]) -> String {
    let sentence = catalogue(language()).get(key).map_or(key, String::as_str);
    filled(sentence, |name| values.iter().find(|(other, _)| *other == name).map(|(_, value)| *value))
}

/// A sentence of the engine's in the person's language.
pub fn told(phrase: Phrase) -> String {
    Words::of(language()).say(phrase).text
}

fn catalogue(language: Language) -> &'static BTreeMap<String, String> {
    static READ: [OnceLock<BTreeMap<String, String>>; 3] = [const { OnceLock::new() }; 3];
    let (place, text) = match language {
        Language::En => (0, include_str!("../../ui/src/words/en.json")),
        Language::De => (1, include_str!("../../ui/src/words/de.json")),
        Language::Tr => (2, include_str!("../../ui/src/words/tr.json")),
    };
    READ[place].get_or_init(|| serde_json::from_str(text).expect("the catalogues in the program are checked by a test"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The shell's sources with their paths, without tests.
    fn sources(folder: &Path) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .flat_map(|path| {
                if path.is_dir() {
                    return sources(&path);
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
                vec![(path.display().to_string(), code)]
            })
            .collect()
    }

    fn shell() -> Vec<(String, String)> {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src-tauri/src"))
    }

    #[test]
    fn every_language_has_what_the_shell_says() {
        let mut said = 0;
        for (path, code) in shell() {
            for key in code.split("say(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                said += 1;
                for language in Language::ALL {
                    assert!(catalogue(language).contains_key(key), "{path}: {key} is not there in {language:?}");
                }
            }
        }
        assert!(said > 0);
    }

    /// Where the system shows a text, it comes from the catalogue; only the program's name is the same everywhere.
    #[test]
    fn nothing_is_shown_that_is_not_in_the_catalogue() {
        for (path, code) in shell() {
            for shown in [".title(\"", ".tooltip(\"", ".set_title(\"", ".set_tooltip(\"", ".summary(\"", ".body(\""] {
                for text in code.split(shown).skip(1).filter_map(|rest| rest.split('"').next()) {
                    assert_eq!(text, "Ahoy", "{path}: {shown}");
                }
            }
        }
    }

    #[test]
    fn without_an_engine_it_speaks_at_once() {
        let said = say("window.incoming", &[]);
        assert!(Language::ALL.iter().any(|language| catalogue(*language)["window.incoming"] == said), "{said}");
        assert_eq!(say("no.such-key", &[]), "no.such-key");
    }
}
