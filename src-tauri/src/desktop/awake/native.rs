//! Windows and macOS, by `keepawake`. Type-checked only: not yet seen on either system.

use std::sync::mpsc;

/// What keeps it awake: a thread, because on Windows the state belongs to the thread that asked for it.
pub struct Held {
    /// Dropped: the thread ends.
    _until: mpsc::Sender<()>,
}

/// Asks the system.
pub async fn hold() -> Held {
    let (until, ends) = mpsc::channel();
    let started = std::thread::Builder::new().name("ahoy-awake".to_owned()).spawn(move || {
        let reason = crate::words::say("awake.reason", &[]);
        let held = keepawake::Builder::default().display(true).idle(true).reason(reason).app_name("Ahoy").create();
        if let Err(error) = &held {
            tracing::warn!(%error, "the computer may fall asleep during the call");
        }
        let _ = ends.recv();
        drop(held);
    });
    if let Err(error) = started {
        tracing::warn!(%error, "the computer may fall asleep during the call");
    }
    Held { _until: until }
}

/// Lets it sleep again.
pub async fn release(held: Held) {
    drop(held);
}
