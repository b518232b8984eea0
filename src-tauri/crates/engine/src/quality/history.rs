//! The call's last minutes, for its chart.

use std::collections::VecDeque;

use crate::api::QualityPoint;

/// Ten minutes; older seconds go. About 100 bytes each.
const SECONDS: usize = 600;

/// One point a second.
#[derive(Debug, Default)]
pub(crate) struct History {
    points: VecDeque<QualityPoint>,
}

impl History {
    /// Takes in the newest second.
    pub fn push(&mut self, point: QualityPoint) {
        if self.points.len() >= SECONDS {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }

    /// What ended after this Unix time in ms, oldest first.
    pub fn after(&self, at_ms: u64) -> Vec<QualityPoint> {
        self.points.iter().filter(|point| point.at_ms > at_ms).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_leaves_its_last_ten_minutes() {
        let mut history = History::default();
        for second in 1..=3_600 {
            history.push(QualityPoint { at_ms: second * 1_000, ..QualityPoint::default() });
        }
        let all = history.after(0);
        assert_eq!((all.len(), all[0].at_ms, all[599].at_ms), (600, 3_001_000, 3_600_000));
    }

    #[test]
    fn who_has_seen_some_gets_only_what_is_new() {
        let mut history = History::default();
        for at_ms in [1_000, 2_000, 3_000] {
            history.push(QualityPoint { at_ms, ..QualityPoint::default() });
        }
        let times = |after| history.after(after).iter().map(|point| point.at_ms).collect::<Vec<_>>();
        assert_eq!((times(1_000), times(3_000)), (vec![2_000, 3_000], vec![]));
    }
}
