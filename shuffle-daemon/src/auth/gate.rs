//! How much logins may cost: how many connections may be without one at once, in all and from one address, and how
//! fast one address may try.
//!
//! An address has a bucket of [`Limits::login_rate_per_address`] logins that refills within a second; a login that
//! fails takes fifty, so that guessing is slow and a flood does not starve blocks. Beyond a bound connections are
//! closed, which Spark answers by trying again some seconds later.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::config::Limits;
use crate::metrics;

/// What a failed login takes, in logins.
const FAILURE_COST: f64 = 50.0;
/// Addresses that are remembered; beyond, those that have been quiet for a second are forgotten, then all.
const ADDRESSES_MAX: usize = 16_384;

/// The bounds and what is used of them.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    total_max: usize,
    per_address_max: usize,
    rate: f64,
}

#[derive(Debug, Default)]
struct State {
    total: usize,
    addresses: HashMap<IpAddr, Address>,
}

#[derive(Debug)]
struct Address {
    logins: usize,
    /// Logins it may begin now.
    tokens: f64,
    filled: Instant,
}

impl Gate {
    /// With these bounds.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            state: Mutex::default(),
            total_max: limits.logins,
            per_address_max: limits.logins_per_address,
            rate: limits.login_rate_per_address as f64,
        }
    }

    /// Begins a login; None: a bound is reached, and the connection is to be closed.
    #[must_use]
    pub fn enter(&self, peer: IpAddr) -> Option<Place<'_>> {
        self.enter_at(peer, Instant::now())
    }

    fn enter_at(&self, peer: IpAddr, now: Instant) -> Option<Place<'_>> {
        let peer = key(peer);
        let mut state = self.lock();
        if state.total >= self.total_max {
            return None;
        }
        if state.addresses.len() >= ADDRESSES_MAX && !state.addresses.contains_key(&peer) {
            state.forget_quiet(now);
        }
        let rate = self.rate;
        let address = match state.addresses.entry(peer) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Address {
                logins: 0,
                tokens: rate,
                filled: now,
            }),
        };
        let passed = now.duration_since(address.filled).as_secs_f64();
        address.tokens = passed.mul_add(rate, address.tokens).min(rate);
        address.filled = now;
        if address.logins >= self.per_address_max || address.tokens < 1.0 {
            return None;
        }
        address.tokens -= 1.0;
        address.logins += 1;
        state.total += 1;
        metrics::logins_open().set(state.total as f64);
        Some(Place { gate: self, peer })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_quiet(&mut self, now: Instant) {
        let second = std::time::Duration::from_secs(1);
        self.addresses
            .retain(|_, address| address.logins > 0 || now.duration_since(address.filled) < second);
        if self.addresses.len() >= ADDRESSES_MAX {
            self.addresses.retain(|_, address| address.logins > 0);
        }
    }
}

/// A login that is under way; it ends when this is dropped.
#[derive(Debug)]
pub struct Place<'a> {
    gate: &'a Gate,
    peer: IpAddr,
}

impl Place<'_> {
    /// It has failed, which makes the address wait.
    pub fn failed(&self) {
        if let Some(address) = self.gate.lock().addresses.get_mut(&self.peer) {
            // Not without end: whoever shares the address is served again after some seconds.
            address.tokens = (address.tokens - FAILURE_COST).max(-self.gate.rate);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.total -= 1;
        metrics::logins_open().set(state.total as f64);
        if let Some(address) = state.addresses.get_mut(&self.peer) {
            address.logins -= 1;
        }
    }
}

/// Whoever has one address of IPv6 has all of its network.
fn key(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn gate() -> Gate {
        Gate::new(&Limits {
            logins: 3,
            logins_per_address: 2,
            login_rate_per_address: 100,
            ..Limits::default()
        })
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn logins_at_once_are_bounded() {
        let gate = gate();
        let (first, _second) = (gate.enter(address(1)), gate.enter(address(1)));
        assert!(gate.enter(address(1)).is_none());
        let other = gate.enter(address(2));
        assert!(other.is_some() && gate.enter(address(3)).is_none());
        drop(first);
        assert!(gate.enter(address(1)).is_some());
    }

    #[test]
    fn failures_make_an_address_wait_and_no_other() {
        let (gate, now) = (gate(), Instant::now());
        let mut tries = 0;
        while let Some(place) = gate.enter_at(address(1), now) {
            place.failed();
            tries += 1;
        }
        assert_eq!(tries, 2);
        assert!(gate.enter_at(address(2), now).is_some());
        let later = now + Duration::from_secs(2);
        assert!(gate.enter_at(address(1), later).is_some());
    }

    #[test]
    fn a_million_failures_shut_nobody_else_out() {
        let (gate, start) = (gate(), Instant::now());
        let innocent = IpAddr::from([192, 0, 2, 1]);
        let mut failed = 0;
        for n in 0..1_000_000u32 {
            let now = start + Duration::from_micros(u64::from(n) * 10);
            // A hundred thousand addresses, in turns.
            let attacker = IpAddr::from((0x0a00_0000 | (n % 100_000)).to_be_bytes());
            if let Some(place) = gate.enter_at(attacker, now) {
                place.failed();
                failed += 1;
            }
            if n % 1000 == 0 {
                assert!(gate.enter_at(innocent, now).is_some(), "{n}");
            }
        }
        assert!(failed > 100_000, "{failed}");
        let state = gate.lock();
        assert!(state.total == 0 && state.addresses.len() <= ADDRESSES_MAX);
    }

    #[test]
    fn addresses_do_not_add_up() {
        let gate = gate();
        for n in 0..(ADDRESSES_MAX as u32 * 2) {
            drop(gate.enter(IpAddr::from(n.to_be_bytes())));
        }
        assert!(gate.lock().addresses.len() <= ADDRESSES_MAX);
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(key(one), key("2001:db8::2".parse().unwrap()));
    }
}
