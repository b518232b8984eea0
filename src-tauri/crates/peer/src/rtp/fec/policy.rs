//! How much repair a group of packets gets.

use super::code::MOST_REPAIRS;
use std::time::Duration;

/// Below this round trip what is sent again comes in time.
const FAR: Duration = Duration::from_millis(30);
/// Below this share of lost packets, repair packets would cost more than they mend.
const LOSSY: f64 = 0.01;

/// Round trip at and below which [`BEARABLE_NEAR`] holds.
const NEAR: Duration = Duration::from_millis(50);
/// Groups that may stay incomplete where there is room for repair packets, near and far.
const BEARABLE_NEAR: f64 = 0.01;
const BEARABLE_FAR: f64 = 0.001;
/// The same where repair packets take room from the picture.
const BEARABLE_TIGHT: f64 = 0.05;

/// What the way to the other side is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Path {
    pub(crate) rtt: Duration,
    /// Share of our packets that the path loses by itself, 0 to 1.
    pub(crate) loss: f64,
    /// The path takes more than the encoders can use.
    pub(crate) roomy: bool,
}

impl Path {
    /// Whether retransmission alone is late.
    pub(super) fn needs_repair(&self) -> bool {
        self.rtt >= FAR && self.loss >= LOSSY
    }

    /// Repair packets for a group of so many source packets; 0: too few to pay for one.
    ///
    /// As many as leave only few groups incomplete, within a share of the group: a half of what is free anyway, but no more
    /// than a fifth of what the picture would lose for it.
    pub(super) fn repairs(&self, packets: usize) -> usize {
        let (share, bearable) = if self.roomy { (0.5, self.bearable()) } else { (0.2, BEARABLE_TIGHT) };
        let most = ((packets as f64 * share) as usize).min(MOST_REPAIRS);
        (1..=most).find(|repairs| incomplete(packets, *repairs, self.loss) <= bearable).unwrap_or(most)
    }

    /// The share of groups that may stay incomplete. What is sent again instead comes too late by a round trip: the longer
    /// it is, the fewer such stops are borne, and the longer each is.
    fn bearable(&self) -> f64 {
        let times = NEAR.as_secs_f64() / self.rtt.as_secs_f64().max(0.001);
        (BEARABLE_NEAR * times * times).clamp(BEARABLE_FAR, BEARABLE_NEAR)
    }
}

/// About the share of groups that stay incomplete. Any two losses come back, of more those whose equations happen to be
/// independent, as those of a random code are.
fn incomplete(packets: usize, repairs: usize, loss: f64) -> f64 {
    let loss = loss.clamp(0.0, 0.9);
    let count = packets + repairs;
    let mut exactly = (1.0 - loss).powi(count as i32);
    let mut sum = 0.0;
    for lost in 1..=count {
        exactly *= (count + 1 - lost) as f64 / lost as f64 * loss / (1.0 - loss);
        sum += exactly
            * match lost {
                _ if lost > repairs => 1.0,
                1 | 2 => 0.0,
                _ => 0.5_f64.powi((repairs + 1 - lost) as i32),
            };
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(loss: f64, roomy: bool) -> Path {
        Path { rtt: Duration::from_millis(50), loss, roomy }
    }

    #[test]
    fn near_and_clean_paths_get_none() {
        assert!(path(0.05, true).needs_repair());
        assert!(!path(0.002, true).needs_repair());
        assert!(!Path { rtt: Duration::from_millis(8), ..path(0.2, true) }.needs_repair());
    }

    #[test]
    fn the_share_of_incomplete_groups_is_about_what_the_code_leaves() {
        // 1 - 0.95^10 - 10 * 0.05 * 0.95^9
        assert!((incomplete(9, 1, 0.05) - 0.0861).abs() < 1e-4);
        // As simulated for `code`, of all groups.
        for (packets, repairs, loss, simulated) in [(10, 4, 0.1, 0.045), (9, 3, 0.05, 0.017), (24, 12, 0.15, 0.014)] {
            let found = incomplete(packets, repairs, loss);
            assert!((0.5..2.0).contains(&(found / simulated)), "{packets} {repairs}: {found}");
        }
        assert!((incomplete(10, 0, 0.9) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn more_loss_gets_more_repair_up_to_a_share() {
        let roomy: Vec<usize> = [0.01, 0.05, 0.1, 0.2, 0.5].map(|loss| path(loss, true).repairs(10)).to_vec();
        assert_eq!(roomy, [1, 4, 5, 5, 5]);
        let far = Path { rtt: Duration::from_millis(200), ..path(0.02, true) };
        assert!(far.repairs(10) > path(0.02, true).repairs(10));
        let tight: Vec<usize> = [0.01, 0.05, 0.1, 0.2, 0.5].map(|loss| path(loss, false).repairs(10)).to_vec();
        assert_eq!(tight, [1, 2, 2, 2, 2]);
        assert_eq!(path(0.1, false).repairs(4), 0);
        assert_eq!(path(0.1, true).repairs(1), 0);
    }
}
