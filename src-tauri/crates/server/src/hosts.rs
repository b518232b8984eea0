//! Under which names the server may be dialled.

use std::net::SocketAddr;

use axum::http::Uri;
use axum::http::uri::Authority;

use crate::config::ServerConfig;
use crate::server::StartError;

/// The server's own names.
///
/// The name that the app dialled is signed at sign-in. A malicious rendezvous that passes our challenge on to its own
/// visitor gets a signature for *its* name; were any Host header good here, it would simply send that name along.
#[derive(Debug)]
pub(crate) struct Hosts {
    names: Vec<Authority>,
}

impl Hosts {
    pub(crate) fn new(config: &ServerConfig) -> Result<Self, StartError> {
        let mut names = Vec::new();
        if let Some(url) = &config.public_url {
            names.push(public_authority(url)?);
        }
        for host in &config.hosts {
            let bad = || StartError::Host { host: host.clone() };
            let authority: Authority = host.parse().map_err(|_| bad())?;
            if authority.host().is_empty() || host.contains('@') {
                return Err(bad());
            }
            names.push(authority);
        }
        Ok(Self { names })
    }

    /// Whether a Host header names this server, on the connection whose own end is `local`.
    pub(crate) fn accepts(&self, host: &str, local: SocketAddr) -> bool {
        let Ok(asked) = host.parse::<Authority>() else { return false };
        if host.contains('@') {
            return false;
        }
        if self.names.iter().any(|name| same_host(name.host(), asked.host()) && same_port(name, &asked)) {
            return true;
        }
        let ip = local.ip().to_canonical();
        let bare = asked.host().trim_start_matches('[').trim_end_matches(']');
        let here = bare.parse() == Ok(ip) || (ip.is_loopback() && same_host(bare, "localhost"));
        here && asked.port_u16().map_or(is_default(local.port()), |port| port == local.port())
    }
}

fn same_host(one: &str, other: &str) -> bool {
    one.trim_end_matches('.').eq_ignore_ascii_case(other.trim_end_matches('.'))
}

/// Without a port, 80 and 443 are meant.
fn same_port(name: &Authority, asked: &Authority) -> bool {
    match (name.port_u16(), asked.port_u16()) {
        (None, None) => true,
        (Some(port), None) | (None, Some(port)) => is_default(port),
        (Some(one), Some(other)) => one == other,
    }
}

fn is_default(port: u16) -> bool {
    matches!(port, 80 | 443)
}

fn public_authority(url: &str) -> Result<Authority, StartError> {
    let bad = || StartError::PublicUrl { url: url.to_owned() };
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let scheme_fits = matches!(uri.scheme_str(), Some("ws" | "wss"));
    let authority = uri.authority().cloned().ok_or_else(bad)?;
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !authority.as_str().contains('@');
    if scheme_fits && bare && !authority.host().is_empty() { Ok(authority) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(public_url: Option<&str>, further: &[&str]) -> Result<Hosts, StartError> {
        let config = ServerConfig {
            public_url: public_url.map(str::to_owned),
            hosts: further.iter().map(|&host| host.to_owned()).collect(),
            ..ServerConfig::loopback()
        };
        Hosts::new(&config)
    }

    #[test]
    fn only_own_names_are_accepted() {
        let hosts = hosts(Some("wss://Meet.example"), &["10.0.0.9:7400"]).unwrap();
        let local = "127.0.0.1:7400".parse().unwrap();
        for good in ["meet.example", "MEET.example:443", "10.0.0.9:7400", "127.0.0.1:7400", "localhost:7400"] {
            assert!(hosts.accepts(good, local), "{good}");
        }
        for bad in ["evil.example", "meet.example:7400", "127.0.0.1", "127.0.0.2:7400", "a@meet.example", "", "\u{7f}"]
        {
            assert!(!hosts.accepts(bad, local), "{bad}");
        }
        assert!(hosts.accepts("[2001:db8::1]:7400", "[2001:db8::1]:7400".parse().unwrap()));
        assert!(!hosts.accepts("localhost:7400", "192.0.2.1:7400".parse().unwrap()));
    }

    #[test]
    fn public_addresses_are_bare() {
        assert!(hosts(Some("ws://192.0.2.1:7400/"), &[]).is_ok());
        for bad in ["http://a.example", "wss://a.example/x", "wss://u@a.example", "a.example", "wss://", "wss://a?b"] {
            assert!(hosts(Some(bad), &[]).is_err(), "{bad}");
        }
        assert!(hosts(None, &["a b"]).is_err());
    }
}
