//! Where media enters and leaves the WebRTC stack: everything between RTP packets and sinks, with time as an argument.

mod lanes;
mod local;
mod receiving;
mod repair;
mod reports;
mod sending;
#[cfg(test)]
mod tests;

pub(crate) use lanes::{AudioLane, RemoteStreams, VideoLane};
pub(crate) use local::{LocalStream, RepairStreams, rtp_packet};

use crate::media::{AUDIO_CLOCK, VIDEO_CLOCK};
use crate::outgoing::Outgoing;
use crate::rtp::sender_clock::SenderClocks;
use crate::rtp::video_in::Conditions;
use crate::uplink::Uplink;
use crate::{Codec, InboundRtp, OutboundRtp, PeerEvent, RemoteInboundRtp, RemoteOutboundRtp, Source};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Before anything was measured.
const FIRST_RTT: Duration = Duration::from_millis(100);

/// The statistics that this stage keeps of one source.
#[derive(Debug, Clone, Default)]
pub(crate) struct StageStats {
    pub(crate) inbound_audio: InboundRtp,
    pub(crate) inbound_video: InboundRtp,
    pub(crate) outbound_audio: OutboundRtp,
    pub(crate) outbound_video: OutboundRtp,
    pub(crate) codec_audio: Codec,
    pub(crate) codec_video: Codec,
    pub(crate) remote_audio: RemoteInboundRtp,
    pub(crate) remote_video: RemoteInboundRtp,
    pub(crate) remote_outbound_audio: RemoteOutboundRtp,
    pub(crate) remote_outbound_video: RemoteOutboundRtp,
}

/// Both directions of one connection's media.
pub(crate) struct Stage {
    gate: Arc<Outgoing>,
    events: mpsc::Sender<PeerEvent>,
    /// By [`Source::place`].
    audio: [AudioLane; 2],
    /// By [`Source::place`].
    video: [VideoLane; 2],
    /// What the other side's description says of its streams.
    remote: RemoteStreams,
    /// By which our sender reports are put right.
    pub(crate) clocks: SenderClocks,
    uplink: Uplink,
    told_target: u64,
    rtt: Option<Duration>,
    /// (middle 32 bits of its NTP time, when it left) of our sender reports.
    reports_sent: VecDeque<(u32, Instant)>,
    /// Feedback to send; emptied after every packet handled.
    writes: VecDeque<rtc::interceptor::Packet>,
    unknown_packets: u64,
}

impl Stage {
    pub(crate) fn new(
        gate: Arc<Outgoing>,
        events: mpsc::Sender<PeerEvent>,
        audio: [AudioLane; 2],
        video: [VideoLane; 2],
        now: Instant,
    ) -> Self {
        Self {
            gate,
            events,
            audio,
            video,
            remote: RemoteStreams::default(),
            told_target: 0,
            clocks: SenderClocks::new(now),
            uplink: Uplink::new(now),
            rtt: None,
            reports_sent: VecDeque::new(),
            writes: VecDeque::new(),
            unknown_packets: 0,
        }
    }

    fn conditions(&self) -> Conditions {
        Conditions { rtt: self.rtt_or_guess(), loss_out: self.uplink.own_loss() }
    }

    fn rtt_or_guess(&self) -> Duration {
        self.rtt.unwrap_or(FIRST_RTT)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for source in Source::BOTH {
            if self.video[source.place()].key_event_due.is_some_and(|due| due <= now) {
                self.tell_key_frame(source, now);
            }
            self.poll_video(source, now);
        }
        self.send_copies(now);
        self.uplink.handle_timeout(now);
        self.tell_target(now);
    }

    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let path = self.conditions();
        let lanes = self.video.iter().flat_map(|lane| {
            let video = lane.input.as_ref().and_then(|video| video.poll_timeout(path));
            [video, lane.copies.front().map(|(due, _)| *due), lane.key_event_due]
        });
        lanes.chain([self.uplink.poll_timeout(now)]).flatten().min()
    }

    pub(crate) fn poll_write(&mut self) -> Option<rtc::interceptor::Packet> {
        self.writes.pop_front()
    }

    pub(crate) fn stats(&self, source: Source) -> StageStats {
        let (audio_dropped, video_dropped) = match source {
            Source::Call => self.gate.dropped(),
            Source::Share => (0, 0),
        };
        let target_bitrate = self.target() as f64;
        let (audio, video) = (&self.audio[source.place()], &self.video[source.place()]);
        StageStats {
            inbound_audio: audio.input.as_ref().map(|audio| audio.stats()).unwrap_or_default(),
            inbound_video: video.input.as_ref().map(|video| video.stats()).unwrap_or_default(),
            outbound_audio: OutboundRtp { queue_dropped: audio_dropped, target_bitrate, ..audio.out.stats.clone() },
            outbound_video: OutboundRtp { queue_dropped: video_dropped, target_bitrate, ..video.out.stats.clone() },
            codec_audio: audio.out.codec("audio/opus", AUDIO_CLOCK, 2),
            codec_video: video.out.codec("video/H264", VIDEO_CLOCK, 0),
            remote_outbound_audio: audio.remote_out.clone(),
            remote_outbound_video: video.remote_out.clone(),
            remote_audio: audio.out.remote.clone(),
            remote_video: video.out.remote.clone(),
        }
    }

    /// Whether this source of ours is negotiated, or the other side's is.
    pub(crate) fn is_negotiated(&self, source: Source) -> bool {
        let (audio, video) = (&self.audio[source.place()], &self.video[source.place()]);
        video.out.payload_type.is_some()
            || audio.out.payload_type.is_some()
            || video.input.is_some()
            || audio.input.is_some()
    }
}
