//! Statistics under their W3C webrtc-stats names.

use ahoy_media::rate::RateState;
use serde::Serialize;

/// One second's figures of a connection. Counters run since the connection was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatsReport {
    /// Seconds since the connection was made.
    pub timestamp: f64,
    /// Sound received.
    pub inbound_audio: InboundRtp,
    /// Pictures received.
    pub inbound_video: InboundRtp,
    /// Sound sent.
    pub outbound_audio: OutboundRtp,
    /// Pictures sent.
    pub outbound_video: OutboundRtp,
    /// How our sound is coded.
    pub codec_audio: Codec,
    /// How our pictures are coded.
    pub codec_video: Codec,
    /// Our sound as the other side received it.
    pub remote_inbound_audio: RemoteInboundRtp,
    /// Our pictures as the other side received them.
    pub remote_inbound_video: RemoteInboundRtp,
    /// The sound that the other side says it sent.
    pub remote_outbound_audio: RemoteOutboundRtp,
    /// The pictures that the other side says it sent.
    pub remote_outbound_video: RemoteOutboundRtp,
    /// A shared screen and its sound, while there is one either way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<Box<ShareReport>>,
    /// The route in use.
    pub candidate_pair: CandidatePair,
    /// The transport under it.
    pub transport: Transport,
    /// What the estimator knows of the way out; not W3C's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uplink: Option<RateState>,
}

/// The figures of a shared screen, as those of the call beside them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShareReport {
    /// Sound received.
    pub inbound_audio: InboundRtp,
    /// Pictures received.
    pub inbound_video: InboundRtp,
    /// Sound sent.
    pub outbound_audio: OutboundRtp,
    /// Pictures sent.
    pub outbound_video: OutboundRtp,
    /// Our pictures as the other side received them.
    pub remote_inbound_video: RemoteInboundRtp,
}

/// `RTCInboundRtpStreamStats`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InboundRtp {
    /// SSRC, 0 before the first packet.
    pub ssrc: u32,
    /// Packets received, without retransmissions.
    pub packets_received: u64,
    /// Payload bytes received, without retransmissions.
    pub bytes_received: u64,
    /// Packets expected and not received (RFC 3550, A.3); what a retransmission or forward error correction brought is not
    /// lost.
    pub packets_lost: i64,
    /// Interarrival jitter, seconds (RFC 3550, A.8).
    pub jitter: f64,
    /// Packets that came too late, doubled, or were not understood.
    pub packets_discarded: u64,
    /// Packets that a retransmission brought.
    pub retransmitted_packets_received: u64,
    /// Bytes that retransmissions brought.
    pub retransmitted_bytes_received: u64,
    /// Repair packets of forward error correction that came.
    pub fec_packets_received: u64,
    /// Their payload bytes.
    pub fec_bytes_received: u64,
    /// Those of them that mended nothing: nothing was lost, or too much, or they came too late.
    pub fec_packets_discarded: u64,
    /// Packets that they brought back; not a W3C name.
    pub fec_packets_recovered: u64,
    /// NACK messages sent.
    pub nack_count: u64,
    /// Packets asked for by them; not a W3C name.
    pub nacked_packets: u64,
    /// Key frames asked for by PLI.
    pub pli_count: u64,
    /// Whole pictures put together (video only).
    pub frames_received: u64,
    /// Pictures given up (video only).
    pub frames_dropped: u64,
    /// Key frames put together (video only); not a W3C name.
    pub key_frames_received: u64,
}

/// `RTCOutboundRtpStreamStats`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboundRtp {
    /// SSRC.
    pub ssrc: u32,
    /// Packets sent, with retransmissions.
    pub packets_sent: u64,
    /// Payload bytes sent, with retransmissions.
    pub bytes_sent: u64,
    /// Packets sent again.
    pub retransmitted_packets_sent: u64,
    /// Payload bytes sent again.
    pub retransmitted_bytes_sent: u64,
    /// Repair packets of forward error correction, which are not among the packets sent; not a W3C name.
    pub fec_packets_sent: u64,
    /// Their payload bytes; not a W3C name.
    pub fec_bytes_sent: u64,
    /// NACK messages received.
    pub nack_count: u64,
    /// PLI messages received.
    pub pli_count: u64,
    /// FIR messages received.
    pub fir_count: u64,
    /// Pictures sent (video only).
    pub frames_sent: u64,
    /// Key frames sent (video only).
    pub key_frames_sent: u64,
    /// Packets or pictures that our own full queue forgot; not a W3C name.
    pub queue_dropped: u64,
    /// What the encoders together may send, bits per second.
    pub target_bitrate: f64,
}

/// `RTCCodecStats` of what we send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Codec {
    /// Media type with subtype; empty before it was negotiated.
    pub mime_type: &'static str,
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// Of the RTP times, Hz.
    pub clock_rate: u32,
    /// Of sound; 0 for pictures. RFC 7587 names Opus with two, whatever is in it.
    pub channels: u8,
}

/// `RTCRemoteInboundRtpStreamStats`, from the other side's receiver reports.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteInboundRtp {
    /// Lost since the start.
    pub packets_lost: i64,
    /// Share lost between the last two reports, 0 to 1.
    pub fraction_lost: f64,
    /// Jitter at the other side, seconds.
    pub jitter: f64,
    /// Last round trip by RTCP, seconds; 0 before the first.
    pub round_trip_time: f64,
    /// All of them, seconds; with their number, the mean.
    pub total_round_trip_time: f64,
    /// How many round trips were measured.
    pub round_trip_time_measurements: u64,
}

/// `RTCRemoteOutboundRtpStreamStats`, from the other side's sender reports (RFC 3550, 6.4.1).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteOutboundRtp {
    /// SSRC, 0 before the first report.
    pub ssrc: u32,
    /// Packets sent, as the last report has it: 32 bits, which wrap.
    pub packets_sent: u32,
    /// Payload bytes sent, as the last report has it: 32 bits, which wrap.
    pub bytes_sent: u32,
    /// When the last report left, by the other side's clock: milliseconds since 1970.
    pub remote_timestamp: f64,
    /// Reports that came.
    pub reports_sent: u64,
}

/// `RTCIceCandidateType`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CandidateType {
    /// Not known (yet).
    #[default]
    Unknown,
    /// An address of the computer itself.
    Host,
    /// As seen by a STUN server.
    Srflx,
    /// As seen by the other side.
    Prflx,
    /// A TURN relay.
    Relay,
}

/// `RTCIceCandidatePairStats` of the selected pair.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CandidatePair {
    /// Our end.
    pub local_candidate_type: CandidateType,
    /// The other end.
    pub remote_candidate_type: CandidateType,
    /// `protocol` of our end: `udp` or `tcp`; empty before there is a pair.
    pub protocol: String,
    /// Last STUN round trip, seconds; 0 before the first.
    pub current_round_trip_time: f64,
    /// All STUN round trips, seconds.
    pub total_round_trip_time: f64,
    /// What the estimator believes the way out can carry, bits per second.
    pub available_outgoing_bitrate: f64,
    /// Bytes sent over it.
    pub bytes_sent: u64,
    /// Bytes received over it.
    pub bytes_received: u64,
}

/// `RTCTransportStats`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transport {
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets received.
    pub packets_received: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// W3C `dtlsState`: new, connecting, connected, closed, failed.
    pub dtls_state: String,
    /// The SRTP cipher in use.
    pub srtp_cipher: String,
    /// How often the selected pair changed.
    pub selected_candidate_pair_changes: u64,
}
