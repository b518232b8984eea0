//! How much may be sent, when, and by whom.
//!
//! ```text
//! feedback ─► Estimator ─target─► budget::split ─► encoders, Ladder
//!                 │ probes, window                    │ packets
//!                 └─────────────► Pacer ◄─────────────┘ ─► network
//! ```
//!
//! All of it is pure: packets and feedback in, decisions out, time as an argument.
//!
//! In what order it is driven:
//!
//! 1. Each packet that leaves: [`Estimator::handle_sent`], with its size on the wire (IP and UDP headers included), then
//!    [`Pacer::set_pacing`] with [`Estimator::pacing`].
//! 2. Each feedback: [`Estimator::handle_feedback`]; then [`Estimator::poll_fall`] (clear the pacer's pictures and
//!    retransmissions, encode a key frame), [`Estimator::poll_probe`] into [`Pacer::start_probe`], and the new target
//!    through [`budget::split`] to the [`Ladder`] and the coders.
//! 3. [`Estimator::set_demand`] with [`budget::Wants::most`] whenever a source is switched on or off.
//! 4. Before each frame: [`Pacer::may_encode`]. A frame that may not is dropped at its source.

mod acked;
pub mod budget;
mod control;
mod estimator;
mod ladder;
mod legacy;
mod loss;
pub mod pacer;
mod packet;
mod probe;
mod queue;
mod train;
mod trend;

pub use estimator::{Estimator, Fall, LimitedBy, RateConfig, RateState};
pub use ladder::{Ladder, LadderInput, Picture, Reason, useful_size};
pub use legacy::ReportBlock;
pub use pacer::{Pacer, Pacing, Released};
pub use packet::{ClusterId, Feedback, PacketFate, PacketKind, SentPacket};
pub use probe::ProbeCluster;
pub use trend::Usage;
