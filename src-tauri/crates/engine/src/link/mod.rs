//! Links to rendezvous servers: one task each, which signs in, carries envelopes and comes back by itself.
//!
//! ```text
//! call task ──LinkOrder──► link task ──WebSocket──► rendezvous
//! call task ◄──LinkEvent── link task
//! ```

mod backoff;
mod task;
mod tls;

use std::sync::Arc;

use ahoy_protocol::rendezvous::{ClockOffset, IceServer, SendOutcome};
use ahoy_protocol::{AhoyId, Identity};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::words::Phrase;

/// call task -> link task; full: refused, and the call task treats it as not sent. A call needs some 40.
const ORDERS: usize = 1024;

/// What the call task wants of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkOrder {
    /// Whose presence is wanted; the whole list, kept over reconnections.
    Watch(Vec<AhoyId>),
    /// Hand an envelope on. Answered by [`LinkEvent::Sent`] or [`LinkEvent::NotSent`].
    Send {
        /// Echoed in the answer.
        reference: u64,
        /// To whom.
        to: AhoyId,
        /// Base64 of the sealed envelope.
        envelope: String,
        /// May wait in the mailbox.
        keep: bool,
    },
    /// The envelope is dealt with.
    Received(u64),
}

/// What a link tells the call task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// Signed in.
    SignedIn {
        /// STUN and TURN servers for calls.
        ice_servers: Vec<IceServer>,
        /// This computer's clock against the server's.
        clock: ClockOffset,
    },
    /// Not signed in (any more); it is tried again by itself.
    Down(Phrase),
    /// Someone came or went.
    Presence {
        /// Who.
        id: AhoyId,
        /// Is signed in there now.
        online: bool,
    },
    /// What became of a sent envelope.
    Sent {
        /// Of the order.
        reference: u64,
        /// Its fate.
        outcome: SendOutcome,
    },
    /// It could not be handed to the server.
    NotSent {
        /// Of the order.
        reference: u64,
    },
    /// An envelope came.
    Envelope {
        /// To be confirmed.
        number: u64,
        /// As the server says.
        from: AhoyId,
        /// Base64.
        envelope: String,
        /// It waited in the mailbox.
        kept: bool,
    },
    /// Fresh STUN and TURN servers.
    IceServers(Vec<IceServer>),
    /// A frame was refused.
    Refused(ahoy_protocol::Refused),
}

/// One link. Dropping it ends its task soon; [`Link::close`] waits for that.
#[derive(Debug)]
pub struct Link {
    orders: mpsc::Sender<LinkOrder>,
    task: JoinHandle<()>,
}

impl Link {
    /// Starts the task that keeps signed in at `server`. `post` puts an event into the call task's queue and resolves
    /// when there was room.
    pub fn start<P, F>(server: String, identity: Arc<Identity>, post: P) -> Self
    where
        P: Fn(LinkEvent) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (orders, received) = mpsc::channel(ORDERS);
        let task = tokio::spawn(task::run(server, identity, received, post));
        Self { orders, task }
    }

    /// Posts an order; false when the link's queue is full.
    pub fn order(&self, order: LinkOrder) -> bool {
        self.orders.try_send(order).is_ok()
    }

    /// Ends the task and waits for it.
    pub async fn close(self) {
        drop(self.orders);
        if self.task.await.is_err() {
            tracing::error!("a link's task panicked");
        }
    }
}
