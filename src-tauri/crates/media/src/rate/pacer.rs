//! When each packet leaves: the urgent ones first, the rest no faster than the path takes them.
//!
//! Nothing is thrown away here that a decoder would miss: when too much waits, [`Pacer::may_encode`] says no, and the frame
//! is never made.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::packet::{ClusterId, PacketKind};
use super::probe::ProbeCluster;
use crate::units::Bitrate;

/// How fast to send, from the estimator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// The rate of a short burst, such as a frame of usual size.
    pub burst: Bitrate,
    /// The rate at which a longer one goes on.
    pub sustained: Bitrate,
    /// Bytes sent that feedback has not spoken of.
    pub in_flight: usize,
    /// How many there may be before pictures wait.
    pub allowed: usize,
}

/// What leaves now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released<T> {
    /// A packet that was pushed.
    Packet {
        /// As it was pushed.
        payload: T,
        /// As it was pushed.
        kind: PacketKind,
        /// As it was pushed.
        size: usize,
        /// The probe that it has become part of.
        cluster: Option<ClusterId>,
    },
    /// A padding packet is to be made, for a probe, and its true size given to [`Pacer::padded`].
    Padding {
        /// Bytes on the wire, about, and better less than more.
        size: usize,
        /// The probe.
        cluster: ClusterId,
    },
}

/// The queues of the kinds, by urgency. Encoders and retransmission -> network.
const KINDS: [PacketKind; 5] =
    [PacketKind::Audio, PacketKind::Retransmission, PacketKind::Repair, PacketKind::Video, PacketKind::Screen];
/// Depth of each in packets. Audio (1 s), retransmissions and repair: full, the oldest goes. Pictures: full, the push is
/// refused; a key frame of a 1440p screen fits.
const DEPTH: [usize; KINDS.len()] = [50, 256, 64, 1_024, 2_048];
/// No frame is encoded while more than this waits, measured at the sustained rate.
const MAY_WAIT: Duration = Duration::from_millis(50);
/// Retransmissions and repair packets older than this come too late.
const STALE: Duration = Duration::from_millis(500);
/// A burst is what would take this long at the sustained rate; what is beyond it goes at that rate.
const BURST: Duration = Duration::from_millis(40);
/// A timer that fires late may catch up this much.
const CATCH_UP: Duration = Duration::from_millis(5);
/// A probe that could not be sent in this time is given up.
const PROBE_LIFE: Duration = Duration::from_millis(250);

#[derive(Debug)]
struct Waiting<T> {
    payload: T,
    size: usize,
    since: Instant,
}

#[derive(Debug)]
struct Probing {
    cluster: ProbeCluster,
    sent: usize,
    packets: usize,
    since: Option<Instant>,
}

/// Decides the order and the time of leaving. `T` is whatever a packet is.
#[derive(Debug)]
pub struct Pacer<T> {
    queues: [VecDeque<Waiting<T>>; KINDS.len()],
    bytes: [usize; KINDS.len()],
    pacing: Pacing,
    /// When the next paced packet may leave.
    free_at: Option<Instant>,
    /// Bytes of the burst that is going on, leaking at the sustained rate; and when that was true.
    burst: (f64, Option<Instant>),
    probe: Option<Probing>,
    forgotten: u64,
}

impl<T> Pacer<T> {
    /// A pacer with empty queues.
    pub fn new(pacing: Pacing) -> Self {
        Self {
            queues: Default::default(),
            bytes: [0; KINDS.len()],
            pacing,
            free_at: None,
            burst: (0.0, None),
            probe: None,
            forgotten: 0,
        }
    }

    /// Takes the estimator's newest decision.
    pub fn set_pacing(&mut self, pacing: Pacing) {
        self.pacing = pacing;
    }

    /// A burst to send as soon as possible. One that is still waiting gives way.
    pub fn start_probe(&mut self, cluster: ProbeCluster) {
        self.probe = Some(Probing { cluster, sent: 0, packets: 0, since: None });
    }

