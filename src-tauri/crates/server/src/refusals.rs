//! What was refused since the start, counted by reason: nothing of it is shown to a person, but an operator can see it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use ahoy_protocol::rendezvous::RefusedReason;

/// A frame of a kind not known here, which is passed over.
const UNKNOWN: &str = "unknown";
/// Under which names [`Refusals`] counts, each at its place.
const NAMES: [&str; 9] =
    ["version", "signature", "malformed", "too-large", "too-fast", "replaced", "shutting-down", "full", UNKNOWN];

/// The counts. Shared by all connections.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    counts: [AtomicU64; NAMES.len()],
}

impl Refusals {
    /// Counts something that was answered by this reason.
    pub(crate) fn count(&self, reason: RefusedReason) {
        self.add(name(reason));
    }

    /// Counts a frame that was passed over without an answer.
    pub(crate) fn unknown(&self) {
        self.add(UNKNOWN);
    }

    fn add(&self, name: &str) {
        if let Some(place) = NAMES.iter().position(|known| *known == name) {
            self.counts[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Each reason that was met, with its count.
    pub(crate) fn figures(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        NAMES.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
    }
}

/// As in the protocol.
fn name(reason: RefusedReason) -> &'static str {
    match reason {
        RefusedReason::Version => "version",
        RefusedReason::Signature => "signature",
        RefusedReason::Malformed => "malformed",
        RefusedReason::TooLarge => "too-large",
        RefusedReason::TooFast => "too-fast",
        RefusedReason::Replaced => "replaced",
        RefusedReason::ShuttingDown => "shutting-down",
        RefusedReason::Full => "full",
    }
}
