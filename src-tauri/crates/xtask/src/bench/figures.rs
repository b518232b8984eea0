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
    /// It was not measured, and why.
    LeftOut(&'static str),
}

impl Figure {
    /// A figure with its goal.
    pub fn new(part: &'static str, name: impl Into<String>, value: f64, goal: Goal) -> Self {
        Self { part, name: name.into(), value, goal }
    }

    /// A part that was not measured: it stands in the table, so that nobody takes its absence for success.
    pub fn left_out(part: &'static str, name: impl Into<String>, why: &'static str) -> Self {
        Self { part, name: name.into(), value: f64::NAN, goal: Goal::LeftOut(why) }
    }

    /// Whether there is a goal and it was not reached.
    pub fn is_missed(&self) -> bool {
        self.goal.is_missed_by(self.value)
    }

    /// For the file beside the table.
    pub fn to_json(&self) -> Value {
        json!({ "part": self.part, "name": self.name, "value": self.value, "goal": self.goal.to_json() })
    }
}

impl Goal {
    /// The goal in words, and whether a value reaches it.
    pub fn verdict(self, value: f64) -> (String, String) {
        let mark = if self.is_missed_by(value) { "MISSED" } else { "reached" }.to_owned();
        match self {
            Self::Below(limit) => (format!("< {limit}"), mark),
            Self::AtLeast(limit) => (format!(">= {limit}"), mark),
            Self::None => (String::new(), String::new()),
            Self::LeftOut(why) => (String::new(), format!("left out: {why}")),
        }
    }

    /// For the file beside the table.
    pub fn to_json(self) -> Value {
        match self {
            Self::Below(limit) => json!({ "below": limit }),
            Self::AtLeast(limit) => json!({ "at_least": limit }),
            Self::None => Value::Null,
            Self::LeftOut(why) => json!({ "left_out": why }),
        }
    }

    /// Whether there is a goal that this value, or the lack of one, does not reach.
    fn is_missed_by(self, value: f64) -> bool {
        match self {
            Self::Below(limit) => value.is_nan() || value >= limit,
            Self::AtLeast(limit) => value.is_nan() || value < limit,
            Self::None | Self::LeftOut(_) => false,
        }
    }
}

/// A Markdown table, and a line about the goals.
pub fn table(figures: &[Figure]) -> String {
    let mut text = String::from("| part | figure | measured | goal | |\n|---|---|---:|---|---|\n");
    for figure in figures {
        let (goal, verdict) = figure.goal.verdict(figure.value);
        let value =
            if matches!(figure.goal, Goal::LeftOut(_)) { String::new() } else { format!("{:.1}", figure.value) };
        text.push_str(&format!("| {} | {} | {value} | {goal} | {verdict} |\n", figure.part, figure.name));
    }
    let with_goal = figures.iter().filter(|figure| matches!(figure.goal, Goal::Below(_) | Goal::AtLeast(_))).count();
    let missed = figures.iter().filter(|figure| figure.is_missed()).count();
    let left_out = figures.iter().filter(|figure| matches!(figure.goal, Goal::LeftOut(_))).count();
    text + &format!("\n{} of {with_goal} goals reached, {left_out} parts left out.\n", with_goal - missed)
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
        let unknown = Figure::new("call", "latency, ms", f64::NAN, Goal::Below(40.0));
        let left_out = Figure::left_out("far", "everything", "it needs root");
        let reached = Figure::new("call", "pictures a second", 30.0, Goal::AtLeast(29.5));
        let text = table(&[missed, unknown, left_out, reached]);
        assert_eq!(text.matches("MISSED").count(), 2, "{text}");
        assert!(text.contains("left out: it needs root"), "{text}");
        assert!(text.ends_with("1 of 3 goals reached, 1 parts left out.\n"), "{text}");
    }
}
