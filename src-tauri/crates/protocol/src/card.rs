//! Contact cards: all that somebody else needs to call one, as a link and as a QR code.
//!
//! ```text
//! ahoy://card/<letters>        letters = base 32 of:
//! version (1) | ID's public key (32) | name length (2) | name | servers (1) | each: length (2) | address | checksum (5)
//! ```

use qrcode::{Color, EcLevel, QrCode};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use thiserror::Error;

use crate::{AhoyId, base32, limits};

/// What every link begins with; readers ignore its case.
pub const LINK_PREFIX: &str = "ahoy://card/";
const VERSION: u8 = 1;
/// 40 bits: a chance of one in a million million that a damaged link passes.
const CHECKSUM_BYTES: usize = 5;
/// How many ways of joining a link that was broken over lines are tried.
const JOINS: usize = 64;

/// Who somebody is, and where they can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactCard {
    /// Their identity.
    pub id: AhoyId,
    /// Their name as they write it, at most [`limits::NAME_BYTES`].
    pub name: String,
    /// Addresses (`wss://...`, or `ws://...` in one's own network) of the rendezvous servers they sign in to, the
    /// preferred one first; at most [`limits::CARD_SERVERS`]. May be empty: reachable in the local network only.
    pub servers: Vec<String>,
}

/// What is wrong with a card's contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CardError {
    /// Nothing but blanks.
    #[error("The name is empty. Write the name that others should see.")]
    NameEmpty,
    /// Over [`limits::NAME_BYTES`].
    #[error("The name is too long. Shorten it.")]
    NameTooLong,
    /// Line breaks, or characters that turn the direction of writing and could disguise a name.
    #[error("The name has invisible control characters in it. Type it anew.")]
    NameControl,
    /// Over [`limits::CARD_SERVERS`].
    #[error("A card can name four servers at most. Remove some.")]
    TooManyServers,
    /// Not `wss://` or `ws://` and a host, too long, or with blanks in it.
    #[error("A server's address is not of the form wss://name. Correct it.")]
    Server,
}

/// Why a text is no contact card that can be used. Each is a sentence with a next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LinkError {
    /// There is no `ahoy://card/` in it.
    #[error("This is not an Ahoy link: those begin with ahoy://card/. Copy the link again, from its first letter.")]
    NotALink,
    /// The checksum does not fit: cut off or altered.
    #[error("This link is damaged: its last letters don't fit. Copy it again.")]
    Damaged,
    /// Whole, and of a version that this program does not know.
    #[error("This link was made by a newer Ahoy. Update Ahoy, then open it again.")]
    NewerVersion,
    /// Whole, but what it says is not allowed.
    #[error("This link was not made properly. Ask for a new one.")]
    Contents,
}

