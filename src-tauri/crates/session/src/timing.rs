//! Every timer and bound of a call, in one place.

use std::time::Duration;

/// An unanswered call rings this long for the caller (ITU-T E.180 leaves it open; telephone networks use 30 to 120 s).
pub const RING: Duration = Duration::from_secs(60);
/// The callee rings a little longer, so that the caller's `Cancel` decides; this is for when it got lost.
pub const RING_FALLBACK: Duration = Duration::from_secs(65);
/// From accept to a connection.
pub const CONNECT: Duration = Duration::from_secs(20);
/// From a lost connection to the end of the call.
pub const RECONNECT: Duration = Duration::from_secs(30);
/// A connected call in which the other side sends nothing at all counts as running after this.
pub const SETTLE: Duration = Duration::from_secs(2);
/// An offer or answer that the own computer needs longer for has failed.
pub const MAKE_DESCRIPTION: Duration = Duration::from_secs(10);
/// First wait for an echo before a signal is sent again with the same sequence; doubles each time.
pub const RESEND: Duration = Duration::from_secs(2);
/// How often a signal without echo is sent again: after 2, 6, 14 and 30 s.
pub const RESENDS: u32 = 4;
/// An offer in a running call that has no answer by then is taken back.
pub const OFFER_ANSWERED: Duration = Duration::from_secs(12);
/// A signal out of order waits so long for those before it.
pub const GAP: Duration = Duration::from_secs(1);
/// Between two tries to repair a lost connection.
pub const REPAIR_EVERY: Duration = Duration::from_secs(5);
/// The callee leaves the first try of a repair to the caller, so that their offers seldom collide.
pub const REPAIR_HEAD_START: Duration = Duration::from_millis(2500);
/// Between two tries to send what the carrier would not take.
pub const RETRY_SEND: Duration = Duration::from_secs(2);
/// An end of call that the carrier would not take is tried for so long.
pub const FAREWELL_RETRIED: Duration = Duration::from_secs(30);

/// Signals held because an earlier one is missing; full: the oldest is taken without waiting longer.
pub const HELD_SIGNALS: usize = 64;
/// How far a sequence may lie ahead of the next one expected.
pub const SEQUENCE_WINDOW: u32 = 1024;
/// Missing sequences remembered so that they may still come late; full: the oldest is forgotten.
pub const MISSING_SEQUENCES: usize = 128;
/// Candidates waiting for a description, each way; full: the oldest is forgotten.
pub const HELD_CANDIDATES: usize = 64;
/// Sent signals whose fate is not known or was bad; full: the oldest is forgotten.
pub const UNSETTLED_SENDS: usize = 64;
/// Ended calls remembered; full: the oldest is forgotten.
pub const ENDED_CALLS: usize = 64;
/// Strangers' calls remembered, so that a doubled one is one request; full: the oldest is forgotten.
pub const STRANGERS: usize = 64;
/// How often the end of one call is told again to someone who has not understood it.
pub const FAREWELLS: u32 = 8;
