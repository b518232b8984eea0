//! ICE servers for an app, with time-limited TURN credentials.
//!
//! As in draft-uberti-behave-turn-rest-00, section 2.2: the user name is `<Unix expiry in seconds>:<opaque>`, the password the base64 of
//! HMAC-SHA1 over the user name, keyed with the secret that the TURN server shares with us.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ahoy_protocol::rendezvous::IceServer;
use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::config::{ServerConfig, TurnConfig};

/// STUN and TURN servers as they are handed out at this moment. `opaque` tells TURN users apart (coturn's quota is per
/// user name) and says nothing about who they are.
pub(crate) fn ice_servers(config: &ServerConfig, opaque: [u8; 8], now: SystemTime) -> Vec<IceServer> {
    let stun = (!config.stun_urls.is_empty()).then(|| IceServer {
        urls: config.stun_urls.clone(),
        username: None,
        credential: None,
    });
    let turn = config.turn.as_ref().map(|turn| {
        let (username, credential) = credential(turn, opaque, now);
        IceServer { urls: turn.urls.clone(), username: Some(username), credential: Some(credential) }
    });
    stun.into_iter().chain(turn).collect()
}

fn credential(turn: &TurnConfig, opaque: [u8; 8], now: SystemTime) -> (String, String) {
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let username = format!("{}:{}", (since_epoch + turn.lifetime).as_secs(), HEXLOWER.encode(&opaque));
    let mut mac = Hmac::<Sha1>::new_from_slice(turn.secret.bytes()).expect("HMAC takes keys of any length");
    mac.update(username.as_bytes());
    let credential = BASE64.encode(&mac.finalize().into_bytes());
    (username, credential)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TurnSecret;

    #[test]
    fn a_credential_is_the_hmac_of_its_user_name() {
        let turn = TurnConfig {
            lifetime: Duration::from_secs(600),
            ..TurnConfig::new(vec!["turn:127.0.0.1".into()], TurnSecret::new("north\n"))
        };
        let (username, credential) = credential(&turn, [0xab; 8], UNIX_EPOCH + Duration::from_secs(1_000_000));
        assert_eq!(username, "1000600:abababababababab");
        // printf %s 1000600:abababababababab | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(credential, "C5AWPK1El4TDHCF66gRz0UqkxwY=");
    }

    #[test]
    fn nothing_configured_hands_out_nothing() {
        assert!(ice_servers(&ServerConfig::loopback(), [0; 8], SystemTime::now()).is_empty());
    }
}
