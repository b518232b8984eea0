//! Offers, answers and candidates of one connection: perfect negotiation (W3C webrtc, 10.7) over a carrier that loses and
//! doubles. The caller is impolite, the callee polite.

use std::collections::VecDeque;
use std::time::Instant;

use ahoy_protocol::{DescriptionKind, Signal, SignalBody};

use crate::timing::{HELD_CANDIDATES, MAKE_DESCRIPTION, OFFER_ANSWERED};
use crate::wire::{Desk, Resend, Wire};
use crate::{Candidate, ConnectionId, PeerCommand, Role, SendTicket};

/// Whose turn it is.
///
/// ```text
/// caller: New ──► MakingOffer ──► OfferSent ──┐
/// callee: New ──► MakingAnswer ───────────────┴──► Stable ◄──► MakingOffer ──► OfferSent ──► Stable
///                                                    ▲ └──► MakingAnswer ──► Stable   │
///                                                    └── rolled back (polite, or unanswered)
/// ```
#[derive(Debug)]
enum Turn {
    /// No description yet.
    New,
    Stable,
    /// The connection makes an offer.
    MakingOffer {
        until: Instant,
        ice_restart: bool,
    },
    /// The other side answers.
    OfferSent {
        resend: Resend,
        /// The invitation waits as long as it rings, every other offer until then.
        until: Option<Instant>,
        ice_restart: bool,
    },
    /// The connection makes an answer to the offer of this sequence.
    MakingAnswer {
        offer: u32,
        until: Instant,
    },
}

/// What may pass between the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Only the invitation: this side shows no addresses before accept.
    Shut,
    /// The first negotiation and its candidates.
    Early,
    /// Everything.
    Accepted,
}

/// The own wish to negotiate, waiting for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Nothing,
    Offer,
    Restart,
}

/// How far the first negotiation is; a failure before its end ends the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Open,
    Done,
}

/// Why the call cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hopeless {
    /// The other side's first description cannot be used.
    Incompatible,
    /// The own connection makes no first description.
    NoDescription,
}

/// What the negotiator asks of the call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Nothing,
    /// The first offer is there: wrap it in an invitation and call [`Negotiator::invited`].
    Invite(String),
    End(Hopeless),
}

/// Where a negotiator's words go.
pub(crate) struct Io<'a> {
    pub(crate) desk: &'a mut Desk,
    pub(crate) wire: &'a mut Wire,
    pub(crate) connection: ConnectionId,
}

impl Io<'_> {
    fn peer(&mut self, command: PeerCommand) {
        self.desk.peer(self.connection, command);
    }
}

#[derive(Debug)]
pub(crate) struct Negotiator {
    role: Role,
    gate: Gate,
    turn: Turn,
    first: First,
    wish: Wish,
    /// The newest offer from the other side that waits for its turn.
    waiting_offer: Option<(u32, String)>,
    /// The answer to the invitation, while the gate is shut.
    waiting_answer: Option<String>,
    last_offer: Option<u32>,
    /// The newest answer given, and the sequence of its offer: said again when that offer comes again.
    answered: Option<(u32, Signal)>,
    /// ICE username fragments of the remote description in force; `None`: there is none yet.
    remote_fragments: Option<Vec<String>>,
    /// Remote candidates whose description is not here yet. [`HELD_CANDIDATES`] deep; full: the oldest is forgotten.
    held_in: VecDeque<Candidate>,
    /// Own candidates that must not leave yet. [`HELD_CANDIDATES`] deep; full: the oldest is forgotten.
    held_out: VecDeque<Candidate>,
}

impl Negotiator {
    pub(crate) fn new(role: Role, gate: Gate) -> Self {
        Self {
            role,
            gate,
            turn: Turn::New,
            first: First::Open,
            wish: Wish::Nothing,
            waiting_offer: None,
            waiting_answer: None,
            last_offer: None,
            answered: None,
            remote_fragments: None,
            held_in: VecDeque::new(),
            held_out: VecDeque::new(),
        }
    }

