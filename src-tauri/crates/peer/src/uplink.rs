//! What leaves this computer: paced, numbered, and answered by the other side's feedback.
//!
//! ```text
//! tracks, retransmissions ─► Pacer ─► number ─► network
//!                              ▲ pacing, probes
//! feedback, reports ───────► Estimator ─► target for the encoders
//! ```

use crate::Source;
use crate::rtp::twcc;
use ahoy_media::rate::{
    ClusterId, Estimator, Feedback, Pacer, PacketKind, RateConfig, RateState, Released, ReportBlock, SentPacket,
    budget::HEADERS,
};
use ahoy_media::units::Bitrate;
use rtc::interceptor::StreamInfo;
use rtc::rtp;
use std::time::{Duration, Instant};

/// What was sent again, or to mend, counts against the encoders for about this long.
const AGAIN_MEMORY: Duration = Duration::from_secs(1);
/// Retransmissions and repair packets take at most this share of the target away from the encoders.
const AGAIN_SHARE: f64 = 0.5;
/// From this share of what the encoders could use on, more would hardly be seen.
const ENOUGH: f64 = 0.95;

/// What may leave now.
#[derive(Debug)]
pub(crate) enum Leaving {
    /// A packet that waited.
    Packet(rtp::Packet, PacketKind, Option<ClusterId>),
    /// A packet of at most about this size (payload bytes) that carries nothing new is to be made, and
    /// [`Uplink::padded`] told.
    Padding(usize, ClusterId),
}

/// What feedback asks of the sender beside a new target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Consequence {
    Nothing,
    /// The target fell deeply: the pictures that waited are gone, and a key frame of the new rate is due.
    BeginAnew,
}

/// The sending half of a path. Takes no clock.
#[derive(Debug)]
pub(crate) struct Uplink {
    estimator: Estimator,
    pacer: Pacer<rtp::Packet>,
    /// Of the header extension for [`twcc`]; `None` while the other side does not take part.
    extension: Option<u8>,
    sequence: u16,
    /// Bits of retransmissions and repair packets that still count, and when that was true.
    again: (f64, Option<Instant>),
    /// What all sources together could use.
    demand: Bitrate,
}

impl Uplink {
    pub(crate) fn new(now: Instant) -> Self {
        let estimator = Estimator::new(RateConfig::default());
        let pacer = Pacer::new(estimator.pacing(now));
        Self { estimator, pacer, extension: None, sequence: rand::random(), again: (0.0, None), demand: Bitrate::ZERO }
    }

    /// A stream of ours was negotiated.
    pub(crate) fn bind(&mut self, info: &StreamInfo) {
        self.extension = twcc::extension_of(info).or(self.extension);
    }

    /// What all sources together could use; what is sent again or to mend comes on top.
    pub(crate) fn set_demand(&mut self, demand: Bitrate) {
        self.demand = demand;
        self.estimator.set_demand(demand + Bitrate::bps(self.again.0.max(0.0) as u64));
    }

    /// A packet wants to leave. False: there is no room, and the picture it belongs to is incomplete.
    #[must_use]
    pub(crate) fn push(&mut self, now: Instant, kind: PacketKind, packet: rtp::Packet) -> bool {
        let size = packet.payload.len() + HEADERS;
        self.pacer.push(kind, size, packet, now).is_ok()
    }

    /// What leaves now, if anything may; to be asked until it says `None`. A packet is to be given to [`Uplink::send`].
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Leaving> {
        Some(match self.pacer.poll(now)? {
            Released::Packet { payload, kind, cluster, .. } => Leaving::Packet(payload, kind, cluster),
            Released::Padding { size, cluster } => Leaving::Padding(size.saturating_sub(HEADERS).max(1), cluster),
        })
    }

    /// The payload of the padding that was asked for has so many bytes; `None`: there is nothing to pad with.
    pub(crate) fn padded(&mut self, now: Instant, payload: Option<usize>) {
        self.pacer.padded(payload.map(|bytes| bytes + HEADERS), now);
    }

