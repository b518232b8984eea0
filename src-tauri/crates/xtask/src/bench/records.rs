//! What passed one direction of a link, packet by packet, and what follows from it.

use std::collections::BTreeMap;
use std::time::Duration;

use ahoy_testkit::link::Fate;

use super::figures::percentile;

/// Who talks to whom: IP protocol and the two ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Flow {
    /// 17: UDP, 6: TCP.
    pub protocol: u8,
    /// The sender's port.
    pub from_port: u16,
    /// The receiver's port.
    pub to_port: u16,
}

impl Flow {
    /// Whether it is UDP, as all our media are.
    pub fn is_media(self) -> bool {
        self.protocol == 17
    }
}

/// One packet's way over the link. Times are since the link began.
#[derive(Debug, Clone, Copy)]
pub struct Passage {
    /// When it came to the link.
    pub at: Duration,
    /// Its size, IP header included.
    pub bytes: usize,
    /// Whose it is.
    pub flow: Flow,
    /// What became of it, and how long it waited.
    pub fate: Fate,
    /// When it came out; `None`: not (yet).
    pub out: Option<Duration>,
}

/// Every packet of one direction, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct LinkRecord {
    passages: Vec<Passage>,
    /// How much later than due each packet came out, seconds: the emulation's own fault.
    lateness: Vec<f64>,
}

impl LinkRecord {
    /// Adds a packet and says at which place.
    pub fn add(&mut self, passage: Passage) -> usize {
        self.passages.push(passage);
        self.passages.len() - 1
    }

    /// What became of the packet at a place.
    pub fn set_fate(&mut self, place: usize, fate: Fate) {
        if let Some(passage) = self.passages.get_mut(place) {
            passage.fate = fate;
        }
    }

    /// The packet at a place came out, so much later than it was due.
    pub fn set_out(&mut self, place: usize, at: Duration, late: Duration) {
        if let Some(passage) = self.passages.get_mut(place) {
            passage.out = Some(at);
            self.lateness.push(late.as_secs_f64());
        }
    }

    /// All packets.
    #[cfg(test)]
    pub fn passages(&self) -> &[Passage] {
        &self.passages
    }

    /// Bits that came to the link between two times (seconds), of the flows wanted.
    pub fn sent_bits(&self, from: f64, to: f64, wanted: impl Fn(Flow) -> bool) -> f64 {
        let came = |passage: &&Passage| within(passage.at, from, to) && wanted(passage.flow);
        self.passages.iter().filter(came).map(|passage| passage.bytes as f64 * 8.0).sum()
    }

    /// Bits that came out of the link between two times (seconds), of the flows wanted.
    pub fn delivered_bits(&self, from: f64, to: f64, wanted: impl Fn(Flow) -> bool) -> f64 {
        let came = |passage: &&Passage| passage.out.is_some_and(|out| within(out, from, to)) && wanted(passage.flow);
        self.passages.iter().filter(came).map(|passage| passage.bytes as f64 * 8.0).sum()
    }

    /// How long the media packets waited for the bottleneck, seconds, by when they came.
    pub fn waits(&self, from: f64, to: f64) -> Vec<f64> {
        let came = self.passages.iter().filter(|passage| within(passage.at, from, to) && passage.flow.is_media());
        came.filter_map(|passage| waited(passage.fate)).collect()
    }

    /// Share of the packets that found no room, 0 to 1.
    pub fn dropped(&self, from: f64, to: f64) -> f64 {
        let came: Vec<&Passage> = self.passages.iter().filter(|passage| within(passage.at, from, to)).collect();
        let dropped = came.iter().filter(|passage| passage.fate == Fate::Dropped).count();
        dropped as f64 / came.len().max(1) as f64
    }

    /// Delivered bits of each media flow between two times; flows with less than a hundredth of the largest are left out
    /// (paths that were tried and given up).
    pub fn by_flow(&self, from: f64, to: f64) -> Vec<f64> {
        let mut flows: BTreeMap<Flow, f64> = BTreeMap::new();
        for passage in self.passages.iter().filter(|passage| passage.flow.is_media()) {
            if passage.out.is_some_and(|out| within(out, from, to)) {
                *flows.entry(passage.flow).or_default() += passage.bytes as f64 * 8.0;
            }
        }
        let most = flows.values().copied().fold(0.0, f64::max);
        flows.into_values().filter(|bits| *bits >= most / 100.0).collect()
    }

