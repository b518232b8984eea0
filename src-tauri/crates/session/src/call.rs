//! One call, from the first click or ring to its end.

use std::time::{Duration, Instant};

use ahoy_protocol::{AhoyId, CallId, DescriptionKind, HangUpReason, Signal, SignalBody};

use crate::inbox::{Inbox, Verdict};
use crate::negotiation::{Gate, Hopeless, Io, Negotiator, Next, Wish};
use crate::timing::{CONNECT, RECONNECT, REPAIR_EVERY, REPAIR_HEAD_START, RING, RING_FALLBACK, SETTLE};
use crate::wire::{Desk, Resend, Wire};
use crate::{
    CallView, Candidate, ConnectionId, Delivery, Direction, EndReason, Ended, MediaOn, Output, PeerCommand, PeerEvent,
    Phase, Role, SendTicket, ShareSignal, Tone,
};

/// Where the call stands, with what only matters there.
///
/// ```text
///          Ringing heard             accepted            media, or 2 s connected
/// Calling ──────────────► Ringing ──────────► Connecting ─────────────────────► Active
///    └───────────────────────────────────────────▲                              │    ▲
/// Incoming ──────────────────────────────────────┘             connection lost ▼    │ back
///                                                                           Reconnecting
/// Each of them ends by a command, a signal of the other side, or its own time running out.
/// ```
#[derive(Debug)]
enum Stage {
    Calling {
        until: Instant,
        /// Sendings of the invitation that the carrier refused.
        refused: u32,
        /// The own name, for the invitation.
        name: String,
    },
    Ringing {
        until: Instant,
    },
    Incoming {
        until: Instant,
    },
    Connecting(Connecting),
    Active {
        since: Instant,
    },
    Reconnecting {
        since: Instant,
        lost: Instant,
        until: Instant,
        repair: Instant,
    },
}

#[derive(Debug)]
struct Connecting {
    until: Instant,
    /// Connected; the call counts as running then, although no media came.
    settle: Option<Instant>,
    /// The connection failed; when to try anew.
    repair: Option<Instant>,
    /// The callee's acceptance, until the caller shows that it has it.
    accept: Option<Resend>,
}

/// The peer connection.
///
/// ```text
/// NotMade ──► New ──► Up ──► Flowing
///              └───────┴─► Down ──► Up or Failed (which may still come Up by an ICE restart)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    /// Nothing is shown to the caller before the answer.
    NotMade,
    Made(ConnectionId, Path),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    New,
    Up,
    Flowing,
    Down,
    Failed,
}

/// The call is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finish {
    pub(crate) reason: EndReason,
    /// What the other side is told.
    pub(crate) farewell: Farewell,
}

/// What the other side is told at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// It knows, or never knew of the call.
    Nothing,
    /// This; a `Cancel` may wait in the mailbox beside its invitation.
    Say(SignalBody),
}

/// After this many refusals the callee counts as out of reach.
const INVITE_REFUSALS: u32 = 3;

#[derive(Debug)]
pub(crate) struct Call {
    wire: Wire,
    role: Role,
    direction: Direction,
    peer_name: Option<String>,
    video_wanted: bool,
    local: MediaOn,
    remote: MediaOn,
    /// Sequence of the newest media state, so that an older one does not undo it.
    remote_told: Option<u32>,
    started: Instant,
    /// When the invitation was sealed, by this side's clock.
    sent: Instant,
    connection: Connection,
    negotiator: Negotiator,
    inbox: Inbox,
    stage: Stage,
}

/// What an invitation says.
#[derive(Debug, Clone)]
pub(crate) struct Invitation {
    pub(crate) peer: AhoyId,
    pub(crate) call: CallId,
    pub(crate) name: String,
    pub(crate) video: bool,
    pub(crate) offer: String,
    pub(crate) early: bool,
    pub(crate) age: Duration,
}

