//! What the audio thread, the video-receive thread and the network task of a connection share to keep sound and picture in
//! step. Held for microseconds by each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahoy_media::sync::{Medium, Synchronizer};
use ahoy_peer::ClockReport;

/// Clones are handles to the same; one for each connection.
#[derive(Debug, Clone, Default)]
pub(super) struct InStep(Arc<Mutex<Synchronizer>>);

impl InStep {
    pub fn lock(&self) -> MutexGuard<'_, Synchronizer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sender report came.
    pub fn handle_clock(&self, medium: Medium, report: ClockReport) {
        self.lock().handle_report(medium, report.ntp, report.timestamp);
    }
}
