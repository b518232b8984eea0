//! The links that calls are measured over.
//!
//! The numbers with a section are test cases of RFC 8867 at its path's values (one way 50 ms, a queue of 300 ms); our
//! calls go both ways, so both ways are limited. Its case 5.8 (the media pauses and resumes) is of two calls here, not
//! three: six ends of 720p are more than a small machine encodes.

use std::time::Duration;

use ahoy_testkit::link::{LinkProfile, Loss, Schedule};

use super::measures::Measure;
use crate::bench::Goal;

/// Capacity from given seconds on, in kbps; empty: no limit.
type Capacity = &'static [(u64, u64)];

/// From one second to another.
pub type Span = (f64, f64);

/// What travels over the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// One call with sound and picture.
    Call,
    /// Two at the same time.
    TwoCalls,
    /// One, and a TCP transfer from host 0 to 1 from the first to the second of these seconds.
    CallAndTcp(u64, u64),
    /// Two at the same time; the first one's cameras are off from the first to the second of these seconds.
    Pausing(u64, u64),
    /// One without pictures.
    SoundOnly,
}

/// What disappears, both ways.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Losing {
    Nothing,
    /// Each packet with this probability.
    Each(f64),
    /// This share, in bursts of so many packets on average.
    Bursts(f64, f64),
}

/// A link, what travels over it, and what should come of it.
#[derive(Debug)]
pub struct Profile {
    /// As in `--profiles`.
    pub name: &'static str,
    /// In words.
    pub about: &'static str,
    /// How long it is measured.
    pub seconds: u64,
    /// What travels.
    pub traffic: Traffic,
    /// What our side should reach.
    pub goals: &'static [(Measure, Goal)],
    /// The second at which the capacity comes back after a fall.
    pub risen: Option<u64>,
    there: Capacity,
    /// `None`: as there.
    back: Option<Capacity>,
    one_way_us: u64,
    jitter_ms: u64,
    losing: Losing,
}

const PLAIN: Profile = Profile {
    name: "",
    about: "",
    seconds: 45,
    traffic: Traffic::Call,
    goals: &[],
    risen: None,
    there: &[],
    back: None,
    one_way_us: 25_000,
    jitter_ms: 0,
    losing: Losing::Nothing,
};

/// Loss is measured over a link that is otherwise good.
const LOSSY: Profile = Profile { there: &[(0, 10_000)], ..PLAIN };