    /// A packet wants to leave; `size` is in bytes on the wire. Padding is made by probes only and not taken.
    ///
    /// # Errors
    /// The payload comes back when a picture's queue is full: the frame is incomplete, and a key frame is due.
    pub fn push(&mut self, kind: PacketKind, size: usize, payload: T, now: Instant) -> Result<(), T> {
        let Some(place) = KINDS.iter().position(|known| *known == kind) else { return Err(payload) };
        if self.queues[place].len() >= DEPTH[place] {
            match kind {
                PacketKind::Audio | PacketKind::Retransmission | PacketKind::Repair => self.forget_oldest(place),
                PacketKind::Video | PacketKind::Screen | PacketKind::Padding => return Err(payload),
            }
        }
        self.queues[place].push_back(Waiting { payload, size, since: now });
        self.bytes[place] += size;
        Ok(())
    }

    /// Whether a frame that is encoded now would leave soon. Otherwise the source drops it: a newer one is better then.
    pub fn may_encode(&self, kind: PacketKind) -> bool {
        let place = KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len() - 1);
        let before: usize = self.bytes[..=place].iter().sum();
        self.has_room() && before as u64 <= self.pacing.sustained.bytes_in(MAY_WAIT)
    }

    /// Throws away all packets of a kind (a source was stopped); how many.
    pub fn clear(&mut self, kind: PacketKind) -> usize {
        let Some(place) = KINDS.iter().position(|known| *known == kind) else { return 0 };
        self.bytes[place] = 0;
        std::mem::take(&mut self.queues[place]).len()
    }

    /// The packet that leaves now, if one may. To be called again until it says `None`.
    pub fn poll(&mut self, now: Instant) -> Option<Released<T>> {
        self.leak(now);
        for place in [1, 2] {
            while self.queues[place].front().is_some_and(|first| now.saturating_duration_since(first.since) > STALE) {
                self.forget_oldest(place);
            }
        }
        if self
            .probe
            .as_ref()
            .is_some_and(|probe| probe.since.is_some_and(|since| now.saturating_duration_since(since) > PROBE_LIFE))
        {
            self.probe = None;
        }
        // Sound is little and never waits; what follows waits for it.
        if let Some(sound) = self.release(0, now) {
            return Some(sound);
        }
        if self.free_at.is_some_and(|free| now < free) {
            return None;
        }
        let open = self.has_room() || self.probe.is_some();
        let place = (1..KINDS.len()).find(|place| !self.queues[*place].is_empty()).filter(|_| open);
        match place {
            Some(place) => self.release(place, now),
            None => self
                .probe
                .as_ref()
                .map(|Probing { cluster, .. }| Released::Padding { size: cluster.packet, cluster: cluster.id }),
        }
    }

    /// The padding that [`Self::poll`] asked for leaves, of this size; `None`: there is nothing to pad with, and the probe
    /// is given up.
    pub fn padded(&mut self, size: Option<usize>, now: Instant) {
        match size {
            Some(size) => {
                self.charge(size, now);
            }
            None => self.probe = None,
        }
    }

    /// When [`Self::poll`] has something again; `None`: not before a push, a probe or new pacing.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        if !self.queues[0].is_empty() {
            return Some(now);
        }
        let waits = self.queues[1..].iter().any(|queue| !queue.is_empty());
        let may = self.probe.is_some() || (waits && self.has_room());
        may.then(|| self.free_at.map_or(now, |free| free.max(now)))
    }

    /// How long what waits will take at the sustained rate.
    pub fn queue_time(&self) -> Duration {
        let bits = self.bytes.iter().sum::<usize>() as f64 * 8.0;
        Duration::from_secs_f64((bits / self.pacing.sustained.as_bps().max(1_000) as f64).min(3600.0))
    }

    /// Packets of sound and retransmissions that were given up.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn has_room(&self) -> bool {
        self.pacing.in_flight <= self.pacing.allowed
    }

    fn forget_oldest(&mut self, place: usize) {
        if let Some(oldest) = self.queues[place].pop_front() {
            self.bytes[place] -= oldest.size;
            self.forgotten += 1;
        }
    }

    fn release(&mut self, place: usize, now: Instant) -> Option<Released<T>> {
        let Waiting { payload, size, .. } = self.queues[place].pop_front()?;
        self.bytes[place] -= size;
        let cluster = self.charge(size, now);
        Some(Released::Packet { payload, kind: KINDS[place], size, cluster })
    }

    /// Reckons with a packet that leaves; gives the probe that it is part of.
    fn charge(&mut self, size: usize, now: Instant) -> Option<ClusterId> {
        let sustained = self.pacing.sustained.as_bps() as f64;
        let in_burst = self.burst.0 * 8.0 < sustained * BURST.as_secs_f64();
        let mut rate = if in_burst { self.pacing.burst.as_bps() as f64 } else { sustained };
        let mut id = None;
        if let Some(probe) = &mut self.probe {
            probe.since.get_or_insert(now);
            probe.sent += size;
            probe.packets += 1;
            id = Some(probe.cluster.id);
            rate = probe.cluster.rate.as_bps() as f64;
            if probe.sent >= probe.cluster.bytes && probe.packets >= probe.cluster.packets {
                self.probe = None;
            }
        }
        self.burst.0 += size as f64;
        let takes = Duration::from_secs_f64((size as f64 * 8.0 / rate.max(1_000.0)).min(10.0));
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        let from = self.free_at.map_or(now, |free| if free < earliest { now } else { free });
        self.free_at = Some(from + takes);
        id
    }

    fn leak(&mut self, now: Instant) {
        if let Some(last) = self.burst.1.replace(now) {
            let seconds = now.saturating_duration_since(last).as_secs_f64();
            self.burst.0 = (self.burst.0 - seconds * self.pacing.sustained.as_bps() as f64 / 8.0).max(0.0);
        }
    }
}

