//! How good the call is, in bars and one sentence. The one place where the thresholds stand.
//!
//! Each second's figures get the bars of their worst member:
//!
//! | bars | loss either way, % | round trip, ms | jitter of sound, ms | received rate with a picture, kbps |
//! |------|--------------------|----------------|---------------------|------------------------------------|
//! | 4    | up to 2            | up to 250      | up to 30            | 250 or more                        |
//! | 3    | up to 5            | up to 400      | up to 50            | 120 or more                        |
//! | 2    | up to 10           | up to 700      | up to 100           | 60 or more                         |
//! | 1    | more               | more           | more                | less                               |
//! | 0    | nothing at all arrived for 2 s: [`SILENT_SECONDS`]                                          |
//!
//! 250 ms of round trip is about 150 ms one way with the time in the machines added, ITU-T G.114's limit for a
//! conversation that feels immediate, and 400 ms one way its limit for planning. Opus with in-band FEC hides 5 % of
//! loss well and is understood at 10 %.
//!
//! **Hysteresis:** down after [`WORSE_SECONDS`] seconds, up after [`BETTER_SECONDS`]: a bar that dances says nothing.

use crate::words::Phrase;

/// Seconds of worse figures before a bar goes.
pub const WORSE_SECONDS: u32 = 2;
/// Seconds of better figures before a bar comes back.
pub const BETTER_SECONDS: u32 = 5;
/// Seconds without one packet before there are no bars.
pub const SILENT_SECONDS: u32 = 2;

const LOSS_PERCENT: [f64; 3] = [2.0, 5.0, 10.0];
const ROUND_TRIP_MS: [f64; 3] = [250.0, 400.0, 700.0];
const JITTER_MS: [f64; 3] = [30.0, 50.0, 100.0];
const RATE_KBPS: [f64; 3] = [250.0, 120.0, 60.0];

/// One second of a call.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Second {
    /// Packets that arrived.
    pub packets_in: u64,
    /// Lost on the way here, percent.
    pub loss_in_percent: f64,
    /// Lost on the way there, percent, as the other side reports it.
    pub loss_out_percent: f64,
    /// Round trip, ms.
    pub round_trip_ms: Option<f64>,
    /// Interarrival jitter of sound (RFC 3550, 6.4.1), ms.
    pub jitter_ms: f64,
    /// Received, kbps.
    pub rate_in_kbps: f64,
    /// The other side sends a picture with something going on in it.
    pub picture_expected: bool,
}

/// What is worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Silence,
    LossIn,
    LossOut,
    Delay,
    Jitter,
    Rate,
}

/// Keeps the bars steady over a call.
#[derive(Debug, Default)]
pub struct Judge {
    shown: Option<(u8, Cause)>,
    silent: u32,
    worse: u32,
    better: u32,
}

impl Judge {
    /// Takes in one more second. Gives bars (0 to 4) and what to say; `name` is the other person's.
    pub fn handle_second(&mut self, second: &Second, name: &str) -> (u8, Phrase) {
        self.silent = if second.packets_in == 0 { self.silent + 1 } else { 0 };
        let now = if self.silent >= SILENT_SECONDS { (0, Cause::Silence) } else { worst(second) };
        match self.shown {
            None => self.shown = Some(now),
            Some((bars, _)) if now.0 == bars => {
                (self.worse, self.better) = (0, 0);
                self.shown = Some(now);
            }
            Some((bars, _)) if now.0 < bars => {
                (self.worse, self.better) = (self.worse + 1, 0);
                // Silence has waited its seconds already.
                if self.worse >= WORSE_SECONDS || now.1 == Cause::Silence {
                    self.worse = 0;
                    self.shown = Some(now);
                }
            }
            Some((bars, cause)) => {
                (self.worse, self.better) = (0, self.better + 1);
                // Anything at all is better than nothing, at once.
                if bars == 0 || self.better >= BETTER_SECONDS {
                    self.better = 0;
                    self.shown = Some(if bars == 0 { (now.0.min(2), now.1) } else { (bars + 1, now.1) });
                } else {
                    self.shown = Some((bars, cause));
                }
            }
        }
        let (bars, cause) = self.shown.unwrap_or(now);
        (bars, sentence(bars, cause, name))
    }
}