    /// A packet leaves: it gets its number, and the estimator knows of it.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        packet: &mut rtp::Packet,
        kind: PacketKind,
        cluster: Option<ClusterId>,
    ) {
        let size = packet.payload.len() + HEADERS;
        if matches!(kind, PacketKind::Retransmission | PacketKind::Repair) {
            self.forget_again(now);
            self.again.0 += size as f64 * 8.0;
        }
        let Some(extension) = self.extension else { return };
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        twcc::number(&mut packet.header, extension, sequence);
        self.estimator.handle_sent(SentPacket { sequence, size, sent_at: now, kind, cluster });
        self.pacer.set_pacing(self.estimator.pacing(now));
    }

    /// Transport-wide feedback.
    pub(crate) fn handle_feedback(&mut self, now: Instant, feedback: &Feedback) -> Consequence {
        self.estimator.handle_feedback(feedback, now);
        let consequence = if self.estimator.poll_fall().is_some() {
            self.clear_pictures();
            Consequence::BeginAnew
        } else {
            Consequence::Nothing
        };
        if let Some(probe) = self.estimator.poll_probe(now) {
            self.pacer.start_probe(probe);
        }
        self.pacer.set_pacing(self.estimator.pacing(now));
        consequence
    }

    /// The worst block of a receiver report.
    pub(crate) fn handle_report(&mut self, now: Instant, fraction_lost: f64, rtt: Option<Duration>) {
        self.estimator.handle_report(ReportBlock { fraction_lost, rtt }, now);
        self.pacer.set_pacing(self.estimator.pacing(now));
    }

    /// The other side's own estimate (REMB).
    pub(crate) fn handle_remb(&mut self, now: Instant, bits_per_second: f64) {
        if bits_per_second.is_finite() {
            self.estimator.handle_remb(Bitrate::bps(bits_per_second.clamp(0.0, 1e12) as u64), now);
        }
    }

    /// Packets take another way now.
    pub(crate) fn handle_new_path(&mut self, now: Instant) {
        self.estimator.handle_new_path();
        self.pacer.set_pacing(self.estimator.pacing(now));
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.estimator.poll_timeout().is_some_and(|due| due <= now) {
            self.estimator.handle_timeout(now);
            self.pacer.set_pacing(self.estimator.pacing(now));
        }
    }

    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        [self.pacer.next_due(now), self.estimator.poll_timeout()].into_iter().flatten().min()
    }

    /// Pictures and retransmissions that wait are not sent any more.
    pub(crate) fn clear_pictures(&mut self) {
        self.pacer.clear(PacketKind::Retransmission);
        self.pacer.clear(PacketKind::Repair);
        self.pacer.clear(PacketKind::Video);
        self.pacer.clear(PacketKind::Screen);
        self.again = (0.0, None);
    }

    /// Nothing that waits is sent any more.
    pub(crate) fn clear(&mut self) {
        self.clear_pictures();
        self.pacer.clear(PacketKind::Audio);
    }

    /// Whether a picture that is encoded now would leave soon.
    pub(crate) fn may_encode(&self, source: Source) -> bool {
        self.pacer.may_encode(match source {
            Source::Call => PacketKind::Video,
            Source::Share => PacketKind::Screen,
        })
    }

    /// What the encoders together may send, headers included: the path's share less what is sent again or to mend.
    pub(crate) fn target(&self) -> Bitrate {
        let target = self.estimator.target();
        target - Bitrate::bps(self.again.0.max(0.0) as u64).min(target.scaled(AGAIN_SHARE))
    }

    /// Whether the encoders get all that they can use.
    pub(crate) fn is_roomy(&self) -> bool {
        self.demand > Bitrate::ZERO && self.target() >= self.demand.scaled(ENOUGH)
    }

    /// Share of our packets that the path loses by itself, not for being full, 0 to 1.
    pub(crate) fn own_loss(&self) -> f64 {
        self.estimator.own_loss()
    }

    pub(crate) fn state(&self) -> RateState {
        self.estimator.state()
    }

    /// What was sent again counts less the longer ago it was; the sum over about a second is the rate.
    pub(crate) fn forget_again(&mut self, now: Instant) {
        if let Some(last) = self.again.1.replace(now) {
            let passed = now.saturating_duration_since(last).as_secs_f64() / AGAIN_MEMORY.as_secs_f64();
            self.again.0 *= (-passed).exp();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ahoy_media::rate::PacketFate;

    const MS: Duration = Duration::from_millis(1);

    fn packet(bytes: usize) -> rtp::Packet {
        rtp::Packet { header: rtp::header::Header::default(), payload: vec![0; bytes].into() }
    }

    fn bound(now: Instant) -> Uplink {
        let mut uplink = Uplink::new(now);
        uplink.extension = Some(4);
        uplink
    }

    /// Sends all that may leave until then and has the other side receive it; the numbers seen.
    fn run(uplink: &mut Uplink, start: Instant, time: Duration) -> Vec<u16> {
        let (mut now, mut numbers, mut unanswered) = (start, Vec::new(), Vec::new());
        while now < start + time {
            while let Some(leaving) = uplink.poll(now) {
                let (mut packet, kind, cluster) = match leaving {
                    Leaving::Packet(packet, kind, cluster) => (packet, kind, cluster),
                    Leaving::Padding(size, cluster) => {
                        uplink.padded(now, Some(size));
                        (packet(size), PacketKind::Padding, Some(cluster))
                    }
                };
                uplink.send(now, &mut packet, kind, cluster);
                let number = packet.header.get_extension(4).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
                numbers.extend(number);
                let arrival = Some(now.saturating_duration_since(start) + 10 * MS);
                unanswered.extend(number.map(|sequence| PacketFate { sequence, arrival }));
            }
            now += MS;
            if now.saturating_duration_since(start).as_millis().is_multiple_of(50) {
                let _ = uplink.handle_feedback(now, &Feedback { packets: std::mem::take(&mut unanswered) });
            }
        }
        numbers
    }

    #[test]
    fn every_packet_gets_the_next_number_sound_first() {
        let now = Instant::now();
        let mut uplink = bound(now);
        assert!(uplink.push(now, PacketKind::Video, packet(1_000)));
        assert!(uplink.push(now, PacketKind::Audio, packet(80)));
        assert!(matches!(uplink.poll(now), Some(Leaving::Packet(_, PacketKind::Audio, None))));
        assert!(uplink.push(now, PacketKind::Audio, packet(80)));
        // Before any feedback, so nothing is probed.
        let numbers = run(&mut uplink, now, 40 * MS);
        assert_eq!(numbers.len(), 2);
        assert_eq!(numbers[1], numbers[0].wrapping_add(1));
    }

    #[test]
    fn pictures_wait_for_the_path_and_the_source_is_told() {
        let now = Instant::now();
        let mut uplink = bound(now);
        assert!(uplink.may_encode(Source::Call));
        for _ in 0..200 {
            assert!(uplink.push(now, PacketKind::Video, packet(1_100)));
        }
        assert!(!uplink.may_encode(Source::Call), "nearly two seconds wait at the first target");
        let sent = run(&mut uplink, now, 200 * MS).len();
        assert!((20..150).contains(&sent), "{sent} packets in 200 ms at first");
        uplink.clear_pictures();
        assert!(uplink.may_encode(Source::Call));
    }

    #[test]
    fn what_is_sent_again_is_taken_off_the_encoders_and_forgotten() {
        let now = Instant::now();
        let mut uplink = bound(now);
        let before = uplink.target();
        for _ in 0..20 {
            uplink.send(now, &mut packet(1_132), PacketKind::Retransmission, None);
        }
        assert_eq!(before - uplink.target(), Bitrate::bps(20 * 1_200 * 8));
        uplink.forget_again(now + Duration::from_secs(10));
        assert!(before - uplink.target() < Bitrate::kbps(1));
    }

    #[test]
    fn without_the_extension_nothing_is_numbered_and_nothing_stops() {
        let now = Instant::now();
        let mut uplink = Uplink::new(now);
        for _ in 0..100 {
            assert!(uplink.push(now, PacketKind::Video, packet(1_100)));
        }
        assert!(run(&mut uplink, now, 2_000 * MS).is_empty());
        assert!(uplink.may_encode(Source::Call), "all of it has left");
    }
}
