//! During a call neither the screen nor the computer falls asleep by itself. Closing the lid still does what it does.

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "native.rs"]
mod system;

use ahoy_engine::api::{CallPhase, Snapshot};
use tauri::{AppHandle, Manager as _, async_runtime};

use crate::shell::Shell;

/// Follows the calls.
pub fn start(app: &AppHandle) {
    let Ok(outlets) = app.state::<Shell>().outlets().cloned() else { return };
    let mut snapshots = outlets.snapshots;
    async_runtime::spawn(async move {
        let mut held = None;
        loop {
            let wanted = in_call(&snapshots.borrow_and_update());
            held = match (held, wanted) {
                (None, true) => Some(system::hold().await),
                (Some(held), false) => {
                    system::release(held).await;
                    None
                }
                (unchanged, _) => unchanged,
            };
            if snapshots.changed().await.is_err() {
                break;
            }
        }
    });
}

/// From the click to the end; one that only rings here wakes nobody's screen.
fn in_call(snapshot: &Snapshot) -> bool {
    snapshot.call.as_ref().is_some_and(|call| match call.phase {
        CallPhase::Calling
        | CallPhase::Ringing
        | CallPhase::Connecting
        | CallPhase::Active { .. }
        | CallPhase::Reconnecting { .. } => true,
        CallPhase::Incoming | CallPhase::Ended { .. } => false,
    })
}
