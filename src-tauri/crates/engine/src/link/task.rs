//! The life of one link.
//!
//! ```text
//! dial ──► challenge ──► sign in ──► signed in ──► lost
//!   ▲ └──────────┴───────────┴──────────────────────┤
//!   └─────────────── wait (backoff) ◄───────────────┘
//! ```

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ahoy_protocol::rendezvous::{self, ClientMessage, ClockOffset, IceServer, RefusedReason, ServerMessage};
use ahoy_protocol::{Identity, limits};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

use super::backoff::Backoff;
use super::{LinkEvent, LinkOrder, tls};
use crate::words::Phrase;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// From dialling to being signed in, each of the two halves.
const STEP: Duration = Duration::from_secs(10);
/// The server pings every 25 s; when nothing at all came for this long the way is dead.
const SILENCE: Duration = Duration::from_secs(60);
/// For the closing handshake.
const FAREWELL: Duration = Duration::from_millis(500);
/// After another copy of this identity took our place: long enough that two copies do not push each other out for ever.
const REPLACED: Duration = Duration::from_secs(60);

/// Why a link ended.
enum Ended {
    /// The call task wants no link any more.
    Closed,
    /// To be tried again.
    Lost(Phrase),
    /// To be tried again, much later.
    Replaced,
}

pub(super) async fn run<P, F>(server: String, identity: Arc<Identity>, mut orders: mpsc::Receiver<LinkOrder>, post: P)
where
    P: Fn(LinkEvent) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut backoff = Backoff::default();
    let mut link = Running { server, identity, watched: Vec::new(), refresh: None, post };
    loop {
        let ended = link.once(&mut orders, &mut backoff).await;
        let (why, wait) = match ended {
            Ended::Closed => return,
            Ended::Lost(why) => (why, backoff.next(&mut rand::rng())),
            Ended::Replaced => (Phrase::RendezvousReplaced {}, REPLACED),
        };
        tracing::debug!(server = link.server, why = why.key(), ?wait, "not signed in");
        (link.post)(LinkEvent::Down(why)).await;
        if !link.wait(&mut orders, wait).await {
            return;
        }
    }
}

struct Running<P> {
    server: String,
    identity: Arc<Identity>,
    watched: Vec<ahoy_protocol::AhoyId>,
    /// When the TURN credentials are half-way to their end.
    refresh: Option<Instant>,
    post: P,
}