    /// The caller's first step.
    pub(crate) fn start_offer(&mut self, io: &mut Io<'_>, now: Instant) {
        self.make_offer(io, false, now);
    }

    /// The invitation's offer; answered once there is a connection.
    pub(crate) fn take_invitation(&mut self, offer: String) {
        self.waiting_offer = Some((0, offer));
    }

    /// The callee's first step, once its connection is made.
    pub(crate) fn start_answer(&mut self, io: &mut Io<'_>, now: Instant) {
        if let (Turn::New, Some((sequence, offer))) = (&self.turn, self.waiting_offer.take()) {
            self.answer(io, sequence, offer, now);
        }
    }

    /// The invitation with the first offer left.
    pub(crate) fn invited(&mut self, resend: Resend, io: &mut Io<'_>) {
        self.turn = Turn::OfferSent { resend, until: None, ice_restart: false };
        self.release_candidates(io);
    }

    /// Whether a caller's invitation has left.
    pub(crate) fn is_invited(&self) -> bool {
        match (&self.turn, self.first) {
            (Turn::New | Turn::MakingOffer { .. }, First::Open) => false,
            (Turn::Stable | Turn::OfferSent { .. } | Turn::MakingAnswer { .. }, First::Open) | (_, First::Done) => true,
        }
    }

    /// Whether this ticket is a sending of the invitation that still waits for its answer.
    pub(crate) fn invited_as(&self, ticket: SendTicket) -> bool {
        matches!((&self.turn, self.first), (Turn::OfferSent { resend, .. }, First::Open) if resend.sent_as(ticket))
    }

    /// The invitation's echo came; the answer may take as long as it rings.
    pub(crate) fn heard(&mut self) {
        if let (Turn::OfferSent { resend, .. }, First::Open) = (&mut self.turn, self.first) {
            resend.pause();
        }
    }

    /// Both persons want the call: everything may pass.
    pub(crate) fn accepted(&mut self, io: &mut Io<'_>, now: Instant) {
        self.gate = Gate::Accepted;
        if let (Turn::OfferSent { resend, .. }, First::Open) = (&mut self.turn, self.first) {
            resend.resume(now);
        }
        if let Some(answer) = self.waiting_answer.take() {
            self.take_answer(io, answer);
        }
        self.release_candidates(io);
        self.take_turn(io, now);
    }

    pub(crate) fn want(&mut self, wish: Wish, io: &mut Io<'_>, now: Instant) {
        match (&self.turn, wish) {
            // What is on its way already covers it, or will be wished for again.
            (Turn::New, _)
            | (
                Turn::MakingOffer { ice_restart: true, .. } | Turn::OfferSent { ice_restart: true, .. },
                Wish::Restart,
            ) => {}
            (_, Wish::Offer) if self.first == First::Open => {}
            (_, Wish::Offer) if self.wish == Wish::Restart => {}
            (Turn::Stable | Turn::MakingOffer { .. } | Turn::OfferSent { .. } | Turn::MakingAnswer { .. }, _) => {
                self.wish = wish
            }
        }
        self.take_turn(io, now);
    }

    /// The connection is back; a restart not begun yet is needless.
    pub(crate) fn unwish_restart(&mut self) {
        if self.wish == Wish::Restart {
            self.wish = Wish::Nothing;
        }
    }

