//! Who is here, who may see whom, and where envelopes go. No clock and no socket: outboxes are filled, time is an argument.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use ahoy_protocol::AhoyId;
use ahoy_protocol::rendezvous::{RefusedReason, SendOutcome, ServerMessage};

use crate::config::{ConnectionLimits, MailboxLimits};
use crate::mailbox::{Full, HandedOn, Mailbox};
use crate::outbox::Outbox;

/// Tells the connections of one server apart, older from newer.
pub(crate) type ConnectionNumber = u64;

/// The hub's whole state.
#[derive(Debug)]
pub(crate) struct Registry {
    sessions: HashMap<AhoyId, Session>,
    mailbox: Mailbox,
    unconfirmed: usize,
    next_envelope: u64,
    /// Connections whose outbox had no room. Signed out when the command at hand is done, one after the other: whom that
    /// is told to may be too slow as well.
    too_slow: Vec<(AhoyId, ConnectionNumber)>,
}

/// Somebody who is signed in.
#[derive(Debug)]
struct Session {
    connection: ConnectionNumber,
    outbox: Outbox,
    watched: Watched,
}

/// ```text
/// sign-in ──► Inherited (the list of the connection it replaces, or nobody) ──watch──► Stated
/// ```
/// An inherited list keeps somebody who changes networks from blinking in others' windows. It tells the new connection
/// nothing: that one learns presence as an answer to its own first list.
#[derive(Debug)]
enum Watched {
    Inherited(HashSet<AhoyId>),
    Stated(HashSet<AhoyId>),
}

impl Watched {
    fn list(&self) -> &HashSet<AhoyId> {
        match self {
            Self::Inherited(list) | Self::Stated(list) => list,
        }
    }
}

/// An envelope on its way.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) to: AhoyId,
    pub(crate) envelope: String,
    pub(crate) keep: bool,
}

impl Registry {
    pub(crate) fn new(mailbox: MailboxLimits, limits: &ConnectionLimits) -> Self {
        Self {
            sessions: HashMap::new(),
            mailbox: Mailbox::new(mailbox),
            unconfirmed: limits.unconfirmed,
            next_envelope: 1,
            too_slow: Vec::new(),
        }
    }

    /// People signed in, letters and bytes waiting.
    pub(crate) fn figures(&self) -> (usize, usize, usize) {
        let (letters, bytes) = self.mailbox.figures();
        (self.sessions.len(), letters, bytes)
    }

    /// A connection has proven to be `id`. It replaces an older one, gets `welcome` and then its letters.
    pub(crate) fn sign_in(
        &mut self,
        id: AhoyId,
        connection: ConnectionNumber,
        outbox: Outbox,
        welcome: ServerMessage,
        now: Instant,
    ) {
        let mut list = HashSet::new();
        if let Some(older) = self.sessions.remove(&id) {
            // If its outbox has no room for the reason, dropping the outbox ends it as well.
            older.outbox.push(ServerMessage::Refused { reason: RefusedReason::Replaced, closing: true });
            self.mailbox.take_back(&id);
            list = match older.watched {
                Watched::Inherited(list) | Watched::Stated(list) => list,
            };
        }
        outbox.push(welcome);
        self.sessions.insert(id, Session { connection, outbox, watched: Watched::Inherited(list) });
        self.hand_on_letters(id, None, now);
        self.sign_out_the_slow();
    }

    /// The connection is gone; a newer one of the same person is not touched.
    pub(crate) fn sign_out(&mut self, id: AhoyId, connection: ConnectionNumber) {
        self.sign_out_one(id, connection);
        self.sign_out_the_slow();
    }

    fn sign_out_the_slow(&mut self) {
        while let Some((id, connection)) = self.too_slow.pop() {
            self.sign_out_one(id, connection);
        }
    }

    fn sign_out_one(&mut self, id: AhoyId, connection: ConnectionNumber) {
        if self.current(&id, connection).is_none() {
            return;
        }
        let Some(session) = self.sessions.remove(&id) else { return };
        self.mailbox.take_back(&id);
        for contact in session.watched.list() {
            if self.watches(contact, &id) {
                self.tell_presence(contact, id, false);
            }
        }
    }

    /// Replaces whose presence `id` wants to see, and with it who may see `id`.
    pub(crate) fn watch(&mut self, id: AhoyId, connection: ConnectionNumber, mut list: HashSet<AhoyId>) {
        list.remove(&id);
        let Some(session) = self.current(&id, connection) else { return };
        let before = std::mem::replace(&mut session.watched, Watched::Stated(list.clone()));
        let (visible_to, known) = match before {
            Watched::Inherited(inherited) => (inherited, HashSet::new()),
            Watched::Stated(stated) => (stated.clone(), stated),
        };
        for contact in list.iter().filter(|contact| !known.contains(*contact)) {
            if self.watches(contact, &id) {
                self.tell_presence(&id, *contact, true);
            }
        }
        for contact in list.symmetric_difference(&visible_to) {
            if self.watches(contact, &id) {
                self.tell_presence(contact, id, list.contains(contact));
            }
        }
        self.sign_out_the_slow();
    }