impl<P, F> Running<P>
where
    P: Fn(LinkEvent) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    /// One connection from dialling to its end.
    async fn once(&mut self, orders: &mut mpsc::Receiver<LinkOrder>, backoff: &mut Backoff) -> Ended {
        let server = self.server.clone();
        let Some(host) = rendezvous::dialled_host(&server) else {
            return Ended::Lost(Phrase::RendezvousBadUrl { server });
        };
        if !rendezvous::may_be_dialled(&server) {
            return Ended::Lost(Phrase::RendezvousPlain { server });
        }
        // Orders that come while it is dialled wait in their queue; a closed queue is seen at once.
        let dialled = tokio::select! {
            dialled = timeout(STEP, dial(&server)) => dialled,
            () = closed(orders) => return Ended::Closed,
        };
        let mut socket = match dialled {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return Ended::Lost(why_not(&error, server)),
            Err(_) => return Ended::Lost(Phrase::RendezvousUnreachable { server }),
        };
        let ended = match timeout(STEP, self.sign_in(&mut socket, &host)).await {
            Ok(Ok(())) => {
                backoff.reset();
                self.signed_in(&mut socket, orders).await
            }
            Ok(Err(ended)) => ended,
            Err(_) => Ended::Lost(Phrase::RendezvousUnreachable { server }),
        };
        let _ = timeout(FAREWELL, socket.close(None)).await;
        ended
    }

    async fn sign_in(&mut self, socket: &mut Socket, host: &str) -> Result<(), Ended> {
        let refused = || Ended::Lost(Phrase::RendezvousRefused { server: self.server.clone() });
        let ServerMessage::Challenge { nonce, versions, server_time_ms } = self.frame(socket).await? else {
            return Err(refused());
        };
        let clock = ClockOffset::measured(server_time_ms, unix_ms());
        let Some(version) = rendezvous::choose_version(&versions) else {
            return Err(Ended::Lost(Phrase::RendezvousVersion { server: self.server.clone() }));
        };
        let client = concat!("ahoy/", env!("CARGO_PKG_VERSION"));
        let answer = rendezvous::sign_in(&self.identity, version, host, &nonce, client).map_err(|_| refused())?;
        self.say(socket, &answer).await?;
        if !self.watched.is_empty() {
            self.say(socket, &ClientMessage::Watch { contacts: self.watched.clone() }).await?;
        }
        match self.frame(socket).await? {
            ServerMessage::SignedIn { ice_servers, .. } => {
                self.refresh = refresh_after(&ice_servers).map(|wait| Instant::now() + wait);
                (self.post)(LinkEvent::SignedIn { ice_servers, clock }).await;
                Ok(())
            }
            ServerMessage::Refused { reason, .. } => Err(self.refused(reason)),
            _ => Err(refused()),
        }
    }

    async fn signed_in(&mut self, socket: &mut Socket, orders: &mut mpsc::Receiver<LinkOrder>) -> Ended {
        let lost = |server: &String| Ended::Lost(Phrase::RendezvousUnreachable { server: server.clone() });
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                order = orders.recv() => {
                    let Some(order) = order else { return Ended::Closed };
                    if let Err(ended) = self.carry_out(socket, order).await {
                        return ended;
                    }
                }
                message = socket.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => {
                            if let Some(ended) = self.take_in(&text).await {
                                return ended;
                            }
                        }
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return lost(&self.server),
                        // Pings are answered by the next read or write; binary frames mean nothing here.
                        Some(Ok(_)) => {
                            if socket.flush().await.is_err() {
                                return lost(&self.server);
                            }
                        }
                    }
                }
                () = sleep_until(heard + SILENCE) => return lost(&self.server),
                () = sleep_until(self.refresh.unwrap_or(heard + SILENCE)), if self.refresh.is_some() => {
                    self.refresh = None;
                    if let Err(ended) = self.say(socket, &ClientMessage::RefreshIceServers).await {
                        return ended;
                    }
                }
            }
        }
    }

    async fn carry_out(&mut self, socket: &mut Socket, order: LinkOrder) -> Result<(), Ended> {
        let (message, reference) = match order {
            LinkOrder::Watch(contacts) => {
                self.watched.clone_from(&contacts);
                (ClientMessage::Watch { contacts }, None)
            }
            LinkOrder::Send { reference, to, envelope, keep } => {
                (ClientMessage::Send { reference, to, envelope, keep }, Some(reference))
            }
            LinkOrder::Received(number) => (ClientMessage::Received { number }, None),
        };
        let said = self.say(socket, &message).await;
        if let (Err(_), Some(reference)) = (&said, reference) {
            (self.post)(LinkEvent::NotSent { reference }).await;
        }
        said
    }

    async fn take_in(&mut self, text: &str) -> Option<Ended> {
        let event = match ServerMessage::from_text(text) {
            Ok(ServerMessage::IceServers { ice_servers }) => {
                self.refresh = refresh_after(&ice_servers).map(|wait| Instant::now() + wait);
                LinkEvent::IceServers(ice_servers)
            }
            Ok(ServerMessage::Presence { id, online }) => LinkEvent::Presence { id, online },
            Ok(ServerMessage::Sent { reference, outcome }) => LinkEvent::Sent { reference, outcome },
            Ok(ServerMessage::Envelope { number, from, envelope, kept }) => {
                LinkEvent::Envelope { number, from, envelope, kept }
            }
            Ok(ServerMessage::Refused { reason, closing }) => {
                tracing::debug!(?reason, closing, "the rendezvous refuses something");
                return closing.then(|| self.refused(reason));
            }
            // Out of place: passed over, as PROTOCOL.md has it.
            Ok(ServerMessage::Challenge { .. } | ServerMessage::SignedIn { .. }) => return None,
            Err(error) => LinkEvent::Refused(error.into()),
        };
        (self.post)(event).await;
        None
    }

    /// Waits before the next try. False when the link is no longer wanted.
    async fn wait(&mut self, orders: &mut mpsc::Receiver<LinkOrder>, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    None => return false,
                    Some(LinkOrder::Watch(contacts)) => self.watched = contacts,
                    Some(LinkOrder::Send { reference, .. }) => (self.post)(LinkEvent::NotSent { reference }).await,
                    // Of a connection that is no more.
                    Some(LinkOrder::Received(_)) => {}
                },
                () = sleep_until(until) => return true,
            }
        }
    }

    async fn frame(&self, socket: &mut Socket) -> Result<ServerMessage, Ended> {
        let server = || self.server.clone();
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return ServerMessage::from_text(&text)
                        .map_err(|_| Ended::Lost(Phrase::RendezvousRefused { server: server() }));
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    return Err(Ended::Lost(Phrase::RendezvousUnreachable { server: server() }));
                }
                Some(Ok(_)) => {}
            }
        }
    }

    async fn say(&self, socket: &mut Socket, message: &ClientMessage) -> Result<(), Ended> {
        // A peer that stops reading must not hold up everything behind it.
        let said = timeout(STEP, socket.send(Message::text(message.to_text()))).await;
        match said {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Ended::Lost(Phrase::RendezvousUnreachable { server: self.server.clone() })),
        }
    }

    fn refused(&self, reason: RefusedReason) -> Ended {
        let server = self.server.clone();
        match reason {
            RefusedReason::Replaced => Ended::Replaced,
            RefusedReason::Version => Ended::Lost(Phrase::RendezvousVersion { server }),
            RefusedReason::Full | RefusedReason::TooFast => Ended::Lost(Phrase::RendezvousFull { server }),
            RefusedReason::ShuttingDown => Ended::Lost(Phrase::RendezvousUnreachable { server }),
            RefusedReason::Signature | RefusedReason::Malformed | RefusedReason::TooLarge => {
                Ended::Lost(Phrase::RendezvousRefused { server })
            }
        }
    }
}

