//! The estimator: sent packets and feedback in, a target and probes out.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::acked::AckedRate;
use super::control::{DelayControl, Notice, Phase, Signals};
use super::legacy::{Legacy, ReportBlock};
use super::loss::LossModel;
use super::pacer::Pacing;
use super::packet::{Feedback, History, Report, SentPacket};
use super::probe::{Outlook, ProbeCluster, Prober};
use super::queue::QueueDelay;
use super::train::Trains;
use super::trend::{Trend, Usage};
use crate::units::Bitrate;

/// The limits of an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateConfig {
    /// The first target.
    pub start: Bitrate,
    /// Never less: sound at its lowest rate, headers included.
    pub least: Bitrate,
    /// Never more.
    pub most: Bitrate,
}

impl Default for RateConfig {
    fn default() -> Self {
        Self { start: Bitrate::kbps(600), least: Bitrate::kbps(24), most: Bitrate::kbps(20_000) }
    }
}

/// What holds the target where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LimitedBy {
    /// Nothing was heard yet.
    Start,
    /// The sources could not use more.
    Demand,
    /// The path's queue.
    Delay,
    /// Loss that grows with the rate.
    Loss,
    /// The other side's REMB.
    Remb,
    /// Receiver reports, since there is nothing better.
    Reports,
    /// No feedback comes.
    Silence,
}

/// The target fell by half or more at once: the path's queue is full of what was sent before.
///
/// What waits in the pacer and what is sent again would only come later still: clear both, and begin anew with a key frame
/// of the new rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fall {
    /// The target before.
    pub from: Bitrate,
    /// The target now.
    pub to: Bitrate,
}

/// The estimator's view, for statistics and for the quality sentence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RateState {
    /// What all sources together may send, headers included.
    pub target: Bitrate,
    /// What holds it there.
    pub limited_by: LimitedBy,
    /// What arrives.
    pub acked: Bitrate,
    /// Share of packets lost lately, 0..=1.
    pub loss: f64,
    /// The least round trip of late.
    pub rtt: Option<Duration>,
    /// What packets wait in the path's queue.
    pub queue_delay: Duration,
    /// How much of such delays is jitter.
    pub delay_noise: Duration,
    /// What the delay does.
    pub usage: Usage,
    /// Whether a queue is being emptied.
    pub draining: bool,
    /// Probes planned.
    pub probes: u32,
    /// Probes that showed room.
    pub probes_passed: u32,
    /// Fates of packets that were never sent.
    pub unknown_packets: u64,
    /// Times that the receiver's clock jumped.
    pub clock_jumps: u64,
}

/// A receiver's clock that goes back, or runs ahead of what was sent, by more than this is another clock.
const CLOCK_BACK: Duration = Duration::from_secs(1);
const CLOCK_AHEAD: Duration = Duration::from_secs(10);
/// A frame leaves this much faster than the target, so that its packets tell what passes, and it is over sooner.
const BURST: f64 = 2.0;
/// A long frame goes on like this where the bottleneck is near: the rest waits here instead of there.
const SUSTAINED: f64 = 1.15;
/// Beyond a round trip and a feedback interval, so much may be under way unanswered.
const SLACK: Duration = Duration::from_millis(100);
/// Without a word for so long (and three round trips), the path is cut.
const SILENCE: Duration = Duration::from_millis(600);
/// Transport-wide feedback that came within this time is believed over everything else.
const TRANSPORT_FRESH: Duration = Duration::from_secs(5);
/// A round trip above this is a mistake or a lie.
const MOST_RTT: Duration = Duration::from_secs(10);
const RTT_BUCKET: Duration = Duration::from_secs(5);
/// Loss of the path's own that arrivals are corrected by, at most.
const MOST_OWN: f64 = 0.4;

/// Bandwidth estimation for one path. Takes no clock: every time is an argument.
#[derive(Debug)]
pub struct Estimator {
    config: RateConfig,
    demand: f64,
    history: History,
    acked: AckedRate,
    trend: Trend,
    queue: QueueDelay,
    trains: Trains,
    loss: LossModel,
    control: DelayControl,
    prober: Prober,
    legacy: Legacy,
    /// Least round trip of this bucket and the one before it.
    rtt: [Option<(Instant, Duration)>; 2],
    interval: Duration,
    last_feedback: Option<Instant>,
    last_arrival: Option<(Instant, Duration)>,
    last_silence: Option<Instant>,
    before_silence: Option<f64>,
    target: f64,
    limited_by: LimitedBy,
    rose: bool,
    fell: Option<Fall>,
    before_fall: Option<f64>,
    clock_jumps: u64,
}

