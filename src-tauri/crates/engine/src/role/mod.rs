//! Which device serves a role (camera, microphone, speaker) at each moment. Pure: no device, no clock, no thread; time comes
//! in as an argument, and what is to be done comes out of [`Role::poll`].
//!
//! **The ranking.** What a person chose last comes first, what they chose before comes next. A named choice is that device
//! and no other while it is there; "system default" follows the system. When the device that counts is pulled out (or
//! fails again and again, for sound), the next in the ranking that is there takes its place, for sound at last the
//! system's default. The one in front comes back by itself when it is plugged in again. Each such change is said.
//!
//! **A camera** is opened only if the person chose it once, or chose the default and it was it when the picture was switched
//! on: another lens does not look at them by itself.
//!
//! **A speaker that others can hear** never takes the place of a quieter one by itself while somebody is spoken with:
//! headphones are pulled out, and the voice in them must not come out of the loudspeakers. What cannot be known to be
//! quiet counts as louder than headphones ([`Reach`]). The sound is then held: nothing plays, the sentence says why, and
//! names the device that a click would take. It also comes back when the headphones do. That holds for the system's
//! default, too, when the system changes it because the old one is gone; where the old one is still there, it was
//! the person who changed it in the system, and that is followed. Loudspeakers that were chosen by name and heard in this
//! call come back by themselves. A ring tone is no secret and goes to whatever there is.
//!
//! **Trying again** goes on for as long as the device is wanted: at once after a steady stream broke, then after 100 ms,
//! doubling up to 5 s; at once, too, when a list shows something new.

mod backoff;
#[cfg(test)]
mod chance_tests;
mod ranking;
#[cfg(test)]
mod story_tests;
mod target;
mod wake;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use ahoy_devices::{DeviceError, DeviceEvent, DeviceInfo, Kind, Link, Listing, Reach, Selection};

use crate::api::DeviceChoice;
use backoff::Backoff;
pub(crate) use ranking::{CHOICES_KEPT, Ranking, Remembered};
use target::{Plan, Target};
pub(crate) use wake::{LOOK, Reading, WakeWatch};

/// A stream that held for so long broke for a reason of its own, not because of how it was opened.
const STEADY: Duration = Duration::from_secs(5);
/// A stream that gives nothing is left alone for so long before it is opened anew: a Bluetooth headset that changes its
/// mode takes some seconds. Doubles with each time in a row.
const STALL_PATIENCE: Duration = Duration::from_secs(2);
const STALL_DOUBLINGS: u32 = 4;
/// After so many failures in a row another sound device is taken.
const STRIKES: u32 = 2;

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Release what is open and open this; answers bear the ticket.
    Open { ticket: u64, selection: Selection },
    /// Release what is open.
    Close,
    /// Tell the person.
    Say(Saying),
    /// What was said of this role is over.
    Hush,
}

/// What there is to tell of a role.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Saying {
    /// `lost` is not plugged in (any more), so `used` serves.
    Fallback { lost: String, used: String },
    /// `failing` is there and does not work, so `used` serves.
    Instead { failing: String, used: String },
    /// The one that was lost is back and serves again.
    Returned { used: String },
    /// `lost` is gone and only the louder `offered` is there: silence until the person chooses.
    Held { lost: String, offered: String },
    /// Nothing works.
    Failed(DeviceError),
    /// It is open and gives nothing.
    Stalled,
}

