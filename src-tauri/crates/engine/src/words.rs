//! The catalogue: every sentence that the engine says to a person, by key, in each language.
//!
//! A [`Phrase`] is typed, so a missing value does not compile; the tests check that each language has each key with
//! exactly the same values, and that each phrase is said somewhere. The interface's own sentences are in `ui/src/words`.
//!
//! A name may be anything, so no ending hangs on one: German and Turkish sentences are built so that names need none.

use std::collections::BTreeMap;
use std::fmt;

use crate::api::{Language, Sentence};

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

        /// Every phrase: its name here, its key, the names of its values.
        #[cfg(test)]
        const ALL: &[(&str, &str, &[&str])] = &[$((stringify!($variant), $key, &[$(stringify!($value)),*]),)*];
    };
}

phrases! {
    // Why the engine does not start, or does not listen.
    /// Another copy of the program uses the profile.
    StartInUse { folder } => "start.in-use",
    /// The identity's file does not hold an identity.
    StartIdentityDamaged { file } => "start.identity-damaged",
    StartIdentityUnreadable { file, why } => "start.identity-unreadable",
    StartKeychain { why } => "start.keychain",
    StartNoHome {} => "start.no-home",
    /// The database was written by a newer program.
    StartNewer {} => "start.newer",
    StartThreads { why } => "start.threads",
    Busy {} => "engine.busy",
    Closing {} => "engine.closing",

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
    /// None was chosen, and none runs on this computer.
    RendezvousUnset {} => "rendezvous.unset",
    RendezvousUnreachable { server } => "rendezvous.unreachable",
    /// The chosen one would be on this computer.
    RendezvousNotHere { server } => "rendezvous.not-here",
    /// Over the Internet without TLS.
    RendezvousPlain { server } => "rendezvous.plain",
    RendezvousBadUrl { server } => "rendezvous.bad-url",
    RendezvousRefused { server } => "rendezvous.refused",
    RendezvousVersion { server } => "rendezvous.version",
    RendezvousFull { server } => "rendezvous.full",
    RendezvousReplaced {} => "rendezvous.replaced",
    RendezvousCertificate { server } => "rendezvous.certificate",
    ClockWrong { minutes } => "clock.wrong",

    // Contacts.
    LinkNone {} => "contact.link-none",
    LinkDamaged {} => "contact.link-damaged",
    LinkContents {} => "contact.link-contents",
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

    // Sharing a screen.
    ShareNothing {} => "share.nothing",
    /// It is not built in for this system yet.
    ShareUnsupported { system } => "share.unsupported",
    ShareNoCall {} => "share.no-call",
    ShareMissing {} => "share.missing",
    ShareWindowClosed { what } => "share.window-closed",
    ShareScreenGone { what } => "share.screen-gone",
    ShareCallEnded {} => "share.call-ended",
    ShareLocked {} => "share.locked",
    ShareDenied {} => "share.denied",
    ShareCancelled {} => "share.cancelled",
    ShareNoPortal {} => "share.no-portal",
    ShareNoPipewire {} => "share.no-pipewire",
    ShareLost {} => "share.lost",
    ShareFailed { why } => "share.failed",
    /// The other side's program takes no second picture.
    ShareNotUnderstood { name } => "share.not-understood",
    ShareRefused { name } => "share.refused",
    /// There is no sound server that tells programs apart.
    ShareSoundNone {} => "share.sound-none",

    // Devices.
    CameraNone {} => "camera.none",
    CameraMissing {} => "camera.missing",
    CameraBusy {} => "camera.busy",
    /// The system keeps it from us; how to allow it is said for each system.
    CameraDeniedLinux {} => "camera.denied-linux",
    CameraDeniedMacos {} => "camera.denied-macos",
    CameraDeniedWindows {} => "camera.denied-windows",
    CameraFormat {} => "camera.format",
    CameraFile { file, why } => "camera.file",
    CameraFailed {} => "camera.failed",
    CameraLost {} => "camera.lost",
    CameraFallback { lost, used } => "camera.fallback",
    CameraInstead { failing, used } => "camera.instead",
    CameraReturned { used } => "camera.returned",
    MicrophoneNone {} => "microphone.none",
    MicrophoneMissing {} => "microphone.missing",
    MicrophoneBusy {} => "microphone.busy",
    MicrophoneDeniedLinux {} => "microphone.denied-linux",
    MicrophoneDeniedMacos {} => "microphone.denied-macos",
    MicrophoneDeniedWindows {} => "microphone.denied-windows",
    MicrophoneFormat {} => "microphone.format",
    MicrophoneFile { file, why } => "microphone.file",
    MicrophoneFailed {} => "microphone.failed",
    MicrophoneLost {} => "microphone.lost",
    MicrophoneFallback { lost, used } => "microphone.fallback",
    MicrophoneInstead { failing, used } => "microphone.instead",
    MicrophoneReturned { used } => "microphone.returned",
    SpeakerNone {} => "speaker.none",
    SpeakerMissing {} => "speaker.missing",
    SpeakerBusy {} => "speaker.busy",
    SpeakerDenied {} => "speaker.denied",
    SpeakerFormat {} => "speaker.format",
    SpeakerFile { file, why } => "speaker.file",
    SpeakerFailed {} => "speaker.failed",
    SpeakerLost {} => "speaker.lost",
    SpeakerFallback { lost, used } => "speaker.fallback",
    SpeakerInstead { failing, used } => "speaker.instead",
    SpeakerReturned { used } => "speaker.returned",
    SpeakerHeld { lost, offered } => "speaker.held",

    // A trial of the sound.
    TrialMicrophoneHeard {} => "trial.microphone-heard",
    TrialMicrophoneSilent {} => "trial.microphone-silent",
    TrialMicrophoneFaint {} => "trial.microphone-faint",
    TrialMicrophoneClipped {} => "trial.microphone-clipped",
    TrialMicrophoneUnchosen {} => "trial.microphone-unchosen",
    TrialSpeakerPlayed { label } => "trial.speaker-played",
    TrialSpeakerUnchosen {} => "trial.speaker-unchosen",

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
    QualityTelephone {} => "quality.telephone",
    AdviceNothing {} => "advice.nothing",
    AdviceSlowComputer {} => "advice.slow-computer",
    AdviceLoss {} => "advice.loss",
    AdviceMyUpload {} => "advice.my-upload",
    AdviceTheirUpload { name } => "advice.their-upload",
    AdviceDelay {} => "advice.delay",
    AdviceJitter {} => "advice.jitter",
    AdviceMicrophoneSilent {} => "advice.microphone-silent",
    AdviceMicrophoneClipped {} => "advice.microphone-clipped",
    AdviceTelephone {} => "advice.telephone",
}

