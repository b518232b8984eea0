//! What a person wants, one by one.

use ahoy_protocol::{AhoyId, CallId, ContactCard, rendezvous};
use ahoy_session::Input;

use super::Desk;
use crate::api::{AnswerKind, Command, EndReason, NoticeTone};
use crate::event::Happened;
use crate::store::{Change, StoredCall};
use crate::words::Phrase;

impl Desk {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::SetName { name } => self.set_name(&name),
            Command::AddContact { link } => self.add_contact(&link),
            Command::RenameContact { id, name } => self.rename_contact(&id, &name),
            Command::RemoveContact { id } => self.remove_contact(&id),
            Command::BlockContact { id, blocked } => self.block(&id, blocked),
            Command::SetConnectEarly { id, enabled } => self.change_contact(&id, |c| c.connect_early = enabled),
            Command::AcceptRequest { id } => self.accept_request(&id),
            Command::DismissRequest { id } => self.dismiss_request(&id),
            Command::Call { id, video } => self.call(&id, video),
            Command::Answer { how } => self.answer(how),
            Command::HangUp => self.session(Input::Command(ahoy_session::Command::HangUp)),
            Command::DismissEnded => {
                self.calls.ended = None;
                self.changed = true;
            }
            Command::SetView { width, height } => self.set_view(width, height),
            Command::SetMicrophone { on } => self.set_microphone(on),
            Command::SetCamera { on } => self.set_camera(on),
            Command::ListShareSources { on } => self.list_share_sources(on),
            Command::StartShare { source, sound } => self.start_share(source, sound),
            Command::PauseShare { paused } => self.pause_share(paused),
            Command::ContinueShare => self.continue_share(),
            Command::StopShare => self.stop_share(),
            Command::ScreenLocked => self.screen_locked(),
            Command::AskForShare => self.ask_for_share(),
            Command::RefuseShare => self.refuse_share(),
            Command::ChooseDevice { kind, device } => self.choose_device(kind, device),
            Command::RefreshDevices => self.refresh_devices(),
            Command::Preview { on } => self.set_preview(on),
            Command::TryMicrophone => self.try_microphone(),
            Command::TrySpeaker => self.try_speaker(),
            Command::EndTrial => self.end_trial(),
            Command::ScanCode { on } => self.set_scanning(on),
            Command::MarkHistorySeen => self.mark_seen(),
            Command::ClearHistory => self.clear_history(),
            Command::SetServer { url } => self.set_server(&url),
            Command::SetVoice { voice } => self.set_voice(voice),
            Command::SetTheme { theme } => {
                let theme = serde_json::to_string(&theme).expect("one word can be written as JSON");
                self.store.set("theme", theme);
                self.changed = true;
            }
            Command::SetLanguage { language } => self.set_language(language),
            Command::DismissNotice { id } => {
                self.notices.retain(|notice| notice.id != id);
                self.changed = true;
            }
        }
    }

    /// `id` is an Ahoy ID or a contact card's link.
    fn call(&mut self, id: &str, video: bool) {
        let peer = match (id.parse::<AhoyId>(), ContactCard::from_link(id)) {
            (Ok(peer), _) => peer,
            (Err(_), Ok(card)) => {
                let peer = card.id;
                if !self.store.records().contacts.contains_key(&peer) {
                    self.mail.visited.insert(peer, card);
                    self.reconcile_links();
                }
                peer
            }
            (Err(_), Err(error)) => {
                return self.notify(error.into(), NoticeTone::Warning);
            }
        };
        if peer == self.me {
            return self.notify(Phrase::LinkOwn {}, NoticeTone::Warning);
        }
        if let ahoy_session::State::InCall(call) = self.session.state()
            && call.peer != peer
        {
            let name = self.name_of(&call.peer);
            return self.notify(Phrase::InCallAlready { name }, NoticeTone::Warning);
        }
        self.event(Happened::Calling);
        let early = self.store.records().contacts.get(&peer).is_some_and(|contact| contact.connect_early);
        self.calls.ended = None;
        self.devices.camera_on = video;
        self.devices.microphone_on = true;
        self.av.mute(false);
        self.tell_media();
        let name = self.own_card().name;
        let call = CallId(rand::random());
        self.session(Input::Command(ahoy_session::Command::Call { peer, call, name, video, early }));
    }

    fn answer(&mut self, how: AnswerKind) {
        let video = match how {
            AnswerKind::Video => true,
            AnswerKind::Audio => false,
            AnswerKind::Decline => return self.session(Input::Command(ahoy_session::Command::Decline)),
        };
        self.devices.camera_on = video;
        self.devices.microphone_on = true;
        self.av.mute(false);
        self.tell_media();
        self.session(Input::Command(ahoy_session::Command::Answer { video }));
    }

    fn set_microphone(&mut self, on: bool) {
        self.devices.microphone_on = on;
        // Here already, not when the session comes round to it: muted is muted.
        self.av.mute(!on);
        self.tell_media();
    }

    fn set_camera(&mut self, on: bool) {
        self.devices.camera_on = on;
        self.reconcile_devices();
        self.tell_media();
    }

    fn set_preview(&mut self, on: bool) {
        self.preview = on;
        if !on {
            self.set_scanning(false);
        }
        self.reconcile_devices();
        self.changed = true;
    }

    pub(super) fn set_scanning(&mut self, on: bool) {
        match self.av.scan(on) {
            Ok(()) => self.scanning = on,
            Err(error) => tracing::error!(%error, "no thread to look for codes"),
        }
        self.changed = true;
    }

    fn mark_seen(&mut self) {
        let unseen = self.store.records().history.iter().filter(|call| !call.seen).cloned().collect::<Vec<_>>();
        for call in unseen {
            self.store.apply(Change::PutCall(StoredCall { seen: true, ..call }));
        }
        self.changed = true;
    }

    fn clear_history(&mut self) {
        let calls = self.store.records().history.iter().map(|call| call.entry.call_id.clone()).collect::<Vec<_>>();
        for call_id in calls {
            self.store.apply(Change::DeleteCall(call_id));
        }
        self.changed = true;
    }

    fn set_server(&mut self, url: &str) {
        let url = url.trim().trim_end_matches('/');
        if rendezvous::dialled_host(url).is_none() {
            return self.notify(Phrase::RendezvousBadUrl { server: url.to_owned() }, NoticeTone::Warning);
        }
        if !rendezvous::may_be_dialled(url) {
            return self.notify(Phrase::RendezvousPlain { server: url.to_owned() }, NoticeTone::Warning);
        }
        self.config.server = None;
        self.store.set("server", url);
        self.reconcile_links();
    }

    /// Missed calls nobody has looked at.
    pub(super) fn unseen_missed(&self) -> u32 {
        let missed = |call: &&StoredCall| !call.seen && call.entry.reason == EndReason::Missed;
        self.store.records().history.iter().filter(missed).count() as u32
    }
}
