//! Sharing a screen or a window: what the person wants, what is shown, and why it ended.

use crate::api::{CallShare, LocalShare, RemoteShare, ShareAsked, ShareChoice, SharePicker, ShareSources};
use crate::words::Phrase;

use super::Desk;

/// What is kept of sharing beside the media threads.
#[derive(Debug, Default)]
pub(super) struct ShareDesk {
    shown: CallShare,
}

impl ShareSources {
    /// Nobody has looked.
    pub(crate) fn nothing() -> Self {
        Self { picker: SharePicker::Looking, sources: Vec::new(), sound: false, problem: None }
    }
}

impl Desk {
    pub(super) fn call_share(&self) -> CallShare {
        self.share.shown.clone()
    }

    pub(super) fn list_share_sources(&mut self, on: bool) {
        let problem = on.then(|| self.words.say(Phrase::ShareNothing {}));
        self.outlets
            .share_sources
            .send_replace(std::sync::Arc::new(ShareSources { problem, ..ShareSources::nothing() }));
    }

    pub(super) fn start_share(&mut self, _source: &ShareChoice, _sound: bool) {
        self.share.shown.local = LocalShare::Off { why: Some(self.words.say(Phrase::ShareNothing {})) };
        self.changed = true;
    }

    pub(super) fn stop_share(&mut self) {
        self.share.shown = CallShare { remote: self.share.shown.remote, ..CallShare::default() };
        self.changed = true;
    }

    pub(super) fn refuse_share(&mut self) {
        self.share.shown.wanted = false;
        self.changed = true;
    }

    pub(super) fn ask_for_share(&mut self) {
        if self.share.shown.remote == RemoteShare::Off {
            self.share.shown.asked = ShareAsked::Waiting;
            self.changed = true;
        }
    }
}