impl Estimator {
    /// An estimator that has heard nothing yet.
    pub fn new(config: RateConfig) -> Self {
        let start = config.start.as_bps() as f64;
        Self {
            config,
            demand: config.most.as_bps() as f64,
            history: History::default(),
            acked: AckedRate::default(),
            trend: Trend::new(),
            queue: QueueDelay::default(),
            trains: Trains::default(),
            loss: LossModel::default(),
            control: DelayControl::new(start),
            prober: Prober::new(),
            legacy: Legacy::default(),
            rtt: [None; 2],
            interval: Duration::from_millis(100),
            last_feedback: None,
            last_arrival: None,
            last_silence: None,
            before_silence: None,
            target: start,
            limited_by: LimitedBy::Start,
            rose: false,
            fell: None,
            before_fall: None,
            clock_jumps: 0,
        }
    }

    /// What the sources together could use at most. The target does not grow beyond it, and nothing is probed above it.
    pub fn set_demand(&mut self, demand: Bitrate) {
        self.demand = demand.as_bps() as f64;
    }

    /// A packet left the pacer.
    pub fn handle_sent(&mut self, packet: SentPacket) {
        self.history.handle_sent(packet);
    }

    /// Transport-wide feedback came. Fates of packets never sent, repeated ones and jumps are counted and do no harm.
    pub fn handle_feedback(&mut self, feedback: &Feedback, now: Instant) {
        let reports = self.history.handle_feedback(feedback);
        if reports.is_empty() {
            return;
        }
        if let Some(last) = self.last_feedback.replace(now) {
            let passed = now.saturating_duration_since(last).min(Duration::from_millis(500));
            self.interval = (self.interval * 7 + passed) / 8;
        }
        if let Some(before) = self.before_silence.take() {
            self.resume(before);
        } else {
            self.loss.handle(&reports);
        }
        self.last_silence = None;
        let arrived = self.take_arrivals(&reports, now);
        if arrived {
            self.update(now);
        }
        self.choose(now);
    }

    /// The other side's own estimate (REMB): a bound beside transport-wide feedback, and the target without it.
    pub fn handle_remb(&mut self, bitrate: Bitrate, now: Instant) {
        self.legacy.handle_remb(bitrate.as_bps() as f64, now);
        self.choose(now);
    }

    /// A receiver report came. It counts only while no transport-wide feedback does.
    pub fn handle_report(&mut self, report: ReportBlock, now: Instant) {
        let report = ReportBlock { rtt: report.rtt.map(|rtt| rtt.min(MOST_RTT)), ..report };
        if let Some(rtt) = report.rtt {
            self.take_rtt(rtt, now);
        }
        if !self.is_transport_fresh(now) {
            let (least, most) = self.limits();
            self.legacy.handle_report(report, self.target, now);
            self.legacy.clamp(least, most);
            self.choose(now);
        }
    }

    /// The call goes another way now (ICE chose another pair): what was learned of the old one does not count.
    pub fn handle_new_path(&mut self) {
        let (config, demand) = (self.config, self.demand);
        let target = self.target.min(config.start.as_bps() as f64);
        let fresh = Self::new(config);
        let history = std::mem::take(&mut self.history);
        *self = Self { demand, history, target, control: DelayControl::new(target), ..fresh };
    }

