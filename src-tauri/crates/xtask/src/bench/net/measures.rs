//! The figures that follow from what a run saw.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use ahoy_testkit::link::LinkProfile;

use super::profiles::{Profile, Span, Traffic};
use super::seen::{End, Run, Shown, Sound};
use crate::bench::figures::percentile;
use crate::bench::freezes::{Freezes, freezes};
use crate::bench::records::{Flow, LinkRecord};

/// Rates, latencies and queues count from here on, seconds: the start has its own figure.
const WARM_UP: f64 = 5.0;
/// So many seconds a call that paused has to come to its share again.
const AGAIN: f64 = 10.0;
/// So many seconds a call has to find the capacity that came back.
const FOUND: f64 = 5.0;
/// A picture moves again when so many are shown within a second.
const MOVING: usize = 15;

/// A figure. Where there are two directions or ends, their mean; where there are two calls, the mean of all ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Delivered media in % of what the link could carry.
    CapacityUsed,
    /// The same from 5 s after the capacity came back on.
    RiseUsed,
    /// Rate that came to the link, each call each way, kbps, IP headers included.
    Sent,
    /// Rate that came out of it.
    Received,
    /// Pictures decoded a second.
    Pictures,
    /// Freezes by W3C's definition, in the whole time.
    Freezes,
    /// Seconds of them together.
    Frozen,
    /// The longest time without a new picture after the first one, seconds, to the end of the measured time.
    LongestStop,
    /// From the picture at the camera to the decoded picture, ms.
    LatencyP50,
    /// The same, 95th percentile.
    LatencyP95,
    /// Where the capacity fell and came back, seconds from then until 15 pictures a second are shown.
    PictureBack,
    /// Likeness of a picture a second to the one drawn, scaled to its size: mean SSIM of luma, 1 for equal.
    Ssim,
    /// How much later the picture is than its sound (negative: earlier), ms; 5th percentile.
    SyncP5,
    /// The same, 95th percentile.
    SyncP95,
    /// A packet's waiting time for the bottleneck, ms.
    QueueP50,
    /// The same, 95th percentile.
    QueueP95,
    /// Packets that found no room in the queue, %.
    Dropped,
    /// Sound that was invented and not silence, % of what was played.
    Concealed,
    /// Sound that was lost and rebuilt from what other packets carried of it (FEC, DRED), % of what was played.
    Rebuilt,
    /// PESQ (ITU-T P.862.2) of recorded speech as it was heard, 1 to 4.6.
    Pesq,
    /// Seconds from the first media packet to the first picture of 720 rows.
    Until720,
    /// Mean rows of the pictures shown, by time.
    Height,
    /// Processor seconds a minute of one end.
    Cpu,
    /// Memory of one end (proportional set size), MB.
    Memory,
    /// Time in which the processor held the picture back, % (`qualityLimitationDurations`): a check on the bench, as a
    /// busy machine would be unfair to whoever gives way.
    HeldBack,
    /// Of the two calls' delivered bits, the smaller call's share in %; where one paused, from 10 s after it came back on.
    SmallerShare,
    /// Media delivered from host 0 to 1 while TCP is there, kbps.
    BesideTcp,
    /// TCP delivered in that time, kbps.
    Tcp,
    /// How late the emulated link itself is, 99th percentile, ms: a check on the bench.
    LinkLate,
}

impl Measure {
    /// For tables and JSON, with its unit.
    pub fn name(self) -> &'static str {
        match self {
            Self::CapacityUsed => "capacity used, %",
            Self::RiseUsed => "capacity used after the rise, %",
            Self::Sent => "sent, kbps",
            Self::Received => "received, kbps",
            Self::Pictures => "pictures a second",
            Self::Freezes => "freezes (W3C)",
            Self::Frozen => "frozen, s",
            Self::LongestStop => "longest stop, s",
            Self::LatencyP50 => "captured to decoded p50, ms",
            Self::LatencyP95 => "captured to decoded p95, ms",
            Self::PictureBack => "picture back after, s",
            Self::Ssim => "SSIM",
            Self::SyncP5 => "picture after sound p5, ms",
            Self::SyncP95 => "picture after sound p95, ms",
            Self::QueueP50 => "queue p50, ms",
            Self::QueueP95 => "queue p95, ms",
            Self::Dropped => "dropped by the queue, %",
            Self::Concealed => "sound concealed, %",
            Self::Rebuilt => "sound rebuilt, %",
            Self::Pesq => "PESQ (wideband)",
            Self::Until720 => "until 720p, s",
            Self::Height => "mean height, rows",
            Self::Cpu => "processor seconds a minute",
            Self::Memory => "memory (PSS), MB",
            Self::HeldBack => "held back by the processor, %",
            Self::SmallerShare => "smaller call's share, %",
            Self::BesideTcp => "beside TCP, kbps",
            Self::Tcp => "TCP itself, kbps",
            Self::LinkLate => "emulation late p99, ms",
        }
    }

    /// Digits behind the point that mean something.
    pub fn digits(self) -> usize {
        match self {
            Self::Sent | Self::Received | Self::BesideTcp | Self::Tcp | Self::Height => 0,
            Self::Frozen | Self::Pesq | Self::LongestStop | Self::Concealed | Self::Rebuilt | Self::Dropped => 2,
            Self::Ssim => 3,
            _ => 1,
        }
    }
}

