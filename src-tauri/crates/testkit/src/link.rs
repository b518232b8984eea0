//! An emulated link: a bottleneck with a queue, a delay, and loss. Time is an argument, so it runs in virtual time as well
//! as between two real devices; chance is seeded, so that it can be repeated.
//!
//! ```text
//! push ─► queue (drop-tail) ─► bottleneck (capacity over time) ─► loss ─► delay + jitter ─► pop
//! ```
//!
//! A link is one direction. What is lost behind the bottleneck has used it, as on a radio.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use crate::rng::Seeded;

/// A value that changes at given times.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule<T>(BTreeMap<Duration, T>);

impl<T: Copy> Schedule<T> {
    /// The same for ever.
    pub fn constant(value: T) -> Self {
        Self(BTreeMap::from([(Duration::ZERO, value)]))
    }

    /// From then on (since the link's start), another value.
    #[must_use]
    pub fn then(mut self, from: Duration, value: T) -> Self {
        self.0.insert(from, value);
        self
    }

    /// The value at a time since the start.
    pub fn at(&self, time: Duration) -> T {
        let last = self.0.range(..=time).next_back().or_else(|| self.0.first_key_value());
        *last.expect("a schedule is made with its first value").1
    }

    /// Each value with the time from which on it holds.
    pub fn steps(&self) -> impl Iterator<Item = (Duration, T)> + '_ {
        self.0.iter().map(|(from, value)| (*from, *value))
    }

    /// When it changes next.
    pub fn next_change(&self, after: Duration) -> Option<Duration> {
        self.0.range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded)).next().map(|(time, _)| *time)
    }
}

/// Which packets disappear. Probabilities are 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// None.
    None,
    /// Each with the same probability.
    Random(f64),
    /// Gilbert-Elliott: two states with their own losses, changed with a probability at each packet.
    Bursty {
        /// Probability of going from good to bad.
        worse: f64,
        /// Probability of going from bad to good; 1 / this is the mean length of a burst, in packets.
        better: f64,
        /// Loss while good.
        good: f64,
        /// Loss while bad.
        bad: f64,
    },
}

impl Loss {
    /// Bursts of mean length `burst` packets in which all is lost, so that `share` of all packets is.
    pub fn bursts(share: f64, burst: f64) -> Self {
        let better = 1.0 / burst.max(1.0);
        Self::Bursty { worse: better * share / (1.0 - share).max(0.01), better, good: 0.0, bad: 1.0 }
    }
}

/// What a link is like.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkProfile {
    /// Bits per second; `None`: as fast as asked, `Some(0)`: nothing passes.
    pub capacity: Schedule<Option<u64>>,
    /// One way, without the queue.
    pub delay: Schedule<Duration>,
    /// Added to the delay of each packet, uniformly from zero to this.
    pub jitter: Duration,
    /// Whether jitter may let a packet overtake another.
    pub reorders: bool,
    /// What disappears behind the bottleneck.
    pub loss: Schedule<Loss>,
    /// A packet that would wait longer than this is dropped.
    pub queue_time: Option<Duration>,
    /// A packet that would make more than this wait is dropped.
    pub queue_bytes: Option<usize>,
    /// For jitter and loss.
    pub seed: u64,
}

impl LinkProfile {
    /// A link that loses nothing, with a queue of 300 ms (the value of RFC 8867, 4.1).
    pub fn new(capacity: Option<u64>, delay: Duration) -> Self {
        Self {
            capacity: Schedule::constant(capacity),
            delay: Schedule::constant(delay),
            jitter: Duration::ZERO,
            reorders: false,
            loss: Schedule::constant(Loss::None),
            queue_time: Some(Duration::from_millis(300)),
            queue_bytes: None,
            seed: 1,
        }
    }

    /// The bits that could pass between two times since the start; `None` while the capacity has no limit.
    pub fn could_carry(&self, from: Duration, to: Duration) -> Option<u64> {
        let (mut at, mut bits) = (from, 0.0);
        while at < to {
            let end = self.capacity.next_change(at).map_or(to, |change| change.min(to));
            bits += self.capacity.at(at)? as f64 * (end - at).as_secs_f64();
            at = end;
        }
        Some(bits as u64)
    }
}

/// What became of a packet that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It waits this long for the bottleneck, and will come out.
    Queued(Duration),
    /// It waits this long, passes the bottleneck, and disappears.
    Lost(Duration),
    /// There was no room in the queue.
    Dropped,
}

/// What a link has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkCounts {
    /// Packets pushed.
    pub pushed: u64,
    /// Packets that found no room.
    pub dropped: u64,
    /// Packets lost behind the bottleneck.
    pub lost: u64,
    /// Packets that came out.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Bytes that the bottleneck carried, the lost ones among them.
    pub carried_bytes: u64,
}

