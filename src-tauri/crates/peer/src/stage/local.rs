//! One stream that we send.

use crate::rtp::history::{History, Retransmission};
use crate::{Codec, OutboundRtp, RemoteInboundRtp};
use bytes::Bytes;
use rtc::interceptor::StreamInfo;
use rtc::rtp;

#[derive(Debug)]
pub(crate) struct LocalStream {
    pub(crate) ssrc: u32,
    pub(super) rtx_ssrc: Option<u32>,
    /// Known once negotiated.
    pub(super) payload_type: Option<u8>,
    pub(super) rtx_payload_type: Option<u8>,
    pub(super) history: History,
    pub(super) stats: OutboundRtp,
    pub(super) remote: RemoteInboundRtp,
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
    pub(super) fn retransmission(&mut self, stream: (u32, u8), again: Retransmission) -> rtp::Packet {
        self.stats.retransmitted_packets_sent += 1;
        self.stats.retransmitted_bytes_sent += again.payload.len() as u64;
        self.stats.packets_sent += 1;
        self.stats.bytes_sent += again.payload.len() as u64;
        rtp_packet(stream, again.sequence, again.timestamp, again.marker, again.payload)
    }

    pub(super) fn codec(&self, mime_type: &'static str, clock_rate: u32, channels: u8) -> Codec {
        let negotiated = |payload_type| Codec { mime_type, payload_type, clock_rate, channels };
        self.payload_type.map(negotiated).unwrap_or_default()
    }

    pub(super) fn bind(&mut self, info: &StreamInfo) {
        self.payload_type = Some(info.payload_type);
        self.rtx_payload_type = info.payload_type_rtx;
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