/// Every profile, in the order in which they are measured.
pub const ALL: &[Profile] = &[
    Profile {
        name: "lan",
        about: "no limit, 0.5 ms one way",
        seconds: 30,
        one_way_us: 500,
        goals: &[
            (Measure::Pictures, Goal::AtLeast(29.5)),
            (Measure::LatencyP50, Goal::Below(40.0)),
            (Measure::LatencyP95, Goal::Below(70.0)),
            (Measure::SyncP5, Goal::AtLeast(-60.0)),
            (Measure::SyncP95, Goal::Below(30.0)),
            (Measure::Concealed, Goal::Below(0.2)),
        ],
        ..PLAIN
    },
    Profile {
        name: "rtt50",
        about: "20 Mbps, round trip 50 ms",
        seconds: 30,
        there: &[(0, 20_000)],
        goals: &[
            (Measure::Pictures, Goal::AtLeast(29.0)),
            (Measure::LatencyP50, Goal::Below(60.0)),
            (Measure::LatencyP95, Goal::Below(100.0)),
            (Measure::SyncP5, Goal::AtLeast(-60.0)),
            (Measure::SyncP95, Goal::Below(30.0)),
            (Measure::Cpu, Goal::Below(15.0)),
            (Measure::Memory, Goal::Below(80.0)),
        ],
        ..PLAIN
    },
    Profile {
        name: "start20",
        about: "20 Mbps, round trip 40 ms: how soon it is 720p",
        seconds: 30,
        there: &[(0, 20_000)],
        one_way_us: 20_000,
        goals: &[
            (Measure::Until720, Goal::Below(3.0)),
            (Measure::SyncP5, Goal::AtLeast(-60.0)),
            (Measure::SyncP95, Goal::Below(30.0)),
        ],
        ..PLAIN
    },
    Profile {
        name: "rfc8867-5.1",
        about: "1, 2.5, 0.6, 1 Mbps",
        seconds: 100,
        there: &[(0, 1_000), (40, 2_500), (60, 600), (80, 1_000)],
        one_way_us: 50_000,
        goals: &[
            (Measure::CapacityUsed, Goal::AtLeast(85.0)),
            (Measure::Frozen, Goal::Below(0.1)),
            (Measure::LatencyP50, Goal::Below(120.0)),
            (Measure::QueueP95, Goal::Below(60.0)),
        ],
        ..PLAIN
    },
    Profile {
        name: "rfc8867-5.2",
        about: "two calls over 4, 2, 3.5, 1, 2 Mbps",
        seconds: 125,
        traffic: Traffic::TwoCalls,
        there: &[(0, 4_000), (25, 2_000), (50, 3_500), (75, 1_000), (100, 2_000)],
        one_way_us: 50_000,
        goals: &[(Measure::CapacityUsed, Goal::AtLeast(80.0)), (Measure::SmallerShare, Goal::AtLeast(35.0))],
        ..PLAIN
    },
    Profile {
        name: "rfc8867-5.3",
        about: "there 2, 1, 0.5, 2 Mbps; back 2, 0.8, 2 Mbps",
        seconds: 100,
        there: &[(0, 2_000), (20, 1_000), (40, 500), (60, 2_000)],
        back: Some(&[(0, 2_000), (35, 800), (70, 2_000)]),
        one_way_us: 50_000,
        goals: &[(Measure::CapacityUsed, Goal::AtLeast(80.0)), (Measure::QueueP95, Goal::Below(80.0))],
        ..PLAIN
    },
    Profile {
        name: "rfc8867-5.6",
        about: "2 Mbps, beside a TCP transfer from 10 s to 80 s",
        seconds: 100,
        traffic: Traffic::CallAndTcp(10, 80),
        there: &[(0, 2_000)],
        one_way_us: 50_000,
        goals: &[(Measure::BesideTcp, Goal::AtLeast(200.0))],
        ..PLAIN
    },
    Profile {
        name: "rfc8867-5.8",
        about: "two calls over 3.5 Mbps; the first one's cameras are off from 40 s to 60 s",
        seconds: 120,
        traffic: Traffic::Pausing(40, 60),
        there: &[(0, 3_500)],
        one_way_us: 50_000,
        goals: &[(Measure::CapacityUsed, Goal::AtLeast(80.0)), (Measure::SmallerShare, Goal::AtLeast(35.0))],
        ..PLAIN
    },
    Profile {
        name: "drop",
        about: "2.5 Mbps, 0.25 from 15 s, 2.5 from 45 s",
        seconds: 90,
        there: &[(0, 2_500), (15, 250), (45, 2_500)],
        risen: Some(45),
        goals: &[
            (Measure::LongestStop, Goal::Below(0.5)),
            (Measure::Frozen, Goal::Below(1.0)),
            (Measure::RiseUsed, Goal::AtLeast(85.0)),
        ],
        ..PLAIN
    },
    Profile {
        name: "pause",
        about: "1 Mbps, 0.07 from 20 s, which carries no picture, 1 from 50 s",
        seconds: 80,
        there: &[(0, 1_000), (20, 70), (50, 1_000)],
        risen: Some(50),
        goals: &[
            (Measure::Concealed, Goal::Below(1.0)),
            (Measure::QueueP95, Goal::Below(60.0)),
            (Measure::PictureBack, Goal::Below(8.0)),
        ],
        ..PLAIN
    },
    Profile {
        name: "loss5",
        about: "10 Mbps, round trip 50 ms, 5 % lost both ways",
        losing: Losing::Each(0.05),
        goals: &[
            (Measure::LatencyP50, Goal::Below(90.0)),
            (Measure::Frozen, Goal::Below(0.1)),
            (Measure::Concealed, Goal::Below(0.3)),
        ],
        ..LOSSY
    },
    Profile {
        name: "loss10",
        about: "10 Mbps, round trip 50 ms, 10 % lost both ways",
        losing: Losing::Each(0.1),
        goals: &[
            (Measure::Sent, Goal::AtLeast(2_000.0)),
            (Measure::Frozen, Goal::Below(0.2)),
            (Measure::Concealed, Goal::Below(0.5)),
        ],
        ..LOSSY
    },
    Profile {
        name: "loss20",
        about: "10 Mbps, round trip 50 ms, 20 % lost both ways",
        losing: Losing::Each(0.2),
        goals: &[
            (Measure::Pictures, Goal::AtLeast(27.0)),
            (Measure::Frozen, Goal::Below(1.0)),
            (Measure::Concealed, Goal::Below(1.5)),
        ],
        ..LOSSY
    },
    Profile {
        name: "loss30",
        about: "10 Mbps, round trip 50 ms, 30 % lost both ways",
        losing: Losing::Each(0.3),
        ..LOSSY
    },
    Profile {
        name: "farloss5",
        about: "10 Mbps, round trip 200 ms, 5 % lost both ways",
        losing: Losing::Each(0.05),
        one_way_us: 100_000,
        goals: &[(Measure::Pictures, Goal::AtLeast(29.0)), (Measure::Concealed, Goal::Below(0.5))],
        ..LOSSY
    },
    Profile {
        name: "burst10",
        about: "10 Mbps, round trip 50 ms, 10 % lost both ways in bursts of 4 packets",
        losing: Losing::Bursts(0.1, 4.0),
        goals: &[(Measure::Concealed, Goal::Below(1.0))],
        ..LOSSY
    },
    Profile {
        name: "kbps300",
        about: "300 kbps, round trip 50 ms",
        there: &[(0, 300)],
        goals: &[
            (Measure::CapacityUsed, Goal::AtLeast(85.0)),
            (Measure::QueueP95, Goal::Below(60.0)),
            (Measure::LatencyP50, Goal::Below(120.0)),
            (Measure::SyncP5, Goal::AtLeast(-60.0)),
            (Measure::SyncP95, Goal::Below(30.0)),
            (Measure::Ssim, Goal::AtLeast(0.82)),
        ],
        ..PLAIN
    },
    Profile {
        name: "kbps100loss5",
        about: "100 kbps, round trip 50 ms, 5 % lost both ways",
        there: &[(0, 100)],
        losing: Losing::Each(0.05),
        goals: &[(Measure::QueueP95, Goal::Below(60.0)), (Measure::Concealed, Goal::Below(1.0))],
        ..PLAIN
    },
    Profile {
        name: "kbps60",
        about: "60 kbps, round trip 50 ms, sound only",
        traffic: Traffic::SoundOnly,
        there: &[(0, 60)],
        goals: &[(Measure::QueueP95, Goal::Below(40.0)), (Measure::Concealed, Goal::Below(1.0))],
        ..PLAIN
    },
    Profile {
        name: "far",
        about: "no limit, round trip 250 ms, up to 100 ms of jitter each way",
        one_way_us: 125_000,
        jitter_ms: 100,
        goals: &[(Measure::Concealed, Goal::Below(2.0))],
        ..PLAIN
    },
    Profile {
        name: "farther",
        about: "no limit, round trip 500 ms, up to 100 ms of jitter each way",
        one_way_us: 250_000,
        jitter_ms: 100,
        goals: &[(Measure::Concealed, Goal::Below(2.0))],
        ..PLAIN
    },
];