/// Resolves when nobody can order any more, without taking an order out.
async fn closed(orders: &mpsc::Receiver<LinkOrder>) {
    // `Receiver` has no such future itself, and the wait is bounded by dialling's own limit.
    while !(orders.is_closed() || orders.sender_strong_count() == 0) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn dial(server: &str) -> Result<Socket, tungstenite::Error> {
    let address = format!("{}{}", server.trim_end_matches('/'), rendezvous::PATH);
    let size = Some(2 * limits::RENDEZVOUS_FRAME_BYTES);
    let config = WebSocketConfig::default().max_message_size(size).max_frame_size(size);
    let connector =
        if server.starts_with("wss://") { Connector::Rustls(tls::client_config()) } else { Connector::Plain };
    // Without Nagle's algorithm: a ring must not wait for an acknowledgement.
    let (socket, _) =
        tokio_tungstenite::connect_async_tls_with_config(address, Some(config), true, Some(connector)).await?;
    Ok(socket)
}

fn why_not(error: &tungstenite::Error, server: String) -> Phrase {
    tracing::debug!(%error, server, "dialling failed");
    match error {
        tungstenite::Error::Url(_) | tungstenite::Error::HttpFormat(_) => Phrase::RendezvousBadUrl { server },
        tungstenite::Error::Http(_) | tungstenite::Error::Protocol(_) => Phrase::RendezvousRefused { server },
        tungstenite::Error::Tls(_) => Phrase::RendezvousCertificate { server },
        tungstenite::Error::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
            Phrase::RendezvousCertificate { server }
        }
        _ => Phrase::RendezvousUnreachable { server },
    }
}

/// Half of the time until the first TURN credential expires (its user name begins with the Unix second), at least a minute.
fn refresh_after(servers: &[IceServer]) -> Option<Duration> {
    let expiry = |server: &IceServer| server.username.as_ref()?.split(':').next()?.parse::<u64>().ok();
    let first = servers.iter().filter_map(expiry).min()?;
    let left = Duration::from_secs(first.saturating_sub(unix_ms() / 1000));
    Some((left / 2).clamp(Duration::from_secs(60), Duration::from_secs(24 * 3600)))
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
