//! Sharing a screen or a window: what the person wants, what is shown, and why it ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ahoy_devices::{Choice, Picker, ScreenError, ScreenEvent, ScreenRequest, SoundError, SourceInfo, has_system_sound};
use ahoy_protocol::{AhoyId, ShareState};
use ahoy_session::{CallView, EndReason, Ended, Input, Phase, ShareSignal, State};

use super::Desk;
use crate::api::{
    CallShare, LocalShare, NoticeTone, RemoteShare, ShareAsked, ShareChoice, ShareKind, SharePicker, ShareSources,
    Shown,
};
use crate::av::{Found, ShareId, share_kind};
use crate::connection::Work;
use crate::event::Happened;
use crate::words::Phrase;

/// A share that the other side has not taken in so long is given up: it does not understand it.
const TAKEN: Duration = Duration::from_secs(20);
/// For so long after a lost call it is asked whether to go on showing.
const CONTINUED: Duration = Duration::from_secs(600);

/// What this side shows, with what only matters there; the drawing is that of [`LocalShare`].
#[derive(Debug, Default)]
enum Own {
    #[default]
    Off,
    /// Why it ended, until it was read.
    Ended(Phrase),
    Running(Running),
}

#[derive(Debug)]
struct Running {
    id: ShareId,
    wish: Wish,
    /// `None` while the system's picker is open.
    what: Option<Shown>,
    paused: bool,
    /// The first picture has left.
    since: Option<Instant>,
    /// Until then the other side is to take it.
    until: Option<Instant>,
    /// Why the sound that was wished for is not sent.
    sound_problem: Option<Phrase>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Wish {
    source: ShareChoice,
    sound: bool,
}

/// What was shown when a call was lost.
#[derive(Debug)]
struct Interrupted {
    peer: AhoyId,
    at: Instant,
    wish: Wish,
    what: Shown,
}

/// What is kept of sharing beside the media threads.
#[derive(Debug, Default)]
pub(super) struct ShareDesk {
    own: Own,
    made: u64,
    interrupted: Option<Interrupted>,
    /// Somebody chooses.
    listing: bool,
    /// The other side's first picture is there.
    remote_seen: bool,
    remote_on: bool,
    asked: Asked,
    wanted: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Asked {
    #[default]
    No,
    Waiting,
    Refused,
}

impl ShareDesk {
    /// Another call: why the last share ended is news no longer.
    pub fn begin_call(&mut self) {
        if let Own::Ended(_) = self.own {
            self.own = Own::Off;
        }
    }

    /// When something is to be looked at.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.own {
            Own::Running(Running { until, since: None, .. }) => *until,
            Own::Running(_) | Own::Off | Own::Ended(_) => None,
        }
    }
}

impl ShareSources {
    /// Nobody has looked.
    pub(crate) fn nothing() -> Self {
        Self { picker: SharePicker::Looking, sources: Vec::new(), sound: false, problem: None }
    }
}

impl Desk {
    /// What the other side is told of it.
    pub(super) fn share_state(&self) -> Option<ShareState> {
        let Own::Running(Running { wish, what: Some(what), paused, sound_problem, .. }) = &self.share.own else {
            return None;
        };
        let kind = match what.kind {
            ShareKind::Screen => ahoy_protocol::ShareKind::Screen,
            ShareKind::Window => ahoy_protocol::ShareKind::Window,
        };
        Some(ShareState { kind, sound: wish.sound && sound_problem.is_none(), paused: *paused })
    }

    pub(super) fn call_share(&self) -> CallShare {
        let view = match self.session.state() {
            State::InCall(view) => Some(view),
            State::Idle | State::Closed => None,
        };
        let asked = match self.share.asked {
            Asked::No => ShareAsked::No,
            Asked::Waiting => ShareAsked::Waiting,
            Asked::Refused => {
                let name = view.as_ref().map(|view| self.call_name(view)).unwrap_or_default();
                ShareAsked::Refused { sentence: self.words.say(Phrase::ShareRefused { name }) }
            }
        };
        CallShare {
            local: self.local_share(view.as_ref()),
            remote: view.as_ref().map_or(RemoteShare::Off, |view| self.remote_share(view)),
            asked,
            wanted: self.share.wanted,
        }
    }