impl Profile {
    /// The links there and back. Chance differs between the two, and from one `repeat` to the next.
    pub fn links(&self, repeat: u64) -> [LinkProfile; 2] {
        let link = |capacity: Capacity, seed| {
            let mut link = LinkProfile::new(None, Duration::from_micros(self.one_way_us));
            link.capacity = schedule(capacity);
            link.jitter = Duration::from_millis(self.jitter_ms);
            link.loss = Schedule::constant(match self.losing {
                Losing::Nothing => Loss::None,
                Losing::Each(share) => Loss::Random(share),
                Losing::Bursts(share, packets) => Loss::bursts(share, packets),
            });
            link.seed = seed;
            link
        };
        [link(self.there, 2 * repeat + 1), link(self.back.unwrap_or(self.there), 2 * repeat + 2)]
    }

    /// Without queue and jitter.
    pub fn round_trip(&self) -> Duration {
        Duration::from_micros(2 * self.one_way_us)
    }

    /// Whether there are pictures.
    pub fn has_picture(&self) -> bool {
        self.traffic != Traffic::SoundOnly
    }

    /// The seconds of a call, of these, in which there should be a picture.
    pub fn watched(&self, call: usize, (from, to): Span) -> Vec<Span> {
        let spans = match self.traffic {
            Traffic::Pausing(off, on) if call == 0 && (on as f64) < to => {
                vec![(from, off as f64), (on as f64, to)]
            }
            _ => vec![(from, to)],
        };
        spans.into_iter().filter(|(from, to)| from < to).collect()
    }

