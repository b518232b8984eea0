//! What carriers may not do with genuine envelopes: deliver them twice, or long after they were said.
//!
//! Replay is told by the envelope's id. Its time only bounds how long ids must be remembered, and tells a ring from a
//! missed call; since a wrong clock must not end anybody's calls in silence, a clock is believed no more than needed:
//!
//! - Where both sign in to a rendezvous, both use its clock ([`crate::rendezvous::ClockOffset`]).
//! - An envelope delivered live is let in whatever time it says. If that is far from now, the sender's clock is taken
//!   to be wrong and its error is remembered, unless the same sender has shown a right clock before: then it is late.
//! - An envelope from a mailbox has only its time to be placed by. It is refused when older than mail may get, or from
//!   the future.

use std::collections::{HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::{
    CLOCK_RIGHT_MS, CLOCK_TOLERANCE_MS, MAILBOX_AGE_MS, REMEMBERED, REMEMBERED_FROM_ONE, REMEMBERED_SENDERS, RING_MS,
};
use crate::{AhoyId, EnvelopeId, Message, Opened, SignalBody};

/// How an envelope came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Handed on at once, by the rendezvous (`kept: false`) or in the local network.
    Live,
    /// After waiting in a mailbox (`kept: true`).
    Kept,
}

/// Why a genuine envelope was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// This very envelope was here before.
    #[error("the envelope was delivered before")]
    Doubled,
    /// Older than mail may get, or older than an envelope of the same sender whose id had to be forgotten.
    #[error("the envelope is too old")]
    TooOld,
    /// Kept mail from the future: the sender's clock is wrong, or ours.
    #[error("the envelope's time is in the future")]
    FromTheFuture,
}

/// How long ago an admitted envelope was sealed, as far as can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Milliseconds since it was sealed, put right by what is known of the sender's clock.
    pub age_ms: u64,
    /// How far the sender's clock is behind ours (negative: ahead), in milliseconds; 0 when it is right or unknown.
    pub clock_behind_ms: i64,
}

impl Age {
    /// Whether it comes too late for what it says: an invitation that has rung out is a missed call. Everything else
    /// is in time whenever it comes: it is judged by the call it belongs to.
    pub fn is_stale(&self, message: &Message) -> bool {
        match message {
            Message::Call(signal) => matches!(signal.body, SignalBody::Invite { .. }) && self.age_ms > RING_MS,
            Message::ContactRequest { .. } => false,
        }
    }
}