/// Where a role stands.
///
/// ```text
///          wanted                 opened                    broke, pulled out, better one there
/// Off ─────────────► Opening ─────────────────► Open ───────────────┐
///  ▲                  ▲  │ failed                │                   ▼
///  │ not wanted       │  ▼                       │ stalled       Opening / Waiting
///  │              Waiting (back-off)  ◄──────────┘
///  └── from each      ▲  │
///                     │  ▼ only a louder one is left
///                     Held ── chosen, or a quiet one is back ──► Opening
/// ```
#[derive(Debug)]
enum State {
    Off,
    Opening {
        ticket: u64,
        target: Target,
        /// It broke before the word of its opening came.
        broken: Option<DeviceError>,
    },
    Open {
        ticket: u64,
        target: Target,
        /// What is really open.
        id: String,
        since: Instant,
        stalled: Option<Instant>,
    },
    Waiting {
        until: Instant,
        /// Not this one before `until`.
        tried: Option<Target>,
    },
    Held {
        offered: Target,
    },
}

/// A device that was open, and the name it had.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    id: String,
    label: String,
}

/// One role's device: what was chosen, what is there, and what is done about it.
#[derive(Debug)]
pub(crate) struct Role {
    kind: Kind,
    ranking: Ranking,
    /// As told last; `None` before anybody looked.
    devices: Option<Vec<DeviceInfo>>,
    listing_problem: Option<DeviceError>,
    wanted: bool,
    /// Somebody speaks, whom not everybody should hear.
    guarded: bool,
    state: State,
    tickets: u64,
    /// No speaker that reaches further is opened by itself.
    limit: Option<Reach>,
    /// How far the chosen device reached when it was open, since it was chosen and wanted.
    served: Option<Reach>,
    /// The camera that was opened first since it was wanted.
    used: Option<String>,
    /// Failures in a row, by identifier.
    strikes: BTreeMap<String, u32>,
    backoff: Backoff,
    stalls: u32,
    /// What was open before.
    last: Option<Known>,
    /// What fell out, and may return.
    away: Option<String>,
    said: Option<Saying>,
    /// The person chose: what comes of it is no news to them.
    chosen: bool,
    actions: VecDeque<Action>,
}