    /// Calls at the same time.
    pub fn calls(&self) -> usize {
        match self.traffic {
            Traffic::TwoCalls | Traffic::Pausing(..) => 2,
            Traffic::Call | Traffic::CallAndTcp(..) | Traffic::SoundOnly => 1,
        }
    }

    /// Whether sound is rated by PESQ: where packets get lost or come unevenly.
    pub fn rates_sound(&self) -> bool {
        self.losing != Losing::Nothing || self.jitter_ms > 0
    }

    /// Whether pictures are compared with the drawn ones, which costs some time: where a goal asks for it.
    pub fn rates_pictures(&self) -> bool {
        self.goal(Measure::Ssim) != Goal::None
    }

    /// Whether the way back has a capacity of its own.
    pub fn is_lopsided(&self) -> bool {
        self.back.is_some()
    }

    /// Whether a call could fill it, so that the share used says something.
    pub fn is_narrow(&self) -> bool {
        self.there.iter().any(|(_, kbps)| *kbps < 5_000)
    }

    /// What our side should reach in a measure.
    pub fn goal(&self, measure: Measure) -> Goal {
        self.goals.iter().find(|(of, _)| *of == measure).map_or(Goal::None, |(_, goal)| *goal)
    }
}

fn schedule(capacity: Capacity) -> Schedule<Option<u64>> {
    let first = Schedule::constant(capacity.first().map(|(_, kbps)| kbps * 1000));
    capacity.iter().fold(first, |schedule, (from, kbps)| schedule.then(Duration::from_secs(*from), Some(kbps * 1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(name: &str) -> &'static Profile {
        ALL.iter().find(|profile| profile.name == name).unwrap()
    }

    #[test]
    fn capacities_change_at_their_seconds() {
        let [there, back] = profile("rfc8867-5.3").links(0);
        let kbps = |link: &LinkProfile, second| link.capacity.at(Duration::from_secs(second)).unwrap() / 1000;
        assert_eq!([0, 19, 20, 40, 60, 99].map(|second| kbps(&there, second)), [2000, 2000, 1000, 500, 2000, 2000]);
        assert_eq!([0, 34, 35, 70].map(|second| kbps(&back, second)), [2000, 2000, 800, 2000]);
        let drop = &profile("drop").links(0)[0];
        let could = drop.could_carry(Duration::from_secs(5), Duration::from_secs(60));
        assert_eq!(could, Some(25_000_000 + 7_500_000 + 37_500_000));
        assert_eq!(profile("lan").links(0)[0].capacity.at(Duration::ZERO), None);
    }

    #[test]
    fn names_are_unique_and_every_change_lies_within_the_time() {
        for (place, profile) in ALL.iter().enumerate() {
            assert!(ALL[..place].iter().all(|other| other.name != profile.name), "{} twice", profile.name);
            let changes = profile.there.iter().chain(profile.back.into_iter().flatten());
            assert!(changes.into_iter().all(|(from, _)| *from < profile.seconds), "{}", profile.name);
        }
    }

    #[test]
    fn chance_differs_by_direction_and_repeat() {
        let seeds: Vec<u64> = (0..2).flat_map(|repeat| profile("loss5").links(repeat)).map(|link| link.seed).collect();
        assert_eq!(seeds, [1, 2, 3, 4]);
    }
}