/// Remembers which envelopes came. Pure: time is an argument, and the memory is bounded ([`REMEMBERED`] ids in all,
/// [`REMEMBERED_FROM_ONE`] for a sender, [`REMEMBERED_SENDERS`]; the oldest go first, and what is as old as a forgotten
/// one is refused from then on).
///
/// It must outlive a restart of the program: save it (it serializes) and load it again, or a carrier can deliver once
/// more what it delivered before. Keep one for contacts and one for strangers: keys cost nothing, and a flood of them
/// must not push out what is remembered of contacts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReplayGuard {
    senders: HashMap<AhoyId, Sender>,
    /// As [`Sender::floor_ms`], for all who are not in `senders`.
    floor_ms: Option<u64>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Sender {
    /// Oldest arrival first; full: the oldest goes.
    seen: VecDeque<Seen>,
    /// The latest time said by a forgotten envelope: nothing that says this or less is let in.
    floor_ms: Option<u64>,
    /// How far their clock is behind ours; unknown until a live envelope.
    clock_behind_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Seen {
    arrived_ms: u64,
    sent_ms: u64,
    id: EnvelopeId,
}

impl ReplayGuard {
    /// Decides about an opened envelope and remembers it. `now_unix_ms` is the time by the clock with which we seal.
    ///
    /// # Errors
    /// [`ReplayError`]; to be counted with [`crate::RefusedCounts`]. A refused envelope is not remembered.
    pub fn admit(&mut self, opened: &Opened, arrival: Arrival, now_unix_ms: u64) -> Result<Age, ReplayError> {
        let sent = opened.sent_ms;
        let known = self.senders.get(&opened.from);
        if known.is_some_and(|sender| sender.seen.iter().any(|seen| seen.id == opened.id)) {
            return Err(ReplayError::Doubled);
        }
        let floor = known.map_or(self.floor_ms, |sender| sender.floor_ms);
        if floor.is_some_and(|floor| sent <= floor) {
            return Err(ReplayError::TooOld);
        }
        let late_ms = difference(now_unix_ms, sent);
        let behind = known.and_then(|sender| sender.clock_behind_ms);
        let age = match arrival {
            Arrival::Kept => kept_age(late_ms)?,
            Arrival::Live => live_age(late_ms, behind),
        };
        self.remember(opened, arrival, age, now_unix_ms);
        Ok(age)
    }

    /// How many ids are remembered.
    pub fn len(&self) -> usize {
        self.senders.values().map(|sender| sender.seen.len()).sum()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn remember(&mut self, opened: &Opened, arrival: Arrival, age: Age, now: u64) {
        if !self.senders.contains_key(&opened.from) {
            self.make_room_for_sender();
        }
        let floor_ms = self.floor_ms;
        let sender = self.senders.entry(opened.from).or_insert_with(|| Sender { floor_ms, ..Sender::default() });
        if arrival == Arrival::Live {
            sender.clock_behind_ms = Some(age.clock_behind_ms);
        }
        sender.seen.push_back(Seen { arrived_ms: now, sent_ms: opened.sent_ms, id: opened.id });
        // By then the time it says is too old for mail, so that the floor costs nobody anything.
        let oldest = now.saturating_sub(MAILBOX_AGE_MS + 2 * CLOCK_TOLERANCE_MS);
        while sender.seen.len() > REMEMBERED_FROM_ONE || sender.seen.front().is_some_and(|s| s.arrived_ms < oldest) {
            sender.forget_oldest();
        }
        while self.len() > REMEMBERED {
            // Who has sent most loses most.
            match self.senders.values_mut().max_by_key(|sender| sender.seen.len()) {
                Some(sender) => sender.forget_oldest(),
                None => break,
            }
        }
    }

    /// Drops whoever was heard least recently when there are too many.
    fn make_room_for_sender(&mut self) {
        while self.senders.len() >= REMEMBERED_SENDERS {
            let last_heard = |sender: &Sender| sender.seen.back().map_or(0, |seen| seen.arrived_ms);
            let Some(id) = self.senders.iter().min_by_key(|(_, sender)| last_heard(sender)).map(|(id, _)| *id) else {
                break;
            };
            if let Some(mut sender) = self.senders.remove(&id) {
                while !sender.seen.is_empty() {
                    sender.forget_oldest();
                }
                self.floor_ms = self.floor_ms.max(sender.floor_ms);
            }
        }
    }
}

impl Sender {
    fn forget_oldest(&mut self) {
        if let Some(seen) = self.seen.pop_front() {
            self.floor_ms = self.floor_ms.max(Some(seen.sent_ms));
        }
    }
}

/// Mail was sealed by the rendezvous's time, so what is known of the sender's own clock does not count.
fn kept_age(late_ms: i64) -> Result<Age, ReplayError> {
    let tolerance = CLOCK_TOLERANCE_MS as i64;
    if late_ms < -tolerance {
        Err(ReplayError::FromTheFuture)
    } else if late_ms > MAILBOX_AGE_MS as i64 + tolerance {
        Err(ReplayError::TooOld)
    } else {
        Ok(Age { age_ms: late_ms.max(0).unsigned_abs(), clock_behind_ms: 0 })
    }
}

fn live_age(late_ms: i64, behind_ms: Option<i64>) -> Age {
    let right = CLOCK_RIGHT_MS as i64;
    let age_ms = |late: i64| late.max(0).unsigned_abs();
    match behind_ms {
        // Right as far as can be seen, whatever it was before.
        _ if late_ms.abs() <= right => Age { age_ms: age_ms(late_ms), clock_behind_ms: 0 },
        // Known to be right: late, as after a sleep of either computer.
        Some(0) if late_ms > 0 => Age { age_ms: age_ms(late_ms), clock_behind_ms: 0 },
        // Known to be wrong by about this much: the rest is lateness.
        Some(behind) if behind != 0 && late_ms.saturating_sub(behind) >= -right => {
            Age { age_ms: age_ms(late_ms.saturating_sub(behind)), clock_behind_ms: behind }
        }
        // Not known, or more ahead than known: nothing comes before it was sent, so the clock is wrong by this much.
        Some(_) | None => Age { age_ms: 0, clock_behind_ms: late_ms },
    }
}

/// `a - b`, kept within what an `i64` holds.
fn difference(a: u64, b: u64) -> i64 {
    i64::try_from(i128::from(a) - i128::from(b)).unwrap_or(if a > b { i64::MAX } else { i64::MIN + 1 })
}

/// Ids seen, for tests and fuzzing: no id is remembered twice.
#[doc(hidden)]
pub fn ids_are_distinct(guard: &ReplayGuard) -> bool {
    let mut ids = HashSet::new();
    guard.senders.iter().all(|(from, sender)| sender.seen.iter().all(|seen| ids.insert((*from, seen.id))))
}
