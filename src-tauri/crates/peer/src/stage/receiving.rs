//! The receiving half: RTP of the other side to the sinks, and what is asked of it in return.

use super::Stage;
use crate::rtp::audio_in::AudioIn;
use crate::rtp::twcc;
use crate::rtp::video_in::VideoIn;
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
        if [self.video_rtx_ssrc, self.video_fec_ssrc].contains(&Some(info.ssrc)) {
            return;
        }
        if mime == "audio/opus" && self.audio_ssrc != Some(info.ssrc) {
            self.audio_ssrc = Some(info.ssrc);
            self.audio_in = Some(AudioIn::new(info.ssrc));
        } else if mime == "video/h264" {
            self.video_rtx_ssrc = info.ssrc_rtx.or(self.video_rtx_ssrc);
            self.video_fec_ssrc = info.ssrc_fec.or(self.video_fec_ssrc);
            if self.video_ssrc != Some(info.ssrc) {
                self.video_ssrc = Some(info.ssrc);
                self.video_in = Some(VideoIn::new(info.ssrc, twcc::extension_of(info)));
            }
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
        if ssrc == self.audio_ssrc {
            if let Some(audio) = &mut self.audio_in
                && let Some(packet) =
                    audio.handle(now, header.sequence_number, header.timestamp, header.marker, payload)
            {
                self.audio_sink.handle_audio(packet);
            }
            return;
        }
        let Some(video) = self.video_in.as_mut() else {
            self.unknown_packets += 1;
            return;
        };
        if ssrc == self.video_ssrc {
            video.handle(now, &header, payload);
        } else if ssrc == self.video_rtx_ssrc {
            video.handle_rtx(now, &header, &payload);
        } else if ssrc == self.video_fec_ssrc {
            video.handle_fec(now, &payload);
        } else {
            self.unknown_packets += 1;
            return;
        }
        self.hand_on_video();
        self.poll_video(now);
    }

    fn hand_on_video(&mut self) {
        if let Some(video) = &mut self.video_in {
            for ready in video.take_ready() {
                self.video_sink.handle_video(ready);
            }
        }
    }

    pub(super) fn poll_video(&mut self, now: Instant) {
        let path = self.conditions();
        let Some(video) = &mut self.video_in else { return };
        if video.poll_timeout(path).is_none_or(|due| due > now) {
            return;
        }
        let feedback = video.handle_timeout(now, path);
        let (sender_ssrc, Some(media_ssrc)) = (self.video_out.ssrc, self.video_ssrc) else { return };
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
        self.hand_on_video();
    }

    /// The engine wants a key frame from the other side.
    pub(crate) fn want_key(&mut self, now: Instant) {
        if let Some(video) = &mut self.video_in {
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
