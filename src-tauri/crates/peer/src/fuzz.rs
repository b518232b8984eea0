//! What the fuzz targets do with arbitrary bytes: whatever the other side sends, nothing panics and nothing grows.
//! `src-tauri/fuzz` drives these with coverage, `tests/fuzz.rs` with seeded random bytes.

use crate::media::MAX_ACCESS_UNIT_BYTES;
use crate::outgoing::Outgoing;
use crate::rtp::fec::{Mender, Path, Protector};
use crate::rtp::h264::{self, MAX_PAYLOAD};
use crate::stage::{AudioLane, LocalStream, RemoteStreams, RepairStreams, Stage, VideoLane};
use crate::{AudioSink, ClockReport, IncomingAudio, IncomingVideo, Source, VideoSink};
use ahoy_media::fuzz::{Input, Target, begin};
use bytes::Bytes;
use rtc::interceptor::{RTPHeaderExtension, StreamInfo};
use rtc::rtp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Every one of this crate.
pub const TARGETS: [Target; 3] = [("stage", stage), ("repair", repair), ("assemble", assemble)];

/// SSRCs of the other side: sound, pictures, their retransmissions, their repair.
const REMOTE: [u32; 4] = [1, 2, 3, 4];
/// Ours.
const LOCAL: [u32; 4] = [11, 12, 13, 14];
/// Longer than any packet that the network carries whole.
const LONGEST: usize = 1_600;
/// Payloads of one picture: 700 kB of the longest.
const MOST_PAYLOADS: usize = 450;
/// Packets that may leave at once, beyond which a queue would have grown.
const MOST: usize = 10_000;

struct Ear;

impl AudioSink for Ear {
    fn handle_audio(&self, _packet: IncomingAudio) {}
    fn handle_clock(&self, _report: ClockReport) {}
}

impl VideoSink for Ear {
    fn handle_video(&self, _video: IncomingVideo) {}
    fn handle_clock(&self, _report: ClockReport) {}
}

fn stream(ssrc: u32, mime_type: &str, repair: Option<(u32, u32)>) -> StreamInfo {
    StreamInfo {
        ssrc,
        ssrc_rtx: repair.map(|(rtx, _)| rtx),
        ssrc_fec: repair.map(|(_, fec)| fec),
        payload_type: 100,
        payload_type_rtx: repair.map(|_| 101),
        payload_type_fec: repair.map(|_| 102),
        rtp_header_extensions: vec![RTPHeaderExtension { uri: rtc::sdp::extmap::TRANSPORT_CC_URI.to_owned(), id: 3 }],
        mime_type: mime_type.to_owned(),
        ..StreamInfo::default()
    }
}

fn packet(ssrc: u32, sequence_number: u16, timestamp: u32, marker: bool, payload: &[u8]) -> rtp::Packet {
    let header = rtp::header::Header {
        version: 2,
        ssrc,
        payload_type: 100,
        sequence_number,
        timestamp,
        marker,
        ..rtp::header::Header::default()
    };
    rtp::Packet { header, payload: Bytes::copy_from_slice(payload) }
}

/// A message that has at least the form of RTCP (RFC 3550, 6.4; RFC 4585, 6.1) and mostly speaks of our streams.
fn rtcp(input: &mut Input<'_>) -> Vec<u8> {
    let (form, kind) = (input.byte(), 200 + input.byte() % 8);
    let mut body = [&LOCAL[usize::from(form) % 4].to_be_bytes()[..], &REMOTE[1].to_be_bytes()].concat();
    if form & 32 == 0 {
        body.rotate_left(4);
    }
    let length = usize::from(input.byte() % 12) * 4;
    body.extend_from_slice(input.take(length));
    body.resize(body.len().next_multiple_of(4), 0);
    let words = (body.len() / 4) as u16;
    [&[0x80 | form & 31, kind][..], &words.to_be_bytes(), &body].concat()
}

