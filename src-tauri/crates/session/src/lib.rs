//! What a call is: a pure state machine, time as an argument.
//!
//! [`Session`] owns the one call an endpoint can have. [`Session::handle`] takes in what happened, never blocks and
//! never fails; [`Session::poll`] says what to do next until it answers [`Output::Wait`]. It reads no clock, opens no
//! socket, draws no random number.
//!
//! ```text
//! commands, signals, delivery reports, peer events ──► handle ──► Session ──► poll ──► sends, peer commands, tones, facts
//! ```
//!
//! # How a signal survives a bad carrier
//! Carriers lose, double, delay and reorder. Signals in which order matters wait for those before them
//! ([`timing::GAP`]); the others act at once. What needs an echo (invitation, acceptance, offer) is sent again with the
//! same sequence until the echo comes; a doubled one makes the other side echo again. Someone who still signals in a call
//! that ended is told its end again.

mod call;
mod ended;
mod inbox;
mod input;
mod negotiation;
mod output;
mod session;
mod state;
pub mod timing;
mod wire;

pub use input::{Command, Delivery, Input, PeerEvent, Received, Relation};
pub use output::{EndReason, Ended, MissedCall, Output, PeerCommand, Role, ShareSignal, Tone};
pub use session::Session;
pub use state::{CallView, Candidate, ConnectionId, Counters, Direction, MediaOn, Phase, SendTicket, State};
