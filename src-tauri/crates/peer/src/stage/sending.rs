//! The sending half: from the tracks through the pacer to the network, and what the encoders are told.

use super::Stage;
use super::local::rtp_packet;
use crate::rtp::fec::Path;
use crate::uplink::Leaving;
use crate::{MediaKind, PeerEvent, Source};
use ahoy_media::rate::{PacketKind, RateState};
use ahoy_media::units::Bitrate;
use rtc::interceptor::StreamInfo;
use rtc::rtp;
use std::time::{Duration, Instant};

/// Requests for a key frame that come closer than this are one: a key frame costs ten other frames.
const KEY_FRAME_SPACING: Duration = Duration::from_millis(250);
/// And key frames take no more than this share of the path, however often they are asked for, ...
const KEY_FRAME_SHARE: f64 = 0.5;
/// ... beyond what this much of the path's time carries: of a path that has just become narrow, the first may be lost, ...
const KEY_FRAME_CREDIT: Duration = Duration::from_millis(1_500);
/// ... but nobody waits longer than this for one.
const KEY_FRAME_WAIT: Duration = Duration::from_secs(2);
/// A change of the target smaller than this is not told.
const TARGET_STEP: f64 = 0.03;

impl Stage {
    /// A stream of ours has been negotiated. A shared screen begins with that.
    pub(crate) fn bind_local(&mut self, info: &StreamInfo, now: Instant) {
        self.uplink.bind(info);
        let audio = self.audio.iter_mut().map(|lane| &mut lane.out);
        let video = self.video.iter_mut().map(|lane| &mut lane.out);
        if let Some(out) = audio.chain(video).find(|out| out.ssrc == info.ssrc) {
            out.bind(info);
        }
        if self.video[Source::Share.place()].out.ssrc == info.ssrc {
            self.tell_key_frame(Source::Share, now);
        }
    }

    /// SSRC and payload type to send with, once negotiated.
    pub(crate) fn sending(&self, source: Source, kind: MediaKind) -> Option<(u32, u8)> {
        let stream = match kind {
            MediaKind::Audio => &self.audio[source.place()].out,
            MediaKind::Video => &self.video[source.place()].out,
        };
        stream.payload_type.map(|payload_type| (stream.ssrc, payload_type))
    }

    /// What waited of the pictures was thrown away: the next ones must stand alone.
    pub(super) fn begin_anew(&mut self, now: Instant) {
        tracing::debug!(state = ?self.uplink.state(), "what waited is thrown away");
        for source in Source::BOTH {
            let lane = &mut self.video[source.place()];
            if lane.out.payload_type.is_none() {
                continue;
            }
            // Nothing of before is of use beside the key frame.
            lane.copies.clear();
            lane.out.forget();
            // The cut picture must not look whole to the other side.
            lane.sequence = lane.sequence.wrapping_add(1);
            self.want_key_frame(source, now, KEY_FRAME_SPACING);
        }
    }