/// In English, for logs and `ahoy-cli`.
impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Words::of(Language::En).say(self.clone()).text)
    }
}

/// The sentences of one language.
#[derive(Debug)]
pub struct Words {
    language: Language,
    sentences: BTreeMap<String, String>,
}

const fn catalogue(language: Language) -> &'static str {
    match language {
        Language::En => include_str!("../words/en.json"),
        Language::De => include_str!("../words/de.json"),
        Language::Tr => include_str!("../words/tr.json"),
    }
}

impl Words {
    /// The sentences of this language.
    pub fn of(language: Language) -> Self {
        let read = serde_json::from_str(catalogue(language));
        Self { language, sentences: read.expect("the catalogues in the program are checked by a test") }
    }

    /// Which language they are of.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The finished sentence.
    pub fn say(&self, phrase: Phrase) -> Sentence {
        let (key, params) = (phrase.key(), phrase.params());
        Sentence { key: key.to_owned(), text: self.text(key, &params), params }
    }

    /// The same again, whatever language it was said in before.
    pub fn say_again(&self, sentence: &mut Sentence) {
        sentence.text = self.text(&sentence.key, &sentence.params);
    }

    fn text(&self, key: &str, params: &BTreeMap<String, String>) -> String {
        filled(self.sentences.get(key).map_or(key, String::as_str), |name| params.get(name).map(String::as_str))
    }
}

