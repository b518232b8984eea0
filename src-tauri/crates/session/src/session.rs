//! The endpoint: routes inputs to the one call there is.

use std::collections::VecDeque;
use std::time::Instant;

use ahoy_protocol::{AhoyId, CallId, HangUpReason, Signal, SignalBody};

use crate::call::{Call, Farewell as LastWords, Finish, Invitation};
use crate::ended::{EndedCalls, Ending, Farewell};
use crate::timing::{RING, STRANGERS};
use crate::wire::Desk;
use crate::{
    Command, Counters, Delivery, EndReason, Input, MissedCall, Output, Phase, Received, Relation, SendTicket, State,
    Tone,
};

/// More timers than a session has at once.
const DUE_ROUNDS: u32 = 64;

/// The one call of an endpoint, or none.
///
/// Deterministic: the same inputs at the same times give the same outputs.
#[derive(Debug)]
pub struct Session {
    me: AhoyId,
    slot: Slot,
    desk: Desk,
    ended: EndedCalls,
    /// Strangers' calls already reported. [`STRANGERS`] deep; full: the oldest is forgotten.
    strangers: VecDeque<(AhoyId, CallId)>,
    /// What the engine was last told.
    shown: (State, Option<Tone>),
}

/// ```text
/// Free ◄──► Taken
///   └─────────┴──► Closed
/// ```
#[derive(Debug)]
enum Slot {
    Free,
    Taken(Box<Call>),
    Closed,
}

/// What an invitation meets here.
enum Meeting {
    /// No call.
    Free,
    /// The person here calls the same person, and that invitation has or has not left.
    Glare {
        ours_left: bool,
    },
    /// The same person's call rings here.
    SameRings,
    /// The running call with the same person has lost its way.
    SameLost,
    /// A call with the same person runs (or rings there): this one is from before, or a mistake.
    SameRuns,
    /// Another call is on.
    Busy,
    Closed,
}

impl Session {
    /// A session without a call for the identity `me`.
    pub fn new(me: AhoyId) -> Self {
        Self {
            me,
            slot: Slot::Free,
            desk: Desk::default(),
            ended: EndedCalls::default(),
            strangers: VecDeque::new(),
            shown: (State::Idle, None),
        }
    }

