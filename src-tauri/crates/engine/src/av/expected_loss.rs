//! How much of our sound is expected to get lost, so that it carries what makes up for that.

/// Before anything was measured: what is lost in a call's first seconds should be heard too.
const FIRST: u8 = 10;
/// Percentage points forgotten a second: a report of one second speaks of some fifty packets of sound, and none of them lost
/// does not mean that none will be.
const FORGOTTEN: u8 = 2;

/// Follows the other side's reports: up at once, down slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ExpectedLoss(u8);

impl ExpectedLoss {
    /// What a new connection is expected to lose.
    pub const fn new() -> Self {
        Self(FIRST)
    }

    /// In percent.
    pub const fn percent(self) -> u8 {
        self.0
    }

    /// So much was lost in the last second, percent.
    pub fn handle_second(&mut self, measured: u8) {
        self.0 = self.0.saturating_sub(FORGOTTEN).max(measured.min(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_at_once_and_falls_slowly_also_from_the_beginning() {
        let mut loss = ExpectedLoss::new();
        let mut follow = |measured: u8| {
            loss.handle_second(measured);
            loss.percent()
        };
        assert_eq!([0, 0, 20, 4, 0, 18].map(&mut follow), [8, 6, 20, 18, 16, 18]);
        for _ in 0..50 {
            follow(0);
        }
        assert_eq!(follow(0), 0);
        assert_eq!(follow(250), 100);
    }
}
