//! Sound and pictures, in and out, as the engine sees them.

use crate::outgoing::Outgoing;
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a stream belongs to: each kind of media goes twice each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The people: voice and camera. Always negotiated.
    Call,
    /// A shared screen and its sound. Negotiated while something is shared.
    Share,
}

impl Source {
    /// Both.
    pub(crate) const BOTH: [Self; 2] = [Self::Call, Self::Share];

    /// Place in a pair.
    pub(crate) fn place(self) -> usize {
        match self {
            Self::Call => 0,
            Self::Share => 1,
        }
    }
}

/// One Opus packet to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingAudio {
    /// The Opus packet (RFC 7587), 1 to 1275 bytes.
    pub payload: Bytes,
    /// Position of its first sample on the microphone's 48 kHz clock; any start, wraps. Goes on counting through what is
    /// not sent (DTX, mute).
    pub timestamp: u32,
    /// When its first sample was captured.
    pub captured: Instant,
    /// Somebody speaks in it: the first such packet after silence carries the RTP marker (RFC 3551, 4.1).
    pub voice: bool,
}

/// One H.264 access unit to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingVideo {
    /// Annex B: NAL units with start codes.
    pub access_unit: Bytes,
    /// When the camera took it; becomes the RTP timestamp (90 kHz).
    pub captured: Instant,
    /// It starts with SPS, PPS and an IDR picture.
    pub key: bool,
}

/// What became of a packet or picture handed over for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum SendOutcome {
    /// It will be sent.
    Queued,
    /// Not connected, or media is not allowed yet: it was forgotten.
    Held,
    /// The queue was full: so many older audio packets were forgotten to make room.
    Dropped(usize),
    /// The queue was full, or a picture before this one was refused: this one was forgotten, and every picture up to the
    /// next key frame will be.
    KeyFrameNeeded,
    /// The connection is closed.
    Closed,
}

/// Sends sound; cheap to clone, for use from any thread; never blocks.
///
/// audio thread -> peer; 10 packets = 200 ms; full: the oldest goes.
#[derive(Clone, Debug)]
pub struct AudioSender(pub(crate) Arc<Outgoing>, pub(crate) Source);

impl AudioSender {
    /// Hands over one Opus packet.
    pub fn send(&self, packet: OutgoingAudio) -> SendOutcome {
        self.0.push_audio(self.1, packet)
    }
}

/// Sends pictures; cheap to clone, for use from any thread; never blocks.
///
/// video-send thread -> peer; 4 access units; full: the new one and all up to the next key frame are refused.
#[derive(Clone, Debug)]
pub struct VideoSender(pub(crate) Arc<Outgoing>, pub(crate) Source);

impl VideoSender {
    /// Hands over one access unit.
    pub fn send(&self, unit: OutgoingVideo) -> SendOutcome {
        self.0.push_video(self.1, unit)
    }

    /// Whether a picture that is encoded now would leave soon. If not, drop it: a newer one will be better then.
    pub fn may_encode(&self) -> bool {
        self.0.may_encode(self.1)
    }

    /// Says how much the source could use at best, bits per second with headers: nobody probes for more. Zero while the
    /// camera is off. That of a share counts its sound, too.
    pub fn set_demand(&self, bits_per_second: u64) {
        self.0.set_video_demand(self.1, bits_per_second);
    }
}

/// One Opus packet that arrived, in order of arrival, not of sending. Doubled packets are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingAudio {
    /// RTP sequence number, extended beyond 16 bits (RFC 3550, A.1); begins near the first packet's number.
    pub sequence: u64,
    /// RTP timestamp, 48 kHz.
    pub timestamp: u32,
    /// RTP marker: the first packet after silence.
    pub marker: bool,
    /// The Opus packet. From the network: may be anything.
    pub payload: Bytes,
    /// When it arrived.
    pub arrived: Instant,
}

/// One H.264 access unit that arrived whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingPicture {
    /// RTP timestamp, 90 kHz.
    pub timestamp: u32,
    /// It contains an IDR picture.
    pub key: bool,
    /// Annex B, 4-byte start codes. From the network: may be anything.
    pub access_unit: Bytes,
    /// When its first packet arrived.
    pub first_arrived: Instant,
    /// When the last packet arrived that it waited for.
    pub arrived: Instant,
    /// It waited for a packet that was sent again, or stood behind a picture that did.
    pub repaired: bool,
}

/// Which moment of the sender's clock an RTP time belongs to (sender report, RFC 3550, 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReport {
    /// NTP time: seconds since 1900 and 32 bits of fraction. One clock for both streams.
    pub ntp: u64,
    /// The stream's RTP time then.
    pub timestamp: u32,
}

/// What the video side receives, in decode order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncomingVideo {
    /// A whole access unit; everything since the last key frame came before it.
    Picture(IncomingPicture),
    /// A picture was lost for good. Nothing follows until the next key frame, which has been asked for (and will be asked
    /// for again until it comes).
    Broken,
}

/// Takes received sound. Called on the network task: must return within microseconds and never block.
pub trait AudioSink: Send + Sync + 'static {
    /// One packet arrived.
    fn handle_audio(&self, packet: IncomingAudio);

    /// The sender said how its RTP time runs; about once a second.
    fn handle_clock(&self, _report: ClockReport) {}
}

/// Takes received pictures. Called on the network task: must return within microseconds and never block.
pub trait VideoSink: Send + Sync + 'static {
    /// One picture arrived, or was lost.
    fn handle_video(&self, video: IncomingVideo);

    /// The sender said how its RTP time runs; about once a second.
    fn handle_clock(&self, _report: ClockReport) {}
}

impl<F: Fn(IncomingAudio) + Send + Sync + 'static> AudioSink for F {
    fn handle_audio(&self, packet: IncomingAudio) {
        self(packet);
    }
}

impl<F: Fn(IncomingVideo) + Send + Sync + 'static> VideoSink for F {
    fn handle_video(&self, video: IncomingVideo) {
        self(video);
    }
}

/// Longest Opus packet (RFC 6716, 3.4).
pub(crate) const MAX_OPUS_BYTES: usize = 1275;
/// Largest access unit that is sent or put together; a 1080p key frame of openh264 stays below 600 kB.
pub(crate) const MAX_ACCESS_UNIT_BYTES: usize = 2 * 1024 * 1024;
/// RTP clock of Opus (RFC 7587, 4.1).
pub(crate) const AUDIO_CLOCK: u32 = 48_000;
/// RTP clock of H.264 (RFC 6184, 8.2.1).
pub(crate) const VIDEO_CLOCK: u32 = 90_000;

/// RTP time of an instant on a clock that started at `epoch` with `offset`.
pub(crate) fn rtp_time(at: Instant, epoch: Instant, clock: u32, offset: u32) -> u32 {
    let ticks = |d: Duration| (d.as_nanos() * u128::from(clock) / 1_000_000_000) as u32;
    match at.checked_duration_since(epoch) {
        Some(after) => offset.wrapping_add(ticks(after)),
        None => offset.wrapping_sub(ticks(epoch.duration_since(at))),
    }
}
