//! What there is to show, made whole each time something changed.

use ahoy_protocol::AhoyId;
use ahoy_session::{CallView, Phase, State};

use super::mail::Standing;
use super::{Desk, language, texts};
use crate::api::{Call, CallPhase, Contact, ContactRequest, Me, MediaOn, Presence, RendezvousState, Snapshot, Theme};

/// The own card's link and drawing, which take a while to make and seldom change.
#[derive(Debug, Default)]
pub(super) struct CardCache {
    link: String,
    qr_svg: String,
}

impl Desk {
    pub fn snapshot(&mut self) -> Snapshot {
        self.refresh_card();
        let records = self.store.records();
        let mut contacts: Vec<Contact> = records
            .contacts
            .values()
            .map(|contact| Contact {
                id: contact.id.to_string(),
                name: contact.name.clone(),
                presence: self.presence(&contact.id),
                last_seen_ms: contact.last_seen_ms,
                connect_early: contact.connect_early,
                blocked: records.blocked.contains(&contact.id),
            })
            .collect();
        contacts.sort_by_cached_key(|contact| (contact.name.to_lowercase(), contact.id.clone()));
        let mut requests: Vec<ContactRequest> = records
            .requests
            .values()
            .map(|request| ContactRequest {
                id: request.id.to_string(),
                name: request.name.clone(),
                called: request.called,
                at_ms: request.at_ms,
            })
            .collect();
        requests.sort_by_key(|request| std::cmp::Reverse(request.at_ms));
        Snapshot {
            me: Me {
                id: self.me.to_string(),
                name: self.store.setting("name").map(ToOwned::to_owned),
                card_link: self.card.link.clone(),
                card_qr_svg: self.card.qr_svg.clone(),
                card_reach: self.card_reach(),
            },
            rendezvous: self.rendezvous(),
            contacts,
            requests,
            call: self.call_shown(),
            history: records.history.iter().map(|call| call.entry.clone()).collect(),
            unseen_missed: self.unseen_missed(),
            devices: self.device_lists(),
            preview: self.preview,
            scanning: self.scanning,
            trial: self.trial_shown(),
            voice: self.voice(),
            theme: self.theme(),
            language: self.words.language(),
            chosen_language: language::chosen(&self.store),
            notices: self.notices.clone(),
            refused: self.mail.refused.iter().map(|(reason, count)| (reason.name().to_owned(), count)).collect(),
        }
    }

    fn refresh_card(&mut self) {
        let card = self.own_card();
        let link = card.to_link();
        if link != self.card.link {
            // A card without a server that passes the checks cannot be drawn; the link says why when it is read.
            self.card = CardCache { link, qr_svg: card.qr_svg().unwrap_or_default() };
        }
    }

    fn presence(&self, id: &AhoyId) -> Presence {
        if self.mail.is_online(id) {
            Presence::Online
        } else if self.mail.is_signed_in() {
            Presence::Offline
        } else {
            Presence::Unknown
        }
    }

    fn rendezvous(&self) -> RendezvousState {
        match self.mail.own().map(|entry| &entry.standing) {
            Some(Standing::Online) => RendezvousState::Online,
            Some(Standing::Connecting) | None => RendezvousState::Connecting,
            Some(Standing::Down(why)) => RendezvousState::Offline { why: self.words.say(why.clone()) },
        }
    }

    fn theme(&self) -> Theme {
        self.store.setting("theme").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    fn call_shown(&self) -> Option<Call> {
        match self.session.state() {
            State::InCall(view) => Some(self.call_of(&view)),
            State::Idle | State::Closed => self.calls.ended.clone(),
        }
    }

    pub(super) fn call_of(&self, view: &CallView) -> Call {
        Call {
            call_id: view.call.to_string(),
            peer: view.peer.to_string(),
            name: self.call_name(view),
            direction: texts::direction(view.direction),
            phase: match view.phase {
                Phase::Calling => CallPhase::Calling,
                Phase::Ringing => CallPhase::Ringing,
                Phase::Incoming => CallPhase::Incoming,
                Phase::Connecting => CallPhase::Connecting,
                Phase::Active { since } => CallPhase::Active { since_ms: self.clock.unix_ms(since) },
                Phase::Reconnecting { since, lost } => {
                    CallPhase::Reconnecting { lost_ms: self.clock.unix_ms(lost), since_ms: self.clock.unix_ms(since) }
                }
            },
            local: self.devices.media_on(),
            remote: MediaOn {
                microphone: view.remote.microphone,
                camera: view.remote.camera,
                paused: view.remote.paused,
            },
            video_wanted: view.video_wanted,
            share: self.call_share(),
            quality: self.calls.quality.clone(),
            stats: self.calls.stats.clone(),
        }
    }

    /// A contact keeps the name it was given here; others are called as they call themselves.
    pub(super) fn call_name(&self, view: &CallView) -> String {
        let known = self.store.records().contacts.contains_key(&view.peer);
        let own = view.peer_name.clone().filter(|name| !known && ahoy_protocol::check_name(name).is_ok());
        own.unwrap_or_else(|| self.name_of(&view.peer))
    }
}
