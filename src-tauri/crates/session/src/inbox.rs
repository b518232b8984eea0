//! Puts the other side's signals right: doubled ones out, ordered ones in order, none waited for too long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use ahoy_protocol::SignalBody;

use crate::timing::{GAP, HELD_SIGNALS, MISSING_SEQUENCES, SEQUENCE_WINDOW};

/// Network -> call. At most [`HELD_SIGNALS`] wait; beyond that the gap before the oldest is given up.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// The sequence expected next. Wider than a sequence, so that the last one can be counted past.
    next: u64,
    /// Came already, though something before it is missing.
    ahead: BTreeMap<u64, Ahead>,
    /// Given up, but welcome when they come late.
    missing: BTreeSet<u64>,
    /// When the gap before `ahead` is given up.
    gap_until: Option<Instant>,
}

#[derive(Debug)]
enum Ahead {
    Acted,
    Waiting(SignalBody),
}

/// What to do with a signal that came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Act on these, in this order.
    Act(Vec<(u32, SignalBody)>),
    /// It was here before.
    Doubled(SignalBody),
    /// Too far from what is expected.
    OutOfWindow,
}

impl Inbox {
    /// Expects `next` as the first sequence.
    pub(crate) fn starting_at(next: u32) -> Self {
        Self { next: next.into(), ahead: BTreeMap::new(), missing: BTreeSet::new(), gap_until: None }
    }

    pub(crate) fn take(&mut self, sequence: u32, body: SignalBody, now: Instant) -> Verdict {
        let at = u64::from(sequence);
        if at < self.next {
            return if self.missing.remove(&at) {
                Verdict::Act(vec![(sequence, body)])
            } else {
                Verdict::Doubled(body)
            };
        }
        if at >= self.next + u64::from(SEQUENCE_WINDOW) {
            return Verdict::OutOfWindow;
        }
        if self.ahead.contains_key(&at) {
            return Verdict::Doubled(body);
        }
        let mut ready = Vec::new();
        if order_matters(&body) {
            self.ahead.insert(at, Ahead::Waiting(body));
        } else {
            ready.push((sequence, body));
            self.ahead.insert(at, Ahead::Acted);
        }
        let before = self.next;
        self.drain(&mut ready);
        if self.ahead.len() > HELD_SIGNALS {
            self.give_up_gap(&mut ready);
        }
        self.watch_gap(before, now);
        Verdict::Act(ready)
    }

    /// When a gap will have lasted too long.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.gap_until
    }

    /// What no longer waits for the signals before it.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(u32, SignalBody)> {
        let mut ready = Vec::new();
        if self.gap_until.is_some_and(|at| at <= now) {
            let before = self.next;
            self.give_up_gap(&mut ready);
            self.watch_gap(before, now);
        }
        ready
    }

    fn give_up_gap(&mut self, ready: &mut Vec<(u32, SignalBody)>) {
        let Some(&first) = self.ahead.keys().next() else { return };
        self.missing.extend(self.next..first);
        while self.missing.len() > MISSING_SEQUENCES {
            self.missing.pop_first();
        }
        self.next = first;
        self.drain(ready);
    }

    fn drain(&mut self, ready: &mut Vec<(u32, SignalBody)>) {
        while let Some(held) = self.ahead.remove(&self.next) {
            match (held, u32::try_from(self.next)) {
                (Ahead::Waiting(body), Ok(sequence)) => ready.push((sequence, body)),
                (Ahead::Waiting(_), Err(_)) | (Ahead::Acted, _) => {}
            }
            self.next += 1;
        }
    }

    fn watch_gap(&mut self, before: u64, now: Instant) {
        self.gap_until = match self.gap_until {
            _ if self.ahead.is_empty() => None,
            Some(at) if self.next == before => Some(at),
            Some(_) | None => Some(now + GAP),
        };
    }
}

/// A description or candidate only makes sense after those before it; the rest stands for itself and is urgent.
fn order_matters(body: &SignalBody) -> bool {
    match body {
        SignalBody::Description { .. } | SignalBody::Candidate { .. } => true,
        SignalBody::Invite { .. }
        | SignalBody::Ringing
        | SignalBody::Accept { .. }
        | SignalBody::Decline
        | SignalBody::Busy
        | SignalBody::Cancel
        | SignalBody::HangUp { .. }
        | SignalBody::MediaState { .. }
        | SignalBody::ShareRequest
        | SignalBody::ShareRefused => false,
    }
}
