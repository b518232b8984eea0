//! Contacts, requests, blocked IDs: who may ring.

use ahoy_protocol::{AhoyId, CardError, ContactCard, check_name, limits};
use ahoy_session::Relation;

use super::Desk;
use super::texts::short_name;
use crate::api::NoticeTone;
use crate::event::Happened;
use crate::store::{Change, StoredContact, StoredRequest};
use crate::words::Phrase;

impl Desk {
    /// What somebody is called here.
    pub(super) fn name_of(&self, id: &AhoyId) -> String {
        let records = self.store.records();
        let contact = records.contacts.get(id).map(|contact| contact.name.clone());
        let visited = || self.mail.visited.get(id).map(|card| card.name.clone());
        let request = || records.requests.get(id).map(|request| request.name.clone()).filter(|name| !name.is_empty());
        contact.or_else(visited).or_else(request).unwrap_or_else(|| short_name(id))
    }

    /// This person's own card.
    pub(super) fn own_card(&self) -> ContactCard {
        let name = self.store.setting("name").filter(|name| check_name(name).is_ok());
        let name = name.map_or_else(|| short_name(&self.me), ToOwned::to_owned);
        ContactCard { id: self.me, name, servers: vec![self.own_server()] }
    }

    pub(super) fn set_name(&mut self, name: &str) {
        let name = name.trim();
        match check_name(name) {
            Ok(()) => {
                self.store.set("name", name);
                self.changed = true;
            }
            Err(error) => self.refuse_name(error),
        }
    }

    fn refuse_name(&mut self, error: CardError) {
        let phrase = match error {
            CardError::NameTooLong => Phrase::NameTooLong {},
            _ => Phrase::NameEmpty {},
        };
        self.notify(phrase, NoticeTone::Warning);
    }

    pub(super) fn add_contact(&mut self, link: &str) {
        let card = match ContactCard::from_link(link) {
            Ok(card) => card,
            Err(error) => return self.notify(error.into(), NoticeTone::Warning),
        };
        if card.id == self.me {
            return self.notify(Phrase::LinkOwn {}, NoticeTone::Warning);
        }
        if let Some(contact) = self.store.records().contacts.get(&card.id) {
            let (mut contact, name) = (contact.clone(), contact.name.clone());
            contact.servers = card.servers;
            self.store.apply(Change::PutContact(contact));
            self.reconcile_links();
            return self.notify(Phrase::ContactKnown { name }, NoticeTone::Plain);
        }
        self.become_contact(card.id, card.name, card.servers);
    }

    /// A stranger becomes a contact: they are told, and presence begins when they have this person too.
    fn become_contact(&mut self, id: AhoyId, name: String, servers: Vec<String>) {
        if self.store.records().contacts.len() >= limits::WATCHED_CONTACTS {
            return self.notify(Phrase::TooManyContacts {}, NoticeTone::Warning);
        }
        self.store.apply(Change::PutContact(StoredContact {
            id,
            name: name.clone(),
            servers,
            connect_early: true,
            last_seen_ms: None,
            added_ms: self.clock.now_ms(),
        }));
        if self.store.records().requests.contains_key(&id) {
            self.store.apply(Change::DeleteRequest(id));
        }
        if self.store.records().blocked.contains(&id) {
            self.store.apply(Change::Unblock(id));
        }
        self.mail.visited.remove(&id);
        self.reconcile_links();
        self.introduce(id);
        self.notify(Phrase::ContactAdded { name }, NoticeTone::Plain);
    }

    /// Changes a contact, or says that there is none.
    pub(super) fn change_contact(&mut self, id: &str, change: impl FnOnce(&mut StoredContact)) {
        let contact = id.parse::<AhoyId>().ok().and_then(|id| self.store.records().contacts.get(&id).cloned());
        let Some(mut contact) = contact else {
            return self.notify(Phrase::ContactUnknown {}, NoticeTone::Warning);
        };
        change(&mut contact);
        self.store.apply(Change::PutContact(contact));
        self.changed = true;
    }

    pub(super) fn rename_contact(&mut self, id: &str, name: &str) {
        let name = name.trim().to_owned();
        match check_name(&name) {
            Ok(()) => self.change_contact(id, |contact| contact.name = name),
            Err(error) => self.refuse_name(error),
        }
    }

    pub(super) fn remove_contact(&mut self, id: &str) {
        let Ok(id) = id.parse::<AhoyId>() else { return };
        self.store.apply(Change::DeleteContact(id));
        self.reconcile_links();
    }

    pub(super) fn block(&mut self, id: &str, blocked: bool) {
        let Ok(id) = id.parse::<AhoyId>() else { return };
        self.store.apply(if blocked { Change::Block(id) } else { Change::Unblock(id) });
        if blocked && self.store.records().requests.contains_key(&id) {
            self.store.apply(Change::DeleteRequest(id));
        }
        self.changed = true;
    }

    pub(super) fn accept_request(&mut self, id: &str) {
        let request = id.parse::<AhoyId>().ok().and_then(|id| self.store.records().requests.get(&id).cloned());
        let Some(request) = request else { return };
        let name = if check_name(&request.name).is_ok() { request.name } else { short_name(&request.id) };
        self.become_contact(request.id, name, request.servers);
    }

    pub(super) fn dismiss_request(&mut self, id: &str) {
        let Ok(id) = id.parse::<AhoyId>() else { return };
        self.store.apply(Change::DeleteRequest(id));
        self.changed = true;
    }

    /// Somebody has added this person. The card was proven to be its sender's when the envelope was opened.
    pub(super) fn handle_contact_request(&mut self, from: AhoyId, card: &str, relation: Relation) {
        let Ok(card) = ContactCard::from_link(card) else { return };
        if relation == Relation::Blocked {
            return;
        }
        if let Some(contact) = self.store.records().contacts.get(&from) {
            // They may have moved.
            if contact.servers != card.servers {
                let contact = StoredContact { servers: card.servers, ..contact.clone() };
                self.store.apply(Change::PutContact(contact));
                self.reconcile_links();
            }
            return;
        }
        let called = self.store.records().requests.get(&from).is_some_and(|request| request.called);
        self.request(StoredRequest {
            id: from,
            name: card.name,
            servers: card.servers,
            called,
            at_ms: self.clock.now_ms(),
        });
    }

    pub(super) fn handle_stranger(&mut self, from: AhoyId, name: String, age: std::time::Duration) {
        let known = self.store.records().requests.get(&from);
        let servers = known.map(|request| request.servers.clone()).unwrap_or_default();
        let name = if check_name(&name).is_ok() { name } else { short_name(&from) };
        let at_ms = self.clock.now_ms().saturating_sub(age.as_millis() as u64);
        self.request(StoredRequest { id: from, name, servers, called: true, at_ms });
    }

    fn request(&mut self, request: StoredRequest) {
        self.event(Happened::Request { peer: request.id.to_string(), name: request.name.clone() });
        self.store.apply(Change::PutRequest(request));
        self.changed = true;
    }

    /// A contact came or went.
    pub(super) fn saw(&mut self, id: AhoyId) {
        self.changed = true;
        if let Some(contact) = self.store.records().contacts.get(&id) {
            let contact = StoredContact { last_seen_ms: Some(self.clock.now_ms()), ..contact.clone() };
            self.store.apply(Change::PutContact(contact));
        }
    }
}
