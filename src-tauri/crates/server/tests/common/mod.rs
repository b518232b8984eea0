//! An app as the server sees it: a WebSocket and an identity.

#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use ahoy_protocol::rendezvous::{self, ClientMessage, IceServer, SendOutcome, ServerMessage, sign_in_transcript};
use ahoy_protocol::{AhoyId, Identity};
use ahoy_server::{RunningServer, Server, ServerConfig};
use data_encoding::BASE64;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// An answer that takes longer is missing.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn start(config: ServerConfig) -> RunningServer {
    Server::start(config).await.unwrap()
}

pub async fn start_default() -> RunningServer {
    start(ServerConfig::loopback()).await
}

pub struct App {
    pub identity: Identity,
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub ice_servers: Vec<IceServer>,
}

/// The authority that the client's library puts into the Host header.
pub fn host_of(url: &str) -> &str {
    url.split_once("://").unwrap().1
}

pub fn identity(seed: u8) -> Identity {
    Identity::from_seed([seed; 32])
}

pub fn sign_in(identity: &Identity, version: u16, host: &str, nonce: &str) -> ClientMessage {
    let nonce = BASE64.decode(nonce.as_bytes()).unwrap();
    let signature = BASE64.encode(&identity.sign(&sign_in_transcript(version, host, &nonce)));
    ClientMessage::SignIn { id: identity.id(), version, signature, client: "test/1".into() }
}

impl App {
    /// Dialled, not yet signed in; returns the challenge's nonce as well.
    pub async fn dial(url: &str, seed: u8) -> (Self, String) {
        Self::dial_as(url, identity(seed)).await
    }

    pub async fn dial_as(url: &str, identity: Identity) -> (Self, String) {
        let (socket, _) =
            tokio_tungstenite::connect_async_with_config(format!("{url}{}", rendezvous::PATH), None, true)
                .await
                .unwrap();
        let mut app = Self { identity, socket, ice_servers: Vec::new() };
        let Some(ServerMessage::Challenge { nonce, versions, .. }) = app.next().await else { panic!("no challenge") };
        assert_eq!(versions, [rendezvous::VERSION]);
        (app, nonce)
    }

    pub async fn come(server: &RunningServer, seed: u8) -> Self {
        Self::come_as(server, identity(seed)).await
    }

    pub async fn come_as(server: &RunningServer, identity: Identity) -> Self {
        let (mut app, nonce) = Self::dial_as(server.url(), identity).await;
        let message = sign_in(&app.identity, rendezvous::VERSION, host_of(server.url()), &nonce);
        app.tell(&message).await;
        match app.next().await {
            Some(ServerMessage::SignedIn { ice_servers, .. }) => app.ice_servers = ice_servers,
            other => panic!("not signed in: {other:?}"),
        }
        app
    }

    pub fn id(&self) -> AhoyId {
        self.identity.id()
    }

    pub async fn tell(&mut self, message: &ClientMessage) {
        self.raw(Frame::Text(serde_json::to_string(message).unwrap().into())).await.unwrap();
    }

    pub async fn raw(&mut self, frame: Frame) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        timeout(PATIENCE, self.socket.send(frame)).await.expect("the server reads")
    }

    /// The next message; `None` when the server has closed or the connection failed.
    pub async fn next(&mut self) -> Option<ServerMessage> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("the server says something") {
                Some(Ok(Frame::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
                Some(Ok(Frame::Close(_)) | Err(_)) | None => return None,
                Some(Ok(other)) => panic!("not a text frame: {other:?}"),
            }
        }
    }

    pub async fn watch(&mut self, contacts: &[AhoyId]) {
        self.tell(&ClientMessage::Watch { contacts: contacts.to_vec() }).await;
    }

    /// Sends `text` as an envelope and waits for the outcome; presence and envelopes in between are an error.
    pub async fn send(&mut self, to: AhoyId, text: &str, keep: bool) -> SendOutcome {
        let envelope = BASE64.encode(text.as_bytes());
        self.tell(&ClientMessage::Send { reference: 7, to, envelope, keep }).await;
        match self.next().await {
            Some(ServerMessage::Sent { reference: 7, outcome }) => outcome,
            other => panic!("no outcome: {other:?}"),
        }
    }

    /// Waits for an envelope: its number, sender, text and whether it was kept.
    pub async fn envelope(&mut self) -> (u64, AhoyId, String, bool) {
        match self.next().await {
            Some(ServerMessage::Envelope { number, from, envelope, kept }) => {
                let text = String::from_utf8(BASE64.decode(envelope.as_bytes()).unwrap()).unwrap();
                (number, from, text, kept)
            }
            other => panic!("no envelope: {other:?}"),
        }
    }

    /// Passes when the server has carried out all of our commands and said nothing more to us meanwhile: the next we
    /// hear is a letter to ourselves.
    pub async fn hears_nothing(&mut self) {
        let (to, envelope) = (self.id(), BASE64.encode(b"echo"));
        self.tell(&ClientMessage::Send { reference: 1, to, envelope, keep: false }).await;
        assert_eq!(self.envelope().await.2, "echo");
        assert!(matches!(self.next().await, Some(ServerMessage::Sent { reference: 1, .. })));
    }

    pub async fn hears_presence_of(&mut self, other: &App) {
        assert_eq!(self.next().await, Some(ServerMessage::Presence { id: other.id(), online: true }));
    }

    pub async fn leave(mut self) {
        self.socket.close(None).await.unwrap();
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}
