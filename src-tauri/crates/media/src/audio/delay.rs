//! How long sound has to be held back so that it does not stop.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{SAMPLE_RATE, duration_to_samples, samples_to_duration};

/// The delay aimed at before anything is known of the network. The first packet is played at once all the same; the
/// delay is then grown by stretching.
pub const START_DELAY: Duration = Duration::from_millis(20);
/// The least delay aimed at.
pub const MIN_DELAY: Duration = Duration::from_millis(10);
/// The most delay aimed at: beyond it people talk over each other, and losing packets is the lesser evil.
pub const MAX_DELAY: Duration = Duration::from_millis(400);
/// The most by which it is raised to wait for the picture.
pub const MAX_RAISE: Duration = Duration::from_millis(250);

/// The past that makes the target, in samples (8 s), and its most packets. Of one queue that came and went with a fall of
/// the rate, nothing is to be held for longer: it is over, and stretching has got over it once.
const WINDOW: i64 = SAMPLE_RATE as i64 * 8;
const WINDOW_PACKETS: usize = 512;
/// Of so many packets, at most [`RECENT_LATE`] in 100 may be late: this follows a network that has just become worse.
const RECENT: usize = 32;
const RECENT_LATE: usize = 15;
/// The histogram's step.
const BUCKET: i64 = SAMPLE_RATE as i64 * 5 / 1_000;
const BUCKETS: usize = 80;
/// What one sound in a hundred that comes too late is worth, in delay: 150 ms. So ten more milliseconds are waited if that
/// saves at least 0.07 % of the sound. With 100 ms, 1.7 % of a voice was invented at 10 % loss in runs of four packets.
const DELAY_PER_LATE_SHARE: i64 = SAMPLE_RATE as i64 * 15;
/// Fewer packets count as so many: the first late packet is no catastrophe.
const LEAST_SHARE_OF: i64 = 100;

/// Learns from the arrival of packets how late sound becomes available, and aims at the delay at which waiting longer would
/// cost more than it saves.
///
/// "Available" is what counts: for a packet that came, its own arrival; for a lost one, the arrival of the later packet
/// that holds a copy of it. So the same target covers jitter and the time that repair needs.
#[derive(Debug)]
pub struct DelayEstimator {
    origin: Option<(Instant, i64)>,
    /// When something became available, and its transit time, each less an unknown constant, in samples; newest last; at most
    /// [`WINDOW`] and [`WINDOW_PACKETS`], the oldest goes.
    transits: VecDeque<(i64, i64)>,
    /// The least of them.
    quickest: i64,
    target: i64,
    /// What is waited beyond, so that the sound is not ahead of the picture.
    raise: i64,
    /// RFC 3550's interarrival jitter, in samples, and the transit of the last packet that came.
    interarrival: f64,
    last: Option<i64>,
}

impl DelayEstimator {
    /// One that knows nothing yet.
    pub fn new() -> Self {
        Self {
            origin: None,
            transits: VecDeque::with_capacity(WINDOW_PACKETS),
            quickest: 0,
            target: samples(START_DELAY),
            raise: 0,
            interarrival: 0.0,
            last: None,
        }
    }

    /// A packet whose sound begins at `time` (RTP time without wrap-round) came.
    pub fn on_arrival(&mut self, time: i64, now: Instant) {
        let transit = self.transit(time, now);
        if let Some(last) = self.last.replace(transit) {
            self.interarrival += ((transit - last).abs() as f64 - self.interarrival) / 16.0;
        }
        self.observe(transit, time);
    }

    /// The lost sound at `time` can be rebuilt from something that came just now.
    pub fn on_rebuildable(&mut self, time: i64, now: Instant) {
        let transit = self.transit(time, now);
        self.observe(transit, time);
    }

    /// By how many samples the sound at `time` is behind the quickest way through the network, if it is taken up now.
    pub fn delay(&self, time: i64, now: Instant) -> i64 {
        self.origin.map_or(0, |origin| transit_from(origin, time, now) - self.quickest)
    }

    /// The delay aimed at, in samples, by the same measure.
    pub fn target_samples(&self) -> i64 {
        self.target + self.raise
    }

    /// The delay aimed at.
    pub fn target(&self) -> Duration {
        samples_to_duration(self.target_samples().unsigned_abs())
    }

    /// The delay that the network alone asks for.
    pub fn minimum(&self) -> Duration {
        samples_to_duration(self.target.unsigned_abs())
    }

    /// Aims at so much more than the network asks for, at most [`MAX_RAISE`], until told otherwise.
    pub fn set_raise(&mut self, raise: Duration) {
        self.raise = samples(raise.min(MAX_RAISE));
    }

    /// So much more is aimed at now.
    pub fn raise(&self) -> Duration {
        samples_to_duration(self.raise.unsigned_abs())
    }

    /// Interarrival jitter (RFC 3550, section 6.4.1).
    pub fn interarrival_jitter(&self) -> Duration {
        samples_to_duration(self.interarrival as u64)
    }

    fn transit(&mut self, time: i64, now: Instant) -> i64 {
        transit_from(*self.origin.get_or_insert((now, time)), time, now)
    }

