//! One app's WebSocket, from challenge to close.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ahoy_protocol::rendezvous::{
    self, ClientMessage, FrameError, IceServer, RefusedReason, SendOutcome, ServerMessage, verify_sign_in,
};
use ahoy_protocol::{AhoyId, limits};
use data_encoding::BASE64;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message as Frame};
use tokio_util::sync::CancellationToken;

use crate::admission::Permit;
use crate::hub::{Command, Who};
use crate::outbox::{Outbox, OutboxReader, outbox};
use crate::rate::TokenBucket;
use crate::registry::{ConnectionNumber, Outgoing};
use crate::server::Shared;
use crate::turn;

/// Frames that are no sign-in (pings, say) taken before it.
const FRAMES_BEFORE_SIGN_IN: usize = 16;
/// A program's name for the log is cut to this many characters.
const CLIENT_NAME: usize = 40;
/// Looking through this many contacts of a watch list costs as much as one frame.
const CONTACTS_PER_FRAME: f64 = 50.0;
/// What confirming a letter costs, in frames: emptying a full mailbox must fit into the burst.
const CONFIRMATION: f64 = 0.25;

/// Who came, as far as HTTP knows.
#[derive(Debug)]
pub(crate) struct Visit {
    /// The admitted keep their permit; the others count among the pending until they are gone.
    pub(crate) admitted: Result<Permit, (RefusedReason, Arc<OwnedSemaphorePermit>)>,
    /// The Host header.
    pub(crate) host: String,
    /// The address the app is seen at.
    pub(crate) observed: String,
}

/// How a connection ends.
///
/// ```text
/// challenged ──sign-in──► signed in ──► Left | Refused | Told | Slow | Silent | Broken
///      └─────────────────────────────► Left | Refused | Slow | Silent | Broken
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The app closed it.
    Left,
    /// We close it and still have to say why.
    Refused(RefusedReason),
    /// We close it and have said why.
    Told(RefusedReason),
    /// The app reads too slowly.
    Slow,
    /// Nothing was heard for too long.
    Silent,
    /// The network or the other side's WebSocket failed.
    Broken,
}

struct Connection {
    socket: WebSocketStream<TokioIo<Upgraded>>,
    shared: Arc<Shared>,
    number: ConnectionNumber,
    overrun: CancellationToken,
}

/// Serves one connection to its end.
pub(crate) async fn run(socket: WebSocketStream<TokioIo<Upgraded>>, shared: Arc<Shared>, visit: Visit) {
    let number = shared.next_connection();
    let (outbox, reader) = outbox(shared.config.limits.out_bytes);
    let mut connection = Connection { socket, shared, number, overrun: reader.overrun() };
    let (started, mask) = (Instant::now(), connection.shared.mask);
    let from = mask.address(&visit.observed);
    tracing::debug!(connection = number, %from, "connected");
    let ended = connection.live(&visit, outbox, reader).await;
    let seconds = started.elapsed().as_secs();
    tracing::info!(connection = number, %from, ?ended, seconds, "disconnected");
    connection.close(ended).await;
}