#[cfg(test)]
// A test needs some time to count from.
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn pacing(kbps: u64) -> Pacing {
        let rate = Bitrate::kbps(kbps);
        Pacing { burst: rate, sustained: rate, in_flight: 0, allowed: 100_000 }
    }

    /// All that leaves until then: when, and what.
    fn run(pacer: &mut Pacer<u32>, start: Instant, until: Duration) -> Vec<(u128, Released<u32>)> {
        let (mut now, mut out) = (start, Vec::new());
        while now <= start + until {
            while let Some(released) = pacer.poll(now) {
                if let Released::Padding { size, .. } = released {
                    pacer.padded(Some(size), now);
                }
                out.push(((now - start).as_millis(), released));
            }
            match pacer.next_due(now) {
                Some(due) if due > now => now = due,
                Some(_) => now += MS,
                None => break,
            }
        }
        out
    }

    fn payload(released: &Released<u32>) -> Option<u32> {
        match released {
            Released::Packet { payload, .. } => Some(*payload),
            Released::Padding { .. } => None,
        }
    }

    #[test]
    fn sound_goes_first_then_what_was_lost_then_what_mends_then_camera_then_screen() {
        let (mut pacer, start) = (Pacer::new(pacing(1_000)), Instant::now());
        for (kind, number) in [
            (PacketKind::Screen, 6),
            (PacketKind::Video, 5),
            (PacketKind::Repair, 4),
            (PacketKind::Retransmission, 3),
            (PacketKind::Audio, 1),
            (PacketKind::Audio, 2),
        ] {
            pacer.push(kind, 1250, number, start).unwrap();
        }
        let out = run(&mut pacer, start, 200 * MS);
        assert_eq!(out.iter().filter_map(|(_, one)| payload(one)).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        // 10 ms each; both sounds at once, and the rest waits for them.
        assert_eq!(out.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 0, 20, 30, 40, 50]);
    }

    #[test]
    fn a_full_queue_or_path_stops_the_encoder_and_not_the_sound() {
        let (mut pacer, now) = (Pacer::new(pacing(1_000)), Instant::now());
        assert!(pacer.may_encode(PacketKind::Video));
        for number in 0..6 {
            pacer.push(PacketKind::Video, 1250, number, now).unwrap();
        }
        assert!(!pacer.may_encode(PacketKind::Video), "60 ms wait");
        assert_eq!(run(&mut pacer, now, 100 * MS).len(), 6);
        assert!(pacer.may_encode(PacketKind::Video));
        pacer.set_pacing(Pacing { in_flight: 100_001, ..pacing(1_000) });
        assert!(!pacer.may_encode(PacketKind::Video));
        pacer.push(PacketKind::Video, 1250, 7, now).unwrap();
        pacer.push(PacketKind::Audio, 100, 8, now).unwrap();
        assert_eq!(run(&mut pacer, now + 200 * MS, 100 * MS).len(), 1, "only the sound");
        assert_eq!(pacer.clear(PacketKind::Video), 1);
    }

    #[test]
    fn a_probe_takes_what_waits_and_pads_at_its_own_rate() {
        let (mut pacer, start) = (Pacer::new(pacing(1_000)), Instant::now());
        pacer.push(PacketKind::Video, 1250, 1, start).unwrap();
        pacer.start_probe(ProbeCluster {
            id: ClusterId(9),
            rate: Bitrate::kbps(5_000),
            bytes: 5_000,
            packets: 4,
            packet: 1250,
        });
        let out = run(&mut pacer, start, 100 * MS);
        assert_eq!(out.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 2, 4, 6]);
        assert_eq!(payload(&out[0].1), Some(1));
        assert!(out[1..].iter().all(|(_, one)| matches!(one, Released::Padding { cluster: ClusterId(9), .. })));
    }

    #[test]
    fn padding_counts_by_its_true_size_and_a_probe_without_any_is_given_up() {
        let (mut pacer, now) = (Pacer::<u32>::new(pacing(1_000)), Instant::now());
        let rate = Bitrate::kbps(1_000);
        pacer.start_probe(ProbeCluster { id: ClusterId(1), rate, bytes: 600, packets: 5, packet: 125 });
        let mut made = 0;
        for ms in 0..20 {
            while let Some(Released::Padding { .. }) = pacer.poll(now + MS * ms) {
                pacer.padded(Some(75), now + MS * ms);
                made += 1;
            }
        }
        assert_eq!(made, 8, "600 bytes in packets of 75");
        pacer.start_probe(ProbeCluster { id: ClusterId(2), rate, bytes: 600, packets: 5, packet: 125 });
        assert!(pacer.poll(now + 50 * MS).is_some());
        pacer.padded(None, now + 50 * MS);
        assert_eq!(pacer.poll(now + 60 * MS), None);
    }

    #[test]
    fn a_long_frame_goes_on_at_the_sustained_rate() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Pacing { burst: Bitrate::kbps(2_000), ..pacing(1_000) });
        for number in 0..20 {
            pacer.push(PacketKind::Video, 1250, number, start).unwrap();
        }
        let out = run(&mut pacer, start, 500 * MS);
        let gaps: Vec<u128> = out.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert_eq!((gaps[0], gaps[18]), (5, 10), "{gaps:?}");
    }

    #[test]
    fn no_queue_grows_without_bound() {
        let (mut pacer, now) = (Pacer::new(pacing(1_000)), Instant::now());
        for number in 0..5_000 {
            let _ = pacer.push(PacketKind::Audio, 100, number, now);
            let _ = pacer.push(PacketKind::Retransmission, 100, number, now);
            let _ = pacer.push(PacketKind::Repair, 100, number, now);
            let _ = pacer.push(PacketKind::Video, 100, number, now);
            assert!(pacer.push(PacketKind::Padding, 100, number, now).is_err());
        }
        assert_eq!(pacer.queues.iter().map(VecDeque::len).collect::<Vec<_>>(), [50, 256, 64, 1_024, 0]);
        assert_eq!(pacer.push(PacketKind::Video, 100, 7, now), Err(7));
        // After half a second, old retransmissions are not worth sending.
        run(&mut pacer, now + 600 * MS, Duration::ZERO);
        assert!(pacer.queues[1].is_empty());
    }
}
