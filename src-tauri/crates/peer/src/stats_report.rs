//! The stack's figures and ours, put together into one report.

use crate::stage::StageStats;
use crate::{CandidatePair, CandidateType, ShareReport, StatsReport, Transport};
use ahoy_media::rate::RateState;
use rtc::peer_connection::transport::RTCIceCandidateType;
use rtc::statistics::report::{RTCStatsReport, RTCStatsReportEntry};
use rtc::statistics::stats::ice_candidate::RTCIceCandidateStats;

/// The stack names a candidate in its list with a prefix that the pair does not use.
fn candidate<'a>(report: &'a RTCStatsReport, prefix: &str, id: &str) -> Option<&'a RTCIceCandidateStats> {
    match report.get(&format!("{prefix}_{id}"))? {
        RTCStatsReportEntry::LocalCandidate(candidate) | RTCStatsReportEntry::RemoteCandidate(candidate) => {
            Some(candidate)
        }
        _ => None,
    }
}

fn local_protocol(report: &RTCStatsReport, id: &str) -> String {
    candidate(report, "RTCLocalIceCandidate", id).map(|candidate| candidate.protocol.clone()).unwrap_or_default()
}

fn candidate_type(report: &RTCStatsReport, prefix: &str, id: &str) -> Option<CandidateType> {
    match candidate(report, prefix, id)?.candidate_type {
        RTCIceCandidateType::Host => Some(CandidateType::Host),
        RTCIceCandidateType::Srflx => Some(CandidateType::Srflx),
        RTCIceCandidateType::Prflx => Some(CandidateType::Prflx),
        RTCIceCandidateType::Relay => Some(CandidateType::Relay),
        _ => None,
    }
}

/// One report.
pub(crate) fn build(
    timestamp: f64,
    stack: &RTCStatsReport,
    stage: StageStats,
    share: Option<StageStats>,
    uplink: RateState,
) -> StatsReport {
    let transport = stack.transport();
    let selected = transport.map(|transport| transport.selected_candidate_pair_id.as_str()).unwrap_or_default();
    let pair = match stack.get(selected) {
        Some(RTCStatsReportEntry::IceCandidatePair(pair)) => Some(pair),
        _ => stack.candidate_pairs().find(|pair| pair.nominated),
    };
    let candidate_pair = pair.map_or_else(CandidatePair::default, |pair| CandidatePair {
        local_candidate_type: candidate_type(stack, "RTCLocalIceCandidate", &pair.local_candidate_id)
            .unwrap_or(CandidateType::Unknown),
        remote_candidate_type: candidate_type(stack, "RTCRemoteIceCandidate", &pair.remote_candidate_id)
            // Only what the other side told us is listed; the rest was learned from its checks.
            .unwrap_or(CandidateType::Prflx),
        protocol: local_protocol(stack, &pair.local_candidate_id),
        current_round_trip_time: pair.current_round_trip_time,
        total_round_trip_time: pair.total_round_trip_time,
        available_outgoing_bitrate: uplink.target.as_bps() as f64,
        bytes_sent: pair.bytes_sent,
        bytes_received: pair.bytes_received,
    });
    let transport = transport.map_or_else(Transport::default, |transport| Transport {
        packets_sent: transport.packets_sent,
        packets_received: transport.packets_received,
        bytes_sent: transport.bytes_sent,
        bytes_received: transport.bytes_received,
        dtls_state: format!("{}", transport.dtls_state),
        srtp_cipher: transport.srtp_cipher.clone(),
        selected_candidate_pair_changes: u64::from(transport.selected_candidate_pair_changes),
    });
    StatsReport {
        timestamp,
        inbound_audio: stage.inbound_audio,
        inbound_video: stage.inbound_video,
        outbound_audio: stage.outbound_audio,
        outbound_video: stage.outbound_video,
        codec_audio: stage.codec_audio,
        codec_video: stage.codec_video,
        remote_inbound_audio: stage.remote_audio,
        remote_inbound_video: stage.remote_video,
        remote_outbound_audio: stage.remote_outbound_audio,
        remote_outbound_video: stage.remote_outbound_video,
        share: share.map(|share| {
            Box::new(ShareReport {
                inbound_audio: share.inbound_audio,
                inbound_video: share.inbound_video,
                outbound_audio: share.outbound_audio,
                outbound_video: share.outbound_video,
                remote_inbound_video: share.remote_video,
            })
        }),
        candidate_pair,
        transport,
        uplink: Some(uplink),
    }
}
