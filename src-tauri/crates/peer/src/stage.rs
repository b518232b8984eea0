//! Where media enters and leaves the WebRTC stack: everything between RTP packets and sinks, with time as an argument.

use crate::media::AUDIO_CLOCK;
use crate::outgoing::Outgoing;
use crate::rtp::audio_in::AudioIn;
use crate::rtp::history::{History, Retransmission};
use crate::rtp::sender_clock::SenderClocks;
use crate::rtp::twcc;
use crate::rtp::video_in::{Conditions, VideoIn};
use crate::uplink::{Consequence, Leaving, Uplink};
use crate::{
    AudioSink, ClockReport, Codec, InboundRtp, MediaKind, OutboundRtp, PeerEvent, RemoteInboundRtp, VideoSink,
};
use ahoy_media::rate::{PacketKind, RateState};
use ahoy_media::units::Bitrate;
use bytes::Bytes;
use rtc::interceptor::StreamInfo;
use rtc::rtcp::Packet as Rtcp;
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{TransportLayerNack, nack_pairs_from_sequence_numbers};
use rtc::rtp;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Before anything was measured.
const FIRST_RTT: Duration = Duration::from_millis(100);
/// Requests for a key frame that come closer than this are one: a key frame costs ten other frames.
const KEY_FRAME_SPACING: Duration = Duration::from_millis(250);
/// Sender reports remembered for the round trip.
const REPORTS_KEPT: usize = 32;
/// Numbers of one NACK message that are looked at; an honest one stays far below.
const MAX_NACKED: usize = 512;
/// From this share of lost packets on, what is sent again is sent twice: a second round trip costs more than the bytes.
const LOSSY: f64 = 0.03;
/// So much apart, because losses come in runs.
const COPY_LATER: Duration = Duration::from_millis(12);
/// A change of the target smaller than this is not told.
const TARGET_STEP: f64 = 0.03;

/// One stream that we send.
#[derive(Debug)]
pub(crate) struct LocalStream {
    pub(crate) ssrc: u32,
    rtx_ssrc: Option<u32>,
    /// Known once negotiated.
    payload_type: Option<u8>,
    rtx_payload_type: Option<u8>,
    history: History,
    stats: OutboundRtp,
    remote: RemoteInboundRtp,
}

impl LocalStream {
    pub(crate) fn new(ssrc: u32, rtx_ssrc: Option<u32>) -> Self {
        Self {
            ssrc,
            rtx_ssrc,
            payload_type: None,
            rtx_payload_type: None,
            history: History::new(rand::random()),
            stats: OutboundRtp { ssrc, ..OutboundRtp::default() },
            remote: RemoteInboundRtp::default(),
        }
    }

    /// Counts and makes a packet of the RTX stream.
    fn retransmission(&mut self, stream: (u32, u8), again: Retransmission) -> rtp::Packet {
        self.stats.retransmitted_packets_sent += 1;
        self.stats.retransmitted_bytes_sent += again.payload.len() as u64;
        self.stats.packets_sent += 1;
        self.stats.bytes_sent += again.payload.len() as u64;
        rtp_packet(stream, again.sequence, again.timestamp, again.marker, again.payload)
    }

    fn codec(&self, mime_type: &'static str, clock_rate: u32, channels: u8) -> Codec {
        let negotiated = |payload_type| Codec { mime_type, payload_type, clock_rate, channels };
        self.payload_type.map(negotiated).unwrap_or_default()
    }

