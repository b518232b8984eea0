//! Quantities with their units in the type.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A rate of data, in bits per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bitrate(u64);

impl Bitrate {
    /// Nothing at all.
    pub const ZERO: Self = Self(0);

    /// From bits per second.
    pub const fn bps(bits: u64) -> Self {
        Self(bits)
    }

    /// From kilobits (1,000 bits) per second.
    pub const fn kbps(kilobits: u64) -> Self {
        Self(kilobits.saturating_mul(1_000))
    }

    /// Bits per second.
    pub const fn as_bps(self) -> u64 {
        self.0
    }

    /// Kilobits (1,000 bits) per second, rounded down.
    pub const fn as_kbps(self) -> u64 {
        self.0 / 1_000
    }

    /// What `bytes` sent over `time` amount to; zero for no time.
    pub fn of(bytes: u64, time: Duration) -> Self {
        let micros = time.as_micros();
        if micros == 0 {
            return Self::ZERO;
        }
        Self(u64::try_from(u128::from(bytes) * 8_000_000 / micros).unwrap_or(u64::MAX))
    }

    /// The bytes that pass in `time`, rounded down.
    pub fn bytes_in(self, time: Duration) -> u64 {
        u64::try_from(u128::from(self.0) * time.as_micros() / 8_000_000).unwrap_or(u64::MAX)
    }

    /// Scaled by a factor; negative and undefined factors give zero.
    pub fn scaled(self, factor: f64) -> Self {
        Self((self.0 as f64 * factor.max(0.0)) as u64)
    }
}

impl Add for Bitrate {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Bitrate {
    type Output = Self;
    /// Never below zero.
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Bitrate {
    fn sum<I: Iterator<Item = Self>>(rates: I) -> Self {
        rates.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1_000_000 {
            write!(f, "{} kbps", self.as_kbps())
        } else {
            write!(f, "{:.1} Mbps", self.0 as f64 / 1e6)
        }
    }
}

/// Pictures per second, held in thousandths so that 29.97 can be told from 30.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FrameRate(u32);

impl FrameRate {
    /// Whole pictures per second; zero becomes one per 1,000 seconds, so that an interval always exists.
    pub const fn fps(frames: u32) -> Self {
        let milli = frames.saturating_mul(1_000);
        Self(if milli == 0 { 1 } else { milli })
    }

    /// From a ratio, as device lists and file headers give it; `None` when either half is zero.
    pub fn ratio(numerator: u32, denominator: u32) -> Option<Self> {
        let milli = (u64::from(numerator) * 1_000).checked_div(u64::from(denominator))?;
        match u32::try_from(milli) {
            Ok(0) | Err(_) => None,
            Ok(milli) => Some(Self(milli)),
        }
    }

    /// Pictures per second.
    pub fn as_f32(self) -> f32 {
        self.0 as f32 / 1_000.0
    }

    /// The time between two pictures.
    pub fn interval(self) -> Duration {
        Duration::from_nanos(1_000_000_000_000 / u64::from(self.0.max(1)))
    }
}

impl Default for FrameRate {
    fn default() -> Self {
        Self::fps(30)
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fps", self.as_f32())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_at_80_kbps_is_10_000_bytes_and_back() {
        let rate = Bitrate::kbps(80);
        assert_eq!(rate.bytes_in(Duration::from_secs(1)), 10_000);
        assert_eq!(Bitrate::of(10_000, Duration::from_secs(1)), rate);
        assert_eq!(Bitrate::of(10_000, Duration::ZERO), Bitrate::ZERO);
        assert_eq!(Bitrate::kbps(1) - rate, Bitrate::ZERO);
    }

    #[test]
    fn a_frame_rate_always_has_an_interval() {
        assert_eq!(FrameRate::fps(30).interval(), Duration::from_nanos(33_333_333));
        assert!(FrameRate::fps(0).interval() <= Duration::from_secs(1_000));
        assert_eq!(FrameRate::ratio(30_000, 1_001).map(|rate| rate.0), Some(29_970));
        assert_eq!(FrameRate::ratio(30, 0), None);
    }
}
