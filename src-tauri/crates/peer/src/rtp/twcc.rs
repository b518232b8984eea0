//! Transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01): one number for every packet that
//! leaves, and what the other side says of each.

use ahoy_media::rate::{Feedback, PacketFate};
use bytes::Bytes;
use rtc::interceptor::StreamInfo;
use rtc::rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, SymbolTypeTcc, TransportLayerCc};
use rtc::rtp;
use std::time::Duration;

/// Unit of a report's reference time.
const REFERENCE: Duration = Duration::from_millis(64);

/// The identifier of the header extension that was negotiated for a stream; `None`: the other side does not take part.
pub(crate) fn extension_of(info: &StreamInfo) -> Option<u8> {
    let extension =
        info.rtp_header_extensions.iter().find(|extension| extension.uri == rtc::sdp::extmap::TRANSPORT_CC_URI)?;
    // RFC 8285, 4.2: 1 to 14 in one-byte headers.
    u8::try_from(extension.id).ok().filter(|id| (1..=14).contains(id))
}

/// Writes a packet's number into its header, in place of an older one.
pub(crate) fn number(header: &mut rtp::header::Header, extension: u8, sequence: u16) {
    if let Err(error) = header.set_extension(extension, Bytes::copy_from_slice(&sequence.to_be_bytes())) {
        tracing::debug!(%error, "a packet leaves without its number");
    }
}

/// The fates of packets in a report. A lying one (more statuses than it holds, times that run back) gives fewer or odd
/// fates, which the estimator bears.
pub(crate) fn feedback(report: &TransportLayerCc) -> Feedback {
    let count = usize::from(report.packet_status_count);
    let symbols = report.packet_chunks.iter().flat_map(|chunk| match chunk {
        PacketStatusChunk::RunLengthChunk(run) => {
            vec![run.packet_status_symbol; usize::from(run.run_length).min(count)]
        }
        PacketStatusChunk::StatusVectorChunk(vector) => vector.symbol_list.clone(),
    });
    let mut deltas = report.recv_deltas.iter();
    // 24 bits of 64 ms; with 12 days a turn, that they wrap is left to the estimator's notice of clock jumps.
    let mut micros = i64::from(report.reference_time) * REFERENCE.as_micros() as i64;
    let mut packets = Vec::with_capacity(count);
    for (place, symbol) in symbols.take(count).enumerate() {
        let sequence = report.base_sequence_number.wrapping_add(place as u16);
        let arrival = match symbol {
            SymbolTypeTcc::PacketNotReceived => None,
            SymbolTypeTcc::PacketReceivedSmallDelta | SymbolTypeTcc::PacketReceivedLargeDelta => {
                let Some(delta) = deltas.next() else { break };
                micros = micros.saturating_add(delta.delta);
                Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
            }
            // Received, but nobody says when: good for nothing but that it is not lost.
            SymbolTypeTcc::PacketReceivedWithoutDelta => {
                Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
            }
        };
        packets.push(PacketFate { sequence, arrival });
    }
    Feedback { packets }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rtc::rtcp::transport_feedbacks::transport_layer_cc::{
        RecvDelta, RunLengthChunk, StatusChunkTypeTcc, StatusVectorChunk, SymbolSizeTypeTcc,
    };

    const SMALL: SymbolTypeTcc = SymbolTypeTcc::PacketReceivedSmallDelta;
    const LOST: SymbolTypeTcc = SymbolTypeTcc::PacketNotReceived;

    fn report(chunks: Vec<PacketStatusChunk>, deltas: &[i64], count: u16) -> TransportLayerCc {
        TransportLayerCc {
            base_sequence_number: 65_534,
            packet_status_count: count,
            reference_time: 10,
            packet_chunks: chunks,
            recv_deltas: deltas.iter().map(|&delta| RecvDelta { type_tcc_packet: SMALL, delta }).collect(),
            ..TransportLayerCc::default()
        }
    }

    fn run(symbol: SymbolTypeTcc, run_length: u16) -> PacketStatusChunk {
        let type_tcc = StatusChunkTypeTcc::RunLengthChunk;
        PacketStatusChunk::RunLengthChunk(RunLengthChunk { type_tcc, packet_status_symbol: symbol, run_length })
    }

    fn vector(symbol_list: Vec<SymbolTypeTcc>) -> PacketStatusChunk {
        let (type_tcc, symbol_size) = (StatusChunkTypeTcc::StatusVectorChunk, SymbolSizeTypeTcc::TwoBit);
        PacketStatusChunk::StatusVectorChunk(StatusVectorChunk { type_tcc, symbol_size, symbol_list })
    }

    fn told(report: &TransportLayerCc) -> Vec<(u16, Option<u128>)> {
        feedback(report).packets.iter().map(|fate| (fate.sequence, fate.arrival.map(|at| at.as_micros()))).collect()
    }

    #[test]
    fn runs_and_vectors_are_read_over_the_wrap() {
        let report = report(vec![run(SMALL, 2), vector(vec![LOST, SMALL, LOST])], &[1_000, 250, 500], 4);
        let expected = [(65_534, Some(641_000)), (65_535, Some(641_250)), (0, None), (1, Some(641_750))];
        assert_eq!(told(&report), expected);
    }

    #[test]
    fn a_report_that_promises_more_than_it_holds_gives_what_it_holds() {
        assert_eq!(told(&report(vec![run(SMALL, 9_000)], &[250], 3)).len(), 1);
        assert_eq!(told(&report(vec![run(LOST, 2)], &[], 65_535)).len(), 2);
        assert_eq!(told(&report(Vec::new(), &[250], 7)), []);
        let back = report(vec![run(SMALL, 2)], &[i64::MIN, i64::MIN], 2);
        assert_eq!(told(&back), [(65_534, Some(0)), (65_535, Some(0))]);
    }

    #[test]
    fn a_number_stands_in_the_header_once() {
        let mut header = rtp::header::Header::default();
        number(&mut header, 3, 7);
        number(&mut header, 3, 0x1234);
        assert_eq!(header.get_extension(3).unwrap().as_ref(), [0x12, 0x34]);
        assert_eq!(header.extensions.len(), 1);
    }
}