    fn local_share(&self, view: Option<&CallView>) -> LocalShare {
        let before = self.share.interrupted.as_ref().filter(|before| self.may_continue(before, view));
        match (&self.share.own, before) {
            (Own::Off, Some(before)) => LocalShare::Interrupted { what: before.what.clone(), sound: before.wish.sound },
            (Own::Off, None) => LocalShare::Off { why: None },
            (Own::Ended(why), _) => LocalShare::Off { why: Some(self.words.say(why.clone())) },
            (Own::Running(Running { wish, what, paused, since, sound_problem, .. }), _) => match (what, since) {
                (Some(what), Some(since)) => LocalShare::Showing {
                    what: what.clone(),
                    sound: wish.sound,
                    sound_problem: sound_problem.clone().map(|problem| self.words.say(problem)),
                    paused: *paused,
                    since_ms: self.clock.unix_ms(*since),
                },
                (what, _) => LocalShare::Starting { what: what.clone(), sound: wish.sound },
            },
        }
    }

    fn remote_share(&self, view: &CallView) -> RemoteShare {
        let Some(ShareState { kind, sound, paused }) = view.remote.share else { return RemoteShare::Off };
        let kind = match kind {
            ahoy_protocol::ShareKind::Screen => ShareKind::Screen,
            ahoy_protocol::ShareKind::Window => ShareKind::Window,
        };
        if self.share.remote_seen {
            RemoteShare::Showing { kind, sound, paused }
        } else {
            RemoteShare::Starting { kind, sound }
        }
    }

    /// Whether there is another call with the person who saw it, soon enough.
    fn may_continue(&self, before: &Interrupted, view: Option<&CallView>) -> bool {
        let running = view.is_some_and(|view| view.peer == before.peer && matches!(view.phase, Phase::Active { .. }));
        running && before.at.elapsed() < CONTINUED
    }

    pub(super) fn list_share_sources(&mut self, on: bool) {
        self.share.listing = on;
        if let Err(error) = self.av.list_screens(on) {
            tracing::error!(%error, "no thread to look for screens");
        }
        if !on {
            self.outlets.share_sources.send_replace(Arc::new(ShareSources::nothing()));
        }
    }

    pub(super) fn handle_share_list(&mut self, found: &Found) {
        if !self.share.listing {
            return;
        }
        let sources = match found {
            Ok((picker, sources)) => ShareSources {
                picker: match picker {
                    Picker::Own => SharePicker::Own,
                    Picker::System => SharePicker::System,
                },
                sources: sources.clone(),
                sound: has_system_sound(),
                problem: None,
            },
            Err(error) => {
                tracing::info!(%error, "nothing can be shared");
                let problem = Some(self.words.say(share_problem(error, "")));
                ShareSources { picker: SharePicker::Own, problem, ..ShareSources::nothing() }
            }
        };
        self.outlets.share_sources.send_if_modified(|shown| {
            let differs = **shown != sources;
            if differs {
                *shown = Arc::new(sources);
            }
            differs
        });
    }

    pub(super) fn start_share(&mut self, source: ShareChoice, sound: bool) {
        let in_call = match self.session.state() {
            State::InCall(view) => matches!(view.phase, Phase::Active { .. } | Phase::Reconnecting { .. }),
            State::Idle | State::Closed => false,
        };
        if !in_call {
            return self.notify(Phrase::ShareNoCall {}, NoticeTone::Warning);
        }
        self.share.interrupted = None;
        self.share.wanted = false;
        self.share.made += 1;
        let id = ShareId(self.share.made);
        let listed = self.outlets.share_sources.borrow().clone();
        let (choice, what) = match &source {
            ShareChoice::System => (Choice::System, None),
            ShareChoice::Source { id } => {
                let known = listed.sources.iter().find(|known| known.id == *id);
                let what =
                    known.map(|known| Shown { kind: known.kind, name: known.name.clone(), app: known.app.clone() });
                (Choice::Source(id.clone()), what)
            }
        };
        self.av.share(Some((id, ScreenRequest::new(choice), sound)));
        let wish = Wish { source, sound };
        let running = Running { id, wish, what, paused: false, since: None, until: None, sound_problem: None };
        self.share.own = Own::Running(running);
        if self.share_state().is_some() {
            self.offer_share();
        }
        self.tell_media();
        self.changed = true;
    }

