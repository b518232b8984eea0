//! What was lost on the way to the other side, once more.

use super::Stage;
use ahoy_media::rate::PacketKind;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use std::time::{Duration, Instant};

/// Numbers of one NACK message that are looked at; an honest one stays far below.
const MAX_NACKED: usize = 512;
/// From this share of lost packets on, what is sent again is sent twice: a second round trip costs more than the bytes.
const LOSSY: f64 = 0.03;
/// So much apart, because losses come in runs.
const COPY_LATER: Duration = Duration::from_millis(12);

impl Stage {
    pub(super) fn handle_nack(&mut self, now: Instant, nack: &TransportLayerNack) {
        let rtt = self.rtt_or_guess();
        let twice = self.uplink.own_loss() >= LOSSY;
        let Some(lane) = self.video.iter_mut().find(|lane| lane.out.ssrc == nack.media_ssrc) else { return };
        let stream = &mut lane.out;
        stream.stats.nack_count += 1;
        let (Some(ssrc), Some(payload_type)) = (stream.rtx_ssrc, stream.rtx_payload_type) else { return };
        let numbers = nack.nacks.iter().flat_map(|pair| {
            let follow = (0..16_u16).filter(|bit| pair.lost_packets & (1 << bit) != 0);
            std::iter::once(pair.packet_id).chain(follow.map(|bit| pair.packet_id.wrapping_add(bit + 1)))
        });
        for number in numbers.take(MAX_NACKED) {
            let Some(again) = stream.history.again(now, number, rtt) else { continue };
            let packet = stream.retransmission((ssrc, payload_type), again);
            // Full: the oldest goes, which is the one that comes too late.
            let _ = self.uplink.push(now, PacketKind::Retransmission, packet);
            if twice && lane.copies.len() < MAX_NACKED {
                lane.copies.push_back((now + COPY_LATER, number));
            }
        }
    }

    /// The second copies that are due.
    pub(super) fn send_copies(&mut self, now: Instant) {
        for lane in &mut self.video {
            while let Some((_, number)) = lane.copies.pop_front_if(|(due, _)| *due <= now) {
                let stream = &mut lane.out;
                let (Some(ssrc), Some(payload_type)) = (stream.rtx_ssrc, stream.rtx_payload_type) else { break };
                if let Some(again) = stream.history.copy(number) {
                    let packet = stream.retransmission((ssrc, payload_type), again);
                    let _ = self.uplink.push(now, PacketKind::Retransmission, packet);
                }
            }
        }
    }
}
