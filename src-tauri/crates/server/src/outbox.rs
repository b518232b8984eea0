//! What waits to be written to one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ahoy_protocol::rendezvous::ServerMessage;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What a message counts beside its envelope: JSON around it and the place in the queue.
const MESSAGE_BYTES: usize = 256;

/// hub task -> connection task. Bounded in bytes (`ConnectionLimits::out_bytes`); full: the message is not taken and the
/// connection is closed as a reader that is too slow, nothing is dropped in between.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    queue: mpsc::UnboundedSender<ServerMessage>,
    waiting: Arc<AtomicUsize>,
    limit: usize,
    overrun: CancellationToken,
}

/// The other end.
#[derive(Debug)]
pub(crate) struct OutboxReader {
    queue: mpsc::UnboundedReceiver<ServerMessage>,
    waiting: Arc<AtomicUsize>,
    overrun: CancellationToken,
}

pub(crate) fn outbox(limit: usize) -> (Outbox, OutboxReader) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let overrun = CancellationToken::new();
    let reader = OutboxReader { queue: receiver, waiting: Arc::clone(&waiting), overrun: overrun.clone() };
    (Outbox { queue: sender, waiting, limit, overrun }, reader)
}

impl Outbox {
    /// Whether the message was taken. The queue's end closes when the hub drops the outbox.
    pub(crate) fn push(&self, message: ServerMessage) -> bool {
        let bytes = weight(&message);
        if self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > self.limit {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.overrun.cancel();
            return false;
        }
        self.queue.send(message).is_ok()
    }
}

impl OutboxReader {
    /// Cancelled when a message found no room.
    pub(crate) fn overrun(&self) -> CancellationToken {
        self.overrun.clone()
    }

    /// The next message; `None` when the hub has let the connection go.
    pub(crate) async fn next(&mut self) -> Option<ServerMessage> {
        let message = self.queue.recv().await?;
        self.waiting.fetch_sub(weight(&message), Ordering::Relaxed);
        Some(message)
    }
}

fn weight(message: &ServerMessage) -> usize {
    let text = match message {
        ServerMessage::Envelope { envelope, .. } => envelope.len(),
        ServerMessage::SignedIn { ice_servers, .. } | ServerMessage::IceServers { ice_servers } => {
            ice_servers.iter().flat_map(|server| &server.urls).map(String::len).sum()
        }
        ServerMessage::Challenge { .. }
        | ServerMessage::Presence { .. }
        | ServerMessage::Sent { .. }
        | ServerMessage::Refused { .. } => 0,
    };
    text + MESSAGE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_outbox_takes_nothing_until_it_is_read() {
        let (outbox, mut reader) = outbox(2 * MESSAGE_BYTES);
        let message = ServerMessage::IceServers { ice_servers: Vec::new() };
        assert!(outbox.push(message.clone()) && outbox.push(message.clone()));
        assert!(!outbox.push(message.clone()));
        assert_eq!(reader.next().await, Some(message.clone()));
        assert!(outbox.push(message));
    }
}