    /// Hands an envelope on, keeps it, or says why neither. `None` when the sender's connection is no longer the current one.
    pub(crate) fn send(
        &mut self,
        from: AhoyId,
        connection: ConnectionNumber,
        outgoing: Outgoing,
        now: Instant,
    ) -> Option<SendOutcome> {
        self.current(&from, connection)?;
        let outcome = self.dispatch(from, outgoing, now);
        self.sign_out_the_slow();
        Some(outcome)
    }

    fn dispatch(&mut self, from: AhoyId, outgoing: Outgoing, now: Instant) -> SendOutcome {
        let number = self.next_envelope;
        self.next_envelope += 1;
        let Outgoing { to, envelope, keep } = outgoing;
        if !keep {
            let delivered = self.deliver(&to, HandedOn { number, from, envelope }, false);
            return if delivered { SendOutcome::Delivered } else { SendOutcome::Offline };
        }
        // What is to be kept lies in the mailbox until it is confirmed, also while its recipient is here: so a
        // connection that dies with envelopes in flight loses none.
        match self.mailbox.put(to, number, from, envelope, now) {
            Ok(()) if self.hand_on_letters(to, Some(number), now) => SendOutcome::Delivered,
            Ok(()) => SendOutcome::Kept,
            Err(_) if self.mailbox.has_waiting(&to) => SendOutcome::MailboxFull,
            // Somebody who fills others' mailboxes cannot keep people who are here from talking.
            Err(Full { envelope }) if self.sessions.contains_key(&to) => {
                let delivered = self.deliver(&to, HandedOn { number, from, envelope }, false);
                if delivered { SendOutcome::Delivered } else { SendOutcome::MailboxFull }
            }
            Err(Full { .. }) => SendOutcome::MailboxFull,
        }
    }

    /// `id` has the envelope safe.
    pub(crate) fn received(&mut self, id: AhoyId, connection: ConnectionNumber, number: u64, now: Instant) {
        if self.current(&id, connection).is_some() && self.mailbox.confirm(&id, number) {
            self.hand_on_letters(id, None, now);
            self.sign_out_the_slow();
        }
    }

    /// Puts an answer into a connection's queue.
    pub(crate) fn answer(&mut self, id: AhoyId, connection: ConnectionNumber, message: ServerMessage) {
        if let Some(session) = self.current(&id, connection)
            && !session.outbox.push(message)
        {
            self.sign_out(id, connection);
        }
    }

    /// Forgets letters that are too old; returns how many.
    pub(crate) fn sweep(&mut self, now: Instant) -> usize {
        self.mailbox.expire(now)
    }

    fn current(&mut self, id: &AhoyId, connection: ConnectionNumber) -> Option<&mut Session> {
        self.sessions.get_mut(id).filter(|session| session.connection == connection)
    }

    /// Whether `who` is here and lists `whom`.
    fn watches(&self, who: &AhoyId, whom: &AhoyId) -> bool {
        self.sessions.get(who).is_some_and(|session| session.watched.list().contains(whom))
    }

    fn tell_presence(&mut self, to: &AhoyId, id: AhoyId, online: bool) {
        let Some(session) = self.sessions.get(to) else { return };
        let told = match session.watched {
            Watched::Inherited(_) => true,
            Watched::Stated(_) => session.outbox.push(ServerMessage::Presence { id, online }),
        };
        if !told {
            self.too_slow.push((*to, session.connection));
        }
    }

    /// Fills the window of unconfirmed letters of somebody who is here. True when letter `fresh` went out.
    fn hand_on_letters(&mut self, to: AhoyId, fresh: Option<u64>, now: Instant) -> bool {
        if !self.sessions.contains_key(&to) {
            return false;
        }
        let mut fresh_went = false;
        for letter in self.mailbox.hand_on(&to, self.unconfirmed, now) {
            let is_fresh = fresh == Some(letter.number);
            if !self.deliver(&to, letter, !is_fresh) {
                return false;
            }
            fresh_went |= is_fresh;
        }
        fresh_went
    }

    /// True when the envelope is in the queue of the recipient's connection. A reader too slow for it is signed out.
    fn deliver(&mut self, to: &AhoyId, letter: HandedOn, kept: bool) -> bool {
        let Some(session) = self.sessions.get(to) else { return false };
        let HandedOn { number, from, envelope } = letter;
        let taken = session.outbox.push(ServerMessage::Envelope { number, from, envelope, kept });
        if !taken {
            self.too_slow.push((*to, session.connection));
        }
        taken
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