    /// Takes in what happened. Follow it by [`Self::poll`] until that answers [`Output::Wait`].
    pub fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::Command(command) => self.on_command(command, now),
            Input::Signal(received) => self.on_signal(received, now),
            Input::Delivery { ticket, outcome } => self.on_delivery(ticket, outcome, now),
            Input::Peer { connection, event } => match &mut self.slot {
                Slot::Taken(call) => {
                    let finish = call.on_peer(connection, event, &mut self.desk, now);
                    self.finish(finish, now);
                }
                Slot::Free | Slot::Closed => self.desk.counters.stale_peer_events += 1,
            },
        }
        self.show();
    }

    /// What to do next. Also runs the timers that are due at `now`.
    pub fn poll(&mut self, now: Instant) -> Output {
        // Each round moves at least one timer on; several may be due after a long sleep.
        for _ in 0..DUE_ROUNDS {
            if !self.desk.outputs.is_empty() || self.deadline().is_none_or(|at| at > now) {
                break;
            }
            self.ended.due(&mut self.desk, now);
            if let Slot::Taken(call) = &mut self.slot {
                let finish = call.due(&mut self.desk, now);
                self.finish(finish, now);
            }
            self.show();
        }
        self.desk.outputs.pop_front().unwrap_or_else(|| Output::Wait { until: self.deadline() })
    }

    /// What there is to show.
    pub fn state(&self) -> State {
        match &self.slot {
            Slot::Free => State::Idle,
            Slot::Taken(call) => State::InCall(call.view()),
            Slot::Closed => State::Closed,
        }
    }

    /// What was ignored or forgotten so far.
    pub fn counters(&self) -> Counters {
        self.desk.counters
    }

    fn deadline(&self) -> Option<Instant> {
        let call = match &self.slot {
            Slot::Taken(call) => call.deadline(),
            Slot::Free | Slot::Closed => None,
        };
        [call, self.ended.deadline()].into_iter().flatten().min()
    }

    fn on_command(&mut self, command: Command, now: Instant) {
        match (command, &mut self.slot) {
            (Command::Call { peer, call, name, video, early }, Slot::Free) if peer != self.me => {
                let call = Call::dial((peer, call), name, video, early, &mut self.desk, now);
                self.slot = Slot::Taken(Box::new(call));
            }
            (Command::Call { peer, video, .. }, Slot::Taken(call))
                if call.peer() == peer && call.phase() == Phase::Incoming =>
            {
                call.answer(video, &mut self.desk, now);
            }
            (Command::Answer { video }, Slot::Taken(call)) if call.phase() == Phase::Incoming => {
                call.answer(video, &mut self.desk, now);
            }
            (Command::Decline, Slot::Taken(call)) if call.phase() == Phase::Incoming => {
                let finish = call.hang_up(HangUpReason::Person);
                self.finish(Some(finish), now);
            }
            (Command::HangUp, Slot::Taken(call)) => {
                let finish = call.hang_up(HangUpReason::Person);
                self.finish(Some(finish), now);
            }
            (Command::SetMedia(media), Slot::Taken(call)) => call.set_media(media, &mut self.desk),
            (Command::Share(said), Slot::Taken(call)) if call.is_accepted() => call.say_of_share(said, &mut self.desk),
            (Command::NetworkChanged, Slot::Taken(call)) => call.network_changed(&mut self.desk, now),
            // Without a call there is nothing to look for.
            (Command::NetworkChanged, Slot::Free | Slot::Closed) => {}
            (Command::Closing, slot) => {
                let finish = match slot {
                    Slot::Taken(call) => Some(call.hang_up(HangUpReason::Closing)),
                    Slot::Free | Slot::Closed => None,
                };
                self.finish(finish, now);
                self.slot = Slot::Closed;
            }
            (
                Command::Call { .. }
                | Command::Answer { .. }
                | Command::Decline
                | Command::HangUp
                | Command::SetMedia(_)
                | Command::Share(_),
                Slot::Free | Slot::Taken(_) | Slot::Closed,
            ) => self.desk.counters.refused_commands += 1,
        }
    }

    fn on_delivery(&mut self, ticket: SendTicket, outcome: Delivery, now: Instant) {
        self.ended.settle(ticket, outcome, now);
        if let Slot::Taken(call) = &mut self.slot {
            let finish = call.on_delivery(ticket, outcome, now);
            self.finish(finish, now);
        }
    }

    fn on_signal(&mut self, received: Received, now: Instant) {
        let Received { from, signal, relation, age } = received;
        if relation == Relation::Blocked {
            self.desk.counters.blocked += 1;
            return;
        }
        if let Slot::Taken(call) = &mut self.slot
            && call.id() == signal.call
        {
            if call.peer() == from {
                let finish = call.on_signal(signal.sequence, signal.body, &mut self.desk, now);
                self.finish(finish, now);
            } else {
                self.desk.counters.not_the_peer += 1;
            }
            return;
        }
        let Signal { call, sequence, body } = signal;
        match (self.ended.find(from, call), body) {
            (None, SignalBody::Invite { name, video, offer }) => {
                let early = relation == Relation::Contact { early: true };
                let invitation = Invitation { peer: from, call, name, video, offer, early, age };
                if sequence == 0 && from != self.me {
                    self.on_invite(invitation, relation, now);
                } else {
                    self.desk.counters.out_of_place += 1;
                }
            }
            (Some(ended), SignalBody::Invite { video, .. }) if matches!(ended.ending, Ending::CancelledUnseen) => {
                ended.ending = Ending::Settled;
                self.desk.put(Output::MissedCall(MissedCall { call, peer: from, video, age }));
            }
            // Its invitation may still be on the way.
            (None, SignalBody::Cancel) if relation != Relation::Stranger => {
                self.desk.counters.unknown_call += 1;
                self.ended.remember(from, call, Ending::CancelledUnseen);
            }
            // The other side knows that it is over.
            (_, SignalBody::Decline | SignalBody::Busy | SignalBody::Cancel | SignalBody::HangUp { .. }) => {
                self.desk.counters.unknown_call += 1
            }
            (
                ended,
                SignalBody::Invite { .. }
                | SignalBody::Ringing
                | SignalBody::Accept { .. }
                | SignalBody::Description { .. }
                | SignalBody::Candidate { .. }
                | SignalBody::MediaState { .. }
                | SignalBody::ShareRequest
                | SignalBody::ShareRefused,
            ) => {
                self.desk.counters.unknown_call += 1;
                if let Some(ended) = ended {
                    ended.tell_again(&mut self.desk, now);
                }
            }
        }
    }

    fn on_invite(&mut self, invitation: Invitation, relation: Relation, now: Instant) {
        let Invitation { peer, call, age, video, .. } = invitation;
        let meeting = self.meeting(&invitation);
        let called_by_us = matches!(meeting, Meeting::Glare { .. });
        if relation == Relation::Stranger && !called_by_us {
            self.on_stranger(invitation);
            return;
        }
        let missed = Output::MissedCall(MissedCall { call, peer, video, age });
        if age > RING {
            self.ended.remember(peer, call, Ending::Settled);
            self.desk.put(missed);
            return;
        }
        match meeting {
            Meeting::Free => self.ring(invitation, now),
            Meeting::Glare { ours_left } => self.on_glare(invitation, ours_left, now),
            Meeting::SameRings => {
                let newer = match &self.slot {
                    Slot::Taken(ringing) => now.checked_sub(age).is_none_or(|sent| sent >= ringing.sent()),
                    Slot::Free | Slot::Closed => true,
                };
                if newer {
                    // They have one call only, so they gave the older one up.
                    self.finish(Some(Finish { reason: EndReason::Missed, farewell: LastWords::Nothing }), now);
                    self.ring(invitation, now);
                } else {
                    self.ended.remember(peer, call, Ending::Settled);
                    self.desk.put(missed);
                }
            }
            Meeting::SameLost => {
                // They start anew, so the running call is over there.
                let reason = EndReason::ConnectionLost;
                self.finish(Some(Finish { reason, farewell: LastWords::Nothing }), now);
                self.ring(invitation, now);
            }
            Meeting::SameRuns => self.refuse_busy(peer, call, now),
            Meeting::Busy => {
                self.refuse_busy(peer, call, now);
                self.desk.put(missed);
            }
            Meeting::Closed => self.desk.counters.unknown_call += 1,
        }
    }

    fn meeting(&self, invitation: &Invitation) -> Meeting {
        let call = match &self.slot {
            Slot::Free => return Meeting::Free,
            Slot::Closed => return Meeting::Closed,
            Slot::Taken(call) => call,
        };
        if call.peer() != invitation.peer {
            return Meeting::Busy;
        }
        match call.phase() {
            Phase::Calling => Meeting::Glare { ours_left: call.has_invited() },
            Phase::Incoming => Meeting::SameRings,
            Phase::Reconnecting { .. } => Meeting::SameLost,
            // It rings there for us, so their own invitation is from before.
            Phase::Ringing | Phase::Connecting | Phase::Active { .. } => Meeting::SameRuns,
        }
    }

    fn ring(&mut self, invitation: Invitation, now: Instant) {
        self.slot = Slot::Taken(Box::new(Call::ring(invitation, &mut self.desk, now)));
    }

    /// Both call each other: the call with the lower ID remains on both sides.
    fn on_glare(&mut self, invitation: Invitation, ours_left: bool, now: Instant) {
        let Slot::Taken(ours) = &mut self.slot else { return };
        if ours_left && ours.id() < invitation.call {
            self.ended.remember(invitation.peer, invitation.call, Ending::Settled);
            return;
        }
        // Should they have given theirs up meanwhile, ours may ring there: then it is cancelled when it says so.
        let ending = match ours.last_words(SignalBody::Cancel) {
            Some(cancel) => Ending::Told(Farewell::new(cancel, None, now)),
            None => Ending::Settled,
        };
        let (id, peer, local) = (ours.id(), ours.peer(), ours.local());
        ours.close(EndReason::Cancelled, &mut self.desk, now);
        self.ended.remember(peer, id, ending);
        self.slot = Slot::Taken(Box::new(Call::meet(invitation, local, &mut self.desk, now)));
    }

    fn refuse_busy(&mut self, peer: AhoyId, call: CallId, now: Instant) {
        let busy = Signal { call, sequence: 0, body: SignalBody::Busy };
        let ticket = self.desk.send(peer, busy.clone(), false);
        self.ended.remember(peer, call, Ending::Told(Farewell::new(busy, Some(ticket), now)));
    }

    fn on_stranger(&mut self, invitation: Invitation) {
        let Invitation { peer, call, name, age, .. } = invitation;
        if self.strangers.contains(&(peer, call)) {
            self.desk.counters.doubled += 1;
            return;
        }
        if self.strangers.len() >= STRANGERS {
            self.strangers.pop_front();
        }
        self.strangers.push_back((peer, call));
        self.desk.put(Output::StrangerRequest { from: peer, name, age });
    }

    fn finish(&mut self, finish: Option<Finish>, now: Instant) {
        let Some(Finish { reason, farewell }) = finish else { return };
        let Slot::Taken(mut call) = std::mem::replace(&mut self.slot, Slot::Free) else { return };
        let (peer, id) = (call.peer(), call.id());
        let signal = match farewell {
            LastWords::Nothing => None,
            LastWords::Say(body) => call.last_words(body),
        };
        let ending = match signal {
            None => Ending::Settled,
            Some(signal) => {
                // A cancelled invitation may lie in the mailbox: its end must lie beside it.
                let keep = signal.body == SignalBody::Cancel;
                let ticket = self.desk.send(peer, signal.clone(), keep);
                Ending::Told(Farewell::new(signal, Some(ticket), now))
            }
        };
        self.ended.remember(peer, id, ending);
        let ended = call.close(reason, &mut self.desk, now);
        self.desk.put(Output::Ended(ended));
    }

    /// Tells the engine what is different from what it was told last.
    fn show(&mut self) {
        let tone = match &self.slot {
            Slot::Taken(call) => call.tone(),
            Slot::Free | Slot::Closed => None,
        };
        let state = self.state();
        if self.shown.1 != tone {
            self.desk.put(Output::Ring(tone));
        }
        if self.shown.0 != state {
            self.desk.put(Output::Changed);
        }
        self.shown = (state, tone);
    }
}
