//! What the fuzz targets do with arbitrary bytes: each decoder must refuse or understand, and what it understands must
//! survive being written and read again. `src-tauri/fuzz` drives these with coverage, `tests/fuzz.rs` with seeded random bytes.

use crate::rendezvous::{ClientMessage, ServerMessage};
use crate::{AhoyId, Arrival, ContactCard, Identity, Message, ReplayGuard, check_name, envelope, open, replay};

/// A fuzz target: its name and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every decoder.
pub const TARGETS: [Target; 6] = [
    ("id_text", id_text),
    ("card_link", card_link),
    ("envelope_open", envelope_open),
    ("message_json", message_json),
    ("client_frame", client_frame),
    ("server_frame", server_frame),
];

/// Ahoy IDs as text, and as bare keys.
pub fn id_text(input: &[u8]) {
    let id = match <[u8; 32]>::try_from(input) {
        Ok(key) => AhoyId::from_public_key(key).ok(),
        Err(_) => text(input).parse::<AhoyId>().ok(),
    };
    if let Some(id) = id {
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(AhoyId::from_public_key(id.public_key()), Ok(id));
    }
}

/// Contact card links, and names.
pub fn card_link(input: &[u8]) {
    let text = text(input);
    let _ = check_name(&text);
    if let Ok(card) = ContactCard::from_link(&text) {
        assert_eq!(ContactCard::from_link(&card.to_link()), Ok(card.clone()));
        assert!(card.qr_svg().is_ok());
    }
}

/// Envelopes as carried; and the same bytes as if they had been sealed, which no input could reach by itself.
pub fn envelope_open(input: &[u8]) {
    let me = Identity::from_seed([7; 32]);
    if let Ok(opened) = open(&me, input) {
        assert_eq!(Message::from_bytes(&opened.message.to_bytes()), Ok(opened.message));
    }
    if let Ok(opened) = envelope::read_content(me.id(), input) {
        let mut guard = ReplayGuard::default();
        let now = 1_800_000_000_000;
        let arrival = if opened.id[0] & 1 == 0 { Arrival::Live } else { Arrival::Kept };
        if guard.admit(&opened, arrival, now).is_ok() {
            assert!(guard.admit(&opened, arrival, now).is_err());
        }
        assert!(replay::ids_are_distinct(&guard));
    }
}

/// Messages.
pub fn message_json(input: &[u8]) {
    if let Ok(message) = Message::from_bytes(input) {
        assert_eq!(Message::from_bytes(&message.to_bytes()), Ok(message));
    }
}

/// Rendezvous frames from apps.
pub fn client_frame(input: &[u8]) {
    if let Ok(message) = ClientMessage::from_text(&text(input)) {
        let written = message.to_text();
        // Escapes may make it longer than a frame may be.
        if written.len() <= crate::limits::RENDEZVOUS_FRAME_BYTES {
            assert_eq!(ClientMessage::from_text(&written), Ok(message));
        }
    }
}

/// Rendezvous frames from servers.
pub fn server_frame(input: &[u8]) {
    if let Ok(message) = ServerMessage::from_text(&text(input)) {
        let written = message.to_text();
        if written.len() <= crate::limits::RENDEZVOUS_FRAME_BYTES {
            assert_eq!(ServerMessage::from_text(&written), Ok(message));
        }
    }
}

fn text(input: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(input)
}