/// One direction of an emulated path. `P` is whatever travels.
#[derive(Debug)]
pub struct Link<P> {
    profile: LinkProfile,
    start: Instant,
    rng: Seeded,
    in_bad_state: bool,
    /// When the bottleneck is done with all that was pushed.
    free_at: Duration,
    /// When each packet that waits is through, and its size. Bounded by the profile's queue.
    waiting: VecDeque<(Duration, usize)>,
    waiting_bytes: usize,
    /// Packets under way, by when they come out. Bounded by the queue and what fits into the delay.
    under_way: BinaryHeap<Reverse<UnderWay<P>>>,
    last_out: Duration,
    counts: LinkCounts,
}

impl<P> Link<P> {
    /// A link that exists from `start` on.
    pub fn new(profile: LinkProfile, start: Instant) -> Self {
        let rng = Seeded::new(profile.seed);
        Self {
            profile,
            start,
            rng,
            in_bad_state: false,
            free_at: Duration::ZERO,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            under_way: BinaryHeap::new(),
            last_out: Duration::ZERO,
            counts: LinkCounts::default(),
        }
    }

    /// Sends a packet of `bytes` (headers included).
    pub fn push(&mut self, packet: P, bytes: usize, now: Instant) -> Fate {
        let now = now.saturating_duration_since(self.start);
        self.counts.pushed += 1;
        self.forget_passed(now);
        let begins = self.free_at.max(now);
        let wait = begins - now;
        let too_late = self.profile.queue_time.is_some_and(|limit| wait > limit);
        let too_much = self.profile.queue_bytes.is_some_and(|limit| self.waiting_bytes + bytes > limit.max(bytes));
        let Some(through) = self.through_at(begins, bytes).filter(|_| !too_late && !too_much) else {
            self.counts.dropped += 1;
            return Fate::Dropped;
        };
        self.free_at = through;
        self.waiting.push_back((through, bytes));
        self.waiting_bytes += bytes;
        self.counts.carried_bytes += bytes as u64;
        if self.loses(now) {
            self.counts.lost += 1;
            return Fate::Lost(wait);
        }
        let jitter = self.rng.below(self.profile.jitter.as_micros() as u64 + 1);
        let mut due = through + self.profile.delay.at(now) + Duration::from_micros(jitter);
        if !self.profile.reorders {
            due = due.max(self.last_out);
        }
        self.last_out = self.last_out.max(due);
        self.under_way.push(Reverse(UnderWay { due, number: self.counts.pushed, bytes, packet }));
        Fate::Queued(wait)
    }

    /// The next packet that has come out by now.
    pub fn pop(&mut self, now: Instant) -> Option<P> {
        let now = now.saturating_duration_since(self.start);
        if self.under_way.peek()?.0.due > now {
            return None;
        }
        let Reverse(out) = self.under_way.pop()?;
        self.counts.delivered += 1;
        self.counts.delivered_bytes += out.bytes as u64;
        Some(out.packet)
    }

    /// When the next packet comes out; `None` while none is under way.
    pub fn next_due(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse(first)| self.start + first.due)
    }

    /// How long a packet pushed now would wait for the bottleneck.
    pub fn queue_delay(&self, now: Instant) -> Duration {
        self.free_at.saturating_sub(now.saturating_duration_since(self.start))
    }

    /// What happened so far.
    pub fn counts(&self) -> LinkCounts {
        self.counts
    }

    /// What it is like.
    pub fn profile(&self) -> &LinkProfile {
        &self.profile
    }

    fn forget_passed(&mut self, now: Duration) {
        while let Some((_, bytes)) = self.waiting.front().copied().filter(|(through, _)| *through <= now) {
            self.waiting.pop_front();
            self.waiting_bytes -= bytes;
        }
    }

    /// When `bytes` are through that begin at `from`; `None`: never.
    fn through_at(&self, from: Duration, bytes: usize) -> Option<Duration> {
        let (mut at, mut bits) = (from, bytes as f64 * 8.0);
        loop {
            let Some(capacity) = self.profile.capacity.at(at) else { return Some(at) };
            let change = self.profile.capacity.next_change(at);
            if capacity > 0 {
                let end = at + Duration::from_secs_f64(bits / capacity as f64);
                if change.is_none_or(|change| end <= change) {
                    return Some(end);
                }
            }
            let change = change?;
            bits -= capacity as f64 * (change - at).as_secs_f64();
            at = change;
        }
    }

    fn loses(&mut self, now: Duration) -> bool {
        match self.profile.loss.at(now) {
            Loss::None => false,
            Loss::Random(share) => self.rng.chance(share),
            Loss::Bursty { worse, better, good, bad } => {
                let change = if self.in_bad_state { better } else { worse };
                if self.rng.chance(change) {
                    self.in_bad_state = !self.in_bad_state;
                }
                self.rng.chance(if self.in_bad_state { bad } else { good })
            }
        }
    }
}

#[derive(Debug)]
struct UnderWay<P> {
    due: Duration,
    /// Packets that come out at the same time keep their order.
    number: u64,
    bytes: usize,
    packet: P,
}

