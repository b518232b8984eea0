//! The runtime under the stack: tokio, with two things of our own: the driver can be made to look at its timers now, and
//! which addresses are bound is decided here.

use crate::config::Loopback;
use crate::handler::Life;
use rtc::shared::ifaces::ifaces;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime, TokioRuntime,
};

/// Makes sleeps of the stack's driver end at once where it would sleep on work that is due. To go when the stack does all
/// three by itself:
///
/// - Its DTLS client writes its ClientHello when its timers are next looked at; after ICE has connected that is the next ICE
///   tick, up to 200 ms later. The ICE-connected callback runs on the driver's task, between that event and its next sleep.
/// - A candidate of the other side that was added asks for a check "at the next look at the timers", and nobody wakes the
///   driver to take it: up to one check interval is lost.
/// - What goes through a TURN relay is written to the TURN client after that client's output was collected, and so leaves
///   one turn of the driver's loop late: with the next packet, or the next tick. While relaying, each wake is followed by
///   two more turns: one collects what was written, one what the timers looked at in between have written.
#[derive(Debug, Default)]
pub(crate) struct Poke {
    at_once: AtomicU32,
    wake: Notify,
    relaying: AtomicBool,
    extra_turns: AtomicU32,
}

impl Poke {
    /// More than one, in case another user of the runtime's sleep comes between.
    const SLEEPS: u32 = 3;
    const EXTRA_TURNS: u32 = 2;

    /// Wakes the driver from outside.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// The timers must be looked at when this turn of the driver, from within which it is called, has ended.
    pub(crate) fn now(&self) {
        self.at_once.store(Self::SLEEPS, Ordering::Release);
    }

    /// Packets may be going through a TURN relay.
    pub(crate) fn set_relaying(&self, relaying: bool) {
        self.relaying.store(relaying, Ordering::Release);
    }

    fn take(&self) -> bool {
        self.at_once.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    }

    /// Another turn of the loop before it may really sleep. One is counted when the driver has nothing else to do.
    fn wants_turn(&self) -> bool {
        if self.relaying.load(Ordering::Acquire) && self.extra_turns.load(Ordering::Acquire) < Self::EXTRA_TURNS {
            return true;
        }
        self.extra_turns.store(0, Ordering::Release);
        false
    }

    fn count_turn(&self) {
        self.extra_turns.fetch_add(1, Ordering::AcqRel);
    }
}

/// Tokio with a [`Poke`], that notices when the stack's driver ends.
#[derive(Debug)]
pub(crate) struct PeerRuntime {
    pub(crate) poke: Arc<Poke>,
    pub(crate) life: Arc<Life>,
}

/// Dropped with the driver: when it returns, panics or is aborted.
struct End(Arc<Life>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.driver_ended();
    }
}

impl Runtime for PeerRuntime {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        // The driver is all that the stack spawns: TCP candidates are not taken.
        let end = End(Arc::clone(&self.life));
        TokioRuntime.spawn(Box::pin(async move {
            let _end = end;
            future.await;
        }))
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> std::io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> std::io::Result<Arc<dyn AsyncTcpListener>> {
        TokioRuntime.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote_addr: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        Box::pin(async move { TokioRuntime.connect_tcp(remote_addr).await })
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        Box::pin(async move { TokioRuntime.resolve_host(host).await })
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        if self.poke.take() {
            return Box::pin(std::future::ready(()));
        }
        if self.poke.wants_turn() {
            let poke = Arc::clone(&self.poke);
            // Only polled to its end when the driver's select takes it: then nothing else was ready.
            return Box::pin(async move { poke.count_turn() });
        }
        let poke = Arc::clone(&self.poke);
        Box::pin(async move {
            tokio::select! {
                () = tokio::time::sleep(duration) => {}
                () = poke.wake.notified() => {}
            }
        })
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TokioRuntime.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        TokioRuntime.block_on(future);
    }

    fn name(&self) -> &'static str {
        "ahoy-peer"
    }
}

/// The addresses to bind: asked anew at every ICE restart, so that a call follows the computer to another network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalAddresses(pub(crate) Loopback);

impl ToSocketAddrs for LocalAddresses {
    type Iter = std::vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> std::io::Result<Self::Iter> {
        let mut addresses: Vec<IpAddr> = match self.0 {
            Loopback::Only => Vec::new(),
            Loopback::WhenAlone | Loopback::Always => {
                ifaces().unwrap_or_default().into_iter().filter_map(|interface| Some(interface.addr?.ip())).collect()
            }
        };
        addresses.retain(usable);
        addresses.sort();
        addresses.dedup();
        let alone = addresses.is_empty();
        if match self.0 {
            Loopback::Only | Loopback::Always => true,
            Loopback::WhenAlone => alone,
        } {
            addresses.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect::<Vec<_>>().into_iter())
    }
}

/// An address that another computer may reach without knowing our interface: link-local IPv6 needs a scope that no candidate
/// carries.
fn usable(ip: &IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xFFC0 == 0xFE80,
    };
    !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast() && !link_local
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_an_address_to_bind() {
        for loopback in [Loopback::WhenAlone, Loopback::Always, Loopback::Only] {
            assert!(LocalAddresses(loopback).to_socket_addrs().unwrap().next().is_some());
        }
    }

    #[test]
    fn loopback_and_link_local_are_no_way_to_reach_us() {
        for ip in ["127.0.0.1", "169.254.1.2", "fe80::1", "::1", "0.0.0.0"] {
            assert!(!usable(&ip.parse().unwrap()), "{ip}");
        }
        assert!(usable(&"192.168.1.7".parse().unwrap()));
    }
}