impl ContactCard {
    /// Whether the card may be given away: name and servers are within the limits.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn check(&self) -> Result<(), CardError> {
        check_name(&self.name)?;
        if self.servers.len() > limits::CARD_SERVERS {
            return Err(CardError::TooManyServers);
        }
        if self.servers.iter().all(|server| is_server(server)) { Ok(()) } else { Err(CardError::Server) }
    }

    /// The card as a link of letters and digits. Of a card that does not pass [`Self::check`], [`Self::from_link`]
    /// refuses the link.
    pub fn to_link(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.id.public_key());
        push_text(&mut bytes, &self.name);
        bytes.push(u8::try_from(self.servers.len()).unwrap_or(u8::MAX));
        for server in &self.servers {
            push_text(&mut bytes, server);
        }
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        LINK_PREFIX.to_owned() + &base32::encode(&bytes)
    }

    /// Finds a link in a pasted text and reads it. Blanks, brackets and other words may stand around it, its case may
    /// be changed, and it may be broken over lines.
    ///
    /// # Errors
    /// [`LinkError`], whose text is for the person who pasted it.
    pub fn from_link(text: &str) -> Result<Self, LinkError> {
        // ASCII case only, so that positions stay the same.
        let start = text.to_ascii_lowercase().find(LINK_PREFIX).ok_or(LinkError::NotALink)? + LINK_PREFIX.len();
        let mut values = Vec::new();
        let mut joins = 0;
        for letter in text[start..].chars() {
            if let Some(value) = base32::value_of(letter) {
                if values.len() == limits::LINK_BYTES {
                    return Err(LinkError::Damaged);
                }
                values.push(value);
            } else {
                // Mail programs break long lines, and quote them with `>` or end them with `=`.
                let joint = base32::is_blank(letter) || base32::is_hyphen(letter) || matches!(letter, '>' | '=');
                if !joint || joins == JOINS {
                    break;
                }
                if let Some(bytes) = whole(&values) {
                    return Self::read(&bytes);
                }
                joins += 1;
            }
        }
        Self::read(&whole(&values).ok_or(LinkError::Damaged)?)
    }

    fn read(bytes: &[u8]) -> Result<Self, LinkError> {
        let (version, rest) = bytes.split_first().ok_or(LinkError::Damaged)?;
        if *version != VERSION {
            return Err(LinkError::NewerVersion);
        }
        let card = Self::read_contents(rest).ok_or(LinkError::Contents)?;
        card.check().map_err(|_| LinkError::Contents)?;
        Ok(card)
    }

    fn read_contents(bytes: &[u8]) -> Option<Self> {
        let (key, mut rest) = bytes.split_first_chunk::<32>()?;
        let id = AhoyId::from_public_key(*key).ok()?;
        let name = take_text(&mut rest)?;
        let (count, after) = rest.split_first()?;
        rest = after;
        let servers = (0..*count).map(|_| take_text(&mut rest)).collect::<Option<Vec<_>>>()?;
        rest.is_empty().then_some(Self { id, name, servers })
    }

    /// The link as an SVG drawing of a QR code: `viewBox` in modules, dark modules in `currentColor`, no size and no
    /// quiet zone (whoever shows it puts four modules of white around it). Upper case, which QR codes hold more
    /// tightly; error correction level M.
    ///
    /// # Errors
    /// What [`Self::check`] finds.
    pub fn qr_svg(&self) -> Result<String, CardError> {
        self.check()?;
        let code = QrCode::with_error_correction_level(self.to_link().to_ascii_uppercase(), EcLevel::M)
            .expect("a checked card is under 2,000 characters, a QR code holds 3,391 of them");
        let width = code.width();
        let mut path = String::new();
        for (row, modules) in code.to_colors().chunks(width).enumerate() {
            let mut column = 0;
            // One stroke for each run of dark modules.
            for run in modules.chunk_by(|a, b| a == b) {
                if run[0] == Color::Dark {
                    let _ = write!(path, "M{column} {row}h{length}v1H{column}z", length = run.len());
                }
                column += run.len();
            }
        }
        Ok(format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {width}" shape-rendering="crispEdges"><path fill="currentColor" d="{path}"/></svg>"#
        ))
    }
}

/// Whether others may be shown this name.
///
/// # Errors
/// [`CardError::NameEmpty`], [`CardError::NameTooLong`] or [`CardError::NameControl`].
pub fn check_name(name: &str) -> Result<(), CardError> {
    // The marks of Unicode's bidirectional algorithm (UAX 9) can make one name look like another.
    let is_control = |c: char| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if name.len() > limits::NAME_BYTES {
        Err(CardError::NameTooLong)
    } else if name.chars().any(is_control) {
        Err(CardError::NameControl)
    } else if name.chars().all(base32::is_blank) {
        Err(CardError::NameEmpty)
    } else {
        Ok(())
    }
}

fn is_server(address: &str) -> bool {
    let host = address.strip_prefix("wss://").or_else(|| address.strip_prefix("ws://"));
    address.len() <= limits::SERVER_BYTES
        && host.is_some_and(|host| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// The bytes without their checksum, when that fits.
fn whole(values: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = base32::decode(values)?;
    let (contents, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    let fits = checksum(contents) == *sum;
    bytes.truncate(bytes.len() - CHECKSUM_BYTES);
    fits.then_some(bytes)
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::new().chain_update(b"ahoy card\0").chain_update(bytes).finalize();
    [digest[0], digest[1], digest[2], digest[3], digest[4]]
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    // Only a card that passes no check is this long; the length stays true to what follows it.
    let text = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
    bytes.extend_from_slice(&(text.len() as u16).to_be_bytes());
    bytes.extend_from_slice(text);
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (text, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = after;
    String::from_utf8(text.to_vec()).ok()
}
