//! Calls that are over, remembered so that a late or doubled signal does not wake them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ahoy_protocol::{AhoyId, CallId, Signal};

use crate::timing::{ENDED_CALLS, FAREWELL_RETRIED, FAREWELLS, RETRY_SEND};
use crate::wire::Desk;
use crate::{Delivery, SendTicket};

/// [`ENDED_CALLS`] deep; full: the oldest is forgotten.
#[derive(Debug, Default)]
pub(crate) struct EndedCalls {
    calls: VecDeque<EndedCall>,
}

#[derive(Debug)]
pub(crate) struct EndedCall {
    peer: AhoyId,
    call: CallId,
    pub(crate) ending: Ending,
}

#[derive(Debug)]
pub(crate) enum Ending {
    /// The other side knows, or there is nothing to tell.
    Settled,
    /// Its `Cancel` overtook its `Invite`.
    CancelledUnseen,
    /// What the other side is told when it still signals.
    Told(Farewell),
}

#[derive(Debug)]
pub(crate) struct Farewell {
    signal: Signal,
    ticket: Option<SendTicket>,
    /// Left to tell, and not before: a burst of signals in flight is no misunderstanding.
    left: u32,
    not_before: Instant,
    retry: Option<Instant>,
    retry_until: Instant,
}

/// A burst in flight when the call ends is answered once.
const BETWEEN_FAREWELLS: Duration = Duration::from_millis(400);

impl Farewell {
    pub(crate) fn new(signal: Signal, ticket: Option<SendTicket>, now: Instant) -> Self {
        let not_before = if ticket.is_some() { now + BETWEEN_FAREWELLS } else { now };
        Self { signal, ticket, left: FAREWELLS, not_before, retry: None, retry_until: now + FAREWELL_RETRIED }
    }
}

impl EndedCalls {
    pub(crate) fn remember(&mut self, peer: AhoyId, call: CallId, ending: Ending) {
        if self.calls.len() >= ENDED_CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(EndedCall { peer, call, ending });
    }

    pub(crate) fn find(&mut self, peer: AhoyId, call: CallId) -> Option<&mut EndedCall> {
        self.calls.iter_mut().find(|ended| ended.peer == peer && ended.call == call)
    }

    pub(crate) fn settle(&mut self, ticket: SendTicket, outcome: Delivery, now: Instant) {
        for ended in &mut self.calls {
            let Ending::Told(farewell) = &mut ended.ending else { continue };
            if farewell.ticket == Some(ticket) {
                farewell.retry = match outcome {
                    Delivery::Delivered | Delivery::Kept | Delivery::Offline => None,
                    Delivery::Failed | Delivery::NotSignedIn => {
                        Some(now + RETRY_SEND).filter(|&at| at <= farewell.retry_until)
                    }
                };
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.calls.iter().filter_map(|ended| ended.farewell().and_then(|farewell| farewell.retry)).min()
    }

    pub(crate) fn due(&mut self, desk: &mut Desk, now: Instant) {
        for ended in &mut self.calls {
            let Ending::Told(farewell) = &mut ended.ending else { continue };
            if farewell.retry.is_some_and(|at| at <= now) {
                farewell.retry = None;
                farewell.ticket = Some(desk.send(ended.peer, farewell.signal.clone(), false));
            }
        }
    }
}

impl EndedCall {
    /// Tells the other side again that this call is over.
    pub(crate) fn tell_again(&mut self, desk: &mut Desk, now: Instant) {
        let Ending::Told(farewell) = &mut self.ending else { return };
        if farewell.left > 0 && farewell.not_before <= now {
            farewell.left -= 1;
            farewell.not_before = now + BETWEEN_FAREWELLS;
            farewell.ticket = Some(desk.send(self.peer, farewell.signal.clone(), false));
        }
    }

    fn farewell(&self) -> Option<&Farewell> {
        match &self.ending {
            Ending::Told(farewell) => Some(farewell),
            Ending::Settled | Ending::CancelledUnseen => None,
        }
    }
}
