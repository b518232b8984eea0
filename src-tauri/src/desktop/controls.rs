//! What the tray, hotkeys and notifications do to a call: the same wishes that the window's buttons send.

use ahoy_engine::api::{AnswerKind, CallPhase, Command, LocalShare, Snapshot};
use tauri::{AppHandle, Manager as _};

use crate::shell::Shell;

/// How a call stands, as far as these controls go.
///
/// ```text
/// Resting ──► Ringing ──► Talking ◄──► Muted ──► Resting
///    └───────(own call)──────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No call.
    Resting,
    /// It rings here.
    Ringing,
    /// A call, and the microphone is on.
    Talking,
    /// A call, and the microphone is off.
    Muted,
}

impl Standing {
    /// As the engine says.
    pub fn of(snapshot: &Snapshot) -> Self {
        let Some(call) = &snapshot.call else { return Self::Resting };
        match call.phase {
            CallPhase::Ended { .. } => Self::Resting,
            CallPhase::Incoming => Self::Ringing,
            CallPhase::Calling
            | CallPhase::Ringing
            | CallPhase::Connecting
            | CallPhase::Active { .. }
            | CallPhase::Reconnecting { .. } => {
                if call.local.microphone {
                    Self::Talking
                } else {
                    Self::Muted
                }
            }
        }
    }
}

/// Whether something of this computer is shown, or is about to be.
pub fn shares(snapshot: &Snapshot) -> bool {
    snapshot.call.as_ref().is_some_and(|call| match call.share.local {
        LocalShare::Starting { .. } | LocalShare::Showing { .. } => true,
        LocalShare::Off { .. } | LocalShare::Interrupted { .. } => false,
    })
}

/// Shows nothing any more; nothing where nothing is shown.
pub fn stop_share(app: &AppHandle) {
    if is_sharing(app) {
        wish(app, Command::StopShare);
    }
}

/// Nobody is at the computer.
#[cfg(target_os = "linux")]
pub fn screen_locked(app: &AppHandle) {
    if is_sharing(app) {
        wish(app, Command::ScreenLocked);
    }
}

fn is_sharing(app: &AppHandle) -> bool {
    let shell = app.state::<Shell>();
    shell.outlets().is_ok_and(|outlets| shares(&outlets.snapshots.borrow()))
}

/// The opposite of what is; nothing without a call.
pub fn toggle_microphone(app: &AppHandle) {
    match standing(app) {
        Standing::Talking => wish(app, Command::SetMicrophone { on: false }),
        Standing::Muted => wish(app, Command::SetMicrophone { on: true }),
        Standing::Resting | Standing::Ringing => {}
    }
}

/// Opens a muted microphone, and says whether it did: only then is it to be closed again.
pub fn open_microphone(app: &AppHandle) -> bool {
    let muted = standing(app) == Standing::Muted;
    if muted {
        wish(app, Command::SetMicrophone { on: true });
    }
    muted
}

/// Closes the microphone; nothing without a call.
pub fn close_microphone(app: &AppHandle) {
    match standing(app) {
        Standing::Talking | Standing::Muted => wish(app, Command::SetMicrophone { on: false }),
        Standing::Resting | Standing::Ringing => {}
    }
}

/// Ends what call there is; one that rings here is declined.
pub fn hang_up(app: &AppHandle) {
    match standing(app) {
        Standing::Ringing => answer(app, AnswerKind::Decline),
        Standing::Talking | Standing::Muted => wish(app, Command::HangUp),
        Standing::Resting => {}
    }
}

/// Answers the call that rings here.
pub fn answer(app: &AppHandle, how: AnswerKind) {
    if standing(app) == Standing::Ringing {
        wish(app, Command::Answer { how });
    }
}

/// Rings somebody.
pub fn call(app: &AppHandle, id: String) {
    wish(app, Command::Call { id, video: false });
}

fn standing(app: &AppHandle) -> Standing {
    let shell = app.state::<Shell>();
    shell.outlets().map_or(Standing::Resting, |outlets| Standing::of(&outlets.snapshots.borrow()))
}

fn wish(app: &AppHandle, command: Command) {
    if let Err(said) = app.state::<Shell>().command(command) {
        tracing::warn!(why = said.0, "a wish was not taken");
    }
}