impl Connection {
    async fn live(&mut self, visit: &Visit, outbox: Outbox, reader: OutboxReader) -> Ended {
        let permit = match &visit.admitted {
            Ok(permit) => permit,
            Err((reason, _)) => return Ended::Refused(*reason),
        };
        let shutdown = self.shared.shutdown.clone();
        let signed_in = tokio::select! {
            signed_in = timeout(self.shared.config.timing.sign_in, self.sign_in(&visit.host)) => signed_in,
            () = shutdown.cancelled() => return Ended::Refused(RefusedReason::ShuttingDown),
        };
        let id = match signed_in {
            Ok(Ok(id)) => id,
            Ok(Err(ended)) => {
                if ended == Ended::Refused(RefusedReason::Signature) {
                    permit.sign_in_failed(std::time::Instant::now());
                }
                return ended;
            }
            Err(_) => return Ended::Silent,
        };
        let who = Who { id, connection: self.number };
        let person = self.shared.mask.person(&id);
        tracing::info!(connection = self.number, %person, "signed in");
        let ice_servers = match self.ice_servers() {
            Ok(ice_servers) => ice_servers,
            Err(ended) => return ended,
        };
        let welcome = ServerMessage::SignedIn { ice_servers, observed_address: visit.observed.clone() };
        if !self.shared.hub.post(Command::SignIn { who, outbox, welcome }).await {
            return Ended::Refused(RefusedReason::ShuttingDown);
        }
        let ended = match self.serve(who, reader).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        };
        self.shared.hub.post(Command::SignOut { who }).await;
        ended
    }

    /// Challenges, and waits for the answer. The nonce never leaves this call, so it is good for one answer only.
    async fn sign_in(&mut self, host: &str) -> Result<AhoyId, Ended> {
        let nonce: [u8; 32] = random()?;
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let challenge = ServerMessage::Challenge {
            nonce: BASE64.encode(&nonce),
            versions: rendezvous::VERSIONS.to_vec(),
            server_time_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
        };
        self.tell(&challenge).await?;
        for _ in 0..FRAMES_BEFORE_SIGN_IN {
            let text = match self.socket.next().await {
                Some(Ok(Frame::Text(text))) => text,
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => continue,
                Some(Ok(Frame::Binary(_) | Frame::Frame(_))) => return Err(Ended::Refused(RefusedReason::Malformed)),
                other => return Err(end_of_stream(other)),
            };
            if text.len() > self.shared.config.limits.frame_bytes {
                return Err(Ended::Refused(RefusedReason::TooLarge));
            }
            let (id, version, signature, client) = match ClientMessage::from_text(&text) {
                Ok(ClientMessage::SignIn { id, version, signature, client }) => (id, version, signature, client),
                // From a newer version: passed over, as PROTOCOL.md has it.
                Err(FrameError::Unknown) => {
                    self.shared.refusals.unknown();
                    continue;
                }
                Err(FrameError::TooLarge | FrameError::PartTooLong) => {
                    return Err(Ended::Refused(RefusedReason::TooLarge));
                }
                Ok(_) | Err(_) => return Err(Ended::Refused(RefusedReason::Malformed)),
            };
            if !rendezvous::VERSIONS.contains(&version) {
                return Err(Ended::Refused(RefusedReason::Version));
            }
            if !verify_sign_in(&id, version, host, &nonce, &signature) {
                return Err(Ended::Refused(RefusedReason::Signature));
            }
            let client: String = client.chars().filter(|c| !c.is_control()).take(CLIENT_NAME).collect();
            tracing::debug!(connection = self.number, version, %client, "proven");
            return Ok(id);
        }
        Err(Ended::Refused(RefusedReason::TooFast))
    }

    /// Carries frames both ways until one of the ends comes.
    async fn serve(&mut self, who: Who, mut reader: OutboxReader) -> Result<std::convert::Infallible, Ended> {
        let shutdown = self.shared.shutdown.clone();
        let timing = self.shared.config.timing;
        let mut meters = Meters::new(&self.shared);
        let mut heard = Instant::now();
        let mut ping = tokio::time::interval_at(heard + timing.ping, timing.ping);
        ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Err(Ended::Refused(RefusedReason::ShuttingDown)),
                () = sleep_until(heard + timing.idle) => return Err(Ended::Silent),
                _ = ping.tick() => self.write(Frame::Ping(Vec::new().into())).await?,
                message = reader.next() => {
                    let message = message.ok_or(Ended::Slow)?;
                    self.tell(&message).await?;
                    if let ServerMessage::Refused { reason, closing: true } = message {
                        return Err(Ended::Told(reason));
                    }
                }
                frame = self.socket.next() => {
                    heard = Instant::now();
                    match frame {
                        Some(Ok(frame)) => self.handle_frame(who, frame, &mut meters).await?,
                        other => return Err(end_of_stream(other)),
                    }
                }
            }
        }
    }

    async fn handle_frame(&mut self, who: Who, frame: Frame, meters: &mut Meters) -> Result<(), Ended> {
        let now = std::time::Instant::now();
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Ping(_) | Frame::Pong(_) => {
                let in_time = meters.frames.take(1.0, now);
                return if in_time { Ok(()) } else { self.refuse(RefusedReason::TooFast, meters).await };
            }
            Frame::Close(_) => return Err(Ended::Left),
            Frame::Binary(_) | Frame::Frame(_) => return self.refuse(RefusedReason::Malformed, meters).await,
        };
        if text.len() > self.shared.config.limits.frame_bytes {
            meters.bytes.charge(text.len() as f64, now);
            return self.refuse(RefusedReason::TooLarge, meters).await;
        }
        let message = match ClientMessage::from_text(&text) {
            Ok(message) => message,
            Err(error) => {
                // What cannot be used costs too, or it would be the cheapest way to keep a server busy.
                let in_time = meters.frames.take(1.0, now) && meters.bytes.take(text.len() as f64, now);
                return match error {
                    _ if !in_time => self.refuse(RefusedReason::TooFast, meters).await,
                    FrameError::Unknown => {
                        self.shared.refusals.unknown();
                        Ok(())
                    }
                    FrameError::TooLarge | FrameError::PartTooLong => {
                        self.refuse(RefusedReason::TooLarge, meters).await
                    }
                    _ => self.refuse(RefusedReason::Malformed, meters).await,
                };
            }
        };
        let cost = if matches!(message, ClientMessage::Received { .. }) { CONFIRMATION } else { 1.0 };
        if !(meters.frames.take(cost, now) && meters.bytes.take(text.len() as f64, now)) {
            return match message {
                ClientMessage::Send { reference, .. } => {
                    meters.strike()?;
                    self.tell(&ServerMessage::Sent { reference, outcome: SendOutcome::TooMany }).await
                }
                ClientMessage::SignIn { .. }
                | ClientMessage::Watch { .. }
                | ClientMessage::Received { .. }
                | ClientMessage::RefreshIceServers => self.refuse(RefusedReason::TooFast, meters).await,
            };
        }
        if let ClientMessage::Watch { contacts } = &message {
            meters.frames.charge(contacts.len() as f64 / CONTACTS_PER_FRAME, now);
        }
        self.handle_message(who, message, meters).await
    }

    async fn handle_message(&mut self, who: Who, message: ClientMessage, meters: &mut Meters) -> Result<(), Ended> {
        let command = match message {
            ClientMessage::SignIn { .. } => return self.refuse(RefusedReason::Malformed, meters).await,
            ClientMessage::Watch { contacts } => {
                Command::Watch { who, contacts: contacts.into_iter().collect::<HashSet<_>>() }
            }
            ClientMessage::Send { reference, to, envelope, keep } => match BASE64.decode(envelope.as_bytes()) {
                Ok(sealed) if sealed.len() > limits::ENVELOPE_BYTES => {
                    return self.refuse(RefusedReason::TooLarge, meters).await;
                }
                Ok(sealed) if !sealed.is_empty() => {
                    Command::Send { who, reference, outgoing: Outgoing { to, envelope, keep } }
                }
                Ok(_) | Err(_) => return self.refuse(RefusedReason::Malformed, meters).await,
            },
            ClientMessage::Received { number } => Command::Received { who, number },
            ClientMessage::RefreshIceServers => {
                let ice_servers = self.ice_servers()?;
                return self.tell(&ServerMessage::IceServers { ice_servers }).await;
            }
        };
        if self.shared.hub.post(command).await { Ok(()) } else { Err(Ended::Refused(RefusedReason::ShuttingDown)) }
    }

    /// Refuses one frame; too many refusals end the connection.
    async fn refuse(&mut self, reason: RefusedReason, meters: &mut Meters) -> Result<(), Ended> {
        meters.strike().map_err(|_| Ended::Refused(reason))?;
        self.shared.refusals.count(reason);
        self.tell(&ServerMessage::Refused { reason, closing: false }).await
    }

    fn ice_servers(&self) -> Result<Vec<IceServer>, Ended> {
        Ok(turn::ice_servers(&self.shared.config, random()?, SystemTime::now()))
    }

    async fn tell(&mut self, message: &ServerMessage) -> Result<(), Ended> {
        let json = serde_json::to_string(message).map_err(|_| Ended::Broken)?;
        self.write(Frame::Text(json.into())).await
    }

    async fn write(&mut self, frame: Frame) -> Result<(), Ended> {
        let shutdown = &self.shared.shutdown;
        tokio::select! {
            biased;
            () = self.overrun.cancelled() => Err(Ended::Slow),
            written = timeout(self.shared.config.timing.write, self.socket.send(frame)) => match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(Ended::Broken),
                Err(_) => Err(Ended::Slow),
            },
            () = shutdown.cancelled() => Err(Ended::Refused(RefusedReason::ShuttingDown)),
        }
    }

    /// Says why, closes, and lingers until the other side has closed too, so that it can read the reason.
    async fn close(mut self, ended: Ended) {
        let limit = self.shared.config.timing.close;
        let goodbye = async {
            let reason = match ended {
                Ended::Slow | Ended::Broken => return,
                Ended::Left | Ended::Silent => None,
                Ended::Told(reason) => Some(reason),
                Ended::Refused(reason) => {
                    self.shared.refusals.count(reason);
                    let refusal = ServerMessage::Refused { reason, closing: true };
                    if let Ok(json) = serde_json::to_string(&refusal) {
                        // Whether it arrives or not, the connection ends.
                        let _ = self.socket.send(Frame::Text(json.into())).await;
                    }
                    Some(reason)
                }
            };
            let _ = self.socket.close(reason.map(close_frame)).await;
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        let _ = timeout(limit, goodbye).await;
    }
}

