//! Envelopes out and in, over whichever link leads to the other side.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahoy_protocol::rendezvous::{self, ClockOffset, IceServer, SendOutcome};
use ahoy_protocol::{AhoyId, Arrival, ContactCard, Message, RefusedCounts, ReplayGuard, limits, seal};
use ahoy_session::{Delivery, Input, Received, Relation, SendTicket};

use super::{Desk, REMEMBER_AFTER};
use crate::config::{DEFAULT_SERVER, Strangers};
use crate::link::{Link, LinkOrder};
use crate::store::Store;
use crate::words::Phrase;

/// Senders whose link is remembered; full: all are forgotten, and the usual routes are taken.
const HEARD: usize = 256;

/// Where a link stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    Connecting,
    Online,
    Down(Phrase),
}

pub(super) struct Entry {
    pub link: Link,
    pub standing: Standing,
    pub online: BTreeSet<AhoyId>,
    pub ice_servers: Vec<IceServer>,
    pub clock: ClockOffset,
}

/// What a sent envelope is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Signal(SendTicket),
    Introduction(AhoyId),
}

/// An envelope on its way.
struct Pending {
    purpose: Purpose,
    to: AhoyId,
    envelope: String,
    keep: bool,
    /// The link that has it.
    at: Arc<str>,
    /// Tried next, in this order.
    routes: VecDeque<Arc<str>>,
    /// Some server knew the recipient's absence.
    offline: bool,
}

/// All links and what is on its way over them.
pub(super) struct Mail {
    pub links: BTreeMap<Arc<str>, Entry>,
    /// One's own rendezvous.
    pub own: Arc<str>,
    pending: HashMap<u64, Pending>,
    next_reference: u64,
    contacts_guard: ReplayGuard,
    strangers_guard: ReplayGuard,
    pub refused: RefusedCounts,
    /// Over which link somebody was heard last.
    heard: HashMap<AhoyId, Arc<str>>,
    /// Servers of people called by their card without being contacts.
    pub visited: HashMap<AhoyId, ContactCard>,
    /// Closed links whose tasks are about to end.
    pub closing: Vec<tokio::task::JoinHandle<()>>,
}

impl Mail {
    pub fn new(store: &Store) -> Self {
        let guard = |name| store.setting(name).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        Self {
            links: BTreeMap::new(),
            own: Arc::from(DEFAULT_SERVER),
            pending: HashMap::new(),
            next_reference: 1,
            contacts_guard: guard("replay.contacts"),
            strangers_guard: guard("replay.strangers"),
            refused: RefusedCounts::default(),
            heard: HashMap::new(),
            visited: HashMap::new(),
            closing: Vec::new(),
        }
    }

    pub fn own(&self) -> Option<&Entry> {
        self.links.get(&self.own)
    }

    pub fn is_online(&self, id: &AhoyId) -> bool {
        self.links.values().any(|entry| entry.online.contains(id))
    }

    pub fn is_signed_in(&self) -> bool {
        self.own().is_some_and(|entry| entry.standing == Standing::Online)
    }

    /// The servers of one's own rendezvous first, then those of the other side's. Those of anybody else are left alone:
    /// they would learn of a call that is none of their business.
    fn ice_servers(&self, routes: &VecDeque<Arc<str>>) -> Vec<ahoy_peer::IceServer> {
        let own = self.own().into_iter();
        let others = routes.iter().filter(|server| **server != self.own).filter_map(|server| self.links.get(server));
        let mut servers: Vec<ahoy_peer::IceServer> = Vec::new();
        for server in own.chain(others).flat_map(|entry| &entry.ice_servers) {
            let server = ahoy_peer::IceServer {
                urls: server.urls.clone(),
                username: server.username.clone().unwrap_or_default(),
                credential: server.credential.clone().unwrap_or_default(),
            };
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        servers.truncate(limits::ICE_SERVERS);
        servers
    }

    pub fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    pub fn save(&self, store: &mut Store) {
        for (name, guard) in [("replay.contacts", &self.contacts_guard), ("replay.strangers", &self.strangers_guard)] {
            match serde_json::to_string(guard) {
                Ok(text) if store.setting(name) != Some(&text) => store.set(name, text),
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "what came is not remembered"),
            }
        }
    }

    /// Closes every link and waits for its task.
    pub async fn close(self) {
        for entry in self.links.into_values() {
            entry.link.close().await;
        }
        for task in self.closing {
            let _ = task.await;
        }
    }
}

