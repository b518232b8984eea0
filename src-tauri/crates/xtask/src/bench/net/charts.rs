//! What is drawn of a link: rates beside the capacity, the queue, and the picture's height.

use std::time::Duration;

use ahoy_testkit::link::LinkProfile;

use super::profiles::Traffic;
use super::svg::{Panel, Series, Style, chart};
use super::{Outcome, Program, Run};
use crate::bench::records::Flow;

/// Seconds that a point of a chart stands for.
const STEP: f64 = 0.5;
const CAPACITY: &str = "#999";

/// The first run of each program: direction 0 is from host 0 (the caller) to 1, direction 1 is back.
pub fn draw(outcome: &Outcome, direction: usize) -> String {
    let seconds = outcome.seconds as f64;
    let runs = || outcome.runs.iter().filter_map(|(program, runs)| Some((*program, &runs.first()?.0)));
    let way = if direction == 0 { "there" } else { "back" };
    let mut rates = Vec::new();
    let mut queues = Vec::new();
    let mut heights = Vec::new();
    for (program, run) in runs() {
        let record = &run.records[direction];
        let over_time = |values: Vec<f64>| (0..).map(|place| (f64::from(place) + 0.5) * STEP).zip(values).collect();
        let mut rate = |name: String, style, wanted: &dyn Fn(Flow) -> bool, kind: usize| {
            let points = over_time(record.rates(STEP, seconds, wanted).iter().map(|rates| rates[kind]).collect());
            rates.push(Series { name, colour: colour(program), style, points });
        };
        rate(format!("{} sent", program.name()), Style::Faint, &Flow::is_media, 0);
        rate(format!("{} received", program.name()), Style::Line, &Flow::is_media, 1);
        if matches!(outcome.profile.traffic, Traffic::CallAndTcp(..)) {
            rate(format!("TCP beside {}", program.name()), Style::Dotted, &|flow| !flow.is_media(), 1);
        }
        let line =
            |points| Series { name: program.name().to_owned(), colour: colour(program), style: Style::Line, points };
        queues.push(line(over_time(record.longest_waits(STEP, seconds))));
        heights.push(Series { style: Style::Step, ..line(heights_of(run, direction, seconds)) });
    }
    let links = outcome.profile.links(0);
    let most = rates.iter().flat_map(|series| &series.points).map(|(_, rate)| *rate).fold(100.0, f64::max);
    rates.insert(0, capacity(&links[direction], seconds, 1.2 * most));
    let panel = |title: &str, series, at_least| Panel { title: title.to_owned(), series, at_least };
    let panels = [
        panel("rate, kbps", rates, 0.0),
        panel("longest wait in the queue, ms", queues, 50.0),
        panel("picture's height, rows", heights, 720.0),
    ];
    chart(&format!("{} ({}), {way}", outcome.profile.name, outcome.profile.about), &panels, seconds)
}

fn colour(program: Program) -> &'static str {
    match program {
        Program::Ours => "#1668c7",
        Program::Chromium => "#d9731a",
    }
}

/// A capacity far above what is sent would make everything else flat, so it is cut at `most`.
fn capacity(link: &LinkProfile, seconds: f64, most: f64) -> Series {
    let mut at = Some(Duration::ZERO);
    let mut points = Vec::new();
    while let Some(time) = at.filter(|time| time.as_secs_f64() < seconds) {
        points.extend(link.capacity.at(time).map(|bits| (time.as_secs_f64(), (bits as f64 / 1000.0).min(most))));
        at = link.capacity.next_change(time);
    }
    points.extend(points.last().map(|(_, last)| (seconds, *last)));
    Series { name: "capacity".to_owned(), colour: CAPACITY, style: Style::Step, points }
}

/// Heights at the receiving end of the first call, where they change.
fn heights_of(run: &Run, direction: usize, seconds: f64) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for shown in run.calls.first().into_iter().flat_map(|ends| &ends[1 - direction].shown) {
        let height = f64::from(shown.height);
        if shown.at < seconds && points.last().is_none_or(|(_, last)| *last != height) {
            points.push((shown.at, height));
        }
    }
    points.extend(points.last().map(|(_, last)| (seconds, *last)));
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_capacity_is_drawn_to_the_end_and_cut_where_it_dwarfs_the_rest() {
        let mut link = LinkProfile::new(Some(1_000_000), Duration::ZERO);
        link.capacity = link.capacity.then(Duration::from_secs(10), Some(9_000_000));
        assert_eq!(capacity(&link, 20.0, 3000.0).points, [(0.0, 1000.0), (10.0, 3000.0), (20.0, 3000.0)]);
        assert!(capacity(&LinkProfile::new(None, Duration::ZERO), 20.0, 3000.0).points.is_empty());
    }
}
