//! When to try whether more would pass: at the start, after a rise, when frames are too small to tell, and when the
//! sources do not fill the estimate but could.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::packet::ClusterId;
use super::train::Passed;
use crate::units::Bitrate;

/// A burst for the pacer to send: what waits to be sent first, padding after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeCluster {
    /// Its name, to be given back with each packet sent.
    pub id: ClusterId,
    /// How fast to send it.
    pub rate: Bitrate,
    /// How much, at least.
    pub bytes: usize,
    /// How many packets, at least: fewer tell nothing.
    pub packets: usize,
    /// Size of a padding packet.
    pub packet: usize,
}

/// The probes of the start are these multiples of the first target, one after the other.
const START: [f64; 2] = [3.0, 8.0];
const STEP: f64 = 2.0;
/// A cluster lasts this long at its rate.
const LENGTH: Duration = Duration::from_millis(15);
/// It may add this much to the queue if no more passes than is sent now: at the start, and later, when it must not be
/// taken for congestion.
const BURDEN: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(20));
const PACKETS: usize = 6;
const FEWEST: usize = 5;
const PACKET: (usize, usize) = (80, 1_200);
/// Sound alone is never probed for: it grows by itself, and a probe would be heard.
const WORTH: f64 = 150_000.0;
/// Feedback of a cluster that takes longer than this is not waited for.
const PATIENCE: Duration = Duration::from_millis(700);
/// Time between probes when nothing else tells.
const INTERVAL: Duration = Duration::from_millis(2_200);

/// Where probing stands.
///
/// ```text
/// Start(0) ─planned─► Waiting ─passed─► Again ─planned─► Waiting ─held up, silence─► Idle ─INTERVAL─► Waiting
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Nothing was probed yet.
    Start,
    /// A cluster is under way.
    Waiting { id: ClusterId, since: Instant, start_step: Option<usize> },
    /// The last one passed: the next may follow at once, as one of the start or a later one.
    Again { start_step: Option<usize> },
    /// Nothing to do until it is time again.
    Idle { since: Instant },
}

/// What planning depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outlook {
    pub target: f64,
    pub start: f64,
    /// What the sources could use.
    pub demand: f64,
    /// The path is at ease: no queue, feedback comes.
    pub at_ease: bool,
    /// Neither frames nor the flow itself tell whether there is room.
    pub blind: bool,
    /// The capacity known before was just exceeded without a queue.
    pub rose: bool,
    pub rtt: Duration,
}

/// Plans clusters.
#[derive(Debug)]
pub(crate) struct Prober {
    phase: Phase,
    next: u32,
    pub planned: u32,
    pub passed: u32,
}

impl Prober {
    pub fn new() -> Self {
        Self { phase: Phase::Start, next: 1, planned: 0, passed: 0 }
    }

    /// A cluster to send now, if it is time for one.
    pub fn plan(&mut self, outlook: &Outlook, now: Instant) -> Option<ProbeCluster> {
        if let Phase::Waiting { since, .. } = self.phase {
            if now.saturating_duration_since(since) < PATIENCE + outlook.rtt * 2 {
                return None;
            }
            self.phase = Phase::Idle { since: now };
        }
        if !outlook.at_ease || outlook.demand <= outlook.target * 1.05 || outlook.demand < WORTH {
            return None;
        }
        let (rate, start_step) = match self.phase {
            Phase::Start => (outlook.start * START[0], Some(0)),
            Phase::Again { start_step: Some(step) } if step < START.len() => (outlook.start * START[step], Some(step)),
            Phase::Again { .. } => (outlook.target * STEP, None),
            Phase::Idle { since } => {
                let due = now.saturating_duration_since(since) >= INTERVAL && outlook.blind;
                if !due && !outlook.rose {
                    return None;
                }
                (outlook.target * STEP, None)
            }
            Phase::Waiting { .. } => return None,
        };
        let rate = rate.min(outlook.demand * 1.3).max(outlook.target * 1.2);
        let id = ClusterId(self.next);
        self.next = self.next.wrapping_add(1);
        self.planned += 1;
        self.phase = Phase::Waiting { id, since: now, start_step };
        let burden = if start_step.is_some() { BURDEN.0 } else { BURDEN.1 };
        let burden = (outlook.target * burden.as_secs_f64() / 8.0) as usize;
        let bytes = ((rate * LENGTH.as_secs_f64() / 8.0) as usize).max(PACKETS * PACKET.1).min(burden);
        let bytes = bytes.max(FEWEST * PACKET.0);
        Some(ProbeCluster {
            id,
            rate: Bitrate::bps(rate as u64),
            bytes,
            packets: FEWEST,
            packet: (bytes / PACKETS).clamp(PACKET.0, PACKET.1),
        })
    }

    /// What came of a cluster.
    pub fn handle_result(&mut self, passed: &Passed, now: Instant) {
        let Phase::Waiting { id, start_step, .. } = self.phase else { return };
        if passed.cluster != Some(id) {
            return;
        }
        self.phase = if passed.held_up {
            Phase::Idle { since: now }
        } else {
            self.passed += 1;
            Phase::Again { start_step: start_step.map(|step| step + 1) }
        };
    }

    /// Feedback came back after silence: one may ask at once.
    pub fn resume(&mut self) {
        self.phase = Phase::Again { start_step: None };
    }

    /// The path is congested: what is under way says nothing.
    pub fn abort(&mut self, now: Instant) {
        self.phase = Phase::Idle { since: now };
    }
}
