//! When a picture stands still.

/// Stand-stills of a picture over a call.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Freezes {
    /// How many.
    pub count: usize,
    /// Together, in the unit of the times.
    pub total: f64,
    /// The longest gap between two pictures, freeze or not.
    pub longest: f64,
}

/// Gaps over max(3 x average, average + 150 ms), the average over the last 30 gaps (webrtc-stats, `freezeCount`).
/// `times` in milliseconds.
pub fn freezes(times: &[f64]) -> Freezes {
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mut found = Freezes::default();
    for (place, gap) in gaps.iter().enumerate() {
        let last = &gaps[place.saturating_sub(30)..place];
        let average = last.iter().sum::<f64>() / last.len().max(1) as f64;
        if !last.is_empty() && *gap > (3.0 * average).max(average + 150.0) {
            found.count += 1;
            found.total += gap;
        }
        found.longest = found.longest.max(*gap);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_of_half_a_second_among_thirtieths_is_one_freeze() {
        let mut times: Vec<f64> = (0..60).map(|number| f64::from(number) * 33.3).collect();
        times.extend((0..60).map(|number| 60.0 * 33.3 + 500.0 + f64::from(number) * 33.3));
        let found = freezes(&times);
        assert_eq!(found.count, 1);
        assert!((found.total - 533.3).abs() < 1.0 && found.longest == found.total, "{found:?}");
    }

    #[test]
    fn an_even_flow_has_no_freeze() {
        let times: Vec<f64> = (0..300).map(|number| f64::from(number) * 33.3).collect();
        let found = freezes(&times);
        assert_eq!((found.count, found.total), (0, 0.0));
    }
}
