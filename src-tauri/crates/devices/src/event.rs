//! What happens to a device while it is open.

use std::time::Duration;

use crate::DeviceError;

/// Something happened to an open device. It is told on the device's own thread (never in an audio callback), so the
/// receiver must not block and must not drop the stream there; posting to a queue is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceEvent {
    /// It is gone, nothing more will come: drop the stream and open another. Told once, as the last event.
    Lost(DeviceError),
    /// Nothing came from (or was taken by) the device for this long although nothing said why.
    Stalled {
        /// Since the last sign of life.
        silent_for: Duration,
    },
    /// After [`DeviceEvent::Stalled`], it works again.
    Resumed,
    /// Its size, rate or format is another now; the stream goes on and `info()` tells the new one.
    FormatChanged,
    /// The system moved the stream to another device (its default changed); the stream goes on.
    Moved,
}