impl Call {
    /// Rings someone.
    pub(crate) fn dial(
        (peer, call): (AhoyId, CallId),
        name: String,
        video: bool,
        early: bool,
        desk: &mut Desk,
        now: Instant,
    ) -> Self {
        let gate = if early { Gate::Early } else { Gate::Shut };
        let mut call = Self {
            wire: Wire::new(peer, call),
            role: Role::Caller,
            direction: Direction::Outgoing,
            peer_name: None,
            video_wanted: video,
            local: MediaOn { microphone: true, camera: video, ..MediaOn::default() },
            remote: MediaOn::default(),
            remote_told: None,
            started: now,
            sent: now,
            connection: Connection::NotMade,
            negotiator: Negotiator::new(Role::Caller, gate),
            inbox: Inbox::starting_at(0),
            stage: Stage::Calling { until: now + RING, refused: 0, name },
        };
        call.make_connection(desk, false);
        let (negotiator, mut io) = call.parts(desk);
        negotiator.start_offer(&mut io, now);
        call
    }

    /// Lets a contact's call ring.
    pub(crate) fn ring(invitation: Invitation, desk: &mut Desk, now: Instant) -> Self {
        let early = invitation.early;
        let mut call = Self::invited(invitation, Direction::Incoming, now);
        call.wire.say(desk, SignalBody::Ringing);
        if early {
            call.make_connection(desk, false);
            let (negotiator, mut io) = call.parts(desk);
            negotiator.start_answer(&mut io, now);
        }
        call
    }

    /// Both called each other, and the other's invitation counts: the person here has said yes by calling.
    pub(crate) fn meet(invitation: Invitation, local: MediaOn, desk: &mut Desk, now: Instant) -> Self {
        let mut call = Self::invited(Invitation { early: false, ..invitation }, Direction::Outgoing, now);
        call.local = local;
        call.answer(local.camera, desk, now);
        call
    }

    fn invited(invitation: Invitation, direction: Direction, now: Instant) -> Self {
        let Invitation { peer, call, name, video, offer, early, age } = invitation;
        let mut negotiator = Negotiator::new(Role::Callee, if early { Gate::Early } else { Gate::Shut });
        negotiator.take_invitation(offer);
        Self {
            wire: Wire::new(peer, call),
            role: Role::Callee,
            direction,
            peer_name: Some(name),
            video_wanted: video,
            local: MediaOn { microphone: true, ..MediaOn::default() },
            remote: MediaOn { microphone: true, camera: video, ..MediaOn::default() },
            remote_told: None,
            started: now,
            sent: now.checked_sub(age).unwrap_or(now),
            connection: Connection::NotMade,
            negotiator,
            inbox: Inbox::starting_at(1),
            stage: Stage::Incoming { until: now + RING_FALLBACK.saturating_sub(age) },
        }
    }

    pub(crate) fn id(&self) -> CallId {
        self.wire.call
    }

    pub(crate) fn peer(&self) -> AhoyId {
        self.wire.peer
    }

    pub(crate) fn sent(&self) -> Instant {
        self.sent
    }

    pub(crate) fn local(&self) -> MediaOn {
        self.local
    }

    pub(crate) fn phase(&self) -> Phase {
        match &self.stage {
            Stage::Calling { .. } => Phase::Calling,
            Stage::Ringing { .. } => Phase::Ringing,
            Stage::Incoming { .. } => Phase::Incoming,
            Stage::Connecting(_) => Phase::Connecting,
            Stage::Active { since } => Phase::Active { since: *since },
            Stage::Reconnecting { since, lost, .. } => Phase::Reconnecting { since: *since, lost: *lost },
        }
    }

    pub(crate) fn tone(&self) -> Option<Tone> {
        match &self.stage {
            Stage::Ringing { .. } => Some(Tone::Outgoing),
            Stage::Incoming { .. } => Some(Tone::Incoming),
            Stage::Calling { .. } | Stage::Connecting(_) | Stage::Active { .. } | Stage::Reconnecting { .. } => None,
        }
    }

    pub(crate) fn view(&self) -> CallView {
        CallView {
            call: self.id(),
            peer: self.peer(),
            peer_name: self.peer_name.clone(),
            direction: self.direction,
            phase: self.phase(),
            local: self.local,
            remote: self.remote,
            video_wanted: self.video_wanted,
        }
    }

    /// Yes, by the person here.
    pub(crate) fn answer(&mut self, video: bool, desk: &mut Desk, now: Instant) {
        self.local.camera = video;
        let signal = self.wire.next(SignalBody::Accept { video });
        let accept = Resend::begin(&self.wire, desk, signal, false, now);
        if self.local != (MediaOn { microphone: true, camera: video, ..MediaOn::default() }) {
            self.tell_media(desk);
        }
        if self.connection == Connection::NotMade {
            self.make_connection(desk, true);
        }
        self.accepted(Some(accept), desk, now);
    }

