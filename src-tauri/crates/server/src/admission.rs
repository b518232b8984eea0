//! Who may come in: connections in all, connections and attempts from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ahoy_protocol::rendezvous::RefusedReason;

use crate::config::ConnectionLimits;
use crate::rate::TokenBucket;

/// Addresses remembered at most; beyond it newcomers are refused until the sweep has forgotten some.
const ADDRESSES: usize = 100_000;

/// Counts connections. Shared by all connection tasks; the lock is never held across an await.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: ConnectionLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connections: usize,
    refused: u64,
    addresses: HashMap<IpAddr, Address>,
}

#[derive(Debug)]
struct Address {
    connections: usize,
    arrivals: TokenBucket,
    failures: TokenBucket,
}

/// One admitted connection; dropping it makes room.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    key: IpAddr,
}

impl Admission {
    pub(crate) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves at worst a count that is one too high.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one connection in, or says why not.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, now: Instant) -> Result<Permit, RefusedReason> {
        let key = subscriber(address);
        let mut state = self.state();
        let outcome = self.try_enter(&mut state, key, now);
        if outcome.is_err() {
            state.refused += 1;
        }
        outcome.map(|()| Permit { admission: Arc::clone(self), key })
    }

    fn try_enter(&self, state: &mut State, key: IpAddr, now: Instant) -> Result<(), RefusedReason> {
        if state.connections >= self.limits.connections {
            return Err(RefusedReason::Full);
        }
        if state.addresses.len() >= ADDRESSES && !state.addresses.contains_key(&key) {
            return Err(RefusedReason::Full);
        }
        let known = state.addresses.entry(key).or_insert_with(|| Address {
            connections: 0,
            arrivals: TokenBucket::new(self.limits.new_connections_per_address, now),
            failures: TokenBucket::new(self.limits.failed_sign_ins_per_address, now),
        });
        if known.connections >= self.limits.connections_per_address {
            return Err(RefusedReason::Full);
        }
        if !known.failures.has_one(now) || !known.arrivals.take(1.0, now) {
            return Err(RefusedReason::TooFast);
        }
        known.connections += 1;
        state.connections += 1;
        Ok(())
    }

    /// Connections now, and how many were refused since the start.
    pub(crate) fn figures(&self) -> (usize, u64) {
        let state = self.state();
        (state.connections, state.refused)
    }

    /// Forgets addresses of which there is nothing to remember.
    pub(crate) fn sweep(&self, now: Instant) {
        self.state().addresses.retain(|_, address| {
            address.connections > 0 || !address.arrivals.is_full(now) || !address.failures.is_full(now)
        });
    }
}

impl Permit {
    /// Counts a sign-in that failed against the address it came from.
    pub(crate) fn sign_in_failed(&self, now: Instant) {
        if let Some(address) = self.admission.state().addresses.get_mut(&self.key) {
            address.failures.take(1.0, now);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        state.connections = state.connections.saturating_sub(1);
        if let Some(address) = state.addresses.get_mut(&self.key) {
            address.connections = address.connections.saturating_sub(1);
        }
    }
}

/// What one subscriber gets from a provider: an IPv4 address or an IPv6 /64.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Rate;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn one_address_cannot_take_all_the_room() {
        let limits = ConnectionLimits { connections: 3, connections_per_address: 2, ..ConnectionLimits::default() };
        let (admission, now) = (Admission::new(limits), Instant::now());
        let first = admission.enter(address(1), now).unwrap();
        let _second = admission.enter(address(1), now).unwrap();
        assert_eq!(admission.enter(address(1), now).unwrap_err(), RefusedReason::Full);
        let _third = admission.enter(address(2), now).unwrap();
        assert_eq!(admission.enter(address(3), now).unwrap_err(), RefusedReason::Full);
        drop(first);
        assert!(admission.enter(address(3), now).is_ok());
    }

    #[test]
    fn failed_sign_ins_make_the_address_wait() {
        let limits = ConnectionLimits {
            failed_sign_ins_per_address: Rate { burst: 2.0, per_second: 1.0 },
            ..ConnectionLimits::default()
        };
        let (admission, now) = (Admission::new(limits), Instant::now());
        for _ in 0..2 {
            admission.enter(address(1), now).unwrap().sign_in_failed(now);
        }
        assert_eq!(admission.enter(address(1), now).unwrap_err(), RefusedReason::TooFast);
        assert!(admission.enter(address(2), now).is_ok());
        assert!(admission.enter(address(1), now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn neighbours_in_one_ipv6_network_count_together_and_are_forgotten() {
        let limits = ConnectionLimits { connections_per_address: 1, ..ConnectionLimits::default() };
        let (admission, now) = (Admission::new(limits), Instant::now());
        let permit = admission.enter("2001:db8::1".parse().unwrap(), now).unwrap();
        assert!(admission.enter("2001:db8::2".parse().unwrap(), now).is_err());
        assert!(admission.enter("2001:db8:0:1::2".parse().unwrap(), now).is_ok());
        drop(permit);
        admission.sweep(now + Duration::from_secs(3600));
        assert!(admission.state().addresses.is_empty());
    }
}
