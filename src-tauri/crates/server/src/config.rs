//! What an operator can set, with defaults that suit a team on one small machine.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ahoy_protocol::limits;

/// Port of `--listen` when none is given.
pub const DEFAULT_PORT: u16 = 7400;

/// Everything [`crate::Server::start`] needs to know.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen for TCP. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// The address that contact cards carry and apps dial, `ws://host[:port]` or `wss://host[:port]`.
    /// Needed when it differs from `listen`: behind a reverse proxy, a NAT, or under a name.
    pub public_url: Option<String>,
    /// Further names (`host` or `host:port`) under which apps may dial. The name is part of what is signed at sign-in,
    /// so a name that is not listed is refused: otherwise another rendezvous could pass on our challenge as its own.
    pub hosts: Vec<String>,
    /// Take the person's address from the last entry of `X-Forwarded-For`. Only behind a reverse proxy that sets it.
    pub trust_forwarded_for: bool,
    /// Serve TLS ourselves.
    pub tls: Option<TlsFiles>,
    /// `stun:host[:port]` addresses handed to apps.
    pub stun_urls: Vec<String>,
    /// TURN servers handed to apps with time-limited credentials.
    pub turn: Option<TurnConfig>,
    /// Bounds of what waits for people who are offline.
    pub mailbox: MailboxLimits,
    /// Bounds of what one connection, one address and all together may do.
    pub limits: ConnectionLimits,
    /// How long things may take.
    pub timing: Timing,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            public_url: None,
            hosts: Vec::new(),
            trust_forwarded_for: false,
            tls: None,
            stun_urls: Vec::new(),
            turn: None,
            mailbox: MailboxLimits::default(),
            limits: ConnectionLimits::default(),
            timing: Timing::default(),
        }
    }
}

impl ServerConfig {
    /// A server for the demo and for tests: loopback, any free port, no STUN, no TURN.
    pub fn loopback() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..Self::default() }
    }
}

/// PEM files for TLS.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// Its private key (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
}

/// TURN servers that share a secret with us (coturn: `use-auth-secret`, `static-auth-secret`).
#[derive(Debug, Clone)]
pub struct TurnConfig {
    /// `turn:host[:port][?transport=udp|tcp]` or `turns:...`.
    pub urls: Vec<String>,
    /// The shared secret.
    pub secret: TurnSecret,
    /// How long a credential is good for.
    pub lifetime: Duration,
}

impl TurnConfig {
    /// Credentials that are good for 12 hours.
    pub fn new(urls: Vec<String>, secret: TurnSecret) -> Self {
        Self { urls, secret, lifetime: Duration::from_secs(12 * 3600) }
    }
}

/// A TURN server's shared secret. Never printed, not even by `Debug`.
#[derive(Clone)]
pub struct TurnSecret(String);

impl TurnSecret {
    /// Takes the secret as it stands in the TURN server's configuration; white space around it is dropped.
    pub fn new(secret: &str) -> Self {
        Self(secret.trim().to_owned())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for TurnSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TurnSecret(..)")
    }
}

/// Bounds of the mailbox. A letter counts as its base64 text and 256 bytes more.
#[derive(Debug, Clone, Copy)]
pub struct MailboxLimits {
    /// Letters waiting for one person.
    pub letters: usize,
    /// Letters waiting for one person from one sender.
    pub letters_from_one: usize,
    /// Bytes waiting for one person.
    pub bytes: usize,
    /// Bytes waiting for everybody together.
    pub total_bytes: usize,
    /// A letter older than this is forgotten.
    pub age: Duration,
}

impl Default for MailboxLimits {
    fn default() -> Self {
        Self {
            letters: 256,
            letters_from_one: 64,
            bytes: 2 * 1024 * 1024,
            total_bytes: 256 * 1024 * 1024,
            age: Duration::from_secs(14 * 24 * 3600),
        }
    }
}

/// A token bucket: `burst` at once, refilled by `per_second`.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// How much may come at once.
    pub burst: f64,
    /// How much comes back each second.
    pub per_second: f64,
}

/// Bounds of connections. "Address" is an IPv4 address or an IPv6 /64, which is what one subscriber gets.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// WebSockets at a time.
    pub connections: usize,
    /// WebSockets at a time from one address. An office behind one address needs as many as it has people.
    pub connections_per_address: usize,
    /// New WebSockets from one address.
    pub new_connections_per_address: Rate,
    /// Failed sign-ins from one address; when used up, the address waits.
    pub failed_sign_ins_per_address: Rate,
    /// One frame from an app, in bytes.
    pub frame_bytes: usize,
    /// Frames from one connection. A call with 30 ICE candidates a side fits into the burst.
    pub frames: Rate,
    /// Bytes from one connection.
    pub bytes: Rate,
    /// Refusals that one connection may collect before it is closed.
    pub strikes: Rate,
    /// Bytes that may wait for one connection to read them. More: it is closed, and what was to be kept is kept.
    pub out_bytes: usize,
    /// Kept envelopes that one connection may hold unconfirmed; the rest waits in the mailbox.
    pub unconfirmed: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: 512,
            new_connections_per_address: Rate { burst: 600.0, per_second: 5.0 },
            failed_sign_ins_per_address: Rate { burst: 20.0, per_second: 0.5 },
            // A whole watch list must fit: an ID takes up to 72 bytes of JSON, with its quotes and comma.
            frame_bytes: limits::RENDEZVOUS_FRAME_BYTES.max(limits::WATCHED_CONTACTS * 80),
            frames: Rate { burst: 300.0, per_second: 50.0 },
            bytes: Rate { burst: 2.0 * 1024.0 * 1024.0, per_second: 256.0 * 1024.0 },
            strikes: Rate { burst: 100.0, per_second: 1.0 },
            out_bytes: 2 * 1024 * 1024,
            unconfirmed: 16,
        }
    }
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// From the TCP connection to the WebSocket (TLS and HTTP headers), and again from there to the sign-in.
    pub sign_in: Duration,
    /// Between WebSocket pings.
    pub ping: Duration,
    /// Without a sign of life (any frame, a pong too) the connection is closed after this.
    pub idle: Duration,
    /// One frame may take this long to write; longer is a reader that stands still.
    pub write: Duration,
    /// A connection that is being closed may linger this long for the other side's close frame.
    pub close: Duration,
    /// Between sweeps that forget old letters and addresses.
    pub sweep: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            sign_in: Duration::from_secs(10),
            ping: Duration::from_secs(25),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(20),
            close: Duration::from_secs(1),
            sweep: Duration::from_secs(60),
        }
    }
}
