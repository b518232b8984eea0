//! What a connection is made of before it starts.

/// A STUN or TURN server (RFC 8489, RFC 8656).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IceServer {
    /// `stun:host:port` or `turn:host:port?transport=udp`. TURN over TCP and TLS is skipped and logged.
    pub urls: Vec<String>,
    /// User name for TURN; empty for STUN.
    pub username: String,
    /// Password for TURN; empty for STUN.
    pub credential: String,
}

/// Which routes may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IcePolicy {
    /// Direct, hole-punched and relayed.
    #[default]
    All,
    /// Relayed only: the other side never learns an address of this computer.
    RelayOnly,
}

/// Whether 127.0.0.1 is offered to the other side as a way to reach this computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loopback {
    /// When no other interface is up, so that two copies on one computer without a network can still call each other.
    #[default]
    WhenAlone,
    /// Beside the others: calls between two copies on one computer then take the shortest way.
    Always,
    /// Only 127.0.0.1: tests that must not depend on the machine's network.
    Only,
}

/// Who began the call. The caller makes the first offer; the callee answers, and is the DTLS client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Makes the first offer.
    Caller,
    /// Answers it.
    Callee,
}

/// How to make a [`Peer`](crate::Peer).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// Who began the call.
    pub role: Role,
    /// STUN and TURN servers; may be empty.
    pub ice_servers: Vec<IceServer>,
    /// Which routes may be used.
    pub policy: IcePolicy,
    /// Whether 127.0.0.1 is offered.
    pub loopback: Loopback,
    /// Whether media may pass from the start; see [`Peer::allow_media`](crate::Peer::allow_media).
    pub media_allowed: bool,
}

impl PeerConfig {
    /// All routes, no servers, loopback when alone, media held back until it is allowed.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            ice_servers: Vec::new(),
            policy: IcePolicy::default(),
            loopback: Loopback::default(),
            media_allowed: false,
        }
    }
}