/// A sentence with its `{values}` filled in; one that is not there shows as its name. It goes from left to right in one go,
/// so a name with braces in it stays a name.
pub fn filled<'a>(sentence: &str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let (mut text, mut rest) = (String::new(), sentence);
    while let Some((before, (name, after))) =
        rest.split_once('{').and_then(|(before, from)| Some((before, from.split_once('}')?)))
    {
        text.push_str(before);
        text.push_str(value(name).unwrap_or(name));
        rest = after;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The names between braces.
    fn values(sentence: &str) -> BTreeSet<&str> {
        sentence.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    /// Every sentence there is: language, key, text.
    fn sentences() -> impl Iterator<Item = (Language, String, String)> {
        let of = |language| Words::of(language).sentences.into_iter().map(move |(key, text)| (language, key, text));
        Language::ALL.into_iter().flat_map(of)
    }

    #[test]
    fn every_language_has_every_key_with_the_same_values_and_no_other_key() {
        for language in Language::ALL {
            let words = Words::of(language);
            let expected: BTreeSet<&str> = ALL.iter().map(|(_, key, _)| *key).collect();
            assert_eq!(words.sentences.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{language:?}");
            for (_, key, names) in ALL {
                let names = names.iter().copied().collect::<BTreeSet<_>>();
                assert_eq!(values(&words.sentences[*key]), names, "{language:?}: {key}");
            }
        }
    }

    #[test]
    fn no_sentence_was_left_in_another_language() {
        let [english, german, turkish] = Language::ALL.map(Words::of);
        for (_, key, _) in ALL {
            let said = [&english, &german, &turkish].map(|words| &words.sentences[*key]);
            assert!(said[0] != said[1] && said[1] != said[2] && said[0] != said[2], "{key}: {said:?}");
        }
    }

    #[test]
    fn sentences_are_sentences() {
        for (language, key, sentence) in sentences() {
            let whole = sentence.ends_with(['.', '?', '!', '}']);
            assert!(whole, "{language:?}: {key} has no full stop: {sentence}");
            assert!(!sentence.to_ascii_lowercase().contains("ice failed"), "{language:?}: {key} speaks jargon");
        }
    }

    #[test]
    fn no_ending_hangs_on_a_name_where_it_would_have_to_fit() {
        for (language, key, sentence) in sentences().filter(|(language, ..)| *language != Language::En) {
            let ending = |rest: &str| rest.starts_with(|next: char| next.is_alphabetic() || "'’".contains(next));
            let bent = sentence.split('}').skip(1).any(ending);
            assert!(!bent, "{language:?}: {key} bends a name: {sentence}");
        }
    }

    #[test]
    fn german_is_spoken_as_among_friends() {
        for (_, key, sentence) in sentences().filter(|(language, ..)| *language == Language::De) {
            let stiff = |word: &str| ["Sie", "Ihnen", "Ihr", "Ihre", "Ihren", "Ihrem", "Ihrer"].contains(&word);
            assert!(!sentence.split(|sign: char| !sign.is_alphabetic()).any(stiff), "{key} is stiff: {sentence}");
        }
    }

    /// The sources of a folder, one after the other.
    fn sources(folder: &Path) -> String {
        let mut all = String::new();
        for entry in std::fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                all += &sources(&path);
            } else if path != Path::new(env!("CARGO_MANIFEST_DIR")).join("src/words.rs") {
                all += &std::fs::read_to_string(path).expect("text");
            }
        }
        all
    }

    #[test]
    fn each_phrase_is_said_somewhere() {
        let engine = Path::new(env!("CARGO_MANIFEST_DIR"));
        let code = sources(&engine.join("src")) + &sources(&engine.join("../../src"));
        let said = |name: &str| code.contains(&format!("Phrase::{name} {{"));
        let idle = ALL.iter().map(|(name, ..)| *name).filter(|name| !said(name));
        assert_eq!(idle.collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn a_value_is_filled_in_and_is_never_taken_for_another() {
        let said = Words::of(Language::En).say(Phrase::EndedBusy { name: "Ben".to_owned() });
        assert_eq!(said.key, "ended.busy");
        assert!(said.text.starts_with("Ben "), "{}", said.text);
        let odd = Phrase::CameraFile { file: "{why}".to_owned(), why: "{file".to_owned() };
        let text = Words::of(Language::En).say(odd).text;
        assert!(text.contains("{why}") && text.contains("({file)"), "{text}");
    }

    #[test]
    fn what_was_said_is_said_again_in_another_language() {
        let phrase = || Phrase::EndedBusy { name: "Ben".to_owned() };
        let mut said = Words::of(Language::En).say(phrase());
        for language in Language::ALL {
            let words = Words::of(language);
            words.say_again(&mut said);
            assert_eq!(said, words.say(phrase()));
        }
    }
}
