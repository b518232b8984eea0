//! Where media enters and leaves the WebRTC stack: everything between RTP packets and sinks, with time as an argument.

mod local;
mod receiving;
mod repair;
mod reports;
mod sending;
#[cfg(test)]
mod tests;

pub(crate) use local::{LocalStream, RepairStreams, rtp_packet};

use crate::media::{AUDIO_CLOCK, VIDEO_CLOCK};
use crate::outgoing::Outgoing;
use crate::rtp::audio_in::AudioIn;
use crate::rtp::sender_clock::SenderClocks;
use crate::rtp::video_in::{Conditions, VideoIn};
use crate::uplink::Uplink;
use crate::{AudioSink, Codec, InboundRtp, OutboundRtp, PeerEvent, RemoteInboundRtp, RemoteOutboundRtp, VideoSink};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Before anything was measured.
const FIRST_RTT: Duration = Duration::from_millis(100);

/// The statistics that this stage keeps.
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
    audio_sink: Box<dyn AudioSink>,
    video_sink: Box<dyn VideoSink>,
    audio_in: Option<AudioIn>,
    audio_ssrc: Option<u32>,
    video_in: Option<VideoIn>,
    video_ssrc: Option<u32>,
    /// What the other side reports of its sound and of its pictures.
    remote_out: (RemoteOutboundRtp, RemoteOutboundRtp),
    video_rtx_ssrc: Option<u32>,
    video_fec_ssrc: Option<u32>,
    pub(crate) audio_out: LocalStream,
    pub(crate) video_out: LocalStream,
    /// By which our sender reports are put right.
    pub(crate) clocks: SenderClocks,
    uplink: Uplink,
    /// Of the next picture packet that leaves: given late, so that what the pacer throws away leaves no gap.
    video_sequence: u16,
    told_target: u64,
    rtt: Option<Duration>,
    /// (middle 32 bits of its NTP time, when it left) of our sender reports.
    reports_sent: VecDeque<(u32, Instant)>,
    last_key_event: Option<Instant>,
    key_event_due: Option<Instant>,
    /// Of the last key frame that was cut into packets.
    last_key_bytes: usize,
    /// What key frames had taken of the path's time at the last one, beyond what passed between them.
    key_frame_debt: Duration,
    /// Second copies of retransmissions, by when they leave; at most as many as one request can name.
    copies: VecDeque<(Instant, u16)>,
    /// Feedback to send; emptied after every packet handled.
    writes: VecDeque<rtc::interceptor::Packet>,
    unknown_packets: u64,
}

impl Stage {
    pub(crate) fn new(
        gate: Arc<Outgoing>,
        events: mpsc::Sender<PeerEvent>,
        sinks: (Box<dyn AudioSink>, Box<dyn VideoSink>),
        streams: (LocalStream, LocalStream),
        now: Instant,
    ) -> Self {
        Self {
            gate,
            events,
            audio_sink: sinks.0,
            video_sink: sinks.1,
            audio_in: None,
            audio_ssrc: None,
            video_in: None,
            video_ssrc: None,
            remote_out: Default::default(),
            video_rtx_ssrc: None,
            video_fec_ssrc: None,
            audio_out: streams.0,
            video_out: streams.1,
            told_target: 0,
            clocks: SenderClocks::new(now),
            uplink: Uplink::new(now),
            // Far from the wrap: SRTP receivers guess the rollover counter from the first packet they see (RFC 3711, 3.3.1).
            video_sequence: rand::random::<u16>() & 0x7FFF,
            rtt: None,
            reports_sent: VecDeque::new(),
            last_key_event: None,
            key_event_due: None,
            last_key_bytes: 0,
            key_frame_debt: Duration::ZERO,
            copies: VecDeque::new(),
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
        if self.key_event_due.is_some_and(|due| due <= now) {
            self.tell_key_frame(now);
        }
        self.poll_video(now);
        self.send_copies(now);
        self.uplink.handle_timeout(now);
        self.tell_target(now);
    }

    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let path = self.conditions();
        let video = self.video_in.as_ref().and_then(|video| video.poll_timeout(path));
        let copy = self.copies.front().map(|(due, _)| *due);
        [video, copy, self.key_event_due, self.uplink.poll_timeout(now)].into_iter().flatten().min()
    }

    pub(crate) fn poll_write(&mut self) -> Option<rtc::interceptor::Packet> {
        self.writes.pop_front()
    }

    pub(crate) fn stats(&self) -> StageStats {
        let (audio_dropped, video_dropped) = self.gate.dropped();
        let target_bitrate = self.target() as f64;
        StageStats {
            inbound_audio: self.audio_in.as_ref().map(AudioIn::stats).unwrap_or_default(),
            inbound_video: self.video_in.as_ref().map(VideoIn::stats).unwrap_or_default(),
            outbound_audio: OutboundRtp {
                queue_dropped: audio_dropped,
                target_bitrate,
                ..self.audio_out.stats.clone()
            },
            outbound_video: OutboundRtp {
                queue_dropped: video_dropped,
                target_bitrate,
                ..self.video_out.stats.clone()
            },
            codec_audio: self.audio_out.codec("audio/opus", AUDIO_CLOCK, 2),
            codec_video: self.video_out.codec("video/H264", VIDEO_CLOCK, 0),
            remote_outbound_audio: self.remote_out.0.clone(),
            remote_outbound_video: self.remote_out.1.clone(),
            remote_audio: self.audio_out.remote.clone(),
            remote_video: self.video_out.remote.clone(),
        }
    }
}
