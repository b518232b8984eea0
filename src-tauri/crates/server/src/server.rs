//! Start and end of the server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::accept::Accept;
use crate::admission::Admission;
use crate::check::check;
use crate::config::ServerConfig;
use crate::hosts::Hosts;
use crate::hub::{HubHandle, hub};
use crate::mask::Mask;
use crate::refusals::Refusals;
use crate::registry::{ConnectionNumber, Registry};
use crate::tls;

/// Why the server does not start. Each is a sentence for the operator.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("Cannot listen on {address}: {reason}. Choose another address with --listen, or stop what uses it.")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system says.
        reason: io::Error,
    },
    /// The public address is not of the form that a contact card carries.
    #[error("{url:?} is no public address. Give it as ws://HOST[:PORT] or wss://HOST[:PORT], without a path.")]
    PublicUrl {
        /// What was given.
        url: String,
    },
    /// A further host name is not `host` or `host:port`.
    #[error("{host:?} is no host name. Give it as HOST or HOST:PORT.")]
    Host {
        /// What was given.
        host: String,
    },
    /// A STUN or TURN address is not of the form of RFC 7064, RFC 7065.
    #[error("{url:?} is no {expected} address. Give it as {example}.")]
    IceUrl {
        /// What was given.
        url: String,
        /// `STUN` or `TURN`.
        expected: &'static str,
        /// A good one.
        example: &'static str,
    },
    /// TURN addresses without a secret, or a secret without addresses.
    #[error("{0}")]
    Turn(&'static str),
    /// A TLS file cannot be used.
    #[error("Cannot use {}: {reason}. Give a PEM file with --tls-cert and --tls-key.", path.display())]
    Tls {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A limit makes no sense.
    #[error("{0}")]
    Limit(&'static str),
    /// The system gives no random numbers.
    #[error("The system gives no random numbers ({0}); without them no sign-in is safe.")]
    Random(getrandom::Error),
}

/// The rendezvous.
#[derive(Debug, Clone, Copy)]
pub struct Server;

impl Server {
    /// Checks the configuration, listens, and serves in tasks of the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] when the configuration is wrong or the address cannot be listened on; nothing runs then.
    pub async fn start(config: ServerConfig) -> Result<RunningServer, StartError> {
        check(&config)?;
        let hosts = Hosts::new(&config)?;
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(StartError::Random)?;
        let address = config.listen;
        let cannot_listen = |reason| StartError::Listen { address, reason };
        let listener = TcpListener::bind(address).await.map_err(cannot_listen)?;
        let local_addr = listener.local_addr().map_err(cannot_listen)?;
        let url = match &config.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("{}://{}", if tls.is_some() { "wss" } else { "ws" }, dialable(local_addr)),
        };
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let (hub, hub_task) = hub(Registry::new(config.mailbox, &config.limits), config.timing.sweep);
        tasks.spawn(hub_task);
        let shared = Arc::new(Shared {
            admission: Admission::new(config.limits),
            config,
            hosts,
            hub,
            mask: Mask::new(salt),
            refusals: Refusals::default(),
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
            connections: AtomicU64::new(1),
        });
        tasks.spawn(Accept::new(listener, tls, shared).run());
        tasks.close();
        tracing::info!(%url, %local_addr, "listening");
        Ok(RunningServer { url, local_addr, tasks, shutdown: shutdown.drop_guard() })
    }
}

/// What all connections share. The hub's task ends when the last holder lets go of it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: ServerConfig,
    pub(crate) hosts: Hosts,
    pub(crate) hub: HubHandle,
    pub(crate) admission: Arc<Admission>,
    pub(crate) mask: Mask,
    pub(crate) refusals: Refusals,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
    connections: AtomicU64,
}

impl Shared {
    pub(crate) fn next_connection(&self) -> ConnectionNumber {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }
}

/// A server that serves until [`RunningServer::shutdown`]; dropped, it ends on its own a little later.
#[derive(Debug)]
pub struct RunningServer {
    url: String,
    local_addr: SocketAddr,
    tasks: TaskTracker,
    shutdown: DropGuard,
}

impl RunningServer {
    /// The address for contact cards: apps append [`ahoy_protocol::rendezvous::PATH`] and dial.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Tells every app that the server is shutting down, closes all connections and waits until every task has ended,
    /// which takes at most about [`crate::Timing::close`].
    pub async fn shutdown(self) {
        drop(self.shutdown);
        self.tasks.wait().await;
        tracing::info!("stopped");
    }
}

/// "All addresses" cannot be dialled: the address that leads out of here takes its place, or loopback when there is none.
fn dialable(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    // Connecting a UDP socket sends nothing; it only asks for a route (to a documentation address, RFC 5737).
    let outward = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).and_then(|()| socket.local_addr()));
    let loopback = if address.is_ipv4() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) };
    SocketAddr::new(outward.map_or(loopback, |found| found.ip()), address.port())
}
