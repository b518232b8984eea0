//! One stream that we send.

use crate::rtp::fec::{Path, Protector, Repair};
use crate::rtp::history::{History, Retransmission};
use crate::rtp::twcc;
use crate::{Codec, OutboundRtp, RemoteInboundRtp};
use bytes::Bytes;
use rtc::interceptor::StreamInfo;
use rtc::rtp;
use std::time::Instant;

/// The streams beside one of ours that mend what it loses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RepairStreams {
    /// SSRC of what is sent again (RFC 4588).
    pub(crate) rtx: u32,
    /// SSRC of FlexFEC.
    pub(crate) fec: u32,
}

#[derive(Debug)]
pub(crate) struct LocalStream {
    pub(crate) ssrc: u32,
    pub(super) rtx_ssrc: Option<u32>,
    fec_ssrc: Option<u32>,
    /// Known once negotiated.
    pub(super) payload_type: Option<u8>,
    pub(super) rtx_payload_type: Option<u8>,
    fec_payload_type: Option<u8>,
    /// Of the header extension for the transport-wide number, once negotiated.
    transport_cc: Option<u8>,
    pub(super) history: History,
    protector: Protector,
    pub(super) stats: OutboundRtp,
    pub(super) remote: RemoteInboundRtp,
}

impl LocalStream {
    pub(crate) fn new(ssrc: u32, repair: Option<RepairStreams>) -> Self {
        Self {
            ssrc,
            rtx_ssrc: repair.map(|streams| streams.rtx),
            fec_ssrc: repair.map(|streams| streams.fec),
            payload_type: None,
            rtx_payload_type: None,
            fec_payload_type: None,
            transport_cc: None,
            // Far from the wrap: SRTP receivers guess the rollover counter from the first packet they see (RFC 3711, 3.3.1).
            history: History::new(rand::random::<u16>() & 0x7FFF),
            protector: Protector::new(ssrc, rand::random::<u16>() & 0x7FFF),
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

    /// A packet of the stream has left as it is on the wire; gives the repair packets that are due, and counts them.
    pub(super) fn protect(&mut self, now: Instant, packet: &rtp::Packet, path: Path) -> Vec<rtp::Packet> {
        let (Some(ssrc), Some(payload_type)) = (self.fec_ssrc, self.fec_payload_type) else { return Vec::new() };
        let repairs = self.protector.protect(now, &packet.header, &packet.payload, self.transport_cc, path);
        self.stats.fec_packets_sent += repairs.len() as u64;
        self.stats.fec_bytes_sent += repairs.iter().map(|repair| repair.payload.len() as u64).sum::<u64>();
        let packet = |Repair { sequence, timestamp, payload }: Repair| {
            rtp_packet((ssrc, payload_type), sequence, timestamp, false, payload)
        };
        repairs.into_iter().map(packet).collect()
    }

    /// What was sent so far is not mended any more.
    pub(super) fn forget(&mut self) {
        self.history.forget();
        self.protector.forget();
    }

    pub(super) fn codec(&self, mime_type: &'static str, clock_rate: u32, channels: u8) -> Codec {
        let negotiated = |payload_type| Codec { mime_type, payload_type, clock_rate, channels };
        self.payload_type.map(negotiated).unwrap_or_default()
    }

    /// It is not negotiated any more; its numbers go on where they were if it ever is again (RFC 3711, 9.1: a key stream may
    /// never be used twice).
    pub(super) fn unbind(&mut self) {
        self.payload_type = None;
        self.forget();
    }

    pub(super) fn bind(&mut self, info: &StreamInfo) {
        self.payload_type = Some(info.payload_type);
        self.rtx_payload_type = info.payload_type_rtx;
        self.fec_payload_type = info.payload_type_fec;
        self.transport_cc = twcc::extension_of(info);
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