    pub(crate) fn on_local_description(
        &mut self,
        kind: DescriptionKind,
        sdp: String,
        io: &mut Io<'_>,
        now: Instant,
    ) -> Next {
        match (&self.turn, kind) {
            (Turn::MakingOffer { .. }, DescriptionKind::Offer) if self.first == First::Open => {
                return Next::Invite(sdp);
            }
            (Turn::MakingOffer { ice_restart, .. }, DescriptionKind::Offer) => {
                let ice_restart = *ice_restart;
                if let Some((_, other)) = &self.waiting_offer {
                    let covered = self.restarts(other);
                    self.yield_to_other(ice_restart, covered, io);
                } else {
                    let signal = io.wire.next(SignalBody::Description { kind, sdp });
                    let resend = Resend::begin(io.wire, io.desk, signal, false, now);
                    self.turn = Turn::OfferSent { resend, until: Some(now + OFFER_ANSWERED), ice_restart };
                }
            }
            (Turn::MakingAnswer { offer, .. }, DescriptionKind::Answer) => {
                let offer = *offer;
                let signal = io.wire.say(io.desk, SignalBody::Description { kind, sdp });
                self.answered = Some((offer, signal));
                self.turn = Turn::Stable;
                self.first = First::Done;
            }
            // An offer that came after its time: the connection must not stay in it.
            (Turn::Stable, DescriptionKind::Offer) => {
                io.desk.counters.stale_peer_events += 1;
                io.peer(PeerCommand::Rollback);
            }
            (
                Turn::New
                | Turn::Stable
                | Turn::MakingOffer { .. }
                | Turn::OfferSent { .. }
                | Turn::MakingAnswer { .. },
                _,
            ) => {
                io.desk.counters.stale_peer_events += 1;
            }
        }
        self.release_candidates(io);
        self.take_turn(io, now);
        Next::Nothing
    }

    pub(crate) fn on_local_description_failed(&mut self, io: &mut Io<'_>, now: Instant) -> Next {
        match self.turn {
            Turn::MakingOffer { .. } | Turn::MakingAnswer { .. } if self.first == First::Open => {
                return Next::End(Hopeless::NoDescription);
            }
            Turn::MakingOffer { .. } | Turn::MakingAnswer { .. } => {
                io.desk.counters.descriptions_refused += 1;
                self.turn = Turn::Stable;
            }
            Turn::New | Turn::Stable | Turn::OfferSent { .. } => io.desk.counters.stale_peer_events += 1,
        }
        self.take_turn(io, now);
        Next::Nothing
    }

    /// `ever_connected`: the first negotiation did its work, so this is about a later one.
    pub(crate) fn on_remote_description_refused(
        &mut self,
        ever_connected: bool,
        io: &mut Io<'_>,
        now: Instant,
    ) -> Next {
        io.desk.counters.descriptions_refused += 1;
        if !ever_connected {
            return Next::End(Hopeless::Incompatible);
        }
        match self.turn {
            Turn::MakingAnswer { .. } => self.turn = Turn::Stable,
            // It was an answer; the connection still sits in its own offer.
            Turn::Stable => io.peer(PeerCommand::Rollback),
            Turn::New | Turn::MakingOffer { .. } | Turn::OfferSent { .. } => {}
        }
        self.take_turn(io, now);
        Next::Nothing
    }

    pub(crate) fn on_remote_description(
        &mut self,
        sequence: u32,
        kind: DescriptionKind,
        sdp: String,
        io: &mut Io<'_>,
        now: Instant,
    ) {
        match kind {
            DescriptionKind::Offer => self.on_remote_offer(sequence, sdp, io),
            DescriptionKind::Answer => match (&self.turn, self.gate) {
                (Turn::OfferSent { .. }, Gate::Shut) => self.waiting_answer = Some(sdp),
                (Turn::OfferSent { .. }, Gate::Early | Gate::Accepted) => self.take_answer(io, sdp),
                (Turn::New | Turn::Stable | Turn::MakingOffer { .. } | Turn::MakingAnswer { .. }, _) => {
                    io.desk.counters.out_of_place += 1;
                }
            },
        }
        self.take_turn(io, now);
    }