impl Desk {
    /// The time by which envelopes are sealed and judged.
    fn corrected_ms(&self) -> u64 {
        self.mail.own().map_or(ClockOffset::default(), |entry| entry.clock).correct(self.clock.now_ms())
    }

    /// Seals and sends a signal of the session.
    pub(super) fn send_signal(&mut self, ticket: SendTicket, to: AhoyId, signal: ahoy_protocol::Signal, keep: bool) {
        self.post(Purpose::Signal(ticket), to, &Message::Call(signal), keep);
    }

    /// Tells somebody that they are a contact now, at once or when the mail goes again.
    pub(super) fn introduce(&mut self, id: AhoyId) {
        let mut waiting = self.introductions();
        if waiting.insert(id) {
            self.save_introductions(&waiting);
        }
        self.post(Purpose::Introduction(id), id, &Message::ContactRequest { card: self.own_card().to_link() }, true);
    }

    pub(super) fn introduce_all(&mut self) {
        for id in self.introductions() {
            let on_its_way = self.mail.pending.values().any(|pending| pending.purpose == Purpose::Introduction(id));
            if !on_its_way {
                self.introduce(id);
            }
        }
    }

    fn introductions(&self) -> BTreeSet<AhoyId> {
        let text = self.store.setting("introductions").unwrap_or_default();
        text.split(' ').filter_map(|id| id.parse().ok()).collect()
    }

    fn save_introductions(&mut self, waiting: &BTreeSet<AhoyId>) {
        let text = waiting.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        self.store.set("introductions", text);
    }

    fn post(&mut self, purpose: Purpose, to: AhoyId, message: &Message, keep: bool) {
        let envelope = match seal(&self.identity, &to, message, self.corrected_ms()) {
            Ok(envelope) => rendezvous::to_base64(&envelope),
            Err(error) => {
                tracing::error!(%error, "nothing is sent");
                return self.report(purpose, Delivery::Failed);
            }
        };
        let reference = self.mail.next_reference;
        self.mail.next_reference += 1;
        let routes = self.routes(&to);
        let at = Arc::clone(&self.mail.own);
        self.mail.pending.insert(reference, Pending { purpose, to, envelope, keep, at, routes, offline: false });
        self.next_route(reference, false);
    }

    /// The STUN and TURN servers for a call with this person.
    pub(super) fn ice_servers_for(&self, peer: &AhoyId) -> Vec<ahoy_peer::IceServer> {
        self.mail.ice_servers(&self.routes(peer))
    }

    /// Over which links somebody may be reached, the best first, each once. Their home rendezvous is the last: what is to
    /// be kept is kept there.
    fn routes(&self, to: &AhoyId) -> VecDeque<Arc<str>> {
        let mut routes: VecDeque<Arc<str>> = VecDeque::new();
        let records = self.store.records();
        let visited = self.mail.visited.get(to).map(|card| card.servers.as_slice());
        let servers = records.contacts.get(to).map(|contact| contact.servers.as_slice());
        let requested = records.requests.get(to).map(|request| request.servers.as_slice());
        let servers = servers.or(requested).filter(|servers| !servers.is_empty()).or(visited).unwrap_or_default();
        let home = servers.first().map_or(&*self.mail.own, |server| server.trim_end_matches('/'));
        let home = if self.mail.links.contains_key(home) { home } else { &*self.mail.own };
        let heard = self.mail.heard.get(to).map(|server| &**server);
        let present =
            self.mail.links.iter().filter(|(_, entry)| entry.online.contains(to)).map(|(server, _)| &**server);
        let others = servers.iter().skip(1).map(|server| server.trim_end_matches('/'));
        let usable = |server: &str| {
            self.mail.links.get(server).is_some_and(|entry| !matches!(entry.standing, Standing::Down(_)))
        };
        for server in heard.into_iter().chain(present).chain(others).chain([&*self.mail.own]) {
            if server != home && usable(server) && !routes.iter().any(|route| &**route == server) {
                routes.push_back(Arc::from(server));
            }
        }
        routes.push_back(Arc::from(home));
        // Where somebody is known to be present, or the only place they ever are, nothing else is tried first.
        if heard.is_none_or(|server| server == home) && self.mail.links.get(home).is_some_and(|e| e.online.contains(to))
        {
            routes.drain(..routes.len() - 1);
        }
        routes
    }

