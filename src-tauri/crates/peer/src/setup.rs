//! How the stack is put together: codecs, interceptors, settings, tracks.

use crate::config::{IcePolicy, IceServer, PeerConfig};
use crate::feedback::TimedFeedback;
use crate::interceptor::{MediaTap, WireTap};
use crate::media::{AUDIO_CLOCK, VIDEO_CLOCK};
use crate::runtime::{LocalAddresses, PeerRuntime};
use crate::stage::{RepairStreams, Stage};
use crate::{MediaKind, PeerError, Source};
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{ReceiverReportBuilder, Registry, SenderReportBuilder, Slot};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_FLEX_FEC03, MIME_TYPE_H264, MIME_TYPE_OPUS, MIME_TYPE_RTX, MediaEngine,
};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpFecParameters, RTCRtpHeaderExtensionCapability, RTCRtpRtxParameters, RtpCodecKind,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceServer, RTCIceTransportPolicy,
    SettingEngine, SettingEngineBuilder,
};

/// The media stream (RFC 8830) of voice and camera.
pub(crate) const CALL_STREAM: &str = "ahoy";
/// The media stream of a shared screen and its sound: by it the other side knows them.
pub(crate) const SHARE_STREAM: &str = "ahoy-screen";
const OPUS_TYPE: u8 = 111;
const H264_TYPE: u8 = 102;
const RTX_TYPE: u8 = 103;
const FEC_TYPE: u8 = 49;

/// Checks go out this often while ICE connects. RFC 8445's Ta is 50 ms for all pairs together; with the few pairs of a call
/// this is some 50 kbps for a moment.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// 15 s at that interval: the other side's candidates may need that long to arrive there and open a hole here.
const CHECKS_PER_PAIR: u16 = 300;
/// No answer for this long: "reconnecting".
const DISCONNECTED: Duration = Duration::from_secs(3);
/// No answer for this long after that: an ICE restart is needed.
const FAILED: Duration = Duration::from_secs(20);
const KEEPALIVE: Duration = Duration::from_secs(1);
/// How long a better kind of route may take before a worse one is accepted. The stock values are 0.5, 1 and 2 s.
const SRFLX_WAIT: Duration = Duration::from_millis(20);
const RELAY_WAIT: Duration = Duration::from_millis(200);
/// A retransmission may come as late as 1000 packets after its place in the stream; the stock window is 64.
const REPLAY_WINDOW: usize = 1024;

fn feedback(typ: &str, parameter: &str) -> RTCPFeedback {
    RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() }
}

fn codec(kind: MediaKind) -> RTCRtpCodec {
    match kind {
        MediaKind::Audio => RTCRtpCodec {
            mime_type: MIME_TYPE_OPUS.to_owned(),
            clock_rate: AUDIO_CLOCK,
            channels: 2,
            sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
            // No NACK: sound that comes a round trip later is not heard any more.
            rtcp_feedback: vec![feedback("transport-cc", "")],
        },
        MediaKind::Video => RTCRtpCodec {
            mime_type: MIME_TYPE_H264.to_owned(),
            clock_rate: VIDEO_CLOCK,
            channels: 0,
            sdp_fmtp_line: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f".to_owned(),
            rtcp_feedback: vec![
                feedback("transport-cc", ""),
                feedback("ccm", "fir"),
                feedback("nack", ""),
                feedback("nack", "pli"),
            ],
        },
    }
}

fn internal(error: impl std::fmt::Display) -> PeerError {
    PeerError::Internal(error.to_string())
}

fn media_engine() -> Result<MediaEngine, PeerError> {
    let mut engine = MediaEngine::default();
    let mut register = |rtp_codec: RTCRtpCodec, payload_type: u8, kind: RtpCodecKind| {
        engine.register_codec(RTCRtpCodecParameters { rtp_codec, payload_type }, kind).map_err(internal)
    };
    register(codec(MediaKind::Audio), OPUS_TYPE, RtpCodecKind::Audio)?;
    register(codec(MediaKind::Video), H264_TYPE, RtpCodecKind::Video)?;
    let rtx = RTCRtpCodec {
        mime_type: MIME_TYPE_RTX.to_owned(),
        clock_rate: VIDEO_CLOCK,
        channels: 0,
        sdp_fmtp_line: format!("apt={H264_TYPE}"),
        rtcp_feedback: Vec::new(),
    };
    register(rtx, RTX_TYPE, RtpCodecKind::Video)?;
    let fec = RTCRtpCodec {
        mime_type: MIME_TYPE_FLEX_FEC03.to_owned(),
        clock_rate: VIDEO_CLOCK,
        channels: 0,
        // Microseconds that a source packet and its repair may lie apart (draft-ietf-payload-flexible-fec-scheme-03, 5.1).
        sdp_fmtp_line: "repair-window=10000000".to_owned(),
        rtcp_feedback: vec![feedback("transport-cc", "")],
    };
    register(fec, FEC_TYPE, RtpCodecKind::Video)?;
    for kind in [RtpCodecKind::Audio, RtpCodecKind::Video] {
        for uri in [rtc::sdp::extmap::SDES_MID_URI, rtc::sdp::extmap::TRANSPORT_CC_URI] {
            engine
                .register_header_extension(RTCRtpHeaderExtensionCapability { uri: uri.to_owned() }, kind, None)
                .map_err(internal)?;
        }
    }
    Ok(engine)
}

