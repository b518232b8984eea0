//! The table, and the files: figures as JSON, a chart for each link.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::measures::Measure;
use super::{Outcome, Program, charts};
use crate::bench::figures::percentile;
use crate::run;

/// `bench` in cargo's target directory.
///
/// # Errors
/// When cargo cannot describe the workspace.
pub fn folder() -> anyhow::Result<PathBuf> {
    run::built("bench")
}

/// A Markdown table: a row for each figure of each link.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from("| link | figure | ours | Chromium | goal | |\n|---|---|---:|---:|---|---|\n");
    for outcome in outcomes {
        for measure in outcome.measures() {
            let nothing = if outcome.left_out.contains_key(&measure) { "left out" } else { "-" };
            let cell = |program| {
                let value = outcome.median(program, measure);
                value.map_or(nothing.to_owned(), |value| format!("{value:.*}", measure.digits()))
            };
            let ours = outcome.median(Program::Ours, measure).unwrap_or(f64::NAN);
            let (goal, verdict) = outcome.profile.goal(measure).verdict(ours);
            let (ours, chromium) = (cell(Program::Ours), cell(Program::Chromium));
            let (link, name) = (outcome.profile.name, measure.name());
            text.push_str(&format!("| {link} | {name} | {ours} | {chromium} | {goal} | {verdict} |\n"));
        }
    }
    text
}

/// Writes the figures (`STEM.json`) and the charts (`STEM-LINK.svg`).
///
/// # Errors
/// When they cannot be written.
pub fn write(outcomes: &[Outcome], stem: &str) -> anyhow::Result<()> {
    let folder = folder()?;
    std::fs::create_dir_all(&folder)?;
    let profiles: Vec<Value> = outcomes.iter().map(to_json).collect();
    let all = json!({ "profiles": profiles });
    std::fs::write(folder.join(format!("{stem}.json")), serde_json::to_string_pretty(&all)?)?;
    for outcome in outcomes {
        let name = outcome.profile.name;
        std::fs::write(folder.join(format!("{stem}-{name}.svg")), charts::draw(outcome, 0))?;
        if outcome.profile.is_lopsided() {
            std::fs::write(folder.join(format!("{stem}-{name}-back.svg")), charts::draw(outcome, 1))?;
        }
    }
    Ok(())
}

/// Writes what the ends of a call said in each second (statistics and changes, not each picture), a line an event:
/// `net-LINK-CALL-END.jsonl`, for whoever asks why a figure is what it is.
///
/// # Errors
/// When it cannot be written.
pub fn keep_lines(link: &str, call: usize, ends: &[&[Value]]) -> anyhow::Result<()> {
    let folder = folder()?;
    std::fs::create_dir_all(&folder)?;
    for (end, lines) in ends.iter().enumerate() {
        let each_picture = |line: &&Value| !matches!(line["event"].as_str(), Some("captured" | "shown"));
        let text: String = lines.iter().filter(each_picture).map(|line| format!("{line}\n")).collect();
        std::fs::write(folder.join(format!("net-{link}-{call}-{end}.jsonl")), text)?;
    }
    Ok(())
}

impl Outcome {
    /// Every measure that a run has, or a goal names (what is missing then was not reached), or that had to be left out.
    fn measures(&self) -> BTreeSet<Measure> {
        let runs = self.runs.values().flatten().flat_map(|(_, figures)| figures.keys().copied());
        let goals = self.profile.goals.iter().map(|(measure, _)| *measure);
        runs.chain(goals).chain(self.left_out.keys().copied()).collect()
    }

    /// Over the repeats in which it has a value.
    pub fn median(&self, program: Program, measure: Measure) -> Option<f64> {
        let runs = self.runs.get(&program).into_iter().flatten();
        let values: Vec<f64> = runs.filter_map(|(_, figures)| figures.get(&measure).copied()).collect();
        (!values.is_empty()).then(|| percentile(&values, 0.5))
    }
}

fn to_json(outcome: &Outcome) -> Value {
    let row = |measure: Measure| {
        let goal = outcome.profile.goal(measure).to_json();
        let each = |program| {
            let runs = outcome.runs.get(&program).into_iter().flatten();
            let values: Vec<Option<f64>> = runs.map(|(_, figures)| figures.get(&measure).copied()).collect();
            json!({ "median": outcome.median(program, measure), "runs": values })
        };
        let (ours, chromium) = (each(Program::Ours), each(Program::Chromium));
        let mut row = json!({ "name": measure.name(), "ours": ours, "chromium": chromium, "goal": goal });
        if let Some(why) = outcome.left_out.get(&measure) {
            row["left_out"] = json!(why);
        }
        row
    };
    let figures: Vec<Value> = outcome.measures().into_iter().map(row).collect();
    let heights: serde_json::Map<String, Value> = outcome
        .runs
        .iter()
        .map(|(program, runs)| (program.name().to_owned(), heights(runs.first().map(|(run, _)| run))))
        .collect();
    json!({
        "link": outcome.profile.name,
        "about": outcome.profile.about,
        "seconds": outcome.seconds,
        "figures": figures,
        "heights": heights,
    })
}

/// When the picture's height changed in the first run, for each end: pairs of seconds and rows.
fn heights(run: Option<&super::Run>) -> Value {
    let ends = run.into_iter().flat_map(|run| run.calls.iter().flatten());
    let changes = ends.map(|end| {
        let mut changes: Vec<(f64, u32)> = Vec::new();
        for shown in &end.shown {
            if changes.last().is_none_or(|(_, height)| *height != shown.height) {
                changes.push((shown.at, shown.height));
            }
        }
        changes
    });
    json!(changes.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::bench::net::Run;
    use crate::bench::net::profiles::ALL;

    #[test]
    fn the_two_stand_side_by_side_and_a_goal_that_was_never_reached_is_missed() {
        let profile = ALL.iter().find(|profile| profile.name == "start20").unwrap();
        let run = |value| (Run::default(), BTreeMap::from([(Measure::Cpu, value)]));
        let runs = BTreeMap::from([
            (Program::Ours, vec![run(9.0), run(11.0), run(10.0)]),
            (Program::Chromium, vec![run(30.0)]),
        ]);
        let outcome = Outcome { profile, seconds: 30, runs, left_out: BTreeMap::new() };
        let text = table(std::slice::from_ref(&outcome));
        assert!(text.contains("| start20 | processor seconds a minute | 10.0 | 30.0 |  |  |"), "{text}");
        assert!(text.contains("| start20 | until 720p, s | - | - | < 3 | MISSED |"), "{text}");
        let figures = to_json(&outcome)["figures"].as_array().cloned().unwrap_or_default();
        let cpu = figures.iter().find(|figure| figure["name"] == Measure::Cpu.name()).unwrap();
        assert_eq!(cpu["ours"]["median"], 10.0);
    }

    #[test]
    fn what_cannot_be_measured_here_is_said_with_its_reason() {
        let profile = ALL.iter().find(|profile| profile.name == "loss30").unwrap();
        let left_out = BTreeMap::from([(Measure::Pesq, "python3 is not there".to_owned())]);
        let outcome = Outcome { profile, seconds: 45, runs: BTreeMap::new(), left_out };
        let text = table(std::slice::from_ref(&outcome));
        assert!(text.contains("| loss30 | PESQ (wideband) | left out | left out |  |  |"), "{text}");
        assert_eq!(to_json(&outcome)["figures"][0]["left_out"], "python3 is not there");
    }
}
