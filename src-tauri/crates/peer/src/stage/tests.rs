//! What the other side's RTCP and RTP make a whole stage do, in virtual time.

use super::*;
use crate::{AudioSink, VideoSink};
use ahoy_media::fuzz::begin;
use bytes::Bytes;
use rtc::interceptor::StreamInfo;
use rtc::rtcp::Packet as Rtcp;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtp;

const VIDEO: u32 = 12;
const SCREEN: u32 = 22;
const REMOTE_VIDEO: u32 = 2;

struct Nobody;

impl AudioSink for Nobody {
    fn handle_audio(&self, _packet: crate::IncomingAudio) {}
}

impl VideoSink for Nobody {
    fn handle_video(&self, _video: crate::IncomingVideo) {}
}

fn stream(ssrc: u32, mime_type: &str) -> StreamInfo {
    StreamInfo { ssrc, payload_type: 100, mime_type: mime_type.to_owned(), ..StreamInfo::default() }
}

/// A stage whose gate is open, towards a peer without transport-wide feedback.
fn stage(now: Instant) -> (Stage, mpsc::Receiver<PeerEvent>) {
    let gate = Arc::new(Outgoing::default());
    gate.allow(true);
    gate.set_connected(true);
    let (events, heard) = mpsc::channel(4_096);
    let repair = RepairStreams { rtx: 13, fec: 14 };
    let share = RepairStreams { rtx: 23, fec: 24 };
    let audio = [11, 21].map(|ssrc| AudioLane::new(Box::new(Nobody), LocalStream::new(ssrc, None)));
    let video = [(VIDEO, repair), (SCREEN, share)]
        .map(|(ssrc, repair)| VideoLane::new(Box::new(Nobody), LocalStream::new(ssrc, Some(repair))));
    let mut stage = Stage::new(gate, events, audio, video, now);
    stage.bind_local(&stream(11, "audio/opus"), now);
    stage.bind_local(&stream(VIDEO, "video/H264"), now);
    stage.bind_remote(&stream(REMOTE_VIDEO, "video/H264"));
    (stage, heard)
}

fn key_frames(heard: &mut mpsc::Receiver<PeerEvent>) -> usize {
    let mut count = 0;
    while let Ok(event) = heard.try_recv() {
        count += usize::from(matches!(event, PeerEvent::KeyFrameWanted));
    }
    count
}

#[test]
fn key_frames_that_are_asked_for_without_end_leave_room_for_others() {
    let start = begin();
    let (mut stage, mut heard) = stage(start);
    stage.set_rtt(Duration::from_millis(50));
    let asks: Vec<Box<dyn Rtcp>> =
        vec![Box::new(PictureLossIndication { sender_ssrc: REMOTE_VIDEO, media_ssrc: VIDEO })];
    let key_bytes = 40_000;
    let (mut now, mut told) = (start, 0);
    for _ in 0..1_000 {
        now += Duration::from_millis(10);
        stage.handle_rtcp(now, &asks);
        stage.handle_timeout(now);
        for _ in 0..key_frames(&mut heard) {
            told += 1;
            stage.count_frame(Source::Call, true, key_bytes);
        }
    }
    let of_path = told as f64 * key_bytes as f64 * 8.0 / (stage.target() as f64 * 10.0);
    println!("{told} key frames in 10 s, {:.0} % of the path", of_path * 100.0);
    assert!(told >= 5, "somebody who cannot see anything waits for 2 s at most");
    // Half of 10 s, and the credit, and the one that is under way.
    assert!(of_path <= 0.7, "{told} key frames take {of_path:.2} of the path");
}

#[test]
fn a_peer_without_transport_wide_feedback_is_followed_by_its_own_estimate_and_by_its_reports() {
    let start = begin();
    let (mut stage, _heard) = stage(start);
    let first = stage.target();
    let remb = |bitrate: f32| -> Vec<Box<dyn Rtcp>> {
        vec![Box::new(ReceiverEstimatedMaximumBitrate { sender_ssrc: REMOTE_VIDEO, bitrate, ssrcs: vec![VIDEO] })]
    };
    stage.handle_rtcp(start + Duration::from_millis(100), &remb(200_000.0));
    assert!(stage.target() <= 200_000, "{} of {first}", stage.target());
    let (mut stage, _heard) = self::stage(start);
    let lossy = ReceptionReport { ssrc: VIDEO, fraction_lost: 102, ..ReceptionReport::default() };
    let report: Vec<Box<dyn Rtcp>> =
        vec![Box::new(ReceiverReport { ssrc: REMOTE_VIDEO, reports: vec![lossy], ..ReceiverReport::default() })];
    for second in 1..=5 {
        stage.handle_rtcp(start + Duration::from_secs(second), &report);
    }
    assert!(stage.target() < first * 6 / 10, "{} of {first} after 40 % of loss for 5 s", stage.target());
}

