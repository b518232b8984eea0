//! The catalogue: every sentence that the engine says to a person, by key, in each language.
//!
//! A [`Phrase`] is typed, so a missing value does not compile; the tests check that each language has each key with
//! exactly the same values.

use std::collections::BTreeMap;

use crate::api::Sentence;

/// Declares the phrases: `Variant { values } => "key"`.
macro_rules! phrases {
    ($($(#[$doc:meta])* $variant:ident { $($value:ident),* } => $key:literal,)*) => {
        /// A sentence of the catalogue with its values.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the values are named as in the sentence")]
        pub enum Phrase {
            $($(#[$doc])* $variant { $($value: String),* },)*
        }

        impl Phrase {
            /// Key in the catalogue.
            pub fn key(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $key,)* }
            }

            fn params(self) -> BTreeMap<String, String> {
                match self {
                    $(Self::$variant { $($value),* } => BTreeMap::from([$((stringify!($value).to_owned(), $value)),*]),)*
                }
            }
        }

        /// Every key with the names of its values.
        pub const KEYS: &[(&str, &[&str])] = &[$(($key, &[$(stringify!($value)),*]),)*];
    };
}

phrases! {
    // Profile and store.
    /// The database could not be read and was set aside.
    StoreDamaged { file } => "store.damaged",
    /// Nothing can be written.
    StoreUnwritable { folder } => "store.unwritable",
    /// A write failed later.
    StoreFull { folder } => "store.full",
    /// Writing works again.
    StoreBack {} => "store.back",
    /// The identity could not be kept.
    IdentityNotKept { folder } => "identity.not-kept",
    /// The system has no working keychain.
    IdentityInFile { file } => "identity.in-file",

    // The link to the rendezvous.
    RendezvousUnreachable { server } => "rendezvous.unreachable",
    RendezvousBadUrl { server } => "rendezvous.bad-url",
    RendezvousRefused { server } => "rendezvous.refused",
    RendezvousVersion { server } => "rendezvous.version",
    RendezvousFull { server } => "rendezvous.full",
    RendezvousReplaced {} => "rendezvous.replaced",
    RendezvousCertificate { server } => "rendezvous.certificate",
    ClockWrong { minutes } => "clock.wrong",

    // Contacts.
    LinkDamaged { why } => "contact.link-damaged",
    LinkOwn {} => "contact.link-own",
    LinkNewer {} => "contact.link-newer",
    ContactAdded { name } => "contact.added",
    ContactKnown { name } => "contact.known",
    ContactUnknown {} => "contact.unknown",
    NameEmpty {} => "name.empty",
    NameTooLong {} => "name.too-long",
    TooManyContacts {} => "contact.too-many",

    // Calls.
    InCallAlready { name } => "call.already",
    NoCall {} => "call.none",
    EndedHungUp {} => "ended.hung-up",
    EndedRemoteHungUp { name } => "ended.remote-hung-up",
    EndedCancelled {} => "ended.cancelled",
    EndedMissed { name } => "ended.missed",
    EndedNoAnswer { name } => "ended.no-answer",
    EndedDeclined { name } => "ended.declined",
    EndedDeclinedHere {} => "ended.declined-here",
    EndedBusy { name } => "ended.busy",
    EndedUnreachable { name } => "ended.unreachable",
    EndedNotSignedIn {} => "ended.not-signed-in",
    EndedNoConnection { name } => "ended.no-connection",
    EndedConnectionLost { name } => "ended.connection-lost",
    EndedIncompatible { name } => "ended.incompatible",
    EndedFailed {} => "ended.failed",

    // Devices.
    CameraNone {} => "camera.none",
    CameraMissing {} => "camera.missing",
    CameraBusy {} => "camera.busy",
    CameraDenied {} => "camera.denied",
    CameraFormat {} => "camera.format",
    CameraFile { why } => "camera.file",
    CameraFailed { why } => "camera.failed",
    CameraLost {} => "camera.lost",
    MicrophoneNone {} => "microphone.none",
    MicrophoneMissing {} => "microphone.missing",
    MicrophoneBusy {} => "microphone.busy",
    MicrophoneDenied {} => "microphone.denied",
    MicrophoneFormat {} => "microphone.format",
    MicrophoneFile { why } => "microphone.file",
    MicrophoneFailed { why } => "microphone.failed",
    MicrophoneLost {} => "microphone.lost",
    SpeakerNone {} => "speaker.none",
    SpeakerMissing {} => "speaker.missing",
    SpeakerBusy {} => "speaker.busy",
    SpeakerDenied {} => "speaker.denied",
    SpeakerFormat {} => "speaker.format",
    SpeakerFile { why } => "speaker.file",
    SpeakerFailed { why } => "speaker.failed",
    SpeakerLost {} => "speaker.lost",
    CodeFound { name } => "code.found",

    // Quality of the call: what is wrong, then what to do.
    QualityGood {} => "quality.good",
    QualityNothing { name } => "quality.nothing",
    QualitySlowComputer {} => "quality.slow-computer",
    QualityLossOut { name } => "quality.loss-out",
    QualityLossIn { name } => "quality.loss-in",
    QualityMyUpload {} => "quality.my-upload",
    QualityTheirUpload { name } => "quality.their-upload",
    QualityDelay { name } => "quality.delay",
    QualityJitter {} => "quality.jitter",
    QualityMicrophoneSilent {} => "quality.microphone-silent",
    QualityMicrophoneClipped {} => "quality.microphone-clipped",
    AdviceNothing {} => "advice.nothing",
    AdviceSlowComputer {} => "advice.slow-computer",
    AdviceLoss {} => "advice.loss",
    AdviceMyUpload {} => "advice.my-upload",
    AdviceTheirUpload { name } => "advice.their-upload",
    AdviceDelay {} => "advice.delay",
    AdviceJitter {} => "advice.jitter",
    AdviceMicrophoneSilent {} => "advice.microphone-silent",
    AdviceMicrophoneClipped {} => "advice.microphone-clipped",
}

/// The sentences of one language.
#[derive(Debug)]
pub struct Words {
    sentences: BTreeMap<String, String>,
}

/// Languages that are complete, by BCP 47 tag, the first being the fallback.
const LANGUAGES: &[(&str, &str)] = &[("en", include_str!("../words/en.json"))];

impl Words {
    /// The sentences of the language nearest to this BCP 47 tag or POSIX locale (`de`, `de-AT`, `de_DE.UTF-8`), English when there is none.
    pub fn of(language: &str) -> Self {
        let wanted = language.split(['-', '_', '.']).next().unwrap_or_default().to_ascii_lowercase();
        let text = LANGUAGES.iter().find(|(tag, _)| *tag == wanted).unwrap_or(&LANGUAGES[0]).1;
        Self { sentences: serde_json::from_str(text).expect("the catalogues in the program are checked by a test") }
    }

    /// The finished sentence.
    pub fn say(&self, phrase: Phrase) -> Sentence {
        let key = phrase.key();
        let params = phrase.params();
        let mut text = self.sentences.get(key).cloned().unwrap_or_else(|| key.to_owned());
        for (name, value) in &params {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        Sentence { key: key.to_owned(), params, text }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The names between braces.
    fn values(sentence: &str) -> BTreeSet<String> {
        sentence.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn every_language_has_every_key_with_the_same_values_and_no_other_key() {
        for (tag, text) in LANGUAGES {
            let sentences: BTreeMap<String, String> = serde_json::from_str(text).expect("valid JSON");
            let expected: BTreeSet<&str> = KEYS.iter().map(|(key, _)| *key).collect();
            assert_eq!(sentences.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{tag}");
            for (key, names) in KEYS {
                let names = names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
                assert_eq!(values(&sentences[*key]), names, "{tag}: {key}");
            }
        }
    }

    #[test]
    fn sentences_are_sentences() {
        for (tag, text) in LANGUAGES {
            let sentences: BTreeMap<String, String> = serde_json::from_str(text).expect("valid JSON");
            for (key, sentence) in sentences {
                assert!(sentence.ends_with(['.', '?', '!', '}']), "{tag}: {key} has no full stop: {sentence}");
                assert!(!sentence.to_ascii_lowercase().contains("ice failed"), "{tag}: {key} speaks jargon");
            }
        }
    }

    #[test]
    fn a_value_is_filled_in() {
        let said = Words::of("en_US.UTF-8").say(Phrase::EndedBusy { name: "Ben".to_owned() });
        assert_eq!(said.key, "ended.busy");
        assert!(said.text.starts_with("Ben "), "{}", said.text);
        assert!(!said.text.contains('{'));
    }

    #[test]
    fn an_unknown_language_falls_back_to_english() {
        assert_eq!(Words::of("xx").say(Phrase::EndedHungUp {}), Words::of("en").say(Phrase::EndedHungUp {}));
    }
}
