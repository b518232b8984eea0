//! The links to rendezvous servers: which are needed, and what each tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ahoy_protocol::rendezvous::{ClockOffset, Reach};
use ahoy_protocol::{AhoyId, limits};

use super::mail::{Entry, Standing};
use super::{Desk, Posted};
use crate::api::{CardReach, NoticeTone};
use crate::config::DEFAULT_SERVER;
use crate::event::Happened;
use crate::link::{Link, LinkEvent, LinkOrder};
use crate::words::Phrase;

/// Links at a time: one's own rendezvous and those of contacts elsewhere.
const LINKS: usize = 16;
/// A clock wrong by more than this is told to its owner: calls of others would look stale.
const CLOCK_WRONG_MS: u64 = 2 * 60 * 1000;

impl Desk {
    /// Which rendezvous this person signs in to.
    pub(super) fn own_server(&self) -> String {
        self.chosen_server().unwrap_or(DEFAULT_SERVER).trim_end_matches('/').to_owned()
    }

    fn chosen_server(&self) -> Option<&str> {
        let chosen = self.config.server.as_deref().or_else(|| self.store.setting("server"));
        chosen.filter(|server| !server.is_empty())
    }

    /// Opens the links that are needed now, closes the others, and tells each whose presence is wanted.
    pub(super) fn reconcile_links(&mut self) {
        let own: Arc<str> = Arc::from(self.own_server());
        let contacts = &self.store.records().contacts;
        let listed = |server: &str| {
            let here =
                contacts.values().filter(|contact| contact.servers.iter().any(|s| s.trim_end_matches('/') == server));
            here.map(|contact| contact.id).collect::<Vec<_>>()
        };
        let mut wanted: BTreeMap<Arc<str>, Vec<AhoyId>> = BTreeMap::new();
        let all = contacts.keys().copied().take(limits::WATCHED_CONTACTS).collect();
        wanted.insert(Arc::clone(&own), all);
        let cards = self.mail.visited.values().map(|card| &card.servers);
        for server in contacts.values().map(|contact| &contact.servers).chain(cards).flatten() {
            let server = server.trim_end_matches('/');
            if wanted.len() < LINKS && !wanted.contains_key(server) {
                wanted.insert(Arc::from(server), listed(server));
            }
        }
        let gone: Vec<Arc<str>> =
            self.mail.links.keys().filter(|server| !wanted.contains_key(*server)).cloned().collect();
        for server in gone {
            if let Some(entry) = self.mail.links.remove(&server) {
                self.mail.closing.retain(|task| !task.is_finished());
                self.mail.closing.push(tokio::spawn(entry.link.close()));
                self.give_up_link(&server);
            }
        }
        self.mail.own = own;
        for (server, watched) in wanted {
            if !self.mail.links.contains_key(&server) {
                let entry = self.dial(&server);
                self.mail.links.insert(Arc::clone(&server), entry);
            }
            if let Some(entry) = self.mail.links.get(&server) {
                entry.link.order(LinkOrder::Watch(watched));
            }
        }
        self.changed = true;
    }

    fn dial(&self, server: &Arc<str>) -> Entry {
        let (inbox, key) = (self.outlets.inbox.clone(), Arc::clone(server));
        let link = Link::start(server.to_string(), Arc::clone(&self.identity), move |event| {
            let (inbox, key) = (inbox.clone(), Arc::clone(&key));
            async move { drop(inbox.send(Posted::Link(key, event)).await) }
        });
        Entry {
            link,
            standing: Standing::Connecting,
            online: BTreeSet::new(),
            ice_servers: Vec::new(),
            clock: ClockOffset::default(),
        }
    }

    pub(super) fn handle_link(&mut self, server: &Arc<str>, event: LinkEvent) {
        let chosen = *server != self.mail.own || self.chosen_server().is_some();
        let Some(entry) = self.mail.links.get_mut(server) else { return };
        match event {
            LinkEvent::SignedIn { ice_servers, clock } => {
                entry.standing = Standing::Online;
                entry.ice_servers = ice_servers;
                entry.clock = clock;
                self.event(Happened::SignedIn { server: server.to_string() });
                if *server == self.mail.own {
                    self.judge_clock(clock);
                }
                self.introduce_all();
                self.changed = true;
            }
            LinkEvent::Down(why) => {
                let why = if chosen { nearer(why) } else { Phrase::RendezvousUnset {} };
                entry.standing = Standing::Down(why);
                let seen = std::mem::take(&mut entry.online);
                for id in seen {
                    self.saw(id);
                }
                self.give_up_link(server);
                self.changed = true;
            }
            LinkEvent::Presence { id, online } => {
                let known = if online { entry.online.insert(id) } else { entry.online.remove(&id) };
                if known {
                    self.saw(id);
                }
            }
            LinkEvent::Sent { reference, outcome } => self.handle_sent(reference, outcome),
            LinkEvent::NotSent { reference } => self.next_route(reference, false),
            LinkEvent::Envelope { number, from, envelope, kept } => {
                entry.link.order(LinkOrder::Received(number));
                self.open_envelope(server, from, &envelope, kept);
            }
            LinkEvent::IceServers(ice_servers) => entry.ice_servers = ice_servers,
            LinkEvent::Refused(refused) => {
                let reason = self.mail.refused.count(refused);
                tracing::debug!(reason = reason.name(), "a frame is refused");
                self.changed = true;
            }
        }
    }

    fn judge_clock(&mut self, clock: ClockOffset) {
        self.notices.retain(|notice| notice.sentence.key != "clock.wrong");
        let wrong = clock.behind_ms().unsigned_abs();
        if wrong > CLOCK_WRONG_MS {
            let minutes = (wrong / 60_000).to_string();
            self.notify(Phrase::ClockWrong { minutes }, NoticeTone::Warning);
        }
    }

    /// Who can use this person's card, by where their rendezvous is.
    pub(super) fn card_reach(&self) -> CardReach {
        match Reach::of(&self.mail.own) {
            Some(Reach::ThisComputer) => CardReach::ThisComputer,
            Some(Reach::LocalNetwork) => CardReach::LocalNetwork,
            Some(Reach::Anywhere) | None => CardReach::Anywhere,
        }
    }
}

/// The Internet has no part in it when a rendezvous on this very computer does not answer.
fn nearer(why: Phrase) -> Phrase {
    match why {
        Phrase::RendezvousUnreachable { server } if Reach::of(&server) == Some(Reach::ThisComputer) => {
            Phrase::RendezvousNotHere { server }
        }
        other => other,
    }
}
