//! From where a rendezvous can be reached, and whether it may be spoken to in the clear.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::dialled_host;

/// From where a rendezvous can be reached, as far as its address tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Loopback (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3; RFC 6761, 6.3).
    ThisComputer,
    /// A private or link-local address (RFC 1918, 3927, 4193, 4291), or a name that only a local network gives: one
    /// without a dot, `.local` (RFC 6762), `.home.arpa` (RFC 8375), `.internal`, `.lan`.
    LocalNetwork,
    /// Everything else.
    Anywhere,
}

impl Reach {
    /// Of a `ws://` or `wss://` address; `None` for what is none.
    pub fn of(server: &str) -> Option<Self> {
        let host = dialled_host(server)?;
        let bare = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name),
        };
        Some(bare.parse().map_or_else(|_| of_name(bare.trim_end_matches('.')), of_address))
    }
}

/// Whether an address may be dialled: what goes over the Internet goes through TLS, since a rendezvous in the clear
/// shows everybody on the way who speaks to whom.
pub fn may_be_dialled(server: &str) -> bool {
    Reach::of(server).is_some_and(|reach| server.starts_with("wss://") || reach != Reach::Anywhere)
}

fn of_address(address: IpAddr) -> Reach {
    match address.to_canonical() {
        address if address.is_loopback() => Reach::ThisComputer,
        IpAddr::V4(v4) if is_local_v4(v4) => Reach::LocalNetwork,
        IpAddr::V6(v6) if is_local_v6(v6) => Reach::LocalNetwork,
        IpAddr::V4(_) | IpAddr::V6(_) => Reach::Anywhere,
    }
}

fn is_local_v4(address: Ipv4Addr) -> bool {
    address.is_private() || address.is_link_local()
}

fn is_local_v6(address: Ipv6Addr) -> bool {
    address.is_unique_local() || address.is_unicast_link_local()
}

fn of_name(name: &str) -> Reach {
    const LOCAL: [&str; 4] = [".local", ".home.arpa", ".internal", ".lan"];
    if name == "localhost" || name.ends_with(".localhost") {
        Reach::ThisComputer
    } else if !name.contains('.') || LOCAL.iter().any(|end| name.ends_with(end)) {
        Reach::LocalNetwork
    } else {
        Reach::Anywhere
    }
}