/// The figures of a run.
pub type Figures = BTreeMap<Measure, f64>;

/// Every figure of a run that has a meaning there.
pub fn figures(run: &Run, profile: &Profile, links: &[LinkProfile; 2]) -> Figures {
    let (from, to) = (WARM_UP.min(run.seconds / 2.0), run.seconds);
    let kbps = 1.0 / 1000.0 / (to - from);
    let mut found = Figures::new();
    let mut put = |measure, value: Option<f64>| {
        if let Some(value) = value.filter(|value| !value.is_nan()) {
            found.insert(measure, value);
        }
    };
    let of_links = |figure: &dyn Fn(&LinkRecord, &LinkProfile) -> Option<f64>| {
        mean(run.records.iter().zip(links).filter_map(|(record, link)| figure(record, link)))
    };
    let calls = run.calls.len().max(1) as f64;
    if profile.is_narrow() {
        put(Measure::CapacityUsed, of_links(&|record, link| used(record, link, (from, to))));
    }
    if let Some(from) = profile.risen.map(|rise| rise as f64 + FOUND).filter(|from| *from < to) {
        put(Measure::RiseUsed, of_links(&|record, link| used(record, link, (from, to))));
    }
    put(Measure::Sent, of_links(&|record, _| Some(record.sent_bits(from, to, Flow::is_media) * kbps / calls)));
    put(Measure::Received, of_links(&|record, _| Some(record.delivered_bits(from, to, Flow::is_media) * kbps / calls)));
    for (measure, share) in [(Measure::QueueP50, 0.5), (Measure::QueueP95, 0.95)] {
        put(measure, of_links(&|record, _| Some(1000.0 * percentile(&record.waits(from, to), share))));
    }
    put(Measure::Dropped, of_links(&|record, _| Some(100.0 * record.dropped(0.0, to))));
    put(Measure::LinkLate, of_links(&|record, _| Some(record.lateness_p99_ms())));
    let ends = || run.calls.iter().flatten();
    if profile.has_picture() {
        put_pictures(run, profile, from, &mut put);
    }
    put(Measure::Concealed, mean(ends().filter_map(concealed)));
    put(Measure::Rebuilt, mean(ends().filter_map(rebuilt)));
    put(Measure::Pesq, mean(ends().filter_map(|end| end.pesq)));
    put(Measure::Cpu, mean(ends().map(|end| end.cpu * 60.0 / run.seconds)));
    put(Measure::Memory, mean(ends().map(|end| end.memory / 1e6)));
    put(Measure::HeldBack, mean(ends().filter_map(|end| Some(100.0 * end.held_back? / run.seconds))));
    match profile.traffic {
        Traffic::TwoCalls => {
            put(Measure::SmallerShare, of_links(&|record, _| smaller_share(&record.by_flow(from, to))))
        }
        Traffic::Pausing(_, on) => {
            let from = on as f64 + AGAIN;
            if from < to {
                put(Measure::SmallerShare, of_links(&|record, _| smaller_share(&record.by_flow(from, to))));
            }
        }
        Traffic::CallAndTcp(start, end) => {
            // TCP's first seconds are spent finding its rate.
            let (start, end) = (start as f64 + 5.0, (end as f64).min(run.seconds));
            let rate = |wanted: &dyn Fn(Flow) -> bool| {
                (end > start).then(|| run.records[0].delivered_bits(start, end, wanted) / 1000.0 / (end - start))
            };
            put(Measure::BesideTcp, rate(&Flow::is_media));
            put(Measure::Tcp, rate(&|flow: Flow| !flow.is_media()));
        }
        Traffic::Call | Traffic::SoundOnly => {}
    }
    found
}

