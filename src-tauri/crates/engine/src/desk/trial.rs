//! A trial of the sound, as a person asks for it: which devices it needs, how long it may take, and what it found.

use std::time::{Duration, Instant};

use ahoy_devices::Kind;
use ahoy_media::audio::voice::trial::{Trial, TrialVerdict};

use super::{Desk, texts};
use crate::api::{DeviceChoice, NoticeTone, SoundTrial, TrialFinding, TrialStep};
use crate::av::{TrialId, TrialNote};
use crate::role::Saying;
use crate::words::Phrase;

/// Each step takes three seconds at most; a device that takes longer than this besides does not answer. Bluetooth takes five.
const PATIENCE: Duration = Duration::from_secs(10);
/// Outside a call nobody looks what is plugged in: what was known of the devices counts only when there was time to look anew.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct TrialDesk {
    step: Step,
    /// Until then nothing is hopeless yet.
    grace: Option<Instant>,
    id: TrialId,
    found: Option<(Kind, Phrase, NoticeTone)>,
    /// It was begun in a call, and is over with it.
    in_call: bool,
}

/// As [`TrialStep`] draws it.
#[derive(Debug, Default, Clone, Copy)]
enum Step {
    #[default]
    Off,
    Recording {
        since: Option<Instant>,
        until: Instant,
    },
    PlayingBack {
        until: Instant,
    },
    Notes {
        until: Instant,
    },
}

impl TrialDesk {
    /// Whether a trial needs this kind of device now. The speaker is opened with the microphone: a Bluetooth headset that
    /// does both sounds otherwise than one that only listens, and nobody waits between the two.
    pub fn wants(&self, kind: Kind) -> bool {
        match (self.step, kind) {
            (Step::Off, _) | (_, Kind::Camera) | (Step::PlayingBack { .. } | Step::Notes { .. }, Kind::Microphone) => {
                false
            }
            (Step::Recording { .. }, Kind::Microphone | Kind::Speaker)
            | (Step::PlayingBack { .. } | Step::Notes { .. }, Kind::Speaker) => true,
        }
    }

    /// When [`Desk::trial_if_due`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        match self.step {
            Step::Off => None,
            Step::Recording { until, .. } | Step::PlayingBack { until } | Step::Notes { until } => {
                self.grace.or(Some(until))
            }
        }
    }

    /// The device that it waits for.
    fn waits_for(&self) -> Option<Kind> {
        match self.step {
            Step::Off => None,
            Step::Recording { .. } => Some(Kind::Microphone),
            Step::PlayingBack { .. } | Step::Notes { .. } => Some(Kind::Speaker),
        }
    }
}

impl Desk {
    pub(super) fn try_microphone(&mut self) {
        let until = Instant::now() + PATIENCE;
        self.begin_trial(Kind::Microphone, Step::Recording { since: None, until }, Trial::microphone());
    }

    pub(super) fn try_speaker(&mut self) {
        let until = Instant::now() + PATIENCE;
        self.begin_trial(Kind::Speaker, Step::Notes { until }, Trial::speaker());
    }

    fn begin_trial(&mut self, kind: Kind, step: Step, trial: Trial) {
        self.trial.id = self.trial.id.wrapping_add(1);
        (self.trial.step, self.trial.found, self.trial.in_call) = (step, None, self.is_talking());
        self.trial.grace = Some(Instant::now() + GRACE);
        self.av.try_sound(Some((self.trial.id, trial)));
        if *self.devices.role(kind).choice() == DeviceChoice::Nothing {
            let unchosen = match kind {
                Kind::Microphone | Kind::Camera => Phrase::TrialMicrophoneUnchosen {},
                Kind::Speaker => Phrase::TrialSpeakerUnchosen {},
            };
            return self.finish_trial(Some((kind, unchosen, NoticeTone::Warning)));
        }
        self.changed = true;
        self.reconcile_devices();
    }

    /// Nothing is tried any more, and what was found is read.
    pub(super) fn end_trial(&mut self) {
        self.finish_trial(None);
    }

    fn finish_trial(&mut self, found: Option<(Kind, Phrase, NoticeTone)>) {
        self.av.try_sound(None);
        (self.trial.step, self.trial.found) = (Step::Off, found);
        self.changed = true;
        self.reconcile_devices();
    }