    pub(crate) fn set_media(&mut self, media: MediaOn, desk: &mut Desk) {
        if self.local == media {
            return;
        }
        self.local = media;
        if self.is_accepted() {
            self.tell_media(desk);
        }
    }

    pub(crate) fn say_of_share(&mut self, said: ShareSignal, desk: &mut Desk) {
        let body = match said {
            ShareSignal::Request => SignalBody::ShareRequest,
            ShareSignal::Refused => SignalBody::ShareRefused,
        };
        self.wire.say(desk, body);
    }

    pub(crate) fn network_changed(&mut self, desk: &mut Desk, now: Instant) {
        let (negotiator, mut io) = self.parts(desk);
        negotiator.want(Wish::Restart, &mut io, now);
    }

    /// How a person's hang-up ends it; `why` is said to the other side of an accepted call.
    pub(crate) fn hang_up(&self, why: HangUpReason) -> Finish {
        let (reason, body) = match (&self.stage, why) {
            (Stage::Calling { .. } | Stage::Ringing { .. }, _) => (EndReason::Cancelled, SignalBody::Cancel),
            (Stage::Incoming { .. }, HangUpReason::Closing) => {
                (EndReason::Missed, SignalBody::HangUp { reason: HangUpReason::Closing })
            }
            (Stage::Incoming { .. }, _) => (EndReason::DeclinedHere, SignalBody::Decline),
            (Stage::Connecting(_) | Stage::Active { .. } | Stage::Reconnecting { .. }, reason) => {
                (EndReason::HungUp, SignalBody::HangUp { reason })
            }
        };
        Finish { reason, farewell: Farewell::Say(body) }
    }

    /// The last signal of this call, if the other side knows of the call at all.
    pub(crate) fn last_words(&mut self, body: SignalBody) -> Option<Signal> {
        // A caller that has not sent its invitation has sent nothing.
        let unknown_there = self.role == Role::Caller && !self.negotiator.is_invited();
        (!unknown_there).then(|| self.wire.next(body))
    }

    /// Whether the invitation has left already.
    pub(crate) fn has_invited(&self) -> bool {
        self.negotiator.is_invited()
    }

    /// Closes the connection and says how it went.
    pub(crate) fn close(&mut self, reason: EndReason, desk: &mut Desk, now: Instant) -> Ended {
        if let Connection::Made(id, _) = std::mem::replace(&mut self.connection, Connection::NotMade) {
            desk.peer(id, PeerCommand::Close);
        }
        let media_since = match &self.stage {
            Stage::Active { since } | Stage::Reconnecting { since, .. } => Some(*since),
            Stage::Calling { .. } | Stage::Ringing { .. } | Stage::Incoming { .. } | Stage::Connecting(_) => None,
        };
        Ended {
            call: self.id(),
            peer: self.peer(),
            direction: self.direction,
            video_wanted: self.video_wanted,
            reason,
            started: self.started,
            media_since,
            at: now,
        }
    }

    /// A signal of the other side in this call.
    pub(crate) fn on_signal(
        &mut self,
        sequence: u32,
        body: SignalBody,
        desk: &mut Desk,
        now: Instant,
    ) -> Option<Finish> {
        match self.inbox.take(sequence, body, now) {
            Verdict::Act(signals) => self.act_on(signals, desk, now),
            Verdict::Doubled(body) => {
                desk.counters.doubled += 1;
                self.echo_again(sequence, body, desk, now);
                None
            }
            Verdict::OutOfWindow => {
                desk.counters.out_of_window += 1;
                None
            }
        }
    }

    pub(crate) fn on_delivery(&mut self, ticket: SendTicket, outcome: Delivery, now: Instant) -> Option<Finish> {
        self.wire.settle(ticket, outcome, now);
        let Stage::Calling { refused, .. } = &mut self.stage else { return None };
        if !self.negotiator.invited_as(ticket) {
            return None;
        }
        match outcome {
            Delivery::Delivered => None,
            Delivery::Kept | Delivery::Offline => Some(Finish::saying(EndReason::Unreachable, SignalBody::Cancel)),
            Delivery::NotSignedIn => Some(Finish::saying(EndReason::NotSignedIn, SignalBody::Cancel)),
            Delivery::Failed => {
                *refused += 1;
                (*refused >= INVITE_REFUSALS).then(|| Finish::saying(EndReason::Unreachable, SignalBody::Cancel))
            }
        }
    }

