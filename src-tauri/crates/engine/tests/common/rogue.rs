//! Somebody who speaks the protocol without our engine, to say what it would not.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use ahoy_engine::api::Command;
use ahoy_protocol::rendezvous::{self as wire, ClientMessage, ServerMessage};
use ahoy_protocol::{AhoyId, CallId, Identity, Message, Signal, SignalBody, seal};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message as Frame;

use super::Person;

/// Somebody with a key and a socket, and no good manners.
pub struct Rogue {
    pub identity: Identity,
    socket: tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>,
    reference: u64,
}

impl Rogue {
    pub async fn sign_in(server: &str, identity: Identity) -> Self {
        let address = format!("{server}{}", wire::PATH);
        let (mut socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
        let challenge = socket.next().await.unwrap().unwrap();
        let Ok(ServerMessage::Challenge { nonce, .. }) = ServerMessage::from_text(challenge.to_text().unwrap()) else {
            panic!("no challenge")
        };
        let host = wire::dialled_host(server).unwrap();
        let answer = wire::sign_in(&identity, wire::VERSION, &host, &nonce, "rogue").unwrap();
        socket.send(Frame::text(answer.to_text())).await.unwrap();
        socket.next().await.unwrap().unwrap();
        Self { identity, socket, reference: 0 }
    }

    pub async fn send(&mut self, to: &AhoyId, envelope: &[u8]) {
        self.reference += 1;
        let (reference, envelope) = (self.reference, wire::to_base64(envelope));
        let message = ClientMessage::Send { reference, to: *to, envelope, keep: false };
        self.socket.send(Frame::text(message.to_text())).await.unwrap();
    }

    pub fn seal(&self, to: &AhoyId, message: &Message) -> Vec<u8> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        seal(&self.identity, to, message, now.as_millis() as u64).unwrap()
    }

    /// The next signal that came for us.
    pub async fn signal(&mut self) -> Signal {
        loop {
            let Frame::Text(text) = self.socket.next().await.unwrap().unwrap() else { continue };
            if let Ok(ServerMessage::Envelope { from, envelope, .. }) = ServerMessage::from_text(&text)
                && let Ok(opened) = wire::receive(&self.identity, &from, &envelope)
                && let Message::Call(signal) = opened.message
            {
                return signal;
            }
        }
    }
}

pub fn invite(call: [u8; 16], offer: &str) -> Message {
    let body = SignalBody::Invite { name: "Rogue".to_owned(), video: true, offer: offer.to_owned() };
    Message::Call(Signal { call: CallId(call), sequence: 0, body })
}

/// A rogue whom Ada has as a contact.
pub async fn befriended_rogue(ada: &Person, server: &str) -> (Rogue, AhoyId) {
    let rogue = Rogue::sign_in(server, Identity::generate()).await;
    let id = rogue.identity.id();
    let card = ahoy_protocol::ContactCard { id, name: "Rogue".to_owned(), servers: vec![server.to_owned()] };
    ada.wish(Command::AddContact { link: card.to_link() });
    ada.until("the contact", |shown| !shown.contacts.is_empty()).await;
    (rogue, ada.id.parse().unwrap())
}