    /// Tells each source whether a picture would leave soon.
    pub(super) fn tell_room(&self) {
        for source in Source::BOTH {
            self.gate.set_may_encode(source, self.uplink.may_encode(source));
        }
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

    /// The other side asks for a key frame.
    pub(super) fn key_frame_asked(&mut self, source: Source, now: Instant) {
        self.want_key_frame(source, now, self.key_frame_spacing(source));
    }

    fn want_key_frame(&mut self, source: Source, now: Instant, spacing: Duration) {
        let lane = &mut self.video[source.place()];
        match lane.last_key_event {
            Some(last) if now < last + spacing => lane.key_event_due = Some(last + spacing),
            _ => self.tell_key_frame(source, now),
        }
    }

    /// How long after the last key frame the next may be asked for. What is asked for within a round trip of it was asked for
    /// before it arrived.
    fn key_frame_spacing(&self, source: Source) -> Duration {
        let owed = self.video[source.place()].key_frame_debt.saturating_sub(KEY_FRAME_CREDIT);
        KEY_FRAME_SPACING.max(self.rtt_or_guess()).max(owed).min(KEY_FRAME_WAIT)
    }

    /// One more key frame like the last: the time of the path's share that it takes.
    fn owe_key_frame(&mut self, source: Source, now: Instant) {
        let target = self.target().max(1) as f64;
        let lane = &mut self.video[source.place()];
        let since = lane.last_key_event.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let bits = lane.last_key_bytes as f64 * 8.0;
        let takes = Duration::from_secs_f64(bits / (target * KEY_FRAME_SHARE));
        lane.key_frame_debt = (lane.key_frame_debt.saturating_sub(since) + takes).min(2 * KEY_FRAME_WAIT);
    }

    /// Our own encoder must start with a key frame: the gate has opened, or DTLS has come up.
    pub(crate) fn tell_key_frame(&mut self, source: Source, now: Instant) {
        self.owe_key_frame(source, now);
        let event = match source {
            Source::Call => PeerEvent::KeyFrameWanted,
            Source::Share => PeerEvent::ScreenKeyFrameWanted,
        };
        // When the owner is too busy to take it, try again instead of forgetting.
        let told = self.events.try_send(event).is_ok();
        let lane = &mut self.video[source.place()];
        lane.key_event_due = (!told).then(|| now + KEY_FRAME_SPACING);
        lane.last_key_event = Some(now);
    }

    /// One of our tracks has a packet to send.
    pub(crate) fn handle_outgoing(&mut self, now: Instant, packet: rtp::Packet) {
        let ssrc = packet.header.ssrc;
        let kind = if self.audio.iter().any(|lane| lane.out.ssrc == ssrc) {
            PacketKind::Audio
        } else if self.video[Source::Share.place()].out.ssrc == ssrc {
            PacketKind::Screen
        } else {
            PacketKind::Video
        };
        if !self.uplink.push(now, kind, packet) {
            self.uplink.clear_pictures();
            self.begin_anew(now);
        }
        self.tell_room();
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
            if let Some(lane) = self.video.iter_mut().find(|lane| lane.out.ssrc == packet.header.ssrc) {
                packet.header.sequence_number = lane.sequence;
                lane.sequence = lane.sequence.wrapping_add(1);
            }
            self.handle_sent(now, &packet);
            self.uplink.send(now, &mut packet, kind, cluster);
            self.protect(now, &packet);
            self.tell_room();
            return Some(packet);
        }
    }

    /// A packet leaves as it is on the wire: when its picture is whole, packets that mend it follow.
    fn protect(&mut self, now: Instant, packet: &rtp::Packet) {
        let path = Path { rtt: self.rtt_or_guess(), loss: self.uplink.own_loss(), roomy: self.uplink.is_roomy() };
        let Some(lane) = self.video.iter_mut().find(|lane| lane.out.ssrc == packet.header.ssrc) else { return };
        for repair in lane.out.protect(now, packet, path) {
            // Full: the oldest goes, which is the one that comes too late.
            let _ = self.uplink.push(now, PacketKind::Repair, repair);
        }
    }

    /// A packet that carries nothing new, to learn how much passes: one of the last that is not larger, sent once more, so
    /// that it may even be of use; else one of nothing but padding (RFC 3550, 5.1).
    fn padding(&mut self, size: usize) -> Option<rtp::Packet> {
        let stream = &mut self.video[Source::Call.place()].out;
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
        if let Some(lane) = self.video.iter_mut().find(|lane| lane.out.ssrc == header.ssrc) {
            let stream = &mut lane.out;
            stream.stats.packets_sent += 1;
            stream.stats.bytes_sent += size;
            stream.history.record(now, header.sequence_number, header.timestamp, header.marker, packet.payload.clone());
        } else if let Some(lane) = self.audio.iter_mut().find(|lane| lane.out.ssrc == header.ssrc) {
            lane.out.stats.packets_sent += 1;
            lane.out.stats.bytes_sent += size;
        }
    }

    /// A whole picture was cut into packets.
    pub(crate) fn count_frame(&mut self, source: Source, key: bool, bytes: usize) {
        let lane = &mut self.video[source.place()];
        lane.out.stats.frames_sent += 1;
        lane.out.stats.key_frames_sent += u64::from(key);
        if key {
            lane.last_key_bytes = bytes;
        }
    }
}