    /// A call that begins, rings or ends is more important.
    pub(super) fn give_way(&mut self, ringing: bool, talking: bool) {
        let runs = self.trial.waits_for().is_some();
        if runs && (ringing || talking != self.trial.in_call) {
            self.av.try_sound(None);
            (self.trial.step, self.trial.found) = (Step::Off, None);
            self.changed = true;
        }
    }

    pub(super) fn handle_trial(&mut self, id: TrialId, note: TrialNote) {
        if id != self.trial.id {
            return;
        }
        let again = Instant::now() + PATIENCE;
        match (self.trial.step, note) {
            (Step::Recording { .. }, TrialNote::Recording(since)) => {
                self.trial.step = Step::Recording { since: Some(since), until: again };
            }
            (Step::Recording { .. }, TrialNote::Recorded(verdict)) => {
                let (phrase, tone) = said_of(verdict);
                self.trial.found = Some((Kind::Microphone, phrase, tone));
                if *self.devices.role(Kind::Speaker).choice() == DeviceChoice::Nothing {
                    let found = (Kind::Speaker, Phrase::TrialSpeakerUnchosen {}, NoticeTone::Warning);
                    return self.finish_trial(Some(found));
                }
                self.trial.step = Step::PlayingBack { until: again };
                self.reconcile_devices();
            }
            (Step::PlayingBack { .. }, TrialNote::Played) => {
                let found = self.trial.found.take();
                self.finish_trial(found);
            }
            (Step::Notes { .. }, TrialNote::Played) => {
                let label = self.devices.role(Kind::Speaker).label_in_use().unwrap_or_default();
                self.finish_trial(Some((Kind::Speaker, Phrase::TrialSpeakerPlayed { label }, NoticeTone::Plain)));
            }
            (Step::Off, _)
            | (Step::Recording { .. }, TrialNote::Played)
            | (Step::PlayingBack { .. } | Step::Notes { .. }, TrialNote::Recording(_) | TrialNote::Recorded(_)) => {}
        }
        self.changed = true;
    }

    /// Whether the device that is waited for will not come: then the trial says why, and is over.
    pub(super) fn trial_if_due(&mut self) {
        let Some(kind) = self.trial.waits_for() else { return };
        let now = Instant::now();
        if self.trial.grace.is_some_and(|until| now < until) {
            return;
        }
        self.trial.grace = None;
        let late = self.trial.deadline().is_some_and(|until| until <= now);
        let role = &*self.devices.role(kind);
        let hopeless = |saying: &&Saying| match saying {
            Saying::Failed(_) | Saying::Held { .. } | Saying::Stalled => late || role.in_use().is_none(),
            // Another serves.
            Saying::Fallback { .. } | Saying::Instead { .. } | Saying::Returned { .. } => false,
        };
        let trouble = role.trouble().filter(hopeless);
        let found = match trouble {
            Some(trouble) => texts::of_device(kind, trouble),
            None if late => match kind {
                Kind::Microphone | Kind::Camera => Phrase::MicrophoneFailed {},
                Kind::Speaker => Phrase::SpeakerFailed {},
            },
            None => return,
        };
        self.finish_trial(Some((kind, found, NoticeTone::Warning)));
    }

    pub(super) fn trial_shown(&self) -> SoundTrial {
        let step = match self.trial.step {
            Step::Off => TrialStep::Off,
            Step::Recording { since, .. } => {
                TrialStep::Recording { since_ms: since.map(|since| self.clock.unix_ms(since)) }
            }
            Step::PlayingBack { .. } => TrialStep::PlayingBack,
            Step::Notes { .. } => TrialStep::Notes,
        };
        let found = self.trial.found.clone().map(|(kind, phrase, tone)| TrialFinding {
            kind: texts::device_kind(kind),
            sentence: self.words.say(phrase),
            tone,
        });
        SoundTrial { step, found }
    }
}

fn said_of(verdict: TrialVerdict) -> (Phrase, NoticeTone) {
    match verdict {
        TrialVerdict::Heard => (Phrase::TrialMicrophoneHeard {}, NoticeTone::Plain),
        TrialVerdict::Silent => (Phrase::TrialMicrophoneSilent {}, NoticeTone::Warning),
        TrialVerdict::Faint => (Phrase::TrialMicrophoneFaint {}, NoticeTone::Warning),
        TrialVerdict::Clipped => (Phrase::TrialMicrophoneClipped {}, NoticeTone::Warning),
    }
}
