//! The receiving half: RTP of the other side to the sinks, and what is asked of it in return.

use super::Stage;
use crate::Source;
use rtc::interceptor::StreamInfo;
use rtc::rtcp::Packet as Rtcp;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{TransportLayerNack, nack_pairs_from_sequence_numbers};
use rtc::rtp;
use std::time::Instant;

impl Stage {
    /// A stream of the other side appears. A second one of a kind takes the place of the first.
    pub(crate) fn bind_remote(&mut self, info: &StreamInfo) {
        let mime = info.mime_type.to_ascii_lowercase();
        if self.video.iter().any(|lane| [lane.rtx_ssrc, lane.fec_ssrc].contains(&Some(info.ssrc))) {
            return;
        }
        let place = self.remote.source(info.ssrc).place();
        if mime == "audio/opus" {
            self.audio[place].bind(info.ssrc);
        } else if mime == "video/h264" {
            self.video[place].bind(info);
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
        if let Some(lane) = self.audio.iter_mut().find(|lane| lane.ssrc == ssrc) {
            if let Some(audio) = &mut lane.input
                && let Some(packet) =
                    audio.handle(now, header.sequence_number, header.timestamp, header.marker, payload)
            {
                lane.sink.handle_audio(packet);
            }
            return;
        }
        for source in Source::BOTH {
            let lane = &mut self.video[source.place()];
            let Some(video) = lane.input.as_mut() else { continue };
            if ssrc == lane.ssrc {
                video.handle(now, &header, payload);
            } else if ssrc == lane.rtx_ssrc {
                video.handle_rtx(now, &header, &payload);
            } else if ssrc == lane.fec_ssrc {
                video.handle_fec(now, &payload);
            } else {
                continue;
            }
            self.hand_on_video(source);
            self.poll_video(source, now);
            return;
        }
        self.unknown_packets += 1;
    }

    fn hand_on_video(&mut self, source: Source) {
        let lane = &mut self.video[source.place()];
        if let Some(video) = &mut lane.input {
            for ready in video.take_ready() {
                lane.sink.handle_video(ready);
            }
        }
    }

    pub(super) fn poll_video(&mut self, source: Source, now: Instant) {
        let path = self.conditions();
        let sender_ssrc = self.video[Source::Call.place()].out.ssrc;
        let lane = &mut self.video[source.place()];
        let Some(video) = &mut lane.input else { return };
        if video.poll_timeout(path).is_none_or(|due| due > now) {
            return;
        }
        let feedback = video.handle_timeout(now, path);
        let Some(media_ssrc) = lane.ssrc else { return };
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
        self.hand_on_video(source);
    }

    /// The engine wants a key frame from the other side.
    pub(crate) fn want_key(&mut self, source: Source, now: Instant) {
        if let Some(video) = &mut self.video[source.place()].input {
            video.want_key(now);
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
}