    /// To be called at [`Self::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(due) = self.silence_due() else { return };
        if now >= due {
            self.last_silence = Some(now);
            self.before_silence.get_or_insert(self.control.target);
            self.control.handle_silence();
            self.choose(now);
            self.limited_by = LimitedBy::Silence;
        }
    }

    /// When silence will have lasted too long; `None` while nothing is under way.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.silence_due()
    }

    /// A probe to hand to the pacer, if it is time for one. To be asked after each feedback.
    pub fn poll_probe(&mut self, now: Instant) -> Option<ProbeCluster> {
        self.last_feedback?;
        let outlook = Outlook {
            target: self.target,
            start: self.config.start.as_bps() as f64,
            demand: self.demand.min(self.limits().1),
            at_ease: self.is_at_ease(now),
            blind: self.trains.capacity(now).is_none() || self.is_source_limited(),
            rose: std::mem::take(&mut self.rose),
            rtt: self.rtt().unwrap_or(Duration::from_millis(200)),
        };
        self.prober.plan(&outlook, now)
    }

    /// A deep fall that nobody was told of yet.
    pub fn poll_fall(&mut self) -> Option<Fall> {
        self.fell.take()
    }

    /// What all sources together may send, headers included.
    pub fn target(&self) -> Bitrate {
        Bitrate::bps(self.target as u64)
    }

    /// How the pacer should go about it now; to be handed on after each feedback and each packet.
    pub fn pacing(&self, now: Instant) -> Pacing {
        let jitter = Duration::from_secs_f64(self.queue.noise() * 5.0 / 1e3);
        let time = self.rtt().unwrap_or(Duration::from_millis(200)) + self.interval + SLACK + jitter;
        // A round trip of sound alone is no reason to wait.
        let allowed = (self.target.max(50_000.0) * time.as_secs_f64() / 8.0) as usize + 3_000;
        let roomy = self.last_feedback.is_none() || self.trains.capacity(now).is_some_and(|trains| !trains.held_up);
        // What a burst loses at a short queue, an even flow does not.
        let even = !roomy && self.loss.verdict().loss > 0.02;
        Pacing {
            burst: Bitrate::bps((self.target * if even { SUSTAINED } else { BURST }) as u64),
            sustained: Bitrate::bps((self.target * if roomy { BURST } else { SUSTAINED }) as u64),
            in_flight: if self.is_legacy() { 0 } else { self.history.in_flight() },
            allowed,
        }
    }

    /// The least round trip of the last seconds.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt.iter().flatten().map(|(_, rtt)| *rtt).min()
    }

    /// Share of packets that the path loses whatever the rate, 0..=1: what a radio does, not a full queue.
    pub fn own_loss(&self) -> f64 {
        self.loss.verdict().own
    }

    /// All that is known now.
    pub fn state(&self) -> RateState {
        RateState {
            target: self.target(),
            limited_by: self.limited_by,
            acked: Bitrate::bps(self.acked.rate().unwrap_or(0.0) as u64),
            loss: self.loss.verdict().loss,
            rtt: self.rtt(),
            queue_delay: Duration::from_secs_f64((self.queue.current() / 1e3).clamp(0.0, 3600.0)),
            delay_noise: Duration::from_secs_f64(self.queue.noise() / 1e3),
            usage: self.trend.usage(),
            draining: matches!(self.control.phase, Phase::Draining { .. }),
            probes: self.prober.planned,
            probes_passed: self.prober.passed,
            unknown_packets: self.history.unknown,
            clock_jumps: self.clock_jumps,
        }
    }

    /// Feedback after silence: what got lost meanwhile says nothing about the rate. Half of it is tried, and then probed.
    fn resume(&mut self, before: f64) {
        self.loss = LossModel::default();
        self.trains.clear();
        self.trend.reset();
        self.control.target = self.control.target.max(before * 0.5);
        self.prober.resume();
    }

    /// Feeds the filters; says whether anything arrived.
    fn take_arrivals(&mut self, reports: &[Report], now: Instant) -> bool {
        let mut newest = None;
        for report in reports {
            let Some(arrival) = report.arrival else { continue };
            self.check_clock(report.sent_at, arrival);
            self.acked.handle(arrival, report.size);
            newest = newest.max(Some(report.sent_at));
            if report.was_lost {
                continue;
            }
            self.trend.handle(report.sent_at, arrival);
            self.queue.handle(report.sent_at, arrival);
            if let Some(passed) = self.trains.handle(report, arrival) {
                self.take_probe(&passed, now);
            }
        }
        if let Some(passed) = self.trains.finish_cluster() {
            self.take_probe(&passed, now);
        }
        self.queue.finish_batch();
        if let Some(sent) = newest {
            self.take_rtt(now.saturating_duration_since(sent), now);
        }
        newest.is_some()
    }

    fn take_probe(&mut self, passed: &super::train::Passed, now: Instant) {
        if passed.cluster.is_some() {
            self.prober.handle_result(passed, now);
            self.control.handle_probe(passed, now);
        }
    }

    fn check_clock(&mut self, sent: Instant, arrival: Duration) {
        if let Some((last_sent, last)) = self.last_arrival {
            let travelled = sent.saturating_duration_since(last_sent);
            if arrival.saturating_add(CLOCK_BACK) < last
                || arrival.saturating_sub(last) > travelled.saturating_add(CLOCK_AHEAD)
            {
                self.clock_jumps += 1;
                self.acked.clear();
                self.trend.reset();
                self.queue.reset();
                self.trains.clear();
            }
        }
        self.last_arrival = Some((sent, arrival));
    }

    fn take_rtt(&mut self, sample: Duration, now: Instant) {
        let sample = sample.min(MOST_RTT);
        match &mut self.rtt[0] {
            Some((begin, least)) if now.saturating_duration_since(*begin) < RTT_BUCKET => *least = (*least).min(sample),
            _ => {
                self.rtt[1] = self.rtt[0];
                self.rtt[0] = Some((now, sample));
            }
        }
    }

    fn update(&mut self, now: Instant) {
        let verdict = self.loss.verdict();
        // What the path loses behind the bottleneck has passed it.
        let raise = 1.0 / (1.0 - verdict.own.min(MOST_OWN));
        let signals = Signals {
            usage: self.trend.usage(),
            queue: self.queue.current(),
            noise: self.queue.noise(),
            acked: self.acked.rate().map(|rate| rate * raise),
            fast: self.acked.fast_rate().map(|rate| rate * raise),
            trains: self.trains.capacity(now),
            arrival: self.last_arrival.map_or(Duration::ZERO, |(_, arrival)| arrival),
            rtt: self.rtt().unwrap_or(Duration::from_millis(200)),
            interval: self.interval,
            demand: self.demand.max(self.config.least.as_bps() as f64),
        };
        let (before, calm) = (self.target, self.control.phase == Phase::Growing);
        if calm {
            self.before_fall = Some(before);
        }
        match self.control.handle(&signals, now) {
            Notice::Nothing => {}
            Notice::Congested => {
                self.prober.abort(now);
                // Once for each queue, although the fall may take two steps.
                if let Some(from) = self.before_fall.filter(|from| self.control.target < from * 0.5) {
                    let [from, to] = [from, self.control.target].map(|rate| Bitrate::bps(rate as u64));
                    self.fell = Some(Fall { from, to });
                    self.before_fall = None;
                }
            }
            Notice::Rebase => {
                self.queue.rebase();
                self.trend.reset();
            }
            Notice::Rose => {
                self.rose = true;
                self.loss.forget();
            }
        }
    }

    /// Puts the parts together.
    fn choose(&mut self, now: Instant) {
        let (least, most) = self.limits();
        let transport = self.is_transport_fresh(now);
        let remb = self.legacy.remb(now);
        let (mut target, mut by) = match (transport, remb, self.legacy.target()) {
            (true, _, _) => (self.control.target, LimitedBy::Delay),
            (false, Some(remb), _) => (remb, LimitedBy::Remb),
            (false, None, Some(reports)) => (reports, LimitedBy::Reports),
            (false, None, None) => (self.control.target, LimitedBy::Start),
        };
        let mut bound = |limit: f64, why: LimitedBy| {
            if limit < target {
                (target, by) = (limit, why);
            }
        };
        if let Some(cap) = self.loss.verdict().cap.filter(|_| transport) {
            bound(cap * 0.95, LimitedBy::Loss);
            // What loss forbids, delay must not have grown to when it is allowed again.
            self.control.target = self.control.target.min(cap * 1.1);
        }
        if let Some(remb) = remb {
            bound(remb, LimitedBy::Remb);
        }
        if self.control.target >= self.demand * 0.98 {
            by = if by == LimitedBy::Delay { LimitedBy::Demand } else { by };
        }
        self.control.target = self.control.target.clamp(least, most);
        self.target = target.clamp(least, most);
        self.limited_by = by;
    }

    fn limits(&self) -> (f64, f64) {
        let least = self.config.least.as_bps() as f64;
        (least, (self.config.most.as_bps() as f64).max(least))
    }

    fn is_transport_fresh(&self, now: Instant) -> bool {
        self.last_feedback.is_some_and(|last| now.saturating_duration_since(last) <= TRANSPORT_FRESH)
    }

    fn is_at_ease(&self, now: Instant) -> bool {
        self.is_transport_fresh(now)
            && self.last_silence.is_none()
            && self.control.phase == Phase::Growing
            && self.trend.usage() != Usage::Over
            && self.queue.current() <= 12.0 + 3.0 * self.queue.noise()
    }

    fn is_source_limited(&self) -> bool {
        self.acked.rate().is_some_and(|acked| acked < 0.65 * self.target)
    }

    /// The other side reports, but never by transport-wide feedback: nothing is known of single packets.
    fn is_legacy(&self) -> bool {
        self.last_feedback.is_none() && self.legacy.was_heard()
    }

    fn silence_due(&self) -> Option<Instant> {
        if self.is_legacy() {
            return None;
        }
        let oldest = self.history.oldest_in_flight()?;
        let patience = SILENCE + self.rtt().unwrap_or(Duration::from_millis(200)) * 3;
        let since = [self.last_feedback, self.last_silence].into_iter().flatten().fold(oldest, Instant::max);
        Some(since + patience)
    }
}
