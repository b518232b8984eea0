//! What is wrong and what to do, in words. `name` is the other person's.

use super::{ADVICE_BARS, Microphone, Verdict};
use crate::api::QualityCause;
use crate::words::Phrase;

/// What it is.
pub(crate) fn sentence(verdict: &Verdict, name: &str) -> Phrase {
    let name = || name.to_owned();
    match verdict.cause {
        None => Phrase::QualityGood {},
        Some(QualityCause::Silence) => Phrase::QualityNothing { name: name() },
        Some(QualityCause::SlowComputer) => Phrase::QualitySlowComputer {},
        Some(QualityCause::LossOut) => Phrase::QualityLossOut { name: name() },
        Some(QualityCause::LossIn) => Phrase::QualityLossIn { name: name() },
        Some(QualityCause::MyUpload) => Phrase::QualityMyUpload {},
        Some(QualityCause::TheirUpload) => Phrase::QualityTheirUpload { name: name() },
        Some(QualityCause::Delay) => Phrase::QualityDelay { name: name() },
        Some(QualityCause::Jitter) => Phrase::QualityJitter {},
        Some(QualityCause::BadMicrophone) => match verdict.microphone {
            Microphone::Clipped => Phrase::QualityMicrophoneClipped {},
            // Good again, and the bar is on its way back.
            Microphone::Silent | Microphone::Good => Phrase::QualityMicrophoneSilent {},
        },
        Some(QualityCause::Telephone) => Phrase::QualityTelephone {},
    }
}

/// What to do, when it matters.
pub(crate) fn advice(verdict: &Verdict, name: &str) -> Option<Phrase> {
    let cause = verdict.cause?;
    if verdict.bars > ADVICE_BARS && cause != QualityCause::BadMicrophone {
        return None;
    }
    Some(match cause {
        QualityCause::Silence => Phrase::AdviceNothing {},
        QualityCause::SlowComputer => Phrase::AdviceSlowComputer {},
        QualityCause::LossOut | QualityCause::LossIn => Phrase::AdviceLoss {},
        QualityCause::MyUpload => Phrase::AdviceMyUpload {},
        QualityCause::TheirUpload => Phrase::AdviceTheirUpload { name: name.to_owned() },
        QualityCause::Delay => Phrase::AdviceDelay {},
        QualityCause::Jitter => Phrase::AdviceJitter {},
        QualityCause::BadMicrophone => match verdict.microphone {
            Microphone::Clipped => Phrase::AdviceMicrophoneClipped {},
            Microphone::Silent | Microphone::Good => Phrase::AdviceMicrophoneSilent {},
        },
        QualityCause::Telephone => Phrase::AdviceTelephone {},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Language;
    use crate::quality::ORDER;
    use crate::words::Words;

    fn verdict(bars: u8, cause: QualityCause) -> Verdict {
        Verdict { bars, cause: Some(cause), microphone: Microphone::Silent }
    }

    #[test]
    fn every_cause_has_a_sentence_of_its_own_and_advice_when_it_matters() {
        let words = Words::of(Language::En);
        let mut said = std::collections::BTreeSet::new();
        for cause in ORDER {
            let text = words.say(sentence(&verdict(1, cause), "Ben")).text;
            assert!(said.insert(text.clone()), "{text} is said of two causes");
            assert!(advice(&verdict(2, cause), "Ben").is_some(), "{cause:?}");
            let microphone = cause == QualityCause::BadMicrophone;
            assert_eq!(advice(&verdict(3, cause), "Ben").is_some(), microphone, "{cause:?}");
        }
    }

    #[test]
    fn what_is_theirs_names_them() {
        let words = Words::of(Language::En);
        let theirs = verdict(1, QualityCause::TheirUpload);
        assert_eq!(words.say(sentence(&theirs, "Ben")).text, "Ben's upload is slow.");
        assert!(advice(&theirs, "Ben").is_some_and(|advice| words.say(advice).text.starts_with("Ben can")));
    }

    #[test]
    fn a_microphone_is_silent_or_too_loud() {
        let loud = Verdict { microphone: Microphone::Clipped, ..verdict(3, QualityCause::BadMicrophone) };
        assert_eq!(sentence(&loud, "Ben"), Phrase::QualityMicrophoneClipped {});
        assert_eq!(advice(&loud, "Ben"), Some(Phrase::AdviceMicrophoneClipped {}));
    }

    #[test]
    fn a_good_call_needs_no_advice() {
        let good = Verdict { bars: 4, cause: None, microphone: Microphone::Good };
        assert_eq!((sentence(&good, "Ben"), advice(&good, "Ben")), (Phrase::QualityGood {}, None));
    }
}
