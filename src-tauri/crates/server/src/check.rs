//! Looks a configuration over before anything runs.

use crate::config::ServerConfig;
use crate::server::StartError;

pub(crate) fn check(config: &ServerConfig) -> Result<(), StartError> {
    for url in &config.stun_urls {
        check_ice_url(url, &["stun", "stuns"], false).map_err(|()| StartError::IceUrl {
            url: url.clone(),
            expected: "STUN",
            example: "stun:HOST[:PORT]",
        })?;
    }
    if let Some(turn) = &config.turn {
        for url in &turn.urls {
            let example = "turn:HOST[:PORT][?transport=udp|tcp] or turns:HOST[:PORT]";
            check_ice_url(url, &["turn", "turns"], true).map_err(|()| StartError::IceUrl {
                url: url.clone(),
                expected: "TURN",
                example,
            })?;
        }
        if turn.urls.is_empty() {
            return Err(StartError::Turn("There is a TURN secret but no TURN server. Name it with --turn-url."));
        }
        if turn.secret.bytes().is_empty() {
            return Err(StartError::Turn(
                "The TURN secret is empty. Give the one that stands in the TURN server's static-auth-secret.",
            ));
        }
        if turn.lifetime.as_secs() < 60 {
            return Err(StartError::Turn(
                "TURN credentials must be good for a minute at least. Raise --turn-lifetime.",
            ));
        }
    }
    let (limits, timing) = (&config.limits, &config.timing);
    if limits.connections == 0 || limits.connections_per_address == 0 || limits.unconfirmed == 0 {
        return Err(StartError::Limit("A limit of zero connections or letters lets nobody in. Set it to 1 or more."));
    }
    if limits.out_bytes < limits.frame_bytes {
        return Err(StartError::Limit("The queue to an app must hold one frame at least: raise out_bytes."));
    }
    if timing.ping.is_zero() || timing.sweep.is_zero() || timing.sign_in.is_zero() || timing.idle <= timing.ping {
        return Err(StartError::Limit("Times must be above zero, and an app is silent only after more than a ping."));
    }
    Ok(())
}

/// RFC 7064, section 3.1 and RFC 7065, section 3.1: no user part, no path.
fn check_ice_url(url: &str, schemes: &[&str], transport: bool) -> Result<(), ()> {
    let (scheme, rest) = url.split_once(':').ok_or(())?;
    let (authority, query) = rest.split_once('?').map_or((rest, None), |(authority, query)| (authority, Some(query)));
    let good_query = match query {
        None => true,
        Some(query) => transport && matches!(query, "transport=udp" | "transport=tcp"),
    };
    let authority: axum::http::uri::Authority = authority.parse().map_err(|_| ())?;
    let good_host = !authority.host().is_empty() && !authority.as_str().contains('@');
    if schemes.contains(&scheme) && good_query && good_host { Ok(()) } else { Err(()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{TurnConfig, TurnSecret};

    fn with_turn(url: &str, secret: &str) -> ServerConfig {
        let turn = TurnConfig::new(vec![url.to_owned()], TurnSecret::new(secret));
        ServerConfig { turn: Some(turn), ..ServerConfig::loopback() }
    }

    #[test]
    fn good_addresses_pass_and_bad_ones_get_a_sentence() {
        for good in ["turn:a.example", "turn:10.0.0.1:3478?transport=udp", "turns:[2001:db8::1]:443?transport=tcp"] {
            check(&with_turn(good, "s")).unwrap();
        }
        for bad in [
            "stun:a.example",
            "turn:",
            "turn://a.example",
            "turn:a?transport=sctp",
            "turn:u@a",
            "a.example",
            "turn:a b",
        ] {
            let sentence = check(&with_turn(bad, "s")).unwrap_err().to_string();
            assert!(sentence.contains("Give it as turn:HOST"), "{sentence}");
        }
        let stun = ServerConfig { stun_urls: vec!["stun:a?transport=udp".into()], ..ServerConfig::loopback() };
        assert!(check(&stun).is_err());
    }

    #[test]
    fn what_cannot_work_is_not_started() {
        assert!(check(&with_turn("turn:a.example", " \n")).is_err());
        let mut config = with_turn("turn:a.example", "s");
        config.turn.as_mut().unwrap().lifetime = Duration::from_secs(1);
        assert!(check(&config).is_err());
        let mut config = ServerConfig::loopback();
        config.timing.idle = config.timing.ping;
        assert!(check(&config).is_err());
    }
}
