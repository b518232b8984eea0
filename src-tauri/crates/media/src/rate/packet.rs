//! What was sent, and what the other side says about it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

/// What a packet carries; in the order in which the pacer lets them go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PacketKind {
    /// Sound.
    Audio,
    /// What was lost, once more.
    Retransmission,
    /// What mends a picture without asking (forward error correction).
    Repair,
    /// The camera.
    Video,
    /// A shared screen.
    Screen,
    /// Nothing: a probe needed it.
    Padding,
}

/// Names one burst of packets that was sent to learn how much passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ClusterId(pub u32);

/// A packet that left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SentPacket {
    /// Its transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01, 2).
    pub sequence: u16,
    /// Bytes on the wire, IP and UDP headers included (what the bottleneck carries).
    pub size: usize,
    /// When it left the pacer.
    pub sent_at: Instant,
    /// What it carries.
    pub kind: PacketKind,
    /// The probe that it belongs to.
    pub cluster: Option<ClusterId>,
}

/// What became of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketFate {
    /// Its transport-wide sequence number.
    pub sequence: u16,
    /// When it arrived, on the receiver's clock (any epoch); `None`: not yet.
    pub arrival: Option<Duration>,
}

/// One feedback message: the fates of packets, in the order of their sequence numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feedback {
    /// Each packet that the message speaks of.
    pub packets: Vec<PacketFate>,
}

/// A packet whose fate is known: departure joined with arrival.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Report {
    /// The unwrapped sequence number.
    pub number: u64,
    pub size: usize,
    pub sent_at: Instant,
    pub cluster: Option<ClusterId>,
    pub arrival: Option<Duration>,
    /// It was reported lost before and came after all.
    pub was_lost: bool,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    packet: SentPacket,
    lost: bool,
}

/// The packets whose fate is not known yet. 4096 at most and [`History::KEEP`] old at most; the oldest go.
#[derive(Debug, Default)]
pub(crate) struct History {
    sent: BTreeMap<u64, Sent>,
    newest: u64,
    /// The highest number that any feedback has spoken of.
    highest_reported: Option<u64>,
    in_flight: usize,
    /// Fates of packets that were never sent, or are long forgotten.
    pub unknown: u64,
}

impl History {
    const DEPTH: usize = 4096;
    const KEEP: Duration = Duration::from_secs(10);

    /// A packet left. Its sequence number need not follow the last one.
    pub fn handle_sent(&mut self, packet: SentPacket) {
        // The first number lies above one turn, so that numbers before it exist.
        let number = if self.newest == 0 {
            u64::from(packet.sequence) + 0x1_0000
        } else {
            self.newest + u64::from(packet.sequence.wrapping_sub(self.newest as u16))
        };
        self.newest = self.newest.max(number);
        self.in_flight += packet.size;
        if let Some(before) = self.sent.insert(number, Sent { packet, lost: false }) {
            self.in_flight -= if self.is_in_flight(number) { before.packet.size } else { 0 };
        }
        while let Some((&first, sent)) = self.sent.first_key_value() {
            let old = packet.sent_at.saturating_duration_since(sent.packet.sent_at) > Self::KEEP;
            if self.sent.len() <= Self::DEPTH && !old {
                break;
            }
            self.in_flight -= if self.is_in_flight(first) { sent.packet.size } else { 0 };
            self.sent.pop_first();
        }
    }

    /// Joins feedback with what was sent. Each packet is answered once; what was never sent is counted and left out.
    pub fn handle_feedback(&mut self, feedback: &Feedback) -> Vec<Report> {
        let mut reports = Vec::with_capacity(feedback.packets.len().min(Self::DEPTH));
        for fate in &feedback.packets {
            let number = self.newest.saturating_sub(u64::from((self.newest as u16).wrapping_sub(fate.sequence)));
            let Some(sent) = self.sent.get(&number).copied() else {
                self.unknown += 1;
                continue;
            };
            self.reported_up_to(number);
            if fate.arrival.is_some() {
                self.sent.remove(&number);
            } else if sent.lost {
                continue;
            } else if let Some(kept) = self.sent.get_mut(&number) {
                kept.lost = true;
            }
            reports.push(Report {
                number,
                size: sent.packet.size,
                sent_at: sent.packet.sent_at,
                cluster: sent.packet.cluster,
                arrival: fate.arrival,
                was_lost: sent.lost,
            });
        }
        reports.sort_by_key(|report| report.number);
        reports
    }

