//! A contact without a program of its own: signs in at the rendezvous and seals what a browser page has to say.
//!
//! Written against PROTOCOL.md only, so it is also the second client that the document promises is possible.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ahoy_protocol::rendezvous::{ClientMessage, PATH, ServerMessage, VERSION, sign_in_transcript};
use ahoy_protocol::{AhoyId, CallId, Identity, Message, Signal, SignalBody, open, seal};
use anyhow::Context as _;
use data_encoding::BASE64;
use tungstenite::WebSocket;

/// A signed-in identity.
pub struct Bridge {
    identity: Identity,
    socket: WebSocket<TcpStream>,
    reference: u64,
    /// Signals of the call that came in and were not asked for yet.
    waiting: VecDeque<Signal>,
}

impl Bridge {
    /// Signs in at `url` (`ws://host:port`) and watches `contact`.
    ///
    /// # Errors
    /// When the rendezvous is not there or refuses.
    pub fn sign_in(url: &str, identity: Identity, contact: AhoyId) -> anyhow::Result<Self> {
        let host = url.strip_prefix("ws://").context("the rendezvous' url begins with ws://")?;
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        let (mut socket, _) =
            tungstenite::client(format!("{url}{PATH}"), stream).map_err(|error| anyhow::anyhow!("{error}"))?;
        let ServerMessage::Challenge { nonce, .. } = read(&mut socket)? else {
            anyhow::bail!("the first frame is no challenge")
        };
        let nonce = BASE64.decode(nonce.as_bytes())?;
        let signature = identity.sign(&sign_in_transcript(VERSION, host, &nonce));
        let sign_in = ClientMessage::SignIn {
            id: identity.id(),
            version: VERSION,
            signature: BASE64.encode(&signature),
            client: "bridge/1".to_owned(),
        };
        write(&mut socket, &sign_in)?;
        let answer = read(&mut socket)?;
        anyhow::ensure!(matches!(answer, ServerMessage::SignedIn { .. }), "not signed in: {answer:?}");
        write(&mut socket, &ClientMessage::Watch { contacts: vec![contact] })?;
        Ok(Self { identity, socket, reference: 0, waiting: VecDeque::new() })
    }

    /// Seals and sends one step of a call.
    ///
    /// # Errors
    /// When it is too large or the connection is gone.
    pub fn send(&mut self, to: &AhoyId, call: CallId, sequence: u32, body: SignalBody) -> anyhow::Result<()> {
        let message = Message::Call(Signal { call, sequence, body });
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
        let envelope = seal(&self.identity, to, &message, now)?;
        self.reference += 1;
        let send =
            ClientMessage::Send { reference: self.reference, to: *to, envelope: BASE64.encode(&envelope), keep: false };
        write(&mut self.socket, &send)
    }

    /// The next step of a call, or nothing within `limit`.
    ///
    /// # Errors
    /// When the connection is gone or an envelope cannot be opened.
    pub fn next(&mut self, limit: Duration) -> anyhow::Result<Option<Signal>> {
        if let Some(signal) = self.waiting.pop_front() {
            return Ok(Some(signal));
        }
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.get_ref().set_read_timeout(Some(left))?;
            match self.socket.read() {
                Ok(frame) => {
                    let Ok(text) = frame.to_text() else { continue };
                    if text.is_empty() || !frame.is_text() {
                        continue;
                    }
                    if let ServerMessage::Envelope { number, envelope, .. } = serde_json::from_str(text)? {
                        write(&mut self.socket, &ClientMessage::Received { number })?;
                        let opened = open(&self.identity, &BASE64.decode(envelope.as_bytes())?)?;
                        if let Message::Call(signal) = opened.message {
                            return Ok(Some(signal));
                        }
                    }
                }
                Err(tungstenite::Error::Io(error))
                    if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
                {
                    return Ok(None);
                }
                Err(error) => anyhow::bail!("the rendezvous is gone: {error}"),
            }
        }
    }
}

fn read(socket: &mut WebSocket<TcpStream>) -> anyhow::Result<ServerMessage> {
    loop {
        let frame = socket.read()?;
        if frame.is_text() {
            return Ok(serde_json::from_str(frame.to_text()?)?);
        }
    }
}

fn write(socket: &mut WebSocket<TcpStream>, message: &ClientMessage) -> anyhow::Result<()> {
    Ok(socket.send(tungstenite::Message::text(serde_json::to_string(message)?))?)
}