    fn observe(&mut self, transit: i64, time: i64) {
        let at = transit.saturating_add(time);
        while self.transits.len() >= WINDOW_PACKETS
            || self.transits.front().is_some_and(|(oldest, _)| *oldest < at.saturating_sub(WINDOW))
        {
            self.transits.pop_front();
        }
        self.transits.push_back((at, transit));
        self.quickest = self.transits.iter().map(|(_, transit)| *transit).min().unwrap_or(transit);
        let wanted = self.cheapest().max(self.recent()).clamp(samples(MIN_DELAY), samples(MAX_DELAY));
        // Nothing is known yet after a few packets, so the start value is the floor.
        let floor = if self.transits.len() < 50 { samples(START_DELAY) } else { samples(MIN_DELAY) };
        // Up at once; down by a fiftieth of the way a packet.
        self.target = if wanted >= self.target { wanted } else { self.target - (self.target - wanted + 49) / 50 };
        self.target = self.target.max(floor);
    }

    /// The delay with the least cost, where late sound costs too.
    fn cheapest(&self) -> i64 {
        let mut histogram = [0_i64; BUCKETS + 1];
        for (_, transit) in &self.transits {
            let late = (transit - self.quickest + BUCKET - 1) / BUCKET;
            histogram[late.clamp(0, BUCKETS as i64) as usize] += 1;
        }
        let of = (self.transits.len() as i64).max(LEAST_SHARE_OF);
        let mut late = self.transits.len() as i64;
        let mut best = (i64::MAX, 0);
        for (bucket, count) in (0..).zip(&histogram[..BUCKETS]) {
            late -= count;
            let cost = bucket * BUCKET + DELAY_PER_LATE_SHARE * late / of;
            best = best.min((cost, bucket * BUCKET));
        }
        best.1
    }

    /// The delay that would have been enough for most of the last packets.
    fn recent(&self) -> i64 {
        let mut recent = [0; RECENT];
        let count = self.transits.len().min(RECENT);
        for (slot, (_, transit)) in recent.iter_mut().zip(self.transits.iter().rev()) {
            *slot = transit - self.quickest;
        }
        let recent = &mut recent[..count];
        recent.sort_unstable();
        // Of fewer than seven packets that is the least of them, of seven the second latest.
        let allowed = (count * RECENT_LATE).div_ceil(100).max(1);
        if count < 7 { 0 } else { recent[count - 1 - allowed] }
    }
}

impl Default for DelayEstimator {
    fn default() -> Self {
        Self::new()
    }
}

fn transit_from((start, first): (Instant, i64), time: i64, now: Instant) -> i64 {
    let elapsed = match now.checked_duration_since(start) {
        Some(after) => whole(after),
        None => -whole(start.saturating_duration_since(now)),
    };
    elapsed - (time - first)
}

fn whole(time: Duration) -> i64 {
    // Bounded, so that no sum overflows.
    duration_to_samples(time).min(1 << 60) as i64
}

const fn samples(time: Duration) -> i64 {
    time.as_millis() as i64 * SAMPLE_RATE as i64 / 1_000
}

#[cfg(test)]
// A test needs some time to count from.
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    const MS: i64 = 48;

    /// Packets of 20 ms, each so many milliseconds late.
    fn after(lateness: impl IntoIterator<Item = u64>) -> DelayEstimator {
        let (mut delay, start) = (DelayEstimator::new(), Instant::now());
        for (n, late) in (0..).zip(lateness) {
            delay.on_arrival(n * 20 * MS, start + Duration::from_millis(n as u64 * 20 + late));
        }
        delay
    }

    #[test]
    fn a_steady_network_is_given_the_least_delay() {
        assert_eq!(after([0; 400]).target(), MIN_DELAY);
        assert_eq!(after([0; 10]).target(), START_DELAY);
    }

    #[test]
    fn one_late_packet_in_ten_seconds_is_not_waited_for_and_one_in_fifty_is() {
        assert_eq!(after((0..500).map(|n| if n == 400 { 90 } else { 0 })).target(), MIN_DELAY);
        assert_eq!(after((0..500).map(|n| if n % 50 == 49 { 90 } else { 0 })).target(), Duration::from_millis(90));
    }

    #[test]
    fn a_network_that_gets_worse_is_followed_within_a_few_packets_and_left_slowly() {
        let worse = |n: u64, calm_after: u64| (0..n).map(move |n| if (300..calm_after).contains(&n) { 120 } else { 0 });
        assert!(after(worse(308, 999)).target() >= Duration::from_millis(120));
        assert!(after(worse(400, 320)).target() >= Duration::from_millis(100));
        assert_eq!(after(worse(1_200, 320)).target(), MIN_DELAY);
    }

    #[test]
    fn what_is_lost_but_rebuilt_from_the_packet_after_counts_like_a_late_packet() {
        let (mut delay, start) = (DelayEstimator::new(), Instant::now());
        for n in 0..400_i64 {
            let now = start + Duration::from_millis(n as u64 * 20);
            if n % 10 == 0 {
                continue;
            }
            if n % 10 == 1 {
                delay.on_rebuildable((n - 1) * 20 * MS, now);
            }
            delay.on_arrival(n * 20 * MS, now);
        }
        assert_eq!(delay.target(), Duration::from_millis(20));
    }

    #[test]
    fn the_delay_of_a_moment_is_measured_from_the_quickest_packet() {
        let (mut delay, start) = (DelayEstimator::new(), Instant::now());
        delay.on_arrival(0, start + Duration::from_millis(30));
        delay.on_arrival(960, start + Duration::from_millis(40));
        assert_eq!(delay.delay(1_920, start + Duration::from_millis(60)), 0);
        assert_eq!(delay.delay(1_920, start + Duration::from_millis(75)), 15 * MS);
    }
}
