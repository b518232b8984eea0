//! What goes over the wire: identities, contact cards, sealed envelopes, call signals, limits.
//!
//! `PROTOCOL.md` beside this crate says the same for someone who writes another client. The crate reads no clock and
//! opens no socket; only [`Identity::generate`] and [`seal`] ask the system for random numbers.

mod base32;
mod card;
mod envelope;
#[doc(hidden)]
pub mod fuzz;
mod identity;
pub mod limits;
mod refused;
pub mod rendezvous;
mod replay;
mod signal;

/// The traits of [`seal_with_rng`]'s random numbers.
pub use hpke::rand_core;

pub use card::{CardError, ContactCard, LINK_PREFIX, LinkError, check_name};
pub use envelope::{ENVELOPE_VERSION, EnvelopeError, EnvelopeId, Opened, SealError, open, seal, seal_with_rng};
pub use identity::{AhoyId, AhoyIdError, Identity};
pub use refused::{Refused, RefusedCounts};
pub use replay::{Age, Arrival, ReplayError, ReplayGuard};
pub use signal::{
    CallId, DescriptionKind, HangUpReason, Message, MessageError, PixelSize, ShareKind, ShareState, Signal, SignalBody,
};