impl<P> UnderWay<P> {
    fn key(&self) -> (Duration, u64) {
        (self.due, self.number)
    }
}

impl<P> PartialEq for UnderWay<P> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<P> Eq for UnderWay<P> {}

impl<P> PartialOrd for UnderWay<P> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> Ord for UnderWay<P> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn drain(link: &mut Link<u32>, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| link.pop(now)).collect()
    }

    #[test]
    fn a_packet_takes_its_own_time_the_queue_before_it_and_the_delay() {
        let start = Instant::now();
        // 1 Mbps: 1250 bytes take 10 ms.
        let mut link = Link::new(LinkProfile::new(Some(1_000_000), 50 * MS), start);
        assert_eq!(link.push(1, 1250, start), Fate::Queued(Duration::ZERO));
        assert_eq!(link.push(2, 1250, start), Fate::Queued(10 * MS));
        assert_eq!(link.queue_delay(start + 5 * MS), 15 * MS);
        assert_eq!(link.next_due(), Some(start + 60 * MS));
        assert!(drain(&mut link, start + 59 * MS).is_empty());
        assert_eq!(drain(&mut link, start + 60 * MS), [1]);
        assert_eq!(drain(&mut link, start + 70 * MS), [2]);
        assert_eq!(link.next_due(), None);
    }

    #[test]
    fn capacity_changes_in_the_middle_of_a_packet_and_an_outage_delays_it() {
        let start = Instant::now();
        let mut profile = LinkProfile::new(Some(1_000_000), Duration::ZERO);
        profile.capacity = profile.capacity.then(5 * MS, Some(0)).then(105 * MS, Some(500_000));
        assert_eq!(profile.could_carry(Duration::ZERO, 205 * MS), Some(5_000 + 50_000));
        let mut link = Link::new(profile, start);
        link.push(1, 1250, start);
        // Half in the first 5 ms, none for 100 ms, half at half the speed.
        assert_eq!(link.next_due(), Some(start + 115 * MS));
        let mut dead = Link::new(LinkProfile::new(Some(0), Duration::ZERO), start);
        assert_eq!(dead.push(1, 100, start), Fate::Dropped);
    }

    #[test]
    fn a_full_queue_drops_the_newest_by_time_and_by_bytes() {
        let start = Instant::now();
        let mut link = Link::new(LinkProfile::new(Some(1_000_000), Duration::ZERO), start);
        let fates: Vec<Fate> = (0..40).map(|number| link.push(number, 1250, start)).collect();
        // 0, 10, ... 300 ms of waiting are allowed.
        assert_eq!(fates.iter().filter(|fate| **fate != Fate::Dropped).count(), 31);
        assert_eq!(link.counts().dropped, 9);
        let mut profile = LinkProfile::new(Some(1_000_000), Duration::ZERO);
        profile.queue_bytes = Some(3000);
        let mut link = Link::new(profile, start);
        let kept = (0..10).filter(|number| link.push(*number, 1250, start) != Fate::Dropped).count();
        assert_eq!(kept, 2);
        assert_eq!(link.push(11, 1250, start + 10 * MS), Fate::Queued(10 * MS), "one is through");
    }

    #[test]
    fn losses_have_their_share_and_their_bursts_and_repeat_with_the_seed() {
        let start = Instant::now();
        let run = |loss, seed| {
            let mut profile = LinkProfile::new(None, Duration::ZERO);
            (profile.loss, profile.seed) = (Schedule::constant(loss), seed);
            let mut link = Link::new(profile, start);
            (0..20_000).map(|number| matches!(link.push(number, 100, start), Fate::Lost(_))).collect::<Vec<bool>>()
        };
        let share = |lost: &[bool]| lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64;
        let bursts = |lost: &[bool]| lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
        let random = run(Loss::Random(0.1), 7);
        assert_eq!(random, run(Loss::Random(0.1), 7));
        assert_ne!(random, run(Loss::Random(0.1), 8));
        assert!((share(&random) - 0.1).abs() < 0.01, "{}", share(&random));
        let bursty = run(Loss::bursts(0.1, 5.0), 7);
        assert!((share(&bursty) - 0.1).abs() < 0.02, "{}", share(&bursty));
        let mean = share(&bursty) * 20_000.0 / bursts(&bursty);
        assert!((4.0..6.0).contains(&mean), "bursts of {mean}");
    }

    #[test]
    fn jitter_keeps_the_order_unless_told_otherwise() {
        let start = Instant::now();
        let order = |reorders| {
            let mut profile = LinkProfile::new(None, 50 * MS);
            (profile.jitter, profile.reorders) = (30 * MS, reorders);
            let mut link = Link::new(profile, start);
            for number in 0..200 {
                link.push(number, 100, start + MS * number);
            }
            drain(&mut link, start + 1000 * MS)
        };
        assert!(order(false).is_sorted());
        assert!(!order(true).is_sorted());
    }
}