/// What one connection has used of its limits.
struct Meters {
    frames: TokenBucket,
    bytes: TokenBucket,
    strikes: TokenBucket,
}

impl Meters {
    fn new(shared: &Shared) -> Self {
        let (limits, now) = (&shared.config.limits, std::time::Instant::now());
        Self {
            frames: TokenBucket::new(limits.frames, now),
            bytes: TokenBucket::new(limits.bytes, now),
            strikes: TokenBucket::new(limits.strikes, now),
        }
    }

    fn strike(&mut self) -> Result<(), Ended> {
        let left = self.strikes.take(1.0, std::time::Instant::now());
        if left { Ok(()) } else { Err(Ended::Refused(RefusedReason::TooFast)) }
    }
}

fn random<const N: usize>() -> Result<[u8; N], Ended> {
    let mut bytes = [0; N];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => {
            tracing::error!(%error, "no random numbers");
            Err(Ended::Broken)
        }
    }
}

fn end_of_stream(last: Option<Result<Frame, WebSocketError>>) -> Ended {
    match last {
        Some(Err(WebSocketError::Capacity(_))) => Ended::Refused(RefusedReason::TooLarge),
        Some(Err(WebSocketError::Utf8(_))) => Ended::Refused(RefusedReason::Malformed),
        Some(Err(WebSocketError::ConnectionClosed)) | Some(Ok(_)) | None => Ended::Left,
        Some(Err(_)) => Ended::Broken,
    }
}

/// RFC 6455, 7.4.1.
fn close_frame(reason: RefusedReason) -> CloseFrame {
    let code = match reason {
        RefusedReason::TooLarge => CloseCode::Size,
        RefusedReason::ShuttingDown => CloseCode::Away,
        RefusedReason::Full => CloseCode::Again,
        RefusedReason::Version
        | RefusedReason::Signature
        | RefusedReason::Malformed
        | RefusedReason::TooFast
        | RefusedReason::Replaced => CloseCode::Policy,
    };
    CloseFrame { code, reason: "".into() }
}