    pub(crate) fn on_peer(
        &mut self,
        connection: ConnectionId,
        event: PeerEvent,
        desk: &mut Desk,
        now: Instant,
    ) -> Option<Finish> {
        let Connection::Made(id, path) = self.connection else {
            desk.counters.stale_peer_events += 1;
            return None;
        };
        if id != connection {
            desk.counters.stale_peer_events += 1;
            return None;
        }
        let (negotiator, mut io) = self.parts(desk);
        let next = match event {
            PeerEvent::LocalDescription { kind, sdp } => negotiator.on_local_description(kind, sdp, &mut io, now),
            PeerEvent::LocalDescriptionFailed => negotiator.on_local_description_failed(&mut io, now),
            PeerEvent::RemoteDescriptionRefused => {
                negotiator.on_remote_description_refused(path != Path::New, &mut io, now)
            }
            PeerEvent::LocalCandidate(candidate) => {
                negotiator.on_local_candidate(candidate, &mut io);
                Next::Nothing
            }
            PeerEvent::NegotiationNeeded => {
                negotiator.want(Wish::Offer, &mut io, now);
                Next::Nothing
            }
            PeerEvent::Connected => {
                let path = if path == Path::Flowing { Path::Flowing } else { Path::Up };
                return self.on_path(id, path, now);
            }
            PeerEvent::MediaFlowing => return self.on_path(id, Path::Flowing, now),
            PeerEvent::Disconnected => return self.on_path(id, Path::Down, now),
            PeerEvent::Failed => return self.on_path(id, Path::Failed, now),
        };
        match next {
            Next::Nothing => None,
            Next::Invite(offer) => {
                self.invite(offer, desk, now);
                None
            }
            Next::End(Hopeless::Incompatible) => {
                Some(Finish::saying(EndReason::Incompatible, SignalBody::HangUp { reason: HangUpReason::Incompatible }))
            }
            Next::End(Hopeless::NoDescription) => Some(self.failed()),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let (until, others) = match &self.stage {
            Stage::Calling { until, .. } | Stage::Ringing { until } | Stage::Incoming { until } => {
                (Some(*until), [None; 3])
            }
            Stage::Connecting(Connecting { until, settle, repair, accept }) => {
                (Some(*until), [*settle, *repair, accept.as_ref().and_then(Resend::deadline)])
            }
            Stage::Active { .. } => (None, [None; 3]),
            Stage::Reconnecting { until, repair, .. } => (Some(*until), [Some(*repair), None, None]),
        };
        let rest = [until, self.negotiator.deadline(), self.inbox.deadline(), self.wire.deadline()];
        rest.into_iter().chain(others).flatten().min()
    }

    /// Runs what is due.
    pub(crate) fn due(&mut self, desk: &mut Desk, now: Instant) -> Option<Finish> {
        let late = self.inbox.due(now);
        if let Some(finish) = self.act_on(late, desk, now) {
            return Some(finish);
        }
        self.wire.due(desk, now);
        let (negotiator, mut io) = self.parts(desk);
        match negotiator.due(&mut io, now) {
            Next::Nothing | Next::Invite(_) => {}
            Next::End(Hopeless::Incompatible | Hopeless::NoDescription) => return Some(self.failed()),
        }
        let lost = SignalBody::HangUp { reason: HangUpReason::ConnectionLost };
        match &mut self.stage {
            Stage::Calling { until, .. } | Stage::Ringing { until } if *until <= now => {
                Some(Finish::saying(EndReason::NoAnswer, SignalBody::Cancel))
            }
            Stage::Incoming { until } if *until <= now => {
                Some(Finish { reason: EndReason::Missed, farewell: Farewell::Nothing })
            }
            Stage::Calling { .. } | Stage::Ringing { .. } | Stage::Incoming { .. } | Stage::Active { .. } => None,
            Stage::Connecting(connecting) => {
                if connecting.settle.is_some_and(|at| at <= now) {
                    self.stage = Stage::Active { since: now };
                    return None;
                }
                if connecting.until <= now {
                    return Some(Finish::saying(EndReason::NoConnection, lost));
                }
                if let Some(accept) = &mut connecting.accept {
                    accept.due(&self.wire, desk, now);
                }
                if connecting.repair.is_some_and(|at| at <= now) {
                    connecting.repair = Some(now + REPAIR_EVERY);
                    self.repair(desk, now);
                }
                None
            }
            Stage::Reconnecting { until, .. } if *until <= now => Some(Finish::saying(EndReason::ConnectionLost, lost)),
            Stage::Reconnecting { repair, .. } => {
                if *repair <= now {
                    *repair = now + REPAIR_EVERY;
                    self.repair(desk, now);
                }
                None
            }
        }
    }

    fn act_on(&mut self, signals: Vec<(u32, SignalBody)>, desk: &mut Desk, now: Instant) -> Option<Finish> {
        // What follows the end of the call is not looked at.
        signals.into_iter().find_map(|(sequence, body)| self.act(sequence, body, desk, now))
    }

    fn act(&mut self, sequence: u32, body: SignalBody, desk: &mut Desk, now: Instant) -> Option<Finish> {
        match body {
            SignalBody::Invite { .. } => {
                desk.counters.out_of_place += 1;
                None
            }
            SignalBody::Ringing => {
                self.on_ringing(desk);
                None
            }
            SignalBody::Accept { video } => {
                self.on_accept(video, desk, now);
                None
            }
            SignalBody::Decline => self.on_refusal(EndReason::Declined, desk),
            SignalBody::Busy => self.on_refusal(EndReason::Busy, desk),
            SignalBody::Cancel => self.on_cancel(desk),
            SignalBody::HangUp { reason } => Some(self.on_hang_up(reason)),
            SignalBody::Description { kind, sdp } => {
                let (negotiator, mut io) = self.parts(desk);
                negotiator.on_remote_description(sequence, kind, sdp, &mut io, now);
                None
            }
            SignalBody::Candidate { candidate, mid, index, username_fragment } => {
                let (negotiator, mut io) = self.parts(desk);
                negotiator.on_remote_candidate(Candidate { candidate, mid, index, username_fragment }, &mut io);
                None
            }
            SignalBody::MediaState { microphone, camera, paused, reduced, view, share } => {
                self.on_media_state(sequence, MediaOn { microphone, camera, paused, reduced, view, share }, now);
                None
            }
            SignalBody::ShareRequest => {
                self.on_share_signal(ShareSignal::Request, desk);
                None
            }
            SignalBody::ShareRefused => {
                self.on_share_signal(ShareSignal::Refused, desk);
                None
            }
        }
    }

    /// The other side has not understood that its signal came: the echo got lost.
    fn echo_again(&mut self, sequence: u32, body: SignalBody, desk: &mut Desk, now: Instant) {
        match body {
            SignalBody::Invite { .. } if matches!(self.stage, Stage::Incoming { .. }) => {
                self.wire.say(desk, SignalBody::Ringing);
                let (negotiator, mut io) = self.parts(desk);
                negotiator.on_doubled_offer(0, None, &mut io, now);
            }
            SignalBody::Invite { .. } => {
                let (negotiator, mut io) = self.parts(desk);
                negotiator.on_doubled_offer(0, None, &mut io, now);
            }
            SignalBody::Accept { .. } if self.is_accepted() => self.tell_media(desk),
            SignalBody::Description { kind: DescriptionKind::Offer, sdp } => {
                let (negotiator, mut io) = self.parts(desk);
                negotiator.on_doubled_offer(sequence, Some(sdp), &mut io, now);
            }
            SignalBody::Accept { .. }
            | SignalBody::Description { kind: DescriptionKind::Answer, .. }
            | SignalBody::Ringing
            | SignalBody::Decline
            | SignalBody::Busy
            | SignalBody::Cancel
            | SignalBody::HangUp { .. }
            | SignalBody::Candidate { .. }
            | SignalBody::MediaState { .. }
            | SignalBody::ShareRequest
            | SignalBody::ShareRefused => {}
        }
    }

    fn on_ringing(&mut self, desk: &mut Desk) {
        match &self.stage {
            Stage::Calling { until, .. } if self.negotiator.is_invited() => {
                self.stage = Stage::Ringing { until: *until };
                self.negotiator.heard();
            }
            Stage::Calling { .. } | Stage::Incoming { .. } => desk.counters.out_of_place += 1,
            // Said again, or overtaken by the acceptance.
            Stage::Ringing { .. } | Stage::Connecting(_) | Stage::Active { .. } | Stage::Reconnecting { .. } => {}
        }
    }

    fn on_accept(&mut self, video: bool, desk: &mut Desk, now: Instant) {
        match &self.stage {
            Stage::Calling { .. } | Stage::Ringing { .. } if self.negotiator.is_invited() => {
                if self.remote_told.is_none() {
                    self.remote = MediaOn { microphone: true, camera: video, ..MediaOn::default() };
                }
                // Also the echo that the callee waits for.
                self.tell_media(desk);
                self.accepted(None, desk, now);
            }
            Stage::Calling { .. }
            | Stage::Ringing { .. }
            | Stage::Incoming { .. }
            | Stage::Connecting(_)
            | Stage::Active { .. }
            | Stage::Reconnecting { .. } => desk.counters.out_of_place += 1,
        }
    }

    fn on_refusal(&mut self, reason: EndReason, desk: &mut Desk) -> Option<Finish> {
        match (self.role, &self.stage) {
            (Role::Caller, Stage::Calling { .. } | Stage::Ringing { .. }) => {
                Some(Finish { reason, farewell: Farewell::Nothing })
            }
            // No callee of ours takes its yes back like this, but it means no.
            (Role::Caller, Stage::Connecting(_) | Stage::Active { .. } | Stage::Reconnecting { .. }) => {
                Some(Finish { reason: EndReason::RemoteHungUp, farewell: Farewell::Nothing })
            }
            (Role::Caller, Stage::Incoming { .. }) | (Role::Callee, _) => {
                desk.counters.out_of_place += 1;
                None
            }
        }
    }

    fn on_cancel(&mut self, desk: &mut Desk) -> Option<Finish> {
        let reason = match (self.role, &self.stage) {
            (Role::Callee, Stage::Incoming { .. }) => EndReason::Missed,
            // The answer crossed it: the person here did answer, so nothing was missed.
            (Role::Callee, _) => EndReason::RemoteHungUp,
            (Role::Caller, _) => {
                desk.counters.out_of_place += 1;
                return None;
            }
        };
        Some(Finish { reason, farewell: Farewell::Nothing })
    }

    fn on_hang_up(&self, why: HangUpReason) -> Finish {
        let reason = match (&self.stage, why) {
            (_, HangUpReason::Incompatible) => EndReason::Incompatible,
            (Stage::Incoming { .. }, _) => EndReason::Missed,
            (Stage::Calling { .. } | Stage::Ringing { .. }, HangUpReason::Person) => EndReason::Declined,
            (Stage::Calling { .. } | Stage::Ringing { .. }, HangUpReason::Closing) => EndReason::Unreachable,
            (Stage::Calling { .. } | Stage::Ringing { .. } | Stage::Connecting(_), HangUpReason::ConnectionLost) => {
                EndReason::NoConnection
            }
            (Stage::Active { .. } | Stage::Reconnecting { .. }, HangUpReason::ConnectionLost) => {
                EndReason::ConnectionLost
            }
            (
                Stage::Connecting(_) | Stage::Active { .. } | Stage::Reconnecting { .. },
                HangUpReason::Person | HangUpReason::Closing,
            ) => EndReason::RemoteHungUp,
        };
        Finish { reason, farewell: Farewell::Nothing }
    }

    fn on_media_state(&mut self, sequence: u32, media: MediaOn, now: Instant) {
        if self.remote_told.is_none_or(|told| told < sequence) {
            self.remote_told = Some(sequence);
            self.remote = media;
        }
        // A caller says this only after it has the acceptance.
        if let (Role::Callee, Stage::Connecting(connecting)) = (self.role, &mut self.stage) {
            connecting.accept = None;
        }
        self.advance(now);
    }

    fn on_share_signal(&mut self, said: ShareSignal, desk: &mut Desk) {
        if self.is_accepted() {
            desk.outputs.push_back(Output::Share(said));
        } else {
            desk.counters.out_of_place += 1;
        }
    }

    fn on_path(&mut self, id: ConnectionId, path: Path, now: Instant) -> Option<Finish> {
        self.connection = Connection::Made(id, path);
        if matches!(path, Path::Up | Path::Flowing) {
            self.negotiator.unwish_restart();
        }
        self.advance(now);
        None
    }

    /// Moves on where the connection's path says so.
    fn advance(&mut self, now: Instant) {
        let path = match self.connection {
            Connection::NotMade => Path::New,
            Connection::Made(_, path) => path,
        };
        let head_start = match self.role {
            Role::Caller => Duration::ZERO,
            Role::Callee => REPAIR_HEAD_START,
        };
        match (&mut self.stage, path) {
            (Stage::Connecting(_), Path::Flowing) => self.stage = Stage::Active { since: now },
            (Stage::Connecting(connecting), Path::Up) => {
                connecting.repair = None;
                if connecting.accept.is_none() {
                    connecting.settle.get_or_insert(now + SETTLE);
                }
            }
            (Stage::Connecting(connecting), Path::Down | Path::Failed) => {
                connecting.settle = None;
                connecting.repair.get_or_insert(now + head_start);
            }
            (Stage::Active { since }, Path::Down | Path::Failed) => {
                let (since, repair) = (*since, now + head_start);
                self.stage = Stage::Reconnecting { since, lost: now, until: now + RECONNECT, repair };
            }
            (Stage::Reconnecting { since, .. }, Path::Up | Path::Flowing) => {
                self.stage = Stage::Active { since: *since };
            }
            (Stage::Calling { .. } | Stage::Ringing { .. } | Stage::Incoming { .. }, _)
            | (Stage::Connecting(_), Path::New)
            | (Stage::Active { .. }, Path::New | Path::Up | Path::Flowing)
            | (Stage::Reconnecting { .. }, Path::New | Path::Down | Path::Failed) => {}
        }
    }

    fn accepted(&mut self, accept: Option<Resend>, desk: &mut Desk, now: Instant) {
        if let Connection::Made(id, _) = self.connection {
            desk.peer(id, PeerCommand::AllowMedia);
        }
        let (negotiator, mut io) = self.parts(desk);
        negotiator.accepted(&mut io, now);
        negotiator.start_answer(&mut io, now);
        self.stage = Stage::Connecting(Connecting { until: now + CONNECT, settle: None, repair: None, accept });
        self.advance(now);
    }

    fn invite(&mut self, offer: String, desk: &mut Desk, now: Instant) {
        let Stage::Calling { name, .. } = &self.stage else { return };
        let body = SignalBody::Invite { name: name.clone(), video: self.video_wanted, offer };
        let signal = self.wire.next(body);
        let resend = Resend::begin(&self.wire, desk, signal, true, now);
        let (negotiator, mut io) = self.parts(desk);
        negotiator.invited(resend, &mut io);
    }

    fn repair(&mut self, desk: &mut Desk, now: Instant) {
        let (negotiator, mut io) = self.parts(desk);
        negotiator.want(Wish::Restart, &mut io, now);
    }

    /// This computer cannot go on.
    fn failed(&self) -> Finish {
        let farewell = self.hang_up(HangUpReason::Incompatible).farewell;
        Finish { reason: EndReason::Failed, farewell }
    }

    fn tell_media(&mut self, desk: &mut Desk) {
        let MediaOn { microphone, camera, paused, reduced, view, share } = self.local;
        self.wire.say(desk, SignalBody::MediaState { microphone, camera, paused, reduced, view, share });
    }

    pub(crate) fn is_accepted(&self) -> bool {
        match self.stage {
            Stage::Calling { .. } | Stage::Ringing { .. } | Stage::Incoming { .. } => false,
            Stage::Connecting(_) | Stage::Active { .. } | Stage::Reconnecting { .. } => true,
        }
    }

    fn make_connection(&mut self, desk: &mut Desk, accepted: bool) {
        let id = desk.new_connection();
        self.connection = Connection::Made(id, Path::New);
        desk.peer(id, PeerCommand::Create { role: self.role, accepted });
    }

    fn parts<'a>(&'a mut self, desk: &'a mut Desk) -> (&'a mut Negotiator, Io<'a>) {
        let connection = match self.connection {
            // Never given out; a negotiator gives no commands before it was started on a connection.
            Connection::NotMade => ConnectionId(0),
            Connection::Made(id, _) => id,
        };
        (&mut self.negotiator, Io { desk, wire: &mut self.wire, connection })
    }
}

impl Finish {
    fn saying(reason: EndReason, body: SignalBody) -> Self {
        Self { reason, farewell: Farewell::Say(body) }
    }
}
