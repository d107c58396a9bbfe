//! How many connections each client's address has.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts what is open, by address: no entry is left when the last of an address ends, so that they are no more than connections.
#[derive(Debug)]
pub(super) struct PerAddress {
    most: usize,
    open: Mutex<BTreeMap<IpAddr, usize>>,
}

impl PerAddress {
    /// So many at most for each.
    pub(super) fn new(most: usize) -> Self {
        Self { most, open: Mutex::default() }
    }

    /// A place, until it is dropped; `None` if the address has as many as it may.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = network_of(address);
        let mut open = self.lock();
        let count = open.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Place { all: Arc::clone(self), address })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's.
#[derive(Debug)]
pub(super) struct Place {
    all: Arc<PerAddress>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.all.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// Whoever has an IPv6 address has the 2^64 beside it, too.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let all = Arc::new(PerAddress::new(2));
        let take = |address: &str| all.take(address.parse().unwrap());
        let (first, second) = (take("10.0.0.1").unwrap(), take("::ffff:10.0.0.1"));
        assert!(second.is_some() && take("10.0.0.1").is_none() && take("10.0.0.2").is_some());
        drop(first);
        assert!(take("10.0.0.1").is_some());
        drop(second);
        assert!(all.lock().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let all = Arc::new(PerAddress::new(1));
        let _first = all.take("fd00::1".parse().unwrap()).unwrap();
        assert!(all.take("fd00::2".parse().unwrap()).is_none());
        assert!(all.take("fd00:0:0:1::1".parse().unwrap()).is_some());
    }
}