    /// Has the connection take the pictures along.
    fn offer_share(&mut self) {
        if let Own::Running(running) = &mut self.share.own {
            running.until.get_or_insert(Instant::now() + TAKEN);
            let sound = running.wish.sound;
            self.order_served(|| Work::Share { picture: true, sound });
        }
    }

    /// The other side takes our pictures, or needs a key frame of them.
    pub(super) fn handle_share_wanted(&mut self) {
        if matches!(self.share.own, Own::Running(_)) {
            self.av.screen_key_frame_wanted();
        }
    }

    pub(super) fn handle_screen(&mut self, id: ShareId, event: ScreenEvent) {
        let Own::Running(running) = &mut self.share.own else { return };
        if running.id != id {
            return;
        }
        match event {
            ScreenEvent::Opened(SourceInfo { kind, name, app, .. }) => {
                running.what = Some(Shown { kind: share_kind(kind), name, app });
                self.offer_share();
            }
            ScreenEvent::Hidden | ScreenEvent::Shown => {}
            ScreenEvent::Ended(error) => {
                tracing::info!(%error, "what is shown ends");
                let what = running.what.as_ref().map(|what| what.name.clone()).unwrap_or_default();
                self.end_share(Some(share_problem(&error, &what)));
            }
        }
    }

    pub(super) fn handle_share_sound(&mut self, id: ShareId, error: &SoundError) {
        let Own::Running(running) = &mut self.share.own else { return };
        if running.id == id {
            tracing::info!(%error, "the computer's sound is not shared");
            running.sound_problem = Some(Phrase::ShareSoundNone {});
            self.order_served(|| Work::Share { picture: true, sound: false });
        }
    }

    pub(super) fn handle_screen_sent(&mut self, at: Instant) {
        let Own::Running(running) = &mut self.share.own else { return };
        if running.since.is_none() {
            running.since = Some(at);
            let what = running.what.as_ref().map(|what| what.name.clone()).unwrap_or_default();
            self.event_at(Happened::ShareStarted { what }, at);
        }
    }

    pub(super) fn handle_screen_first(&mut self, at: Instant, width: u32, height: u32) {
        self.share.remote_seen = true;
        self.event_at(Happened::ShareFirstPicture { width, height }, at);
    }

    pub(super) fn pause_share(&mut self, paused: bool) {
        if let Own::Running(running) = &mut self.share.own {
            running.paused = paused;
            self.av.pause_share(paused);
            self.tell_media();
            self.changed = true;
        }
    }

    pub(super) fn continue_share(&mut self) {
        if let Some(Interrupted { wish: Wish { source, sound }, .. }) = self.share.interrupted.take() {
            self.start_share(source, sound);
        }
    }

    /// By the person's wish; also: the reason of an end was read.
    pub(super) fn stop_share(&mut self) {
        self.share.interrupted = None;
        self.end_share(None);
    }

    pub(super) fn screen_locked(&mut self) {
        if matches!(self.share.own, Own::Running(_)) {
            self.end_share(Some(Phrase::ShareLocked {}));
        }
    }

    fn end_share(&mut self, why: Option<Phrase>) {
        let ended = why.clone().map_or(Own::Off, Own::Ended);
        if let Own::Running(_) = std::mem::replace(&mut self.share.own, ended) {
            self.av.share(None);
            self.order_served(|| Work::Share { picture: false, sound: false });
            let sentence = why.map(|why| self.words.say(why).text);
            self.event(Happened::ShareEnded { sentence });
            self.tell_media();
        }
        self.changed = true;
    }