#[test]
fn a_flood_of_packets_that_never_become_a_picture_is_held_only_so_far() {
    let start = begin();
    let (mut stage, _heard) = stage(start);
    let (mut written, mut longest) = (0, Duration::ZERO);
    for n in 0..50_000_u32 {
        let now = start + Duration::from_micros(20) * n;
        let header = rtp::header::Header {
            version: 2,
            ssrc: REMOTE_VIDEO,
            payload_type: 100,
            // Two of three never come; none of them begins or ends a picture.
            sequence_number: (n * 3) as u16,
            timestamp: n,
            ..rtp::header::Header::default()
        };
        let payload = Bytes::from_static(&[0x41; 900]);
        let began = Instant::now();
        stage.handle_rtp(now, rtp::Packet { header, payload });
        longest = longest.max(began.elapsed());
        while let Some(packet) = stage.poll_write() {
            if let rtc::interceptor::Packet::Rtcp(packets) = packet {
                written += packets.len();
            }
        }
    }
    println!("{written} answers; the longest packet took {longest:?}");
    // A second of it: what is asked for stays a trickle.
    assert!(written <= 400, "{written} answers to a second of flood");
    assert!(stage.stats(Source::Call).inbound_video.packets_received >= 40_000);
}

#[test]
fn a_share_is_asked_for_its_own_key_frames_and_goes_without_a_trace() {
    let start = begin();
    let (mut stage, mut heard) = stage(start);
    let sdp = "v=0\r\nm=video 9 X 1\r\na=ssrc:2 x\r\nm=video 9 X 1\r\na=msid:ahoy-screen y\r\na=ssrc:5 x\r\n";
    stage.set_remote_streams(RemoteStreams::read(sdp));
    stage.bind_remote(&stream(5, "video/H264"));
    stage.bind_local(&stream(SCREEN, "video/H264"), start);
    assert!(matches!(heard.try_recv(), Ok(PeerEvent::ScreenKeyFrameWanted)), "it begins with a key frame");
    assert!(stage.is_negotiated(Source::Share));
    let ask = |media_ssrc| -> Vec<Box<dyn Rtcp>> {
        vec![Box::new(PictureLossIndication { sender_ssrc: REMOTE_VIDEO, media_ssrc })]
    };
    let start = start + Duration::from_secs(1);
    stage.handle_rtcp(start, &ask(SCREEN));
    assert!(matches!(heard.try_recv(), Ok(PeerEvent::ScreenKeyFrameWanted)));
    stage.handle_rtcp(start, &ask(VIDEO));
    assert!(matches!(heard.try_recv(), Ok(PeerEvent::KeyFrameWanted)));
    // A picture that never becomes whole: somebody asks for a key frame for as long as it is there.
    let header = rtp::header::Header { version: 2, ssrc: 5, payload_type: 100, ..rtp::header::Header::default() };
    stage.handle_rtp(start, rtp::Packet { header, payload: Bytes::from_static(&[0x41; 90]) });
    stage.set_remote_streams(RemoteStreams::read(&sdp.replace("a=msid:ahoy-screen y", "a=inactive")));
    stage.unbind_local(SCREEN);
    assert!(!stage.is_negotiated(Source::Share));
    while stage.poll_write().is_some() {}
    for second in 1..10 {
        stage.handle_timeout(start + Duration::from_secs(second));
        assert!(stage.poll_write().is_none(), "something is still asked of a share that is over");
    }
    // The same stream again: it is taken in as a new one.
    stage.set_remote_streams(RemoteStreams::read(sdp));
    assert!(stage.is_negotiated(Source::Share));
}