fn worst(second: &Second) -> (u8, Cause) {
    let rate = if second.picture_expected { bars_down(second.rate_in_kbps, RATE_KBPS) } else { 4 };
    [
        (bars_up(second.loss_in_percent, LOSS_PERCENT), Cause::LossIn),
        (bars_up(second.loss_out_percent, LOSS_PERCENT), Cause::LossOut),
        (bars_up(second.jitter_ms, JITTER_MS), Cause::Jitter),
        (bars_up(second.round_trip_ms.unwrap_or(0.0), ROUND_TRIP_MS), Cause::Delay),
        (rate, Cause::Rate),
    ]
    .into_iter()
    .min_by_key(|(bars, _)| *bars)
    .expect("five causes are not none")
}

/// Bars of a figure that should be small.
fn bars_up(value: f64, limits: [f64; 3]) -> u8 {
    4 - limits.iter().filter(|&&limit| value > limit).count() as u8
}

/// Bars of a figure that should be large.
fn bars_down(value: f64, limits: [f64; 3]) -> u8 {
    4 - limits.iter().filter(|&&limit| value < limit).count() as u8
}

fn sentence(bars: u8, cause: Cause, name: &str) -> Phrase {
    match (bars, cause) {
        (0, _) | (_, Cause::Silence) => Phrase::QualityNothing { name: name.to_owned() },
        (4.., _) => Phrase::QualityGood {},
        (3, _) => Phrase::QualityFair {},
        (1..=2, Cause::LossIn) => Phrase::QualityLossIn {},
        (1..=2, Cause::LossOut) => Phrase::QualityLossOut {},
        (1..=2, Cause::Delay) => Phrase::QualityDelay {},
        (1..=2, Cause::Jitter) => Phrase::QualityJitter {},
        (1..=2, Cause::Rate) => Phrase::QualityRate {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Second = Second {
        packets_in: 80,
        loss_in_percent: 0.0,
        loss_out_percent: 0.0,
        round_trip_ms: Some(40.0),
        jitter_ms: 4.0,
        rate_in_kbps: 1500.0,
        picture_expected: true,
    };

    fn after(seconds: &[Second]) -> (u8, &'static str) {
        let mut judge = Judge::default();
        let mut last = (4, "");
        for second in seconds {
            let (bars, phrase) = judge.handle_second(second, "Ben");
            last = (bars, phrase.key());
        }
        last
    }

    #[test]
    fn each_cause_is_named() {
        let bad = |change: fn(&mut Second)| {
            let mut second = GOOD;
            change(&mut second);
            after(&[second; 3])
        };
        assert_eq!(after(&[GOOD; 3]), (4, "quality.good"));
        assert_eq!(bad(|s| s.loss_in_percent = 8.0), (2, "quality.loss-in"));
        assert_eq!(bad(|s| s.loss_out_percent = 20.0), (1, "quality.loss-out"));
        assert_eq!(bad(|s| s.round_trip_ms = Some(600.0)), (2, "quality.delay"));
        assert_eq!(bad(|s| s.jitter_ms = 200.0), (1, "quality.jitter"));
        assert_eq!(bad(|s| s.rate_in_kbps = 70.0), (2, "quality.rate"));
        assert_eq!(bad(|s| s.round_trip_ms = Some(300.0)), (3, "quality.fair"));
    }

    #[test]
    fn a_low_rate_is_no_fault_without_a_picture() {
        let sound_only = Second { rate_in_kbps: 30.0, picture_expected: false, ..GOOD };
        assert_eq!(after(&[sound_only; 3]).0, 4);
    }

    #[test]
    fn one_bad_second_does_not_move_the_bars_and_two_do() {
        let bad = Second { loss_in_percent: 30.0, ..GOOD };
        assert_eq!(after(&[GOOD, GOOD, bad]).0, 4);
        assert_eq!(after(&[GOOD, GOOD, bad, bad]).0, 1);
    }

    #[test]
    fn bars_come_back_one_at_a_time() {
        let bad = Second { loss_in_percent: 30.0, ..GOOD };
        let mut seconds = vec![bad; 3];
        seconds.extend([GOOD; BETTER_SECONDS as usize - 1]);
        assert_eq!(after(&seconds).0, 1);
        seconds.push(GOOD);
        assert_eq!(after(&seconds).0, 2);
        seconds.extend([GOOD; 2 * BETTER_SECONDS as usize]);
        assert_eq!(after(&seconds).0, 4);
    }

    #[test]
    fn silence_takes_all_bars_and_the_first_packet_gives_some_back() {
        let nothing = Second { packets_in: 0, rate_in_kbps: 0.0, ..GOOD };
        assert_eq!(after(&[GOOD, nothing, nothing]), (0, "quality.nothing"));
        assert_eq!(after(&[GOOD, nothing, nothing, GOOD]).0, 2);
    }
}
