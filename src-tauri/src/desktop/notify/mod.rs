//! The system's notifications: a call that rings, with buttons to answer it, and a call that was missed.
//!
//! They come beside the small window of a ringing call, never instead of it: a system without notifications loses nothing
//! but the notification.

#![cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "notifications have buttons on Linux only"))]

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod host;
#[cfg(not(target_os = "linux"))]
#[path = "native.rs"]
mod host;

use ahoy_engine::Happened;
use ahoy_engine::api::{AnswerKind, CallPhase, EndReason, Snapshot};
use tauri::{AppHandle, Manager as _, async_runtime};
use tokio::sync::broadcast::error::RecvError;

use super::controls;
use crate::shell::Shell;
use crate::windows;
use crate::words::say;

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    /// It rings.
    Incoming { name: String, video: bool },
    /// It rang, and nobody answered.
    Missed { peer: String, name: String },
}

impl Told {
    /// The line in large.
    fn title(&self) -> String {
        match self {
            Self::Incoming { name, video: true } => say("notify.incoming-video", &[("name", name)]),
            Self::Incoming { name, video: false } => say("notify.incoming-audio", &[("name", name)]),
            Self::Missed { name, .. } => say("notify.missed", &[("name", name)]),
        }
    }

    /// Its buttons from left to right.
    fn buttons(&self) -> Vec<(Press, String)> {
        match self {
            Self::Incoming { .. } => {
                vec![(Press::Accept, say("notify.accept", &[])), (Press::Decline, say("notify.decline", &[]))]
            }
            Self::Missed { .. } => vec![(Press::CallBack, say("notify.call-back", &[]))],
        }
    }

    /// Carries out what was pressed on it.
    fn pressed(&self, app: &AppHandle, press: Press) {
        match (press, self) {
            (Press::Itself, _) => windows::raise_main(app),
            (Press::Accept, Self::Incoming { video, .. }) => {
                controls::answer(app, if *video { AnswerKind::Video } else { AnswerKind::Audio });
            }
            (Press::Decline, Self::Incoming { .. }) => controls::answer(app, AnswerKind::Decline),
            (Press::CallBack, Self::Missed { peer, .. }) => {
                windows::raise_main(app);
                controls::call(app, peer.clone());
            }
            (Press::Accept | Press::Decline, Self::Missed { .. }) | (Press::CallBack, Self::Incoming { .. }) => {}
        }
    }
}

/// Where it was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Press {
    /// On the notification, beside its buttons.
    Itself,
    Accept,
    Decline,
    CallBack,
}

/// Follows ringing and missed calls.
pub fn start(app: &AppHandle) {
    let shell = app.state::<Shell>();
    let Ok(outlets) = shell.outlets().cloned() else { return };
    let Some(mut events) = shell.events() else { return };
    let mut snapshots = outlets.snapshots;
    let app = app.clone();
    async_runtime::spawn(async move {
        let mut host = host::Host::new(&app);
        let mut rings = None;
        loop {
            tokio::select! {
                changed = snapshots.changed() => {
                    if changed.is_err() { break }
                    let now = ringing(&snapshots.borrow_and_update());
                    if now == rings { continue }
                    host.withdraw().await;
                    rings = now;
                    if let Some((_, told)) = &rings && !windows::in_front(&app) {
                        host.show(told.clone()).await;
                    }
                }
                event = events.recv() => match event {
                    Ok(event) => {
                        let told = missed(&event.what, &snapshots.borrow());
                        if let Some(told) = told && !windows::in_front(&app) {
                            host.show(told).await;
                        }
                    }
                    // A notification too few is no loss: the missed call stands in the list.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                },
            }
        }
        host.withdraw().await;
    });
}

/// The call that rings here, by its ID.
fn ringing(snapshot: &Snapshot) -> Option<(String, Told)> {
    let call = snapshot.call.as_ref().filter(|call| call.phase == CallPhase::Incoming)?;
    Some((call.call_id.clone(), Told::Incoming { name: call.name.clone(), video: call.video_wanted }))
}

/// A call that was missed: while it rang here, or while this computer could not ring.
fn missed(happened: &Happened, snapshot: &Snapshot) -> Option<Told> {
    match happened {
        Happened::Missed { peer, name } => Some(Told::Missed { peer: peer.clone(), name: name.clone() }),
        Happened::Ended { call_id, reason: EndReason::Missed, .. } => {
            let call = snapshot.call.as_ref().filter(|call| call.call_id == *call_id);
            let past = snapshot.history.iter().find(|past| past.call_id == *call_id);
            let (peer, name) =
                call.map(|call| (&call.peer, &call.name)).or_else(|| past.map(|past| (&past.peer, &past.name)))?;
            Some(Told::Missed { peer: peer.clone(), name: name.clone() })
        }
        _ => None,
    }
}
