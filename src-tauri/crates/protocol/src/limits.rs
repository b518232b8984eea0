//! Every limit of the protocol, in one place. A violation is refused and counted, never cut to size.

/// A sealed envelope, whole, in bytes.
pub const ENVELOPE_BYTES: usize = 64 * 1024;
/// What is sealed is padded to a multiple of this, in bytes, so that its length tells little.
pub const PADDING_BYTES: usize = 256;
/// A session description, in bytes.
pub const SDP_BYTES: usize = 32 * 1024;
/// One ICE candidate line, in bytes.
pub const CANDIDATE_BYTES: usize = 1024;
/// A `mid` or username fragment, in bytes (RFC 8839: a fragment has at most 256 characters).
pub const TOKEN_BYTES: usize = 256;
/// A person's name, in bytes of UTF-8.
pub const NAME_BYTES: usize = 128;
/// A contact card link, in bytes.
pub const LINK_BYTES: usize = 2048;
/// Rendezvous servers in one contact card.
pub const CARD_SERVERS: usize = 4;
/// The address of one rendezvous server, in bytes.
pub const SERVER_BYTES: usize = 255;
/// One text frame between app and rendezvous, in bytes: room for [`WATCHED_CONTACTS`] IDs of 72 bytes each, and so for
/// an envelope in base64.
pub const RENDEZVOUS_FRAME_BYTES: usize = 160 * 1024;
/// Contacts whose presence one sign-in may watch.
pub const WATCHED_CONTACTS: usize = 2000;
/// The `client` of a sign-in, in bytes.
pub const CLIENT_BYTES: usize = 128;
/// Versions a server may offer in its challenge.
pub const OFFERED_VERSIONS: usize = 16;
/// STUN and TURN servers in one message, and addresses of each.
pub const ICE_SERVERS: usize = 16;
/// A STUN or TURN address, user name or password, or the observed address, in bytes.
pub const ICE_SERVER_TEXT_BYTES: usize = 512;

/// How long a call rings, in milliseconds. An invitation older than this is a missed call.
pub const RING_MS: u64 = 60 * 1000;
/// How long a rendezvous keeps mail for somebody who is offline, in milliseconds: 14 days.
pub const MAILBOX_AGE_MS: u64 = 14 * 24 * 60 * 60 * 1000;
/// How far a kept envelope's time may lie in the future (and how much beyond the mailbox's age in the past), in
/// milliseconds: two rendezvous servers' clocks need not agree better.
pub const CLOCK_TOLERANCE_MS: u64 = 5 * 60 * 1000;
/// A live envelope's time within this of now, in milliseconds, shows that the sender's clock is right. Under
/// [`RING_MS`], so that a clock taken for right cannot make a live call a missed one.
pub const CLOCK_RIGHT_MS: u64 = 30 * 1000;
/// Envelope ids remembered for one sender against replay. A call needs some 30.
pub const REMEMBERED_FROM_ONE: usize = 1024;
/// Envelope ids remembered in all.
pub const REMEMBERED: usize = 16 * 1024;
/// Senders remembered by one replay guard.
pub const REMEMBERED_SENDERS: usize = 4096;
