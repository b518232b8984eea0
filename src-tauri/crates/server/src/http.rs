//! What is answered over HTTP: the way into the WebSocket, and `/healthz`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use ahoy_protocol::rendezvous;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::connection::{self, Visit};
use crate::server::Shared;

/// The two ends of a TCP connection, put into each request by the accept loop.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    /// Counts among the connections that are not admitted yet.
    pub(crate) pending: Arc<OwnedSemaphorePermit>,
}

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().route(rendezvous::PATH, get(rendezvous)).route("/healthz", get(health)).with_state(shared)
}

#[derive(Serialize)]
struct Health {
    /// `ok`, or `stuck` when the hub does not answer.
    status: &'static str,
    version: &'static str,
    connections: usize,
    connections_refused: u64,
    signed_in: usize,
    mailbox: MailboxHealth,
    /// What was refused since the start, by reason.
    refused: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct MailboxHealth {
    letters: usize,
    bytes: usize,
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    let (connections, connections_refused) = shared.admission.figures();
    let figures = shared.hub.figures().await;
    let health = Health {
        status: if figures.is_some() { "ok" } else { "stuck" },
        version: env!("CARGO_PKG_VERSION"),
        connections,
        connections_refused,
        signed_in: figures.map_or(0, |figures| figures.signed_in),
        mailbox: MailboxHealth {
            letters: figures.map_or(0, |figures| figures.letters),
            bytes: figures.map_or(0, |figures| figures.letter_bytes),
        },
        refused: shared.refusals.figures(),
    };
    let status = if figures.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

async fn rendezvous(State(shared): State<Arc<Shared>>, mut request: Request) -> Response {
    let Some(ends) = request.extensions().get::<Ends>().cloned() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = request.headers();
    let Some(host) = host(headers) else {
        return (StatusCode::BAD_REQUEST, "The request needs a Host header.\n").into_response();
    };
    if !shared.hosts.accepts(&host, ends.local) {
        let sentence = "This rendezvous does not know itself under that name. \
                        Its operator can add the name with --public-url or --host.\n";
        return (StatusCode::MISDIRECTED_REQUEST, sentence).into_response();
    }
    let Some(accept) = websocket_accept(headers) else {
        let sentence = "Here speaks the rendezvous of Ahoy, by WebSocket (RFC 6455, version 13).\n";
        return (StatusCode::UPGRADE_REQUIRED, [(header::SEC_WEBSOCKET_VERSION, "13")], sentence).into_response();
    };
    let (address, observed) = person_address(&shared, headers, ends.peer);
    let admitted = shared.admission.enter(address, Instant::now());
    let upgrade = hyper::upgrade::on(&mut request);
    let limits = &shared.config.limits;
    // A frame a little over our limit is read and refused with a reason; far over it, reading ends.
    let largest = limits.frame_bytes.saturating_mul(2);
    let websocket = WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest));
    let task = {
        let shared = Arc::clone(&shared);
        async move {
            // Fails when the app is gone already, or the upgrade's time is up.
            let Ok(Ok(upgraded)) = tokio::time::timeout(shared.config.timing.sign_in, upgrade).await else { return };
            let stream = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(websocket)).await;
            let admitted = admitted.map_err(|reason| (reason, ends.pending));
            connection::run(stream, shared, Visit { admitted, host, observed }).await;
        }
    };
    shared.tasks.spawn(task);
    let headers = [
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// The one Host header, as the app dialled it.
fn host(headers: &HeaderMap) -> Option<String> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    (hosts.next().is_none() && !host.is_empty() && host.len() <= 255).then(|| host.to_owned())
}

/// The answer to a WebSocket handshake (RFC 6455, 4.2.1 and 4.2.2), `None` when the request is none.
fn websocket_accept(headers: &HeaderMap) -> Option<HeaderValue> {
    let has = |name, token: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    };
    if !has(header::UPGRADE, "websocket")
        || !has(header::CONNECTION, "upgrade")
        || !has(header::SEC_WEBSOCKET_VERSION, "13")
    {
        return None;
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()
}

/// Where the person sits: the other end of the TCP connection, or what the trusted proxy in front of us says.
fn person_address(shared: &Shared, headers: &HeaderMap, peer: SocketAddr) -> (IpAddr, String) {
    let forwarded = shared.config.trust_forwarded_for.then(|| last_forwarded(headers)).flatten();
    match forwarded {
        Some(address) => (address, address.to_string()),
        None => (peer.ip(), SocketAddr::new(peer.ip().to_canonical(), peer.port()).to_string()),
    }
}

/// The last entry is the one that our own proxy added; those before it come from whoever spoke to the proxy.
fn last_forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}
