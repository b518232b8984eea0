//! Forward error correction of pictures: FlexFEC, draft-ietf-payload-flexible-fec-scheme-03, which is what browsers speak;
//! the terms are those of its final form, RFC 8627.
//!
//! ```text
//! what leaves ─► Protector ─► repair packets ─► network ─► Mender ◄─ what arrived
//!                    ▲ how many: policy                       └─► what was lost
//! ```
//!
//! A repair packet is the XOR of some source packets, an equation of which those that arrived are known; whoever has as many
//! independent equations as packets are missing has those too, without a round trip. Pure: time is an argument, nothing is sent.

mod code;
mod decoder;
mod encoder;
mod header;
mod mender;
mod policy;
mod protector;
mod source;

pub(crate) use decoder::{Heard, Rebuilt};
pub(crate) use mender::Mender;
pub(crate) use policy::Path;
pub(crate) use protector::{Protector, Repair};

/// Source packets that one mask can name (draft 03, 4.2.2.1).
const SPAN: u16 = 109;