/// The stock parts that only count and report, and ours. No stock NACK, pacer or congestion control; nor the stock
/// numbering of packets, which leaves out retransmissions.
fn interceptors(stage: &Arc<Mutex<Stage>>) -> Registry {
    Registry::new()
        .with(Slot::from(WireTap::SLOT), WireTap::new(Arc::clone(stage)))
        .with(Slot::TwccReceiver, TimedFeedback::new())
        .with(Slot::ReceiverReport, ReceiverReportBuilder::new().build())
        .with(Slot::SenderReport, SenderReportBuilder::new().build())
        .with(Slot::from(MediaTap::SLOT), MediaTap::new(Arc::clone(stage)))
}

fn settings(policy: IcePolicy) -> SettingEngine {
    let relay_wait = match policy {
        IcePolicy::All => RELAY_WAIT,
        // There is nothing better to wait for.
        IcePolicy::RelayOnly => Duration::ZERO,
    };
    SettingEngineBuilder::new()
        .with_srtp_replay_protection_window(REPLAY_WINDOW)
        .with_discard_local_candidates_during_ice_restart(true)
        .with_ice_connection_attempts(Some(CHECK_INTERVAL), Some(CHECKS_PER_PAIR))
        .with_ice_timeouts(Some(DISCONNECTED), Some(FAILED), Some(KEEPALIVE))
        .with_host_acceptance_min_wait(Some(Duration::ZERO))
        // What the other side's checks reveal before its candidates arrive is nearly always the direct way.
        .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_srflx_acceptance_min_wait(Some(SRFLX_WAIT))
        .with_relay_acceptance_min_wait(Some(relay_wait))
        // The multicast socket fails on a computer without a default route, and then nothing works at all.
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_include_loopback_candidate(true)
        .build()
}

/// Builds the connection; its sockets are open when this returns.
pub(crate) async fn connection(
    config: &PeerConfig,
    runtime: PeerRuntime,
    handler: Arc<dyn PeerConnectionEventHandler>,
    stage: &Arc<Mutex<Stage>>,
) -> Result<Box<dyn PeerConnection>, PeerError> {
    let servers = usable(&config.ice_servers);
    let policy = match config.policy {
        IcePolicy::All => RTCIceTransportPolicy::All,
        IcePolicy::RelayOnly => RTCIceTransportPolicy::Relay,
    };
    let configuration =
        RTCConfigurationBuilder::new().with_ice_servers(servers).with_ice_transport_policy(policy).build();
    let connection = PeerConnectionBuilder::new()
        .with_configuration(configuration)
        .with_media_engine(media_engine()?)
        .with_interceptor_registry(interceptors(stage))
        .with_setting_engine(settings(config.policy))
        .with_runtime(Arc::new(runtime))
        .with_handler(handler)
        .with_udp_addrs(vec![LocalAddresses(config.loopback)])
        .build()
        .await
        .map_err(|error| PeerError::NoNetwork(error.to_string()))?;
    Ok(Box::new(connection))
}

/// Servers as they can be used. The stack refuses the whole connection for one that is written wrongly or lacks credentials;
/// they come from rendezvous, and none of those may keep people from calling.
fn usable(servers: &[IceServer]) -> Vec<RTCIceServer> {
    let each = |server: &IceServer| {
        let one = |url: &String| RTCIceServer {
            urls: vec![url.clone()],
            username: server.username.clone(),
            credential: server.credential.clone(),
        };
        server.urls.iter().map(one).collect::<Vec<_>>()
    };
    let fits = |server: &RTCIceServer| match server.urls() {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%error, "a rendezvous named a STUN or TURN server that cannot be used");
            false
        }
    };
    servers.iter().flat_map(each).filter(fits).collect()
}

/// A track of ours. Its packets are made by [`crate::sending`].
pub(crate) fn track(
    source: Source,
    kind: MediaKind,
    ssrc: u32,
    repair: Option<RepairStreams>,
) -> Arc<TrackLocalStaticRTP> {
    let (name, stack_kind) = match kind {
        MediaKind::Audio => ("audio", RtpCodecKind::Audio),
        MediaKind::Video => ("video", RtpCodecKind::Video),
    };
    let stream = match source {
        Source::Call => CALL_STREAM,
        Source::Share => SHARE_STREAM,
    };
    let coding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            ssrc: Some(ssrc),
            rtx: repair.map(|streams| RTCRtpRtxParameters { ssrc: streams.rtx }),
            fec: repair.map(|streams| RTCRtpFecParameters { ssrc: streams.fec }),
            ..Default::default()
        },
        active: true,
        codec: codec(kind),
        ..Default::default()
    };
    // One stream for sound and picture: the other side plays them in sync.
    Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        stream.to_owned(),
        format!("{stream}-{name}"),
        name.to_owned(),
        stack_kind,
        vec![coding],
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_cannot_be_used_is_left_out_and_the_others_stay() {
        let server = |urls: &[&str], credential: &str| IceServer {
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            username: "ada".to_owned(),
            credential: credential.to_owned(),
        };
        let given = [
            server(&["stun:127.0.0.1:3478", "nonsense", "turn:127.0.0.1:3478?transport=udp"], "secret"),
            server(&["turn:127.0.0.1:3478"], ""),
            server(&["stun:[::1", "http://127.0.0.1", ""], ""),
        ];
        let urls: Vec<_> = usable(&given).into_iter().flat_map(|server| server.urls).collect();
        assert_eq!(urls, ["stun:127.0.0.1:3478", "turn:127.0.0.1:3478?transport=udp"]);
    }
}
