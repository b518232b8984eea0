//! One WebRTC connection of a call of two: ICE, DTLS, RTP in and out, statistics.
//!
//! The only crate that names `webrtc` and `rtc`. A [`Peer`] carries one Opus and one H.264 stream each way, and
//! the same once more while a screen is shared. Received media
//! leaves the stack inside its interceptor chain, on the network task, straight into the sinks; what is sent goes through
//! two short queues from plain threads.
//!
//! ```text
//! audio thread ──AudioSender──► queue ─┐                      ┌─► AudioSink (Opus packets, as they arrive)
//! video thread ──VideoSender──► queue ─┴─► Peer ◄── UDP ──► Peer ─┴─► VideoSink (whole access units, in order)
//! ```

mod config;
mod error;
mod event;
mod feedback;
#[doc(hidden)]
pub mod fuzz;
mod handler;
mod interceptor;
mod media;
mod outgoing;
mod peer;
mod rtp;
mod runtime;
mod sending;
mod setup;
mod stage;
mod stats;
mod stats_report;
mod uplink;

pub use config::{IcePolicy, IceServer, Loopback, PeerConfig, Role};
pub use error::{FailReason, PeerError};
pub use event::{Candidate, ConnectionState, DescriptionKind, IceState, MediaKind, PeerEvent};
pub use media::{
    AudioSender, AudioSink, ClockReport, IncomingAudio, IncomingPicture, IncomingVideo, OutgoingAudio, OutgoingVideo,
    SendOutcome, Source, VideoSender, VideoSink,
};
pub use peer::{Peer, Sinks};
pub use stats::{
    CandidatePair, CandidateType, Codec, InboundRtp, OutboundRtp, RemoteInboundRtp, RemoteOutboundRtp, ShareReport,
    StatsReport, Transport,
};