/// A whole stage with RTP and RTCP of any kind from the other side, while we send.
pub fn stage(input: &[u8]) {
    let mut input = Input::new(input);
    let mut now = begin();
    let gate = Arc::new(Outgoing::default());
    gate.allow(true);
    gate.set_connected(true);
    let (events, mut heard) = mpsc::channel(64);
    let [audio, video, rtx, fec] = LOCAL;
    let audios = [audio, 21].map(|ssrc| AudioLane::new(Box::new(Ear), LocalStream::new(ssrc, None)));
    let videos = [(video, rtx, fec), (22, 23, 24)].map(|(ssrc, rtx, fec)| {
        VideoLane::new(Box::new(Ear), LocalStream::new(ssrc, Some(RepairStreams { rtx, fec })))
    });
    let mut stage = Stage::new(gate, events, audios, videos, now);
    stage.bind_local(&stream(audio, "audio/opus", None), now);
    stage.bind_local(&stream(video, "video/H264", Some((rtx, fec))), now);
    stage.bind_remote(&stream(REMOTE[0], "audio/opus", None));
    stage.bind_remote(&stream(REMOTE[1], "video/H264", Some((REMOTE[2], REMOTE[3]))));
    let (mut sequence, mut timestamp) = (0_u16, 0_u32);
    while !input.is_empty() {
        let what = input.byte();
        match what % 8 {
            0 => {
                now += input.pause();
                stage.handle_timeout(now);
            }
            1 => {
                // Not everything is RTCP; the stack drops the rest before it comes here.
                if let Ok(packets) = rtc::rtcp::packet::unmarshal(&mut &rtcp(&mut input)[..]) {
                    stage.handle_rtcp(now, &packets);
                }
            }
            2 => {
                let (ssrc, kind) = if what & 64 == 0 { (video, 0x41) } else { (audio, 0x78) };
                let payload = [&[kind][..], input.take(usize::from(what) / 8)].concat();
                timestamp = timestamp.wrapping_add(3_000);
                stage.handle_outgoing(now, packet(ssrc, 0, timestamp, what & 32 == 0, &payload));
            }
            3 if what == 3 => stage.handle_new_path(now),
            3 if what == 11 => stage.want_key(Source::Call, now),
            // Any words as a description: what is read from it must be bounded, too.
            3 if what == 19 => {
                let text = String::from_utf8_lossy(input.take(90)).replace('~', "\nm=video 9 \na=ssrc:");
                stage.set_remote_streams(RemoteStreams::read(&text));
            }
            _ => {
                match input.byte() {
                    255 => sequence = input.short(),
                    250..255 => timestamp = input.long(),
                    step => {
                        sequence = sequence.wrapping_add(u16::from(step) % 5).wrapping_sub(u16::from(step > 240) * 9);
                    }
                }
                let length = usize::from(input.byte() % 40);
                let ssrc = REMOTE[usize::from(what >> 3) % REMOTE.len()];
                stage.handle_rtp(now, packet(ssrc, sequence, timestamp, what & 128 != 0, input.take(length)));
            }
        }
        let mut left = 0;
        while stage.poll_write().is_some() || stage.poll_media(now).is_some() {
            left += 1;
            assert!(left < MOST, "the stage gives without end");
        }
        while heard.try_recv().is_ok() {}
        if stage.poll_timeout(now).is_some_and(|due| due <= now) {
            stage.handle_timeout(now);
            let still = stage.poll_timeout(now);
            assert!(still.is_none_or(|due| due > now) || stage.poll_media(now).is_some(), "a timer that spins");
        }
        let _ = stage.stats(Source::Call);
    }
}

