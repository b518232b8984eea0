//! How much arrives, by the receiver's clock.

use std::collections::VecDeque;
use std::time::Duration;

/// What arrived of late: [`AckedRate::KEEP`] at most, and 4096 packets; the oldest go.
#[derive(Debug, Default)]
pub(crate) struct AckedRate {
    arrivals: VecDeque<(Duration, usize)>,
}

impl AckedRate {
    const KEEP: Duration = Duration::from_secs(1);
    const DEPTH: usize = 4096;
    const WINDOW: Duration = Duration::from_millis(500);
    /// Short enough to show a fall at the first feedback, if [`Self::FAST_PACKETS`] came in it.
    const FAST_WINDOW: Duration = Duration::from_millis(60);
    const FAST_PACKETS: usize = 4;
    /// Four packets of sound between two pictures tell of the sources, not of the path.
    const FAST_BYTES: usize = 2_500;

    /// A packet arrived. Arrivals may come slightly out of order.
    pub fn handle(&mut self, arrival: Duration, size: usize) {
        let at = self.arrivals.partition_point(|(time, _)| *time <= arrival);
        self.arrivals.insert(at, (arrival, size));
        let newest = self.arrivals.back().map_or(arrival, |(time, _)| *time);
        while self
            .arrivals
            .front()
            .is_some_and(|(time, _)| newest - *time > Self::KEEP || self.arrivals.len() > Self::DEPTH)
        {
            self.arrivals.pop_front();
        }
    }

    /// Forgets all, as after a jump of the receiver's clock.
    pub fn clear(&mut self) {
        self.arrivals.clear();
    }

    /// Bits per second over the last half second, or over what there is of it; `None` before two packets.
    pub fn rate(&self) -> Option<f64> {
        self.over(Self::WINDOW, 2, 0)
    }

    /// Bits per second over the shortest time that can be judged.
    pub fn fast_rate(&self) -> Option<f64> {
        self.over(Self::FAST_WINDOW, Self::FAST_PACKETS, Self::FAST_BYTES)
    }

    /// The packet that opens the time brings no bytes: its transmission lies before.
    fn over(&self, window: Duration, packets: usize, least: usize) -> Option<f64> {
        let newest = self.arrivals.back()?.0;
        let mut seen = 0;
        let enough = |(time, size): &(Duration, usize)| {
            let wanted = seen < least || newest - *time <= window;
            seen += size;
            wanted
        };
        let recent = self.arrivals.iter().rev().copied().take_while(enough).count();
        let count = recent.max(packets).min(self.arrivals.len());
        let mut taken = self.arrivals.iter().skip(self.arrivals.len() - count);
        let first = taken.next()?.0;
        let bytes: usize = taken.map(|(_, size)| size).sum();
        // A burst in one instant says nothing about a rate.
        let span = newest.saturating_sub(first).max(Duration::from_millis(20));
        (bytes > 0).then(|| bytes as f64 * 8.0 / span.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_what_came_and_a_fall_shows_fast() {
        let mut acked = AckedRate::default();
        assert_eq!(acked.rate(), None);
        // 1250 bytes each 4 ms: 2.5 Mbps.
        for n in 0..250 {
            acked.handle(Duration::from_millis(n * 4), 1250);
        }
        assert!((acked.rate().unwrap() - 2.5e6).abs() < 2e4);
        // Then each 40 ms: 250 kbps.
        for n in 1..=5 {
            acked.handle(Duration::from_millis(1000 + n * 40), 1250);
        }
        assert!((acked.fast_rate().unwrap() - 2.5e5).abs() < 3e4, "{:?}", acked.fast_rate());
        assert!(acked.arrivals.len() <= 260);
    }
}
