//! What can go wrong with a connection, in sentences.

/// A refused request. The connection itself goes on unless [`PeerError::Closed`].
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
pub enum PeerError {
    /// No socket could be opened.
    #[error("This computer has no network that a call could use ({0}). Connect to a network and call again.")]
    NoNetwork(String),
    /// The other side's session description could not be used.
    #[error("The other side sent a call description that cannot be used ({0}). Its version may be too old or too new.")]
    BadDescription(String),
    /// The other side's ICE candidate could not be used.
    #[error("The other side sent a network address that cannot be used ({0}).")]
    BadCandidate(String),
    /// The request does not fit the state of the negotiation, e.g. an answer without an offer.
    #[error("The call's negotiation is out of step ({0}).")]
    WrongState(String),
    /// The connection has been closed.
    #[error("The connection is closed.")]
    Closed,
    /// Anything else inside the WebRTC stack.
    #[error("The connection failed inside ({0}). Call again; if it keeps happening, report it.")]
    Internal(String),
}

/// Why a connection can no longer be used without an ICE restart or a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FailReason {
    /// No pair of addresses worked.
    #[error(
        "No way through to the other side's network was found. Ask whoever runs your server to switch on relaying (TURN)."
    )]
    NoRoute,
    /// A route that worked has stopped working for longer than the ICE failure time.
    #[error("The connection to the other side was lost.")]
    Lost,
    /// The handshake failed: the certificate does not fit the fingerprint, or nothing in common.
    #[error("The secure connection could not be made: the other side could not prove who it is. Call again.")]
    NotSecure,
    /// The other side closed the connection.
    #[error("The other side closed the connection.")]
    ClosedByOther,
}