    /// An offer came a second time: its answer got lost, or it was passed over in a collision that is settled now.
    pub(crate) fn on_doubled_offer(&mut self, sequence: u32, sdp: Option<String>, io: &mut Io<'_>, now: Instant) {
        match (&self.answered, sdp) {
            (Some((offer, answer)), _) if *offer == sequence => {
                io.wire.send(io.desk, answer, false);
            }
            (_, Some(sdp)) if matches!(self.turn, Turn::Stable) => {
                self.on_remote_offer(sequence, sdp, io);
                self.take_turn(io, now);
            }
            (_, Some(_) | None) => {}
        }
    }

    pub(crate) fn on_local_candidate(&mut self, candidate: Candidate, io: &mut Io<'_>) {
        hold(&mut self.held_out, candidate, io);
        self.release_candidates(io);
    }

    /// Also before there is a connection, as long as none is added.
    pub(crate) fn on_remote_candidate(&mut self, candidate: Candidate, io: &mut Io<'_>) {
        hold(&mut self.held_in, candidate, io);
        self.add_candidates(io);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.turn {
            Turn::New | Turn::Stable => None,
            Turn::MakingOffer { until, .. } | Turn::MakingAnswer { until, .. } => Some(*until),
            Turn::OfferSent { resend, until, .. } => [resend.deadline(), *until].into_iter().flatten().min(),
        }
    }

    pub(crate) fn due(&mut self, io: &mut Io<'_>, now: Instant) -> Next {
        match &mut self.turn {
            Turn::MakingOffer { until, .. } | Turn::MakingAnswer { until, .. } if *until <= now => {
                return self.on_local_description_failed(io, now);
            }
            Turn::OfferSent { until: Some(until), .. } if *until <= now => {
                io.desk.counters.descriptions_refused += 1;
                io.peer(PeerCommand::Rollback);
                self.turn = Turn::Stable;
                self.take_turn(io, now);
            }
            Turn::OfferSent { resend, .. } => resend.due(io.wire, io.desk, now),
            Turn::New | Turn::Stable | Turn::MakingOffer { .. } | Turn::MakingAnswer { .. } => {}
        }
        Next::Nothing
    }

    fn on_remote_offer(&mut self, sequence: u32, sdp: String, io: &mut Io<'_>) {
        // Later than the newest one taken: what comes late in the order is overtaken.
        if self.last_offer.is_some_and(|last| sequence <= last)
            || self.role == Role::Caller && self.first == First::Open
        {
            io.desk.counters.out_of_place += 1;
            return;
        }
        match (&self.turn, self.role) {
            // A collision. The impolite side passes the offer over: the polite side takes it back and answers ours.
            (Turn::MakingOffer { .. } | Turn::OfferSent { .. }, Role::Caller) => {}
            (Turn::OfferSent { ice_restart, .. }, Role::Callee) => {
                let ice_restart = *ice_restart;
                self.yield_to_other(ice_restart, self.restarts(&sdp), io);
                self.waiting_offer = Some((sequence, sdp));
            }
            // In `MakingOffer` the connection is busy: it yields when the offer is made.
            (Turn::MakingOffer { .. }, Role::Callee)
            | (Turn::New | Turn::Stable | Turn::MakingAnswer { .. }, Role::Caller | Role::Callee) => {
                self.waiting_offer = Some((sequence, sdp));
            }
        }
    }

    /// The polite side's own offer goes; the other side's comes first. A restart in that (`covered`) serves both.
    fn yield_to_other(&mut self, ice_restart: bool, covered: bool, io: &mut Io<'_>) {
        io.peer(PeerCommand::Rollback);
        self.turn = Turn::Stable;
        match (ice_restart, self.wish) {
            (true, _) if covered => {}
            (true, _) => self.wish = Wish::Restart,
            (false, Wish::Nothing) => self.wish = Wish::Offer,
            (false, Wish::Offer | Wish::Restart) => {}
        }
    }

    /// Whether this offer begins a new ICE generation.
    fn restarts(&self, offer: &str) -> bool {
        self.remote_fragments.as_ref().is_none_or(|known| *known != fragments(offer))
    }