    /// Rates in kbps over steps of `step` seconds until `end`, of the flows wanted: what came, and what was delivered.
    pub fn rates(&self, step: f64, end: f64, wanted: impl Fn(Flow) -> bool) -> Vec<[f64; 2]> {
        let mut rates = vec![[0.0; 2]; (end / step).ceil() as usize];
        for passage in self.passages.iter().filter(|passage| wanted(passage.flow)) {
            for (kind, time) in [Some(passage.at), passage.out].into_iter().enumerate() {
                let place = time.map(|time| (time.as_secs_f64() / step) as usize);
                if let Some(rate) = place.and_then(|place| rates.get_mut(place)) {
                    rate[kind] += passage.bytes as f64 * 8.0 / 1000.0 / step;
                }
            }
        }
        rates
    }

    /// The longest wait of media within each step of `step` seconds until `end`, ms.
    pub fn longest_waits(&self, step: f64, end: f64) -> Vec<f64> {
        let mut waits = vec![0.0_f64; (end / step).ceil() as usize];
        for passage in self.passages.iter().filter(|passage| passage.flow.is_media()) {
            let place = (passage.at.as_secs_f64() / step) as usize;
            if let (Some(longest), Some(wait)) = (waits.get_mut(place), waited(passage.fate)) {
                *longest = longest.max(wait * 1000.0);
            }
        }
        waits
    }

    /// The lateness that 99 % of the packets do not exceed, ms: what the emulation adds by itself.
    pub fn lateness_p99_ms(&self) -> f64 {
        percentile(&self.lateness, 0.99) * 1000.0
    }
}

fn within(time: Duration, from: f64, to: f64) -> bool {
    (from..to).contains(&time.as_secs_f64())
}

fn waited(fate: Fate) -> Option<f64> {
    match fate {
        Fate::Queued(wait) | Fate::Lost(wait) => Some(wait.as_secs_f64()),
        Fate::Dropped => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn record() -> LinkRecord {
        let mut record = LinkRecord::default();
        let media = |port| Flow { protocol: 17, from_port: port, to_port: 9 };
        let bulk = Flow { protocol: 6, from_port: 1, to_port: 9 };
        let packets = [
            (100, media(1), Fate::Queued(10 * MS), Some(160)),
            (600, media(1), Fate::Lost(30 * MS), None),
            (900, media(2), Fate::Queued(20 * MS), Some(1_070)),
            (950, bulk, Fate::Queued(90 * MS), Some(1_090)),
            (990, media(1), Fate::Dropped, None),
        ];
        for (at, flow, fate, out) in packets {
            let place = record.add(Passage { at: at * MS, bytes: 125, flow, fate: Fate::Dropped, out: None });
            record.set_fate(place, fate);
            if let Some(out) = out {
                record.set_out(place, out * MS, MS);
            }
        }
        record
    }

    #[test]
    fn what_came_what_went_out_and_what_waited_are_told_apart() {
        let record = record();
        assert_eq!(record.sent_bits(0.0, 1.0, Flow::is_media), 4_000.0);
        assert_eq!(record.delivered_bits(0.0, 1.0, Flow::is_media), 1_000.0);
        assert_eq!(record.delivered_bits(1.0, 2.0, |_| true), 2_000.0);
        assert_eq!(record.waits(0.0, 1.0), [0.01, 0.03, 0.02]);
        assert_eq!(record.dropped(0.5, 1.0), 0.25);
        assert_eq!(record.by_flow(0.0, 2.0), [1_000.0, 1_000.0]);
        assert_eq!(record.lateness_p99_ms(), 1.0);
    }

    #[test]
    fn series_have_a_value_for_every_step() {
        let record = record();
        assert_eq!(record.rates(0.5, 1.4, Flow::is_media), [[2.0, 2.0], [6.0, 0.0], [0.0, 2.0]]);
        assert_eq!(record.longest_waits(0.5, 1.0), [10.0, 30.0]);
    }
}
