//! Holds the codec to its rate.
//!
//! The codec's own control reckons with pictures that are equally hard everywhere. Of somebody who moves before a still
//! wall it makes a tenth to a quarter less than it may. So what comes out is counted, and the codec is asked for more, or
//! less, until it is right.

use crate::units::{Bitrate, FrameRate};

/// Pictures between two corrections: a third of a second, which is about what the codec takes to follow.
const PICTURES: u32 = 10;
/// What the codec is asked for lies between these shares of the target.
const BOUNDS: (f64, f64) = (0.85, 1.6);
/// At such a quantiser nothing is gained by more bits.
const FINE_ENOUGH: u8 = 16;

/// The correction, and what it is reckoned from.
#[derive(Debug)]
pub(super) struct Hold {
    factor: f64,
    pictures: u32,
    bits: f64,
}

impl Hold {
    pub fn new() -> Self {
        Self { factor: 1.0, pictures: 0, bits: 0.0 }
    }

    /// What to ask the codec for.
    pub fn ask(&self, target: Bitrate) -> Bitrate {
        target.scaled(self.factor)
    }

    /// The target or the size changed: what was counted belongs to the old one.
    pub fn restart(&mut self) {
        (self.pictures, self.bits) = (0, 0.0);
    }

    /// A picture that stands on others came out. Says whether to ask anew.
    pub fn handle(&mut self, bytes: usize, qp: Option<u8>, target: Bitrate, frame_rate: FrameRate) -> bool {
        self.pictures += 1;
        self.bits += bytes as f64 * 8.0;
        if self.pictures < PICTURES {
            return false;
        }
        let seconds = frame_rate.interval().as_secs_f64() * f64::from(self.pictures);
        let share = self.bits / seconds / (target.as_bps() as f64).max(1.0);
        self.restart();
        let saturated = share < 1.0 && qp.is_some_and(|qp| qp <= FINE_ENOUGH);
        // Half of the error at a time: the codec works against it as well.
        let wanted = if saturated { 1.0 } else { self.factor / share.clamp(0.5, 2.0).sqrt() };
        let wanted = wanted.clamp(BOUNDS.0, BOUNDS.1);
        let changed = (wanted / self.factor - 1.0).abs() > 0.015;
        if changed {
            self.factor = wanted;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Bitrate = Bitrate::kbps(600);

    /// The share of the target that a codec makes in the end which makes `habit` of what it is asked for.
    fn settled(habit: f64, qp: u8) -> f64 {
        let mut hold = Hold::new();
        for _ in 0..300 {
            let bytes = hold.ask(TARGET).as_bps() as f64 * habit / 30.0 / 8.0;
            hold.handle(bytes as usize, Some(qp), TARGET, FrameRate::fps(30));
        }
        hold.ask(TARGET).as_bps() as f64 * habit / TARGET.as_bps() as f64
    }

    #[test]
    fn a_codec_that_makes_too_little_or_too_much_is_held_to_its_target() {
        for habit in [0.75, 0.9, 1.0, 1.1] {
            assert!((settled(habit, 30) - 1.0).abs() < 0.05, "{habit}: {}", settled(habit, 30));
        }
    }

    #[test]
    fn nobody_asks_without_end_and_nobody_for_more_than_can_be_seen() {
        assert!(settled(0.1, 30) < 0.17);
        assert!((settled(0.1, 12) - 0.1).abs() < 0.01);
    }
}