impl Role {
    pub fn new(kind: Kind, ranking: Ranking) -> Self {
        Self {
            kind,
            ranking,
            devices: None,
            listing_problem: None,
            wanted: false,
            guarded: false,
            state: State::Off,
            tickets: 0,
            limit: None,
            served: None,
            used: None,
            strikes: BTreeMap::new(),
            backoff: Backoff::default(),
            stalls: 0,
            last: None,
            away: None,
            said: None,
            chosen: false,
            actions: VecDeque::new(),
        }
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Role::handle_time`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { until, .. } => Some(*until),
            State::Open { stalled: Some(since), .. } => Some(*since + self.patience()),
            State::Off | State::Opening { .. } | State::Open { stalled: None, .. } | State::Held { .. } => None,
        }
    }

    /// Whether the device is wanted, and whether what a speaker plays is for one person's ears.
    pub fn want(&mut self, wanted: bool, guarded: bool, now: Instant) {
        (self.wanted, self.guarded) = (wanted, guarded);
        if !guarded {
            self.limit = None;
        }
        self.evaluate(now);
    }

    /// The person chose. `label` is kept for the time when the device is gone.
    pub fn choose(&mut self, choice: DeviceChoice, label: String, now: Instant) {
        self.ranking.choose(choice, label);
        self.forgive();
        (self.limit, self.used, self.last, self.away) = (None, None, None, None);
        (self.served, self.chosen) = (None, true);
        self.retract();
        if let State::Waiting { .. } | State::Held { .. } = self.state {
            self.state = State::Waiting { until: now, tried: None };
        }
        self.evaluate(now);
        // It was in use already.
        if let State::Open { target, .. } = &self.state {
            self.served = self.is_choice(target).then_some(target.reach);
            self.chosen = false;
        }
    }

    /// What there is now.
    pub fn handle_listing(&mut self, listing: &Listing, now: Instant) {
        let unknown = matches!(listing.problem, Some(DeviceError::Hung { .. }));
        self.listing_problem.clone_from(&listing.problem);
        // A system that does not answer has not lost its devices.
        if !unknown || self.devices.is_none() {
            self.ranking.learn(&listing.devices);
            let before = self.devices.replace(listing.devices.clone()).unwrap_or_default();
            let same = |id: &str, device: &DeviceInfo| device.id.as_str() == id;
            self.strikes.retain(|id, _| {
                let was = before.iter().find(|device| same(id, device)).map(|device| device.traits.incarnation);
                let is = listing.devices.iter().find(|device| same(id, device)).map(|device| device.traits.incarnation);
                is.is_some() && was == is
            });
            // Another default is news, too: what could not be opened for want of one can be now.
            let known = |old: &DeviceInfo, device: &DeviceInfo| {
                old.id == device.id
                    && old.traits.incarnation == device.traits.incarnation
                    && (old.is_default || !device.is_default)
            };
            let news = |device: &DeviceInfo| !before.iter().any(|old| known(old, device));
            if self.was_moved_along(&before) {
                self.state = State::Waiting { until: now, tried: None };
            }
            if listing.devices.iter().any(news) {
                self.backoff.reset();
                if let State::Waiting { until, tried } = &mut self.state {
                    (*until, *tried) = (now, None);
                }
            }
        }
        self.evaluate(now);
    }

    /// Whether the open device was chosen by its name, was the system's default, and is it no more. Sound servers move such a
    /// stream along with their default, since they cannot know that its name was meant; it is opened anew where it belongs.
    fn was_moved_along(&self, before: &[DeviceInfo]) -> bool {
        let State::Open { target, id, .. } = &self.state else { return false };
        let was_default = before.iter().any(|device| device.id.as_str() == id && device.is_default);
        let is_other = |device: &DeviceInfo| !device.is_default;
        self.kind != Kind::Camera && !target.by_default && was_default && self.device(id).is_some_and(is_other)
    }

    /// A device was opened.
    pub fn handle_opened(&mut self, ticket: u64, id: &str, now: Instant) {
        let State::Opening { ticket: current, target, broken } = &mut self.state else { return };
        if *current != ticket {
            return;
        }
        let (target, broken) = (target.clone(), broken.take());
        self.strikes.remove(target.key());
        let label = self.label_of(id).unwrap_or_else(|| target.label.clone());
        if let Some(louder) = self.too_loud(id, &target) {
            self.actions.push_back(Action::Close);
            return self.hold(louder);
        }
        if target.permitted {
            self.limit = None;
        }
        if self.is_choice(&target) {
            self.served = self.served.max(Some(target.reach));
        }
        if self.kind == Kind::Camera {
            self.used.get_or_insert_with(|| id.to_owned());
        }
        self.announce(id, &label);
        self.state = State::Open { ticket, target, id: id.to_owned(), since: now, stalled: None };
        match broken {
            Some(error) => self.handle_lost(&error, now),
            None => self.evaluate(now),
        }
    }

    /// A device could not be opened.
    pub fn handle_failed(&mut self, ticket: u64, error: DeviceError, now: Instant) {
        let State::Opening { ticket: current, target, .. } = &self.state else { return };
        if *current != ticket {
            return;
        }
        let target = target.clone();
        let strikes = match error {
            // It is not there, whatever the list says.
            DeviceError::NotFound { .. } => STRIKES,
            // Another camera is no substitute for one that another program holds.
            _ if self.kind == Kind::Camera => 0,
            // That would be so for each.
            DeviceError::Denied { .. } | DeviceError::NoSystem { .. } => 0,
            DeviceError::Busy { .. }
            | DeviceError::Unsupported { .. }
            | DeviceError::Hung { .. }
            | DeviceError::Lost { .. }
            | DeviceError::File { .. } => 1,
        };
        let all = self.strike(target.key(), strikes);
        let until = now + self.backoff.next();
        self.state = State::Waiting { until, tried: Some(target) };
        self.evaluate(now);
        let first = strikes > 0 && all < STRIKES;
        if let State::Waiting { .. } = self.state
            && !first
        {
            self.say(Saying::Failed(error));
        }
    }

    /// Something happened to an open device.
    pub fn handle_event(&mut self, ticket: u64, event: DeviceEvent, now: Instant) {
        match (&mut self.state, event) {
            (State::Opening { ticket: current, broken, .. }, DeviceEvent::Lost(error)) if *current == ticket => {
                *broken = Some(error);
            }
            (State::Open { ticket: current, .. }, DeviceEvent::Lost(error)) if *current == ticket => {
                self.handle_lost(&error, now);
            }
            (State::Open { ticket: current, stalled, .. }, DeviceEvent::Stalled { .. }) if *current == ticket => {
                *stalled = Some(now);
                self.say(Saying::Stalled);
            }
            (State::Open { ticket: current, stalled, .. }, DeviceEvent::Resumed) if *current == ticket => {
                *stalled = None;
                self.stalls = 0;
                self.retract();
            }
            // Of an older stream; or the stream goes on, and the next list says where.
            _ => {}
        }
    }

    /// Time passed.
    pub fn handle_time(&mut self, now: Instant) {
        if let State::Open { stalled: Some(since), id, .. } = &self.state
            && *since + self.patience() <= now
        {
            self.last = Some(self.known(id));
            self.stalls = (self.stalls + 1).min(STALL_DOUBLINGS);
            self.state = State::Waiting { until: now, tried: None };
        }
        self.evaluate(now);
    }

    /// The computer slept: what was open may play nowhere without knowing it.
    pub fn handle_wake(&mut self, now: Instant) {
        self.forgive();
        match &self.state {
            State::Open { target, id, .. } if !target.synthetic => {
                self.last = Some(self.known(id));
                self.state = State::Waiting { until: now, tried: None };
            }
            State::Waiting { .. } => self.state = State::Waiting { until: now, tried: None },
            State::Off | State::Opening { .. } | State::Open { .. } | State::Held { .. } => {}
        }
        self.evaluate(now);
    }

    /// What counts.
    pub fn choice(&self) -> &DeviceChoice {
        self.ranking.choice()
    }

    /// What the chosen device is or was called.
    pub fn choice_label(&self) -> Option<String> {
        let DeviceChoice::Device { id } = self.choice() else { return None };
        let kept = || Some(self.ranking.label()).filter(|label| !label.is_empty()).map(ToOwned::to_owned);
        self.label_of(id).or_else(kept)
    }

    /// What there is.
    pub fn devices(&self) -> &[DeviceInfo] {
        self.devices.as_deref().unwrap_or_default()
    }

    /// What is really open.
    pub fn in_use(&self) -> Option<&str> {
        match &self.state {
            State::Open { id, .. } => Some(id),
            State::Off | State::Opening { .. } | State::Waiting { .. } | State::Held { .. } => None,
        }
    }

    /// What the open device is called.
    pub fn label_in_use(&self) -> Option<String> {
        self.in_use().and_then(|id| self.label_of(id))
    }

    /// The louder device that waits for the person's word.
    pub fn held(&self) -> Option<&str> {
        match &self.state {
            State::Held { offered } => offered.id.as_deref(),
            State::Off | State::Opening { .. } | State::Open { .. } | State::Waiting { .. } => None,
        }
    }

    /// It is open in Bluetooth's mode for telephones.
    pub fn is_telephone(&self) -> bool {
        let open = self.in_use().and_then(|id| self.device(id));
        open.is_some_and(|device| device.traits.link == Link::Telephone)
    }

    /// It gives what it should, or nothing says that it would not.
    pub fn is_usable(&self) -> bool {
        let works = !matches!(self.said, Some(Saying::Failed(_) | Saying::Stalled));
        *self.choice() != DeviceChoice::Nothing && works
    }

    /// What the person was told and still holds.
    pub fn trouble(&self) -> Option<&Saying> {
        self.said.as_ref()
    }

    fn patience(&self) -> Duration {
        STALL_PATIENCE * (1 << self.stalls)
    }

    fn forgive(&mut self) {
        self.strikes.clear();
        self.backoff.reset();
        self.stalls = 0;
    }

    fn strike(&mut self, key: &str, strikes: u32) -> u32 {
        let all = self.strikes.entry(key.to_owned()).or_default();
        *all = all.saturating_add(strikes);
        *all
    }

    fn device(&self, id: &str) -> Option<&DeviceInfo> {
        self.devices().iter().find(|device| device.id.as_str() == id)
    }

    fn label_of(&self, id: &str) -> Option<String> {
        self.device(id).map(|device| device.label.clone())
    }

    fn known(&self, id: &str) -> Known {
        let named = |target: &Target| Some(target.label.clone()).filter(|label| !label.is_empty());
        let opened = match &self.state {
            State::Open { target, .. } => named(target),
            State::Off | State::Opening { .. } | State::Waiting { .. } | State::Held { .. } => None,
        };
        let label = self.label_of(id).or(opened).unwrap_or_else(|| target::short(id));
        Known { id: id.to_owned(), label }
    }

    fn handle_lost(&mut self, error: &DeviceError, now: Instant) {
        let State::Open { target, id, since, .. } = &self.state else { return };
        tracing::info!(kind = %self.kind, %error, "a device broke");
        let (target, known, steady) = (target.clone(), self.known(id), now.duration_since(*since) >= STEADY);
        self.last = Some(known);
        self.actions.push_back(Action::Close);
        if steady {
            self.forgive();
            self.state = State::Waiting { until: now, tried: None };
        } else {
            self.strike(target.key(), u32::from(self.kind != Kind::Camera));
            let until = now + self.backoff.next();
            self.state = State::Waiting { until, tried: Some(target) };
        }
        self.evaluate(now);
    }

    /// Compares what is with what should be, and begins what is missing.
    fn evaluate(&mut self, now: Instant) {
        if !self.wanted || *self.choice() == DeviceChoice::Nothing {
            return self.switch_off();
        }
        self.note_reach();
        match self.plan() {
            Plan::Use(best) => self.go_to(best, now),
            Plan::Hold(offered) => {
                if let State::Held { offered: old } = &mut self.state {
                    *old = offered;
                    return;
                }
                self.leave_open();
                self.hold(offered);
            }
            Plan::Nothing => {
                if let State::Waiting { until, .. } = &mut self.state {
                    // The next list will tell; this is for the case that it does not.
                    if *until <= now {
                        *until = now + self.backoff.next();
                    }
                } else {
                    self.leave_open();
                    self.state = State::Waiting { until: now + self.backoff.next(), tried: None };
                }
                self.say(Saying::Failed(self.nothing()));
            }
        }
    }

    fn go_to(&mut self, best: Target, now: Instant) {
        let ready = match &mut self.state {
            State::Opening { target, .. } => !target.adopt(&best, None),
            State::Open { target, id, .. } => {
                let listed = self.devices.iter().flatten().any(|device| device.id.as_str() == id);
                !target.adopt(&best, listed.then_some(&*id))
            }
            State::Waiting { until, tried } => {
                *until <= now || (!best.failing && tried.as_mut().is_none_or(|tried| !tried.adopt(&best, None)))
            }
            State::Off | State::Held { .. } => true,
        };
        if ready {
            if let State::Open { id, .. } = &self.state {
                self.last = Some(self.known(id));
            }
            self.tickets += 1;
            let (ticket, selection) = (self.tickets, best.selection.clone());
            self.state = State::Opening { ticket, target: best, broken: None };
            self.actions.push_back(Action::Open { ticket, selection });
        }
    }

    fn leave_open(&mut self) {
        match &self.state {
            State::Open { id, .. } => {
                self.last = Some(self.known(id));
                self.actions.push_back(Action::Close);
            }
            State::Opening { .. } => self.actions.push_back(Action::Close),
            State::Off | State::Waiting { .. } | State::Held { .. } => {}
        }
    }

    fn switch_off(&mut self) {
        match self.state {
            State::Off => return,
            State::Opening { .. } | State::Open { .. } => self.actions.push_back(Action::Close),
            State::Waiting { .. } | State::Held { .. } => {}
        }
        self.state = State::Off;
        self.forgive();
        (self.limit, self.used, self.last, self.away) = (None, None, None, None);
        (self.served, self.chosen) = (None, false);
        self.retract();
    }

    fn hold(&mut self, offered: Target) {
        let lost = self.last.as_ref().map(|last| last.label.clone()).unwrap_or_default();
        self.away = self.last.as_ref().map(|last| last.id.clone());
        self.say(Saying::Held { lost, offered: offered.label.clone() });
        self.state = State::Held { offered };
    }

    /// Why there is nothing to open.
    fn nothing(&self) -> DeviceError {
        let kind = self.kind;
        match (&self.listing_problem, &self.last, self.choice()) {
            (Some(problem), _, _) => problem.clone(),
            (None, Some(last), _) => DeviceError::Lost { kind, detail: format!("{} is gone", last.label) },
            (None, None, DeviceChoice::Device { id }) => DeviceError::NotFound { kind, id: Some(id.clone()) },
            (None, None, DeviceChoice::SystemDefault | DeviceChoice::Nothing) => {
                DeviceError::NotFound { kind, id: None }
            }
        }
    }

    /// Tells what became of it, where that is news.
    fn announce(&mut self, id: &str, label: &str) {
        let used = label.to_owned();
        let chosen = std::mem::take(&mut self.chosen);
        let before = match self.last.take() {
            // At the beginning, what was chosen and is not there.
            None if !chosen => self.absent_choice(),
            last => last,
        };
        if self.away.as_deref() == Some(id) {
            self.away = None;
            self.retract();
            self.actions.push_back(Action::Say(Saying::Returned { used }));
            return;
        }
        match before.filter(|before| before.id != id) {
            Some(before) => {
                let failing = before.label.clone();
                let out = self.strikes.get(&before.id).is_some_and(|strikes| *strikes >= STRIKES);
                if self.device(&before.id).is_none() {
                    self.away.get_or_insert(before.id);
                    self.say(Saying::Fallback { lost: before.label, used });
                } else if out {
                    self.away.get_or_insert(before.id);
                    self.say(Saying::Instead { failing, used });
                } else {
                    self.keep_said();
                }
            }
            None => self.keep_said(),
        }
    }

    /// What was said of a substitute holds while there is one; what was said of failures does not.
    fn keep_said(&mut self) {
        let over = match &self.said {
            Some(Saying::Failed(_) | Saying::Stalled | Saying::Held { .. } | Saying::Returned { .. }) => true,
            Some(Saying::Fallback { .. } | Saying::Instead { .. }) => self.away.is_none(),
            None => false,
        };
        if over {
            self.retract();
        }
    }

    fn absent_choice(&self) -> Option<Known> {
        let DeviceChoice::Device { id } = self.choice() else { return None };
        let label = Some(self.ranking.label()).filter(|label| !label.is_empty());
        let absent = self.devices.is_some() && self.resolve(self.choice(), self.ranking.label()).is_none();
        let out = self.strikes.get(id).is_some_and(|strikes| *strikes >= STRIKES);
        let label = label.map_or_else(|| target::short(id), ToOwned::to_owned);
        (absent || out).then(|| Known { id: id.clone(), label })
    }

    fn say(&mut self, saying: Saying) {
        if self.said.as_ref() != Some(&saying) {
            self.said = Some(saying.clone());
            self.actions.push_back(Action::Say(saying));
        }
    }

    fn retract(&mut self) {
        if self.said.take().is_some() {
            self.actions.push_back(Action::Hush);
        }
    }
}