    fn take_turn(&mut self, io: &mut Io<'_>, now: Instant) {
        if !matches!(self.turn, Turn::Stable) || self.gate != Gate::Accepted {
            return;
        }
        if let Some((sequence, offer)) = self.waiting_offer.take() {
            self.answer(io, sequence, offer, now);
            return;
        }
        match std::mem::replace(&mut self.wish, Wish::Nothing) {
            Wish::Nothing => {}
            Wish::Offer => self.make_offer(io, false, now),
            Wish::Restart => self.make_offer(io, true, now),
        }
    }

    fn make_offer(&mut self, io: &mut Io<'_>, ice_restart: bool, now: Instant) {
        io.peer(PeerCommand::MakeOffer { ice_restart });
        self.turn = Turn::MakingOffer { until: now + MAKE_DESCRIPTION, ice_restart };
    }

    fn answer(&mut self, io: &mut Io<'_>, sequence: u32, offer: String, now: Instant) {
        self.last_offer = Some(sequence);
        self.turn = Turn::MakingAnswer { offer: sequence, until: now + MAKE_DESCRIPTION };
        self.set_remote(io, DescriptionKind::Offer, offer);
        io.peer(PeerCommand::MakeAnswer);
    }

    fn take_answer(&mut self, io: &mut Io<'_>, sdp: String) {
        self.turn = Turn::Stable;
        self.first = First::Done;
        self.set_remote(io, DescriptionKind::Answer, sdp);
        self.release_candidates(io);
    }

    fn set_remote(&mut self, io: &mut Io<'_>, kind: DescriptionKind, sdp: String) {
        self.remote_fragments = Some(fragments(&sdp));
        io.peer(PeerCommand::SetRemoteDescription { kind, sdp });
        self.add_candidates(io);
    }

    /// Hands over the candidates whose ICE generation is the one in force.
    fn add_candidates(&mut self, io: &mut Io<'_>) {
        let Some(known) = &self.remote_fragments else { return };
        let fits = |candidate: &Candidate| {
            let fragment = candidate.username_fragment.as_deref().unwrap_or_default();
            fragment.is_empty() || known.is_empty() || known.iter().any(|one| one == fragment)
        };
        for candidate in std::mem::take(&mut self.held_in) {
            if fits(&candidate) {
                io.desk.peer(io.connection, PeerCommand::AddCandidate(candidate));
            } else {
                self.held_in.push_back(candidate);
            }
        }
    }

    /// Sends the own candidates once the description they belong to has gone and the gate lets them.
    fn release_candidates(&mut self, io: &mut Io<'_>) {
        match (self.gate, &self.turn) {
            (Gate::Shut, _) | (_, Turn::New | Turn::MakingOffer { .. } | Turn::MakingAnswer { .. }) => return,
            (Gate::Early | Gate::Accepted, Turn::Stable | Turn::OfferSent { .. }) => {}
        }
        for candidate in self.held_out.drain(..) {
            let Candidate { candidate, mid, index, username_fragment } = candidate;
            io.wire.say(io.desk, SignalBody::Candidate { candidate, mid, index, username_fragment });
        }
    }
}

fn hold(queue: &mut VecDeque<Candidate>, candidate: Candidate, io: &mut Io<'_>) {
    if queue.len() >= HELD_CANDIDATES {
        queue.pop_front();
        io.desk.counters.candidates_forgotten += 1;
    }
    queue.push_back(candidate);
}

/// The ICE username fragments in a description (RFC 8839, 5.4). A description has a handful of them.
fn fragments(sdp: &str) -> Vec<String> {
    const MANY: usize = 64;
    let mut found: Vec<String> = Vec::new();
    for line in sdp.lines() {
        if let Some(fragment) = line.strip_prefix("a=ice-ufrag:").map(str::trim)
            && found.len() < MANY
            && !found.iter().any(|one| one == fragment)
        {
            found.push(fragment.to_owned());
        }
    }
    found
}