/// A protected stream of which any packets are lost or changed: what is rebuilt of the unchanged ones is what was sent.
pub fn repair(input: &[u8]) {
    let mut input = Input::new(input);
    let mut now = begin();
    let path = Path { rtt: Duration::from_millis(100), loss: f64::from(input.byte() % 64) / 128.0 + 0.02, roomy: true };
    let honest = input.byte() < 128;
    let (mut protector, mut mender) = (Protector::new(1, 0), Mender::new(1, None));
    let mut sent: Vec<Bytes> = Vec::new();
    while !input.is_empty() && sent.len() < 2_000 {
        let what = input.byte();
        let number = sent.len() as u64;
        let length = usize::from(input.byte() % 20);
        let source = packet(1, number as u16, sent.len() as u32 * 90, what & 3 == 0, input.take(length));
        sent.push(source.payload.clone());
        let mut rebuilt = Vec::new();
        if what & 12 != 0 {
            rebuilt.extend(mender.handle_source(now, number, &source.header, &source.payload));
        }
        for repair in protector.protect(now, &source.header, &source.payload, None, path) {
            let mut payload = repair.payload.to_vec();
            if !honest {
                let place = usize::from(input.short()) % payload.len();
                payload[place] ^= input.byte();
            }
            if what & 48 != 0
                && let crate::rtp::fec::Heard::Rebuilt(some) =
                    mender.handle_repair(now, &payload, |near| Some(u64::from(near)))
            {
                rebuilt.extend(some);
            }
        }
        for one in rebuilt {
            let original = sent.get(one.number as usize);
            assert!(!honest || original == Some(&one.payload), "{} is not what was sent", one.number);
        }
        now += Duration::from_millis(u64::from(what) / 16);
    }
}

/// Payloads of one picture (RFC 6184), of every kind and length, in order or not: what is put together of them is bounded, and
/// goes the whole way again unchanged.
pub fn assemble(input: &[u8]) {
    let mut input = Input::new(input);
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    while !input.is_empty() && payloads.len() < MOST_PAYLOADS {
        let (what, kind) = (input.byte(), input.byte());
        let mut fragment = |flags: u8| [&[0x60 | 28, flags | kind & 0x1F][..], &input.payload(LONGEST)].concat();
        match what % 8 {
            // A NAL unit alone: its type is one of those that may be.
            0 | 1 => payloads.push([&[0x60 | (kind % 23 + 1)][..], &input.payload(LONGEST)].concat()),
            // Several in one (STAP-A); the sizes may lie.
            2 => {
                let mut payload = vec![0x60 | 24];
                for _ in 0..kind % 8 {
                    let unit = input.payload(LONGEST / 4);
                    let lie = if what == 2 { u16::from(input.byte()) } else { 0 };
                    payload.extend_from_slice(&(unit.len() as u16).wrapping_add(lie).to_be_bytes());
                    payload.extend_from_slice(&unit);
                }
                payloads.push(payload);
            }
            // One in several (FU-A), whole or with pieces missing.
            3 | 4 => {
                let pieces = 1 + usize::from(kind >> 5);
                payloads.push(fragment(0x80));
                payloads.extend((0..pieces).map(|_| fragment(0)));
                payloads.push(fragment(0x40));
                if what > 200 {
                    payloads.swap_remove(payloads.len() - 1 - usize::from(what) % pieces);
                }
            }
            5 => payloads.push(fragment(what & 0xC0)),
            6 => payloads.push(Vec::new()),
            _ => payloads.push(input.payload(LONGEST)),
        }
    }
    for payload in &payloads {
        let _ = h264::begins_key_picture(payload);
    }
    let Some(whole) = h264::assemble(payloads.iter().map(Vec::as_slice)) else { return };
    let bytes: usize = payloads.iter().map(Vec::len).sum();
    // Each unit of an aggregate has four bytes of start code for two of size.
    assert!(whole.access_unit.len() <= (2 * bytes + 4 * payloads.len()).min(2 * MAX_ACCESS_UNIT_BYTES));
    let units = h264::nal_units(&whole.access_unit);
    if units.iter().any(|unit| !(1..24).contains(&(unit[0] & 0x1F))) {
        return;
    }
    let again = h264::packetize(&whole.access_unit);
    assert!(again.iter().all(|payload| payload.len() <= MAX_PAYLOAD), "a payload that no path carries");
    // Delimiters and filler are left out.
    let kept: Vec<&[u8]> = units.into_iter().filter(|unit| !matches!(unit[0] & 0x1F, 9 | 12)).collect();
    let back = h264::assemble(again.iter().map(|payload| &payload[..]));
    let back = back.as_ref().map(|back| h264::nal_units(&back.access_unit)).unwrap_or_default();
    assert!(back == kept, "{} units became {}", kept.len(), back.len());
}
