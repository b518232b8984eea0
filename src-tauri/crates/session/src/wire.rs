//! The way out: outputs in order, sequences, what is sent again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ahoy_protocol::{AhoyId, CallId, Signal, SignalBody};

use crate::timing::{RESEND, RESENDS, RETRY_SEND, UNSETTLED_SENDS};
use crate::{ConnectionId, Counters, Delivery, Output, PeerCommand, SendTicket};

/// What the session has to say to the engine, and the numbers it hands out.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// Session -> engine. Emptied by `poll` after each input; one input adds a few dozen at most.
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) counters: Counters,
    tickets: u64,
    connections: u64,
}

impl Desk {
    pub(crate) fn put(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn send(&mut self, to: AhoyId, signal: Signal, keep: bool) -> SendTicket {
        self.tickets += 1;
        let ticket = SendTicket(self.tickets);
        self.put(Output::Send { ticket, to, signal, keep });
        ticket
    }

    pub(crate) fn new_connection(&mut self) -> ConnectionId {
        self.connections += 1;
        ConnectionId(self.connections)
    }

    pub(crate) fn peer(&mut self, connection: ConnectionId, command: PeerCommand) {
        self.put(Output::Peer { connection, command });
    }
}

/// One call's direction from here to the other side.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) peer: AhoyId,
    pub(crate) call: CallId,
    next_sequence: u32,
    /// Sent, fate unknown or bad. [`UNSETTLED_SENDS`] deep; full: the oldest is forgotten.
    unsettled: VecDeque<Unsettled>,
    retry_at: Option<Instant>,
}

#[derive(Debug)]
struct Unsettled {
    signal: Signal,
    fate: Fate,
}

#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// Not reported yet.
    Unknown(SendTicket),
    /// To be sent again at `retry_at`.
    Bad,
}

impl Wire {
    pub(crate) fn new(peer: AhoyId, call: CallId) -> Self {
        Self { peer, call, next_sequence: 0, unsettled: VecDeque::new(), retry_at: None }
    }

    /// The next signal of this call, not sent yet.
    pub(crate) fn next(&mut self, body: SignalBody) -> Signal {
        let sequence = self.next_sequence;
        self.next_sequence = self.next_sequence.saturating_add(1);
        Signal { call: self.call, sequence, body }
    }

    /// Sends a signal, again and again while the carrier refuses it.
    pub(crate) fn say(&mut self, desk: &mut Desk, body: SignalBody) -> Signal {
        let signal = self.next(body);
        self.send_settling(desk, signal.clone());
        signal
    }

    /// Sends a signal once; somebody else sees to its echo.
    pub(crate) fn send(&self, desk: &mut Desk, signal: &Signal, keep: bool) -> SendTicket {
        desk.send(self.peer, signal.clone(), keep)
    }

    pub(crate) fn settle(&mut self, ticket: SendTicket, outcome: Delivery, now: Instant) {
        let Some(at) = self.unsettled.iter().position(|sent| sent.fate == Fate::Unknown(ticket)) else { return };
        match outcome {
            Delivery::Delivered | Delivery::Kept => {
                self.unsettled.remove(at);
            }
            Delivery::Offline | Delivery::Failed | Delivery::NotSignedIn => {
                self.unsettled[at].fate = Fate::Bad;
                self.retry_at.get_or_insert(now + RETRY_SEND);
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    pub(crate) fn due(&mut self, desk: &mut Desk, now: Instant) {
        if self.retry_at.is_none_or(|at| at > now) {
            return;
        }
        self.retry_at = None;
        for sent in self.unsettled.iter_mut().filter(|sent| sent.fate == Fate::Bad) {
            sent.fate = Fate::Unknown(desk.send(self.peer, sent.signal.clone(), false));
        }
    }

    fn send_settling(&mut self, desk: &mut Desk, signal: Signal) {
        if self.unsettled.len() >= UNSETTLED_SENDS {
            self.unsettled.pop_front();
        }
        let fate = Fate::Unknown(desk.send(self.peer, signal.clone(), false));
        self.unsettled.push_back(Unsettled { signal, fate });
    }
}

/// A signal that is sent again, with the same sequence, until its echo comes.
#[derive(Debug)]
pub(crate) struct Resend {
    pub(crate) signal: Signal,
    /// Every sending's ticket: at most 1 + [`RESENDS`].
    tickets: Vec<SendTicket>,
    at: Option<Instant>,
    wait: Duration,
}

impl Resend {
    /// Sends it the first time.
    pub(crate) fn begin(wire: &Wire, desk: &mut Desk, signal: Signal, keep: bool, now: Instant) -> Self {
        let ticket = wire.send(desk, &signal, keep);
        Self { signal, tickets: vec![ticket], at: Some(now + RESEND), wait: RESEND }
    }

    /// The other side has it; nothing is sent until `resume`.
    pub(crate) fn pause(&mut self) {
        self.at = None;
    }

    pub(crate) fn resume(&mut self, now: Instant) {
        self.wait = RESEND;
        self.at = Some(now + self.wait);
        self.tickets.truncate(1);
    }

    pub(crate) fn sent_as(&self, ticket: SendTicket) -> bool {
        self.tickets.contains(&ticket)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.at
    }

    pub(crate) fn due(&mut self, wire: &Wire, desk: &mut Desk, now: Instant) {
        if self.at.is_none_or(|at| at > now) {
            return;
        }
        self.tickets.push(wire.send(desk, &self.signal, false));
        self.wait *= 2;
        self.at = (self.tickets.len() <= RESENDS as usize).then(|| now + self.wait);
    }
}