fn put_pictures(run: &Run, profile: &Profile, from: f64, put: &mut impl FnMut(Measure, Option<f64>)) {
    let to = run.seconds;
    let ends = || run.calls.iter().flatten();
    // Every end with the seconds of its picture.
    let watched = |from: f64| {
        let calls = run.calls.iter().enumerate();
        calls.flat_map(move |(call, ends)| ends.iter().map(move |end| (end, profile.watched(call, (from, to)))))
    };
    let rate = |(end, spans): (&End, Vec<Span>)| {
        let pictures: usize = spans.iter().map(|(from, to)| shown(end, *from, *to).count()).sum();
        pictures as f64 / spans.iter().map(|(from, to)| to - from).sum::<f64>()
    };
    put(Measure::Pictures, mean(watched(from).map(rate)));
    let still = || watched(0.0).map(|(end, spans)| stand_stills(end, &spans));
    put(Measure::Freezes, mean(still().map(|still| still.count as f64)));
    put(Measure::Frozen, mean(still().map(|still| still.total / 1000.0)));
    put(Measure::LongestStop, still().map(|still| still.longest / 1000.0).reduce(f64::max));
    let latencies: Vec<f64> =
        run.calls.iter().flat_map(|[a, b]| [latencies(a, b, from, to), latencies(b, a, from, to)]).flatten().collect();
    put(Measure::LatencyP50, Some(1000.0 * percentile(&latencies, 0.5)));
    put(Measure::LatencyP95, Some(1000.0 * percentile(&latencies, 0.95)));
    // The later end counts: a call is good when both see well. Never is no figure.
    let until = ends().map(|end| end.shown.iter().find(|shown| shown.height >= 720).map(|shown| shown.at));
    put(Measure::Until720, until.collect::<Option<Vec<f64>>>().and_then(|all| all.into_iter().reduce(f64::max)));
    if let Some(rise) = profile.risen.map(|rise| rise as f64).filter(|rise| *rise < to) {
        let back = ends().map(|end| Some(moves_from(end, rise)? - rise)).collect::<Option<Vec<f64>>>();
        put(Measure::PictureBack, back.and_then(|all| all.into_iter().reduce(f64::max)));
    }
    put(Measure::Ssim, mean(ends().flat_map(|end| &end.likeness).filter(|(at, _)| *at >= from).map(|(_, like)| *like)));
    let apart: Vec<f64> =
        ends().flat_map(|end| &end.sound).filter(|sound| sound.at >= from).filter_map(|sound| sound.sync).collect();
    put(Measure::SyncP5, Some(percentile(&apart, 0.05)));
    put(Measure::SyncP95, Some(percentile(&apart, 0.95)));
    put(Measure::Height, mean(watched(from).filter_map(|(end, spans)| mean_height(end, &spans))));
}

