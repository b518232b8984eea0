//! Proving who one is to a rendezvous, and learning its clock.

use super::frame::{FrameError, from_base64, to_base64};
use super::{ClientMessage, VERSIONS};
use crate::{AhoyId, Identity};

/// The highest of the versions that both speak, or none.
pub fn choose_version(offered: &[u16]) -> Option<u16> {
    VERSIONS.iter().copied().filter(|version| offered.contains(version)).max()
}

/// The app's answer to a challenge. `nonce` is the challenge's, in base64; `host` comes from
/// [`dialled_host`].
///
/// # Errors
/// [`FrameError::Malformed`] when the nonce is not 32 bytes in base64.
pub fn sign_in(
    identity: &Identity,
    version: u16,
    host: &str,
    nonce: &str,
    client: &str,
) -> Result<ClientMessage, FrameError> {
    let nonce = from_base64(nonce).filter(|nonce| nonce.len() == 32).ok_or(FrameError::Malformed)?;
    let signature = identity.sign(&sign_in_transcript(version, host, &nonce));
    Ok(ClientMessage::SignIn {
        id: identity.id(),
        version,
        signature: to_base64(&signature),
        client: client.to_owned(),
    })
}

/// Whether the signature of a sign-in, in base64, is `id`'s over this server's own challenge.
pub fn verify_sign_in(id: &AhoyId, version: u16, host: &str, nonce: &[u8; 32], signature: &str) -> bool {
    from_base64(signature)
        .and_then(|bytes| bytes.try_into().ok())
        .is_some_and(|signature| id.verify(&sign_in_transcript(version, host, nonce), signature))
}

/// How wrong one's own clock is by the rendezvous's. What is sealed and judged by the corrected time does not depend
/// on either computer's clock. A server that lies here can make envelopes look old or new, which is no more than it
/// can do by holding them back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockOffset {
    behind_ms: i64,
}

impl ClockOffset {
    /// From a challenge that came at `own_unix_ms` by one's own clock.
    pub fn measured(server_time_ms: u64, own_unix_ms: u64) -> Self {
        let behind = i128::from(server_time_ms) - i128::from(own_unix_ms);
        let behind = behind.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Self { behind_ms: i64::try_from(behind).expect("clamped to what fits") }
    }

    /// One's own time, put right.
    pub fn correct(self, own_unix_ms: u64) -> u64 {
        own_unix_ms.saturating_add_signed(self.behind_ms)
    }

    /// By how much one's own clock is behind (negative: ahead), in milliseconds; for telling a person.
    pub fn behind_ms(self) -> i64 {
        self.behind_ms
    }
}

/// The server's name as it enters [`sign_in_transcript`], from the address in a contact card: host in lower case, with
/// `:port` unless that is 80 or 443. `None` for what is no `ws://` or `wss://` address of a host.
pub fn dialled_host(server: &str) -> Option<String> {
    let rest = server.strip_prefix("wss://").or_else(|| server.strip_prefix("ws://"))?;
    let host = plain_host(rest.split(['/', '?', '#']).next().unwrap_or_default());
    let named = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    (named && !host.is_empty()).then_some(host)
}

/// Apps and proxies differ in whether they spell out the scheme's own port, and a server behind a proxy does not know
/// the scheme; so neither of the two counts.
fn plain_host(host: &str) -> String {
    let bare = host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).unwrap_or(host);
    bare.to_ascii_lowercase()
}

/// The bytes signed at sign-in: a domain, the version, the server's name as the app dialled it, and the nonce.
///
/// The server's name, as [`dialled_host`] gives it, is inside so that a malicious rendezvous cannot pass on another's
/// challenge. For that protection the server must accept only names it was configured with: any `Host` header will not
/// do. Its case and a port 80 or 443 do not count.
pub fn sign_in_transcript(version: u16, host: &str, nonce: &[u8]) -> Vec<u8> {
    let host = plain_host(host);
    let mut transcript = b"ahoy rendezvous sign-in\0".to_vec();
    transcript.extend_from_slice(&version.to_be_bytes());
    transcript.extend_from_slice(&(host.len() as u32).to_be_bytes());
    transcript.extend_from_slice(host.as_bytes());
    transcript.extend_from_slice(nonce);
    transcript
}
