//! For peers without transport-wide feedback: REMB, or at least receiver reports.

use std::time::{Duration, Instant};

/// A REMB counts for so long; browsers send one a second.
const REMB_VALID: Duration = Duration::from_secs(5);
/// Reports come about once a second; several at once (one for each stream) are one step.
const STEP: Duration = Duration::from_millis(400);
/// A round trip longer than the least by this is a queue.
const QUEUED: Duration = Duration::from_millis(100);
/// The shares of draft-ietf-rmcat-gcc-02, 6.
const LITTLE: f64 = 0.02;
const MUCH: f64 = 0.10;

/// What an RTCP receiver report says of our streams (RFC 3550, 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReportBlock {
    /// Share of packets lost since the last report, 0..=1.
    pub fraction_lost: f64,
    /// The round trip by LSR and DLSR, if known.
    pub rtt: Option<Duration>,
}

/// The rules for such peers.
#[derive(Debug, Default)]
pub(crate) struct Legacy {
    remb: Option<(f64, Instant)>,
    target: Option<f64>,
    last_step: Option<Instant>,
    least_rtt: Option<Duration>,
}

impl Legacy {
    /// The other side's own estimate (draft-alvestrand-rmcat-remb-03).
    pub fn handle_remb(&mut self, bitrate: f64, now: Instant) {
        self.remb = Some((bitrate, now));
    }

    /// The limit set by REMB, as long as it is fresh.
    pub fn remb(&self, now: Instant) -> Option<f64> {
        self.remb.filter(|(_, at)| now.saturating_duration_since(*at) <= REMB_VALID).map(|(rate, _)| rate)
    }

    /// Additive increase, decrease by loss or by a round trip that grew. Nonsense changes nothing.
    pub fn handle_report(&mut self, report: ReportBlock, current: f64, now: Instant) {
        if !report.fraction_lost.is_finite() {
            return;
        }
        let loss = report.fraction_lost.clamp(0.0, 1.0);
        if let Some(rtt) = report.rtt {
            self.least_rtt = Some(self.least_rtt.map_or(rtt, |least| least.min(rtt)));
        }
        if self.last_step.is_some_and(|last| now.saturating_duration_since(last) < STEP) {
            return;
        }
        let queued = report.rtt.zip(self.least_rtt).is_some_and(|(rtt, least)| rtt > least * 2 + QUEUED);
        let mut target = self.target.unwrap_or(current);
        if loss > MUCH {
            target *= 1.0 - 0.5 * loss;
        } else if queued {
            target *= 0.85;
        } else if loss < LITTLE {
            target = target * 1.05 + 50_000.0;
        }
        self.last_step = Some(now);
        self.target = Some(target);
    }

    /// Whether a peer ever sent either.
    pub fn was_heard(&self) -> bool {
        self.remb.is_some() || self.target.is_some()
    }

    /// What the reports allow; `None` before the first.
    pub fn target(&self) -> Option<f64> {
        self.target
    }

    /// Keeps the rule within the estimator's limits.
    pub fn clamp(&mut self, least: f64, most: f64) {
        self.target = self.target.map(|target| target.clamp(least, most));
    }
}

#[cfg(test)]
// A test needs some time to count from.
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::rate::{Estimator, LimitedBy, PacketKind, RateConfig, SentPacket};
    use crate::units::Bitrate;

    fn reported(seconds: u64, fraction_lost: f64, rtt: impl Fn(u64) -> u64) -> Estimator {
        let (mut estimator, start) =
            (Estimator::new(RateConfig { start: Bitrate::kbps(1_000), ..RateConfig::default() }), Instant::now());
        for second in 0..seconds {
            let rtt = Some(Duration::from_millis(rtt(second)));
            estimator.handle_report(ReportBlock { fraction_lost, rtt }, start + Duration::from_secs(second));
        }
        estimator
    }

    #[test]
    fn reports_alone_let_the_rate_grow_stand_and_fall() {
        let grown = reported(20, 0.0, |_| 50);
        assert!(grown.target() > Bitrate::kbps(2_500), "{}", grown.target());
        assert_eq!(grown.state().limited_by, LimitedBy::Reports);
        assert_eq!(reported(20, 0.05, |_| 50).target(), Bitrate::kbps(1_000));
        assert!(reported(20, 0.3, |_| 50).target() < Bitrate::kbps(100));
        let queued = reported(20, 0.0, |second| 50 + second * 60);
        assert!(queued.target() < Bitrate::kbps(700), "a round trip that grows is a queue: {}", queued.target());
        assert_eq!(reported(20, f64::NAN, |_| 50).target(), Bitrate::kbps(1_000));
    }

    #[test]
    fn without_transport_wide_feedback_nothing_waits_for_it() {
        let mut estimator = reported(3, 0.0, |_| 50);
        let now = Instant::now() + Duration::from_secs(5);
        for sequence in 0..1_000 {
            let kind = PacketKind::Video;
            estimator.handle_sent(SentPacket { sequence, size: 1_200, sent_at: now, kind, cluster: None });
        }
        let pacing = estimator.pacing(now);
        assert!(pacing.in_flight <= pacing.allowed, "{pacing:?}");
        assert_eq!(estimator.poll_timeout(), None);
    }

    #[test]
    fn a_remb_is_followed_while_it_is_fresh() {
        let (mut estimator, start) = (Estimator::new(RateConfig::default()), Instant::now());
        estimator.handle_remb(Bitrate::kbps(400), start);
        assert_eq!((estimator.target(), estimator.state().limited_by), (Bitrate::kbps(400), LimitedBy::Remb));
        estimator.handle_remb(Bitrate::kbps(u64::MAX), start + Duration::from_secs(1));
        assert_eq!(estimator.target(), RateConfig::default().most);
        estimator.handle_remb(Bitrate::ZERO, start + Duration::from_secs(2));
        assert_eq!(estimator.target(), RateConfig::default().least);
        let report = ReportBlock { fraction_lost: 0.0, rtt: None };
        estimator.handle_report(report, start + Duration::from_secs(10));
        assert_eq!(estimator.state().limited_by, LimitedBy::Reports);
    }
}