/// Delivered media in % of what the link could carry; `None` where it has no limit.
fn used(record: &LinkRecord, link: &LinkProfile, (from, to): Span) -> Option<f64> {
    let could = link.could_carry(Duration::from_secs_f64(from), Duration::from_secs_f64(to))?;
    Some(100.0 * record.delivered_bits(from, to, Flow::is_media) / could as f64)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

fn shown(end: &End, from: f64, to: f64) -> impl Iterator<Item = &Shown> {
    end.shown.iter().filter(move |shown| (from..to).contains(&shown.at))
}

/// A picture that still stands at the end of a span has stood until then; none at all is one long freeze. Where the picture
/// comes back, it is waited for from then on. Milliseconds.
fn stand_stills(end: &End, spans: &[Span]) -> Freezes {
    let of_span = |(from, to): &Span| {
        let mut times: Vec<f64> = shown(end, *from, *to).map(|shown| shown.at * 1000.0).collect();
        let waited = times.first().map_or(to * 1000.0, |first| *first) - from * 1000.0;
        if times.is_empty() {
            return Freezes { count: 1, total: waited, longest: waited };
        }
        times.push(to * 1000.0);
        let Freezes { count, total, longest } = freezes(&times);
        // Before the very first picture nothing stands still.
        Freezes { count, total, longest: if *from > 0.0 { longest.max(waited) } else { longest } }
    };
    spans.iter().map(of_span).fold(Freezes::default(), |sum, span| Freezes {
        count: sum.count + span.count,
        total: sum.total + span.total,
        longest: sum.longest.max(span.longest),
    })
}

/// Seconds from capture at `sender` to decoded at `receiver`. Numbers may come again, as those of a film in a loop do:
/// the latest capture before the showing counts.
fn latencies(sender: &End, receiver: &End, from: f64, to: f64) -> Vec<f64> {
    let mut captured: HashMap<u64, Vec<f64>> = HashMap::new();
    for (at, number) in &sender.captured {
        captured.entry(*number).or_default().push(*at);
    }
    let latency = |shown: &Shown| {
        let times = captured.get(&shown.number?)?;
        times.iter().rev().find(|at| **at <= shown.at).map(|at| shown.at - at)
    };
    shown(receiver, from, to).filter_map(latency).collect()
}

/// The first showing from `from` on with which [`MOVING`] pictures within a second begin.
fn moves_from(end: &End, from: f64) -> Option<f64> {
    let times: Vec<f64> = shown(end, from, f64::INFINITY).map(|shown| shown.at).collect();
    times.windows(MOVING).find(|some| some[MOVING - 1] - some[0] < 1.0).map(|some| some[0])
}

fn mean_height(end: &End, spans: &[Span]) -> Option<f64> {
    let (mut sum, mut seconds) = (0.0, 0.0);
    for (from, to) in spans {
        let pictures: Vec<&Shown> = shown(end, *from, *to).collect();
        let ends = pictures.iter().skip(1).map(|next| next.at).chain(std::iter::once(*to));
        sum +=
            pictures.iter().zip(ends).map(|(shown, until)| f64::from(shown.height) * (until - shown.at)).sum::<f64>();
        seconds += pictures.first().map_or(0.0, |first| to - first.at);
    }
    (seconds > 0.0).then(|| sum / seconds)
}

fn concealed(end: &End) -> Option<f64> {
    share_of_played(end, |sound| Some(sound.concealed))
}

fn rebuilt(end: &End) -> Option<f64> {
    share_of_played(end, |sound| sound.rebuilt)
}

/// How much a counter of samples grew, % of the samples played.
fn share_of_played(end: &End, counter: impl Fn(&Sound) -> Option<f64>) -> Option<f64> {
    let (first, last) = (end.sound.first()?, end.sound.last()?);
    let samples = last.samples - first.samples;
    let grown = counter(last)? - counter(first)?;
    (samples > 0.0).then(|| 100.0 * grown / samples)
}

fn smaller_share(flows: &[f64]) -> Option<f64> {
    let least = flows.iter().copied().reduce(f64::min)?;
    (flows.len() > 1).then(|| 100.0 * least / flows.iter().sum::<f64>())
}

#[cfg(test)]
mod tests {
    use ahoy_testkit::link::Fate;

    use super::*;
    use crate::bench::net::profiles::ALL;
    use crate::bench::records::Passage;

    fn end(shown: &[(f64, u64)], height: u32) -> End {
        let shown = shown.iter().map(|(at, number)| Shown { at: *at, number: Some(*number), height }).collect();
        End { shown, ..End::default() }
    }

    #[test]
    fn latency_is_told_by_the_number_in_the_picture_even_when_numbers_come_again() {
        let sender = End { captured: vec![(1.0, 7), (1.1, 8), (9.0, 7), (9.1, 8)], ..End::default() };
        let receiver = end(&[(1.05, 7), (9.02, 7), (9.03, 99), (9.3, 8)], 720);
        let found = latencies(&sender, &receiver, 0.0, 10.0);
        let wanted = [0.05, 0.02, 0.2];
        assert!(found.len() == 3 && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        assert_eq!(latencies(&sender, &receiver, 9.1, 10.0).len(), 1);
    }

    #[test]
    fn a_picture_that_stops_for_good_has_stopped_until_the_end() {
        let shown: Vec<(f64, u64)> = (0..60).map(|number| (number as f64 / 30.0, number)).collect();
        let still = stand_stills(&end(&shown, 360), &[(0.0, 12.0)]);
        assert_eq!(still.count, 1);
        assert!((still.longest - 10_033.0).abs() < 1.0, "{still:?}");
        assert_eq!(mean_height(&end(&shown, 360), &[(0.0, 12.0)]), Some(360.0));
        let nothing = Freezes { count: 1, total: 12_000.0, longest: 12_000.0 };
        assert_eq!(stand_stills(&End::default(), &[(0.0, 12.0)]), nothing);
    }

    #[test]
    fn a_pause_is_no_stop_but_coming_back_late_is() {
        let pictures =
            |from: f64, to: f64| (0..).map(move |n| from + f64::from(n) / 30.0).take_while(move |at| *at < to);
        let shown: Vec<(f64, u64)> = pictures(0.0, 4.05).chain(pictures(6.4, 10.0)).map(|at| (at, 1)).collect();
        let spans = [(0.0, 4.0), (6.0, 10.0)];
        let still = stand_stills(&end(&shown, 720), &spans);
        assert_eq!(still.count, 0);
        assert!((still.longest - 400.0).abs() < 1.0, "{still:?}");
        assert!((mean_height(&end(&shown, 720), &spans).unwrap() - 720.0).abs() < 1e-6);
    }

    #[test]
    fn only_sound_that_was_invented_and_not_silent_counts() {
        let sound =
            |at, samples, concealed| Sound { at, samples, concealed, rebuilt: Some(4.0 * concealed), sync: None };
        let end = End { sound: vec![sound(1.0, 48_000.0, 960.0), sound(2.0, 96_000.0, 1_440.0)], ..End::default() };
        assert_eq!((concealed(&end), rebuilt(&end)), (Some(1.0), Some(4.0)));
        assert_eq!(concealed(&End::default()), None);
        assert_eq!(smaller_share(&[30.0, 10.0]), Some(25.0));
        assert_eq!(smaller_share(&[30.0]), None);
    }

    #[test]
    fn a_picture_is_back_when_it_moves_and_not_when_a_single_one_comes() {
        let times = [50.5, 51.6].into_iter().chain((0..60).map(|n| 53.0 + f64::from(n) / 30.0));
        let shown: Vec<(f64, u64)> = times.zip(0..).collect();
        assert_eq!(moves_from(&end(&shown, 360), 50.0), Some(53.0));
        assert_eq!(moves_from(&end(&shown[..10], 360), 50.0), None);
    }

    #[test]
    fn after_a_rise_only_what_comes_after_it_counts() {
        let profile = ALL.iter().find(|profile| profile.name == "drop").unwrap();
        let mut run = Run { seconds: 90.0, ..Run::default() };
        let flow = Flow { protocol: 17, from_port: 1, to_port: 2 };
        // Half of 2.5 Mbps from 50 s on, nothing before.
        for second in 50..90 {
            let at = Duration::from_secs(second);
            for record in &mut run.records {
                let fate = Fate::Queued(Duration::ZERO);
                let place = record.add(Passage { at, bytes: 156_250, flow, fate, out: None });
                record.set_out(place, at, Duration::ZERO);
            }
        }
        let links = profile.links(0);
        assert!((figures(&run, profile, &links)[&Measure::RiseUsed] - 50.0).abs() < 1e-6);
        assert!(figures(&run, profile, &links)[&Measure::CapacityUsed] < 40.0);
        run.seconds = 40.0;
        assert!(!figures(&run, profile, &links).contains_key(&Measure::RiseUsed));
    }

    #[test]
    fn sync_and_likeness_count_after_the_start() {
        let profile = ALL.iter().find(|profile| profile.name == "kbps300").unwrap();
        let sound = |(at, sync)| Sound { at, samples: 0.0, concealed: 0.0, rebuilt: None, sync };
        let said = [(1.0, Some(900.0)), (6.0, Some(-50.0)), (7.0, None), (8.0, Some(10.0))];
        let end = End {
            sound: said.map(sound).to_vec(),
            likeness: vec![(1.0, 0.1), (6.0, 0.8), (7.0, 0.9)],
            ..End::default()
        };
        let run = Run { calls: vec![[end.clone(), end]], seconds: 15.0, ..Run::default() };
        let found = figures(&run, profile, &profile.links(0));
        assert_eq!((found[&Measure::SyncP5], found[&Measure::SyncP95]), (-50.0, 10.0));
        assert!((found[&Measure::Ssim] - 0.85).abs() < 1e-9);
    }
}