    /// Nobody took it.
    pub(super) fn share_if_due(&mut self) {
        if self.share.deadline().is_some_and(|at| at <= Instant::now())
            && let State::InCall(view) = self.session.state()
        {
            let name = self.call_name(&view);
            self.end_share(Some(Phrase::ShareNotUnderstood { name }));
        }
    }

    /// The call is over.
    pub(super) fn end_shares(&mut self, ended: &Ended) {
        if let Own::Running(Running { wish, what: Some(what), .. }) = &self.share.own
            && ended.reason == EndReason::ConnectionLost
        {
            let (wish, what) = (wish.clone(), what.clone());
            self.share.interrupted = Some(Interrupted { peer: ended.peer, at: Instant::now(), wish, what });
        }
        match &self.share.own {
            Own::Running(_) => self.end_share(Some(Phrase::ShareCallEnded {})),
            // What ended before the call did is no news of its end.
            Own::Off | Own::Ended(_) => self.share.own = Own::Off,
        }
        let ShareDesk { own, made, interrupted, listing, .. } = std::mem::take(&mut self.share);
        self.share = ShareDesk { own, made, interrupted, listing, ..ShareDesk::default() };
    }

    /// What the other side says that it shows.
    pub(super) fn follow_remote_share(&mut self, view: &CallView) {
        let on = view.remote.share.is_some();
        if std::mem::replace(&mut self.share.remote_on, on) == on {
            return;
        }
        self.share.remote_seen = false;
        if on {
            self.share.asked = Asked::No;
            self.share.wanted = false;
        } else {
            self.av.remote_screen_off();
        }
        self.event(Happened::RemoteShare { on });
    }

    pub(super) fn ask_for_share(&mut self) {
        if self.share.remote_on || !matches!(self.session.state(), State::InCall(_)) {
            return;
        }
        self.share.asked = Asked::Waiting;
        self.session(Input::Command(ahoy_session::Command::Share(ShareSignal::Request)));
        self.changed = true;
    }

    pub(super) fn refuse_share(&mut self) {
        if std::mem::take(&mut self.share.wanted) {
            self.session(Input::Command(ahoy_session::Command::Share(ShareSignal::Refused)));
            self.changed = true;
        }
    }

    pub(super) fn handle_share_signal(&mut self, said: ShareSignal) {
        match said {
            ShareSignal::Request => {
                // Who shows already has said yes.
                let State::InCall(view) = self.session.state() else { return };
                if matches!(self.share.own, Own::Running(_)) || std::mem::replace(&mut self.share.wanted, true) {
                    return;
                }
                let name = self.call_name(&view);
                self.event(Happened::ShareWanted { name });
            }
            ShareSignal::Refused => {
                if self.share.asked == Asked::Waiting {
                    self.share.asked = Asked::Refused;
                }
            }
        }
        self.changed = true;
    }
}

/// `what`: the screen's name or the window's title.
fn share_problem(error: &ScreenError, what: &str) -> Phrase {
    let what = what.to_owned();
    match error {
        ScreenError::NoScreen { .. } => Phrase::ShareNothing {},
        ScreenError::Unsupported { system } => Phrase::ShareUnsupported { system: (*system).to_owned() },
        ScreenError::Missing => Phrase::ShareMissing {},
        ScreenError::Closed => Phrase::ShareWindowClosed { what },
        ScreenError::Gone => Phrase::ShareScreenGone { what },
        ScreenError::Denied => Phrase::ShareDenied {},
        ScreenError::Cancelled => Phrase::ShareCancelled {},
        ScreenError::NoPortal { .. } => Phrase::ShareNoPortal {},
        ScreenError::NoPipeWire { .. } => Phrase::ShareNoPipewire {},
        ScreenError::Lost { .. } => Phrase::ShareLost {},
        ScreenError::Failed { detail } => Phrase::ShareFailed { why: detail.clone() },
    }
}