    /// Tries the next link, or reports that there is none.
    pub(super) fn next_route(&mut self, reference: u64, offline: bool) {
        loop {
            let Some(pending) = self.mail.pending.get_mut(&reference) else { return };
            pending.offline |= offline;
            let Some(server) = pending.routes.pop_front() else {
                let signed_in = self.mail.is_signed_in();
                let Some(pending) = self.mail.pending.remove(&reference) else { return };
                let fate = match (pending.offline, signed_in) {
                    (true, _) => Delivery::Offline,
                    (false, true) => Delivery::Failed,
                    (false, false) => Delivery::NotSignedIn,
                };
                return self.report(pending.purpose, fate);
            };
            pending.at = Arc::clone(&server);
            let keep = pending.keep && pending.routes.is_empty();
            let order = LinkOrder::Send { reference, to: pending.to, envelope: pending.envelope.clone(), keep };
            if self.mail.links.get(&server).is_some_and(|entry| entry.link.order(order)) {
                return;
            }
        }
    }

    pub(super) fn handle_sent(&mut self, reference: u64, outcome: SendOutcome) {
        let fate = match outcome {
            SendOutcome::Delivered => Delivery::Delivered,
            SendOutcome::Kept => Delivery::Kept,
            SendOutcome::Offline | SendOutcome::MailboxFull => return self.next_route(reference, true),
            SendOutcome::TooMany => return self.next_route(reference, false),
        };
        if let Some(pending) = self.mail.pending.remove(&reference) {
            self.report(pending.purpose, fate);
        }
    }

    /// What was handed to a link that is no more goes another way.
    pub(super) fn give_up_link(&mut self, server: &Arc<str>) {
        let there = self.mail.pending.iter().filter(|(_, pending)| pending.at == *server);
        let references: Vec<u64> = there.map(|(reference, _)| *reference).collect();
        for reference in references {
            self.next_route(reference, false);
        }
        self.mail.heard.retain(|_, heard| heard != server);
    }

    fn report(&mut self, purpose: Purpose, outcome: Delivery) {
        match purpose {
            Purpose::Signal(ticket) => self.session(Input::Delivery { ticket, outcome }),
            Purpose::Introduction(id) => match outcome {
                Delivery::Delivered | Delivery::Kept => {
                    let mut waiting = self.introductions();
                    waiting.remove(&id);
                    self.save_introductions(&waiting);
                }
                // Tried again at the next sign-in.
                Delivery::Offline | Delivery::Failed | Delivery::NotSignedIn => {}
            },
        }
    }

    pub(super) fn open_envelope(&mut self, server: &Arc<str>, from: AhoyId, envelope: &str, kept: bool) {
        let now = self.corrected_ms();
        let arrival = if kept { Arrival::Kept } else { Arrival::Live };
        let opened = match rendezvous::receive(&self.identity, &from, envelope) {
            Ok(opened) => opened,
            Err(refused) => {
                let reason = self.mail.refused.count(refused);
                tracing::debug!(reason = reason.name(), "an envelope is refused");
                self.changed = true;
                return;
            }
        };
        let known = self.store.records().contacts.contains_key(&from);
        let guard = if known { &mut self.mail.contacts_guard } else { &mut self.mail.strangers_guard };
        let age = match guard.admit(&opened, arrival, now) {
            Ok(age) => age,
            Err(error) => {
                let reason = self.mail.refused.count(error);
                tracing::debug!(reason = reason.name(), "an envelope is refused");
                self.changed = true;
                return;
            }
        };
        self.remember_at.get_or_insert_with(|| Instant::now() + REMEMBER_AFTER);
        let relation = self.relation(&from);
        match opened.message {
            Message::Call(signal) => {
                if arrival == Arrival::Live {
                    if self.mail.heard.len() >= HEARD {
                        self.mail.heard.clear();
                    }
                    self.mail.heard.insert(from, Arc::clone(server));
                }
                let age = Duration::from_millis(age.age_ms);
                self.session(Input::Signal(Received { from, signal, relation, age }));
            }
            Message::ContactRequest { card } => self.handle_contact_request(from, &card, relation),
        }
    }

    fn relation(&self, id: &AhoyId) -> Relation {
        let records = self.store.records();
        match (records.contacts.get(id), self.config.strangers) {
            _ if records.blocked.contains(id) => Relation::Blocked,
            (Some(contact), _) => Relation::Contact { early: contact.connect_early },
            (None, Strangers::Ring) => Relation::Contact { early: false },
            (None, Strangers::Wait) => Relation::Stranger,
        }
    }
}