    /// Bytes sent after the last packet that feedback has spoken of.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// When the oldest of them left.
    pub fn oldest_in_flight(&self) -> Option<Instant> {
        let from = self.highest_reported.map_or(0, |highest| highest + 1);
        self.sent.range(from..).next().map(|(_, sent)| sent.packet.sent_at)
    }

    fn is_in_flight(&self, number: u64) -> bool {
        self.highest_reported.is_none_or(|highest| number > highest)
    }

    /// All up to there is either reported now or was in feedback that got lost: neither is in flight.
    fn reported_up_to(&mut self, number: u64) {
        let from = self.highest_reported.map_or(0, |highest| highest + 1);
        if number >= from {
            self.in_flight -= self.sent.range(from..=number).map(|(_, sent)| sent.packet.size).sum::<usize>();
            self.highest_reported = Some(number);
        }
    }
}

#[cfg(test)]
// A test needs some time to count from.
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn packet(sequence: u16, sent_at: Instant) -> SentPacket {
        SentPacket { sequence, size: 100, sent_at, kind: PacketKind::Video, cluster: None }
    }

    fn feedback(fates: &[(u16, bool)]) -> Feedback {
        let fate = |&(sequence, here): &(u16, bool)| PacketFate { sequence, arrival: here.then_some(Duration::ZERO) };
        Feedback { packets: fates.iter().map(fate).collect() }
    }

    #[test]
    fn numbers_go_on_over_the_wrap_and_each_packet_is_answered_once() {
        let (mut history, now) = (History::default(), Instant::now());
        for sequence in [65_534, 65_535, 0, 1] {
            history.handle_sent(packet(sequence, now));
        }
        assert_eq!(history.in_flight(), 400);
        let reports = history.handle_feedback(&feedback(&[(65_534, true), (65_535, false), (0, true)]));
        let numbers: Vec<u64> = reports.iter().map(|report| report.number - reports[0].number).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(history.in_flight(), 100);
        assert!(history.handle_feedback(&feedback(&[(65_534, true)])).is_empty());
        let late = history.handle_feedback(&feedback(&[(65_535, true)]));
        assert!(late[0].was_lost && late[0].arrival.is_some());
        assert_eq!(history.unknown, 1);
    }

    #[test]
    fn what_was_never_sent_is_only_counted_and_what_is_never_answered_is_forgotten() {
        let (mut history, now) = (History::default(), Instant::now());
        assert!(history.handle_feedback(&feedback(&[(7, true)])).is_empty());
        for n in 0..6_000_u32 {
            history.handle_sent(packet(n as u16, now));
        }
        assert_eq!(history.sent.len(), History::DEPTH);
        assert_eq!(history.in_flight(), History::DEPTH * 100);
        history.handle_sent(packet(6_000, now + Duration::from_secs(11)));
        assert_eq!((history.sent.len(), history.in_flight()), (1, 100));
        assert!(history.handle_feedback(&feedback(&[(60_000, true)])).is_empty());
        assert_eq!(history.in_flight(), 100, "a stranger's number moves nothing");
    }

    #[test]
    fn lost_feedback_leaves_nothing_in_flight() {
        let (mut history, now) = (History::default(), Instant::now());
        for sequence in 0..10 {
            history.handle_sent(packet(sequence, now + Duration::from_millis(sequence.into())));
        }
        history.handle_feedback(&feedback(&[(7, true)]));
        assert_eq!(history.in_flight(), 200);
        assert_eq!(history.oldest_in_flight(), Some(now + Duration::from_millis(8)));
    }
}