    fn bind(&mut self, info: &StreamInfo) {
        self.payload_type = Some(info.payload_type);
        self.rtx_payload_type = info.payload_type_rtx;
    }
}

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
    video_rtx_ssrc: Option<u32>,
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
            video_rtx_ssrc: None,
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

    /// A stream of ours has been negotiated.
    pub(crate) fn bind_local(&mut self, info: &StreamInfo) {
        self.uplink.bind(info);
        if info.ssrc == self.audio_out.ssrc {
            self.audio_out.bind(info);
        } else if info.ssrc == self.video_out.ssrc {
            self.video_out.bind(info);
        }
    }

    /// SSRC and payload type to send with, once negotiated.
    pub(crate) fn sending(&self, kind: MediaKind) -> Option<(u32, u8)> {
        let stream = match kind {
            MediaKind::Audio => &self.audio_out,
            MediaKind::Video => &self.video_out,
        };
        stream.payload_type.map(|payload_type| (stream.ssrc, payload_type))
    }

    /// A stream of the other side appears. A second one of a kind takes the place of the first.
    pub(crate) fn bind_remote(&mut self, info: &StreamInfo) {
        let mime = info.mime_type.to_ascii_lowercase();
        if Some(info.ssrc) == self.video_rtx_ssrc {
            return;
        }
        if mime == "audio/opus" && self.audio_ssrc != Some(info.ssrc) {
            self.audio_ssrc = Some(info.ssrc);
            self.audio_in = Some(AudioIn::new(info.ssrc));
        } else if mime == "video/h264" {
            self.video_rtx_ssrc = info.ssrc_rtx.or(self.video_rtx_ssrc);
            if self.video_ssrc != Some(info.ssrc) {
                self.video_ssrc = Some(info.ssrc);
                self.video_in = Some(VideoIn::new(info.ssrc));
            }
        }
    }

    /// An RTP packet of the other side.
    pub(crate) fn handle_rtp(&mut self, now: Instant, packet: rtp::Packet) {
        // Before the call is accepted nothing is taken in, not even counted as received.
        if !self.gate.is_allowed() {
            return;
        }
        let rtp::Packet { header, payload } = packet;
        let ssrc = Some(header.ssrc);
        if ssrc == self.audio_ssrc {
            if let Some(audio) = &mut self.audio_in
                && let Some(packet) =
                    audio.handle(now, header.sequence_number, header.timestamp, header.marker, payload)
            {
                self.audio_sink.handle_audio(packet);
            }
            return;
        }
        let Some(video) = self.video_in.as_mut() else {
            self.unknown_packets += 1;
            return;
        };
        if ssrc == self.video_ssrc {
            video.handle(now, header.sequence_number, header.timestamp, header.marker, payload);
        } else if ssrc == self.video_rtx_ssrc {
            video.handle_rtx(now, header.timestamp, header.marker, &payload);
        } else {
            self.unknown_packets += 1;
            return;
        }
        self.hand_on_video();
        self.poll_video(now);
    }

    fn hand_on_video(&mut self) {
        if let Some(video) = &mut self.video_in {
            for ready in video.take_ready() {
                self.video_sink.handle_video(ready);
            }
        }
    }

    fn poll_video(&mut self, now: Instant) {
        let path = self.conditions();
        let Some(video) = &mut self.video_in else { return };
        if video.poll_timeout(path).is_none_or(|due| due > now) {
            return;
        }
        let feedback = video.handle_timeout(now, path);
        let (sender_ssrc, Some(media_ssrc)) = (self.video_out.ssrc, self.video_ssrc) else { return };
        let mut packets: Vec<Box<dyn Rtcp>> = Vec::new();
        if !feedback.nack.is_empty() {
            let nacks = nack_pairs_from_sequence_numbers(&feedback.nack);
            packets.push(Box::new(TransportLayerNack { sender_ssrc, media_ssrc, nacks }));
        }
        if feedback.pli {
            packets.push(Box::new(PictureLossIndication { sender_ssrc, media_ssrc }));
        }
        if !packets.is_empty() {
            self.writes.push_back(rtc::interceptor::Packet::Rtcp(packets));
        }
        self.hand_on_video();
    }

    /// The engine wants a key frame from the other side.
    pub(crate) fn want_key(&mut self, now: Instant) {
        if let Some(video) = &mut self.video_in {
            video.want_key(now);
        }
    }

    /// RTCP of the other side.
    pub(crate) fn handle_rtcp(&mut self, now: Instant, packets: &[Box<dyn Rtcp>]) {
        for packet in packets {
            let any = packet.as_any();
            if let Some(report) = any.downcast_ref::<ReceiverReport>() {
                self.handle_reports(now, &report.reports);
            } else if let Some(report) = any.downcast_ref::<SenderReport>() {
                self.handle_reports(now, &report.reports);
                self.handle_clock(report);
            } else if let Some(report) = any.downcast_ref::<TransportLayerCc>() {
                self.handle_transport_feedback(now, report);
            } else if let Some(remb) = any.downcast_ref::<ReceiverEstimatedMaximumBitrate>() {
                self.uplink.handle_remb(now, f64::from(remb.bitrate));
                self.tell_target(now);
            } else if let Some(nack) = any.downcast_ref::<TransportLayerNack>() {
                self.handle_nack(now, nack);
            } else if any.downcast_ref::<PictureLossIndication>().is_some() {
                self.video_out.stats.pli_count += 1;
                self.key_frame_asked(now);
            } else if any.downcast_ref::<FullIntraRequest>().is_some() {
                self.video_out.stats.fir_count += 1;
                self.key_frame_asked(now);
            }
        }
    }

    /// The other side says which moment an RTP time of its stream belongs to.
    fn handle_clock(&self, report: &SenderReport) {
        let clock = ClockReport { ntp: report.ntp_time, timestamp: report.rtp_time };
        if Some(report.ssrc) == self.audio_ssrc {
            self.audio_sink.handle_clock(clock);
        } else if Some(report.ssrc) == self.video_ssrc {
            self.video_sink.handle_clock(clock);
        }
    }

    fn handle_reports(&mut self, now: Instant, reports: &[ReceptionReport]) {
        let mut worst: Option<f64> = None;
        for report in reports {
            let (stream, clock) = if report.ssrc == self.audio_out.ssrc {
                (&mut self.audio_out, AUDIO_CLOCK)
            } else if report.ssrc == self.video_out.ssrc {
                (&mut self.video_out, crate::media::VIDEO_CLOCK)
            } else {
                continue;
            };
            let loss = f64::from(report.fraction_lost) / 256.0;
            worst = Some(worst.unwrap_or(0.0).max(loss));
            stream.remote.fraction_lost = loss;
            stream.remote.packets_lost = i64::from(report.total_lost);
            stream.remote.jitter = f64::from(report.jitter) / f64::from(clock);
            let left = self.reports_sent.iter().find(|(ntp, _)| *ntp == report.last_sender_report).map(|(_, at)| *at);
            // RFC 3550, 6.4.1: DLSR in units of 1/65536 s.
            let held = Duration::from_secs_f64(f64::from(report.delay) / 65_536.0);
            if let Some(rtt) = left.and_then(|left| now.checked_duration_since(left)?.checked_sub(held)) {
                stream.remote.round_trip_time = rtt.as_secs_f64();
                stream.remote.total_round_trip_time += rtt.as_secs_f64();
                stream.remote.round_trip_time_measurements += 1;
                self.set_rtt(rtt);
            }
        }
        if let Some(loss) = worst {
            self.uplink.handle_report(now, loss, self.rtt);
            self.tell_target(now);
        }
    }

    /// A round trip was measured, by RTCP or by STUN.
    pub(crate) fn set_rtt(&mut self, measured: Duration) {
        let measured = measured.clamp(Duration::from_millis(1), Duration::from_secs(5));
        self.rtt = Some(match self.rtt {
            // As TCP smooths it (RFC 6298, 2.3).
            Some(smooth) => smooth.mul_f64(0.875) + measured.mul_f64(0.125),
            None => measured,
        });
    }

    fn handle_transport_feedback(&mut self, now: Instant, report: &TransportLayerCc) {
        let consequence = self.uplink.handle_feedback(now, &twcc::feedback(report));
        self.tell_target(now);
        match consequence {
            Consequence::Nothing => {}
            Consequence::BeginAnew => self.begin_anew(now),
        }
        self.gate.set_may_encode(self.uplink.may_encode());
    }

    /// What waited of the pictures was thrown away: the next one must stand alone.
    fn begin_anew(&mut self, now: Instant) {
        tracing::debug!(state = ?self.uplink.state(), "what waited is thrown away");
        // Nothing of before is of use beside the key frame.
        self.copies.clear();
        self.video_out.history.forget();
        // The cut picture must not look whole to the other side.
        self.video_sequence = self.video_sequence.wrapping_add(1);
        self.key_frame_asked(now);
    }

    /// Packets take another way than before.
    pub(crate) fn handle_new_path(&mut self, now: Instant) {
        self.rtt = None;
        self.uplink.handle_new_path(now);
        self.tell_target(now);
    }

    /// Bits per second for the encoders together, headers included.
    pub(crate) fn target(&self) -> u64 {
        self.uplink.target().as_bps()
    }

    pub(crate) fn rate_state(&self) -> RateState {
        self.uplink.state()
    }

    /// Says the target when it has changed noticeably.
    pub(crate) fn tell_target(&mut self, now: Instant) {
        self.uplink.set_demand(Bitrate::bps(self.gate.demand()));
        self.uplink.forget_again(now);
        let target = self.target();
        let apart = (target as f64 - self.told_target as f64).abs();
        if apart > self.told_target as f64 * TARGET_STEP
            && self.events.try_send(PeerEvent::TargetBitrate(target)).is_ok()
        {
            tracing::trace!(target, state = ?self.uplink.state(), "target");
            self.told_target = target;
        }
    }

    fn handle_nack(&mut self, now: Instant, nack: &TransportLayerNack) {
        let rtt = self.rtt_or_guess();
        let stream = &mut self.video_out;
        if nack.media_ssrc != stream.ssrc {
            return;
        }
        stream.stats.nack_count += 1;
        let (Some(ssrc), Some(payload_type)) = (stream.rtx_ssrc, stream.rtx_payload_type) else { return };
        let numbers = nack.nacks.iter().flat_map(|pair| {
            let follow = (0..16_u16).filter(|bit| pair.lost_packets & (1 << bit) != 0);
            std::iter::once(pair.packet_id).chain(follow.map(|bit| pair.packet_id.wrapping_add(bit + 1)))
        });
        let twice = self.uplink.own_loss() >= LOSSY;
        for number in numbers.take(MAX_NACKED) {
            let Some(again) = stream.history.again(now, number, rtt) else { continue };
            let packet = stream.retransmission((ssrc, payload_type), again);
            // Full: the oldest goes, which is the one that comes too late.
            let _ = self.uplink.push(now, PacketKind::Retransmission, packet);
            if twice && self.copies.len() < MAX_NACKED {
                self.copies.push_back((now + COPY_LATER, number));
            }
        }
    }

    /// The second copies that are due.
    fn send_copies(&mut self, now: Instant) {
        while let Some((_, number)) = self.copies.pop_front_if(|(due, _)| *due <= now) {
            let stream = &mut self.video_out;
            let (Some(ssrc), Some(payload_type)) = (stream.rtx_ssrc, stream.rtx_payload_type) else { return };
            if let Some(again) = stream.history.copy(number) {
                let packet = stream.retransmission((ssrc, payload_type), again);
                let _ = self.uplink.push(now, PacketKind::Retransmission, packet);
            }
        }
    }

    fn key_frame_asked(&mut self, now: Instant) {
        match self.last_key_event {
            Some(last) if now < last + KEY_FRAME_SPACING => self.key_event_due = Some(last + KEY_FRAME_SPACING),
            _ => self.tell_key_frame(now),
        }
    }

    /// Feedback that waits to be sent, without the retransmissions.
    pub(crate) fn take_feedback(&mut self) -> Vec<Box<dyn Rtcp>> {
        let mut feedback = Vec::new();
        for packet in std::mem::take(&mut self.writes) {
            match packet {
                rtc::interceptor::Packet::Rtcp(packets) => feedback.extend(packets),
                other => self.writes.push_back(other),
            }
        }
        feedback
    }

    /// Our own encoder must start with a key frame: the gate has opened, or DTLS has come up.
    pub(crate) fn tell_key_frame(&mut self, now: Instant) {
        // When the owner is too busy to take it, try again instead of forgetting.
        let told = self.events.try_send(PeerEvent::KeyFrameWanted).is_ok();
        self.key_event_due = (!told).then(|| now + KEY_FRAME_SPACING);
        self.last_key_event = Some(now);
    }

    /// One of our tracks has a packet to send.
    pub(crate) fn handle_outgoing(&mut self, now: Instant, packet: rtp::Packet) {
        let kind = if packet.header.ssrc == self.audio_out.ssrc { PacketKind::Audio } else { PacketKind::Video };
        if !self.uplink.push(now, kind, packet) {
            self.uplink.clear_pictures();
            self.begin_anew(now);
        }
        self.gate.set_may_encode(self.uplink.may_encode());
    }

    /// The packet that leaves now, if one may.
    pub(crate) fn poll_media(&mut self, now: Instant) -> Option<rtp::Packet> {
        if !self.gate.is_open() {
            self.uplink.clear();
            return None;
        }
        loop {
            let (mut packet, kind, cluster) = match self.uplink.poll(now)? {
                Leaving::Packet(packet, kind, cluster) => (packet, kind, cluster),
                Leaving::Padding(size, cluster) => {
                    let padding = self.padding(size);
                    self.uplink.padded(now, padding.as_ref().map(|packet| packet.payload.len()));
                    let Some(packet) = padding else { continue };
                    (packet, PacketKind::Padding, Some(cluster))
                }
            };
            if packet.header.ssrc == self.video_out.ssrc {
                packet.header.sequence_number = self.video_sequence;
                self.video_sequence = self.video_sequence.wrapping_add(1);
            }
            self.handle_sent(now, &packet);
            self.uplink.send(now, &mut packet, kind, cluster);
            self.gate.set_may_encode(self.uplink.may_encode());
            return Some(packet);
        }
    }

    /// A packet that carries nothing new, to learn how much passes: one of the last that is not larger, sent once more, so
    /// that it may even be of use; else one of nothing but padding (RFC 3550, 5.1).
    fn padding(&mut self, size: usize) -> Option<rtp::Packet> {
        let stream = &mut self.video_out;
        let (ssrc, payload_type) = (stream.rtx_ssrc?, stream.rtx_payload_type?);
        let (again, empty) = match stream.history.padding(size) {
            Some(again) => (again, false),
            None => (stream.history.nothing()?, true),
        };
        stream.stats.packets_sent += 1;
        stream.stats.bytes_sent += again.payload.len() as u64;
        let mut packet = rtp_packet((ssrc, payload_type), again.sequence, again.timestamp, again.marker, again.payload);
        packet.header.padding = empty;
        Some(packet)
    }

    fn handle_sent(&mut self, now: Instant, packet: &rtp::Packet) {
        let header = &packet.header;
        let size = packet.payload.len() as u64;
        if header.ssrc == self.video_out.ssrc {
            let stream = &mut self.video_out;
            stream.stats.packets_sent += 1;
            stream.stats.bytes_sent += size;
            stream.history.record(now, header.sequence_number, header.timestamp, header.marker, packet.payload.clone());
        } else if header.ssrc == self.audio_out.ssrc {
            self.audio_out.stats.packets_sent += 1;
            self.audio_out.stats.bytes_sent += size;
        }
    }

    /// A whole picture was cut into packets.
    pub(crate) fn count_frame(&mut self, key: bool) {
        self.video_out.stats.frames_sent += 1;
        self.video_out.stats.key_frames_sent += u64::from(key);
    }

    /// Our own sender report leaves: it tells when things were captured.
    pub(crate) fn handle_report_leaving(&mut self, now: Instant, report: &mut SenderReport) {
        self.clocks.correct(report, now, self.audio_out.ssrc, self.video_out.ssrc);
        if self.reports_sent.len() >= REPORTS_KEPT {
            self.reports_sent.pop_front();
        }
        self.reports_sent.push_back(((report.ntp_time >> 16) as u32, now));
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
            codec_video: self.video_out.codec("video/H264", crate::media::VIDEO_CLOCK, 0),
            remote_audio: self.audio_out.remote.clone(),
            remote_video: self.video_out.remote.clone(),
        }
    }
}

/// A packet to send on one of our streams.
pub(crate) fn rtp_packet(
    (ssrc, payload_type): (u32, u8),
    sequence_number: u16,
    timestamp: u32,
    marker: bool,
    payload: Bytes,
) -> rtp::Packet {
    let header = rtp::header::Header {
        version: 2,
        ssrc,
        payload_type,
        sequence_number,
        timestamp,
        marker,
        ..rtp::header::Header::default()
    };
    rtp::Packet { header, payload }
}
