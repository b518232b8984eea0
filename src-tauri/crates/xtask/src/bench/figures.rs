//! What was measured, and what it should be.

use serde_json::{Value, json};

/// One measured figure.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Part of the bench.
    pub part: &'static str,
    /// What it is, with its unit.
    pub name: String,
    /// Measured.
    pub value: f64,
    /// What it should be.
    pub goal: Goal,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Below this.
    Below(f64),
    /// At least this.
    AtLeast(f64),
    /// For comparison only.
    None,
}

impl Figure {
    /// A figure with its goal.
    pub fn new(part: &'static str, name: impl Into<String>, value: f64, goal: Goal) -> Self {
        Self { part, name: name.into(), value, goal }
    }

    /// For the file beside the table.
    pub fn to_json(&self) -> Value {
        let goal = match self.goal {
            Goal::Below(limit) => json!({ "below": limit }),
            Goal::AtLeast(limit) => json!({ "at_least": limit }),
            Goal::None => Value::Null,
        };
        json!({ "part": self.part, "name": self.name, "value": self.value, "goal": goal })
    }
}

impl Goal {
    /// The goal in words, and whether a value reaches it.
    pub fn verdict(self, value: f64) -> (String, &'static str) {
        let mark = |reached| if reached { "reached" } else { "MISSED" };
        match self {
            Self::Below(limit) => (format!("< {limit}"), mark(value < limit)),
            Self::AtLeast(limit) => (format!(">= {limit}"), mark(value >= limit)),
            Self::None => (String::new(), ""),
        }
    }
}

/// A Markdown table.
pub fn table(figures: &[Figure]) -> String {
    let mut text = String::from("| part | figure | measured | goal | |\n|---|---|---:|---|---|\n");
    for figure in figures {
        let (goal, verdict) = figure.goal.verdict(figure.value);
        text.push_str(&format!("| {} | {} | {:.1} | {goal} | {verdict} |\n", figure.part, figure.name, figure.value));
    }
    text
}

/// The value that `share` (0 to 1) of the sorted values do not exceed (nearest rank). NaN when there are none.
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 0.5), 10.0);
        assert_eq!(percentile(&values, 0.95), 19.0);
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn a_missed_goal_is_said() {
        let missed = Figure::new("call", "latency, ms", 41.0, Goal::Below(40.0));
        assert!(table(&[missed]).contains("MISSED"));
    }
}
