//! Who holds how many connections, or requests under way.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts places taken in all and by address (IPv6: by /64). Bounded: an address
/// without a place is not remembered. Cheap to clone; all clones share the count.
#[derive(Clone, Debug)]
pub struct Places {
    max: usize,
    max_per_address: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One place; free again when dropped.
#[derive(Debug)]
pub struct Place {
    address: IpAddr,
    places: Places,
}

impl Places {
    /// Room for `max`, of which one address may take `max_per_address`.
    #[must_use]
    pub fn new(max: usize, max_per_address: usize) -> Self {
        Self {
            max,
            max_per_address,
            taken: Arc::default(),
        }
    }

    /// A place for `address`.
    ///
    /// # Errors
    ///
    /// Which of the two caps is reached: `total` or `address`.
    pub fn take(&self, address: IpAddr) -> Result<Place, &'static str> {
        let address = source(address);
        let mut taken = self.lock();
        if taken.all >= self.max {
            return Err("total");
        }
        let count = taken.by_address.entry(address).or_default();
        if *count >= self.max_per_address {
            // Not zero, so this entry belongs to a connection and goes away with it.
            return Err("address");
        }
        *count += 1;
        taken.all += 1;
        drop(taken);
        Ok(Place {
            address,
            places: self.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Nothing panics while holding it.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all -= 1;
        if let Entry::Occupied(mut count) = taken.by_address.entry(self.address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What counts as one address: one customer of an IPv6 network has a /64 at least.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn both_caps_hold_and_places_come_back() {
        let places = Places::new(3, 2);
        let first = places.take(ip("192.0.2.1")).unwrap();
        let _second = places.take(ip("::ffff:192.0.2.1")).unwrap();
        assert_eq!(places.take(ip("192.0.2.1")).unwrap_err(), "address");
        let _third = places.take(ip("192.0.2.2")).unwrap();
        assert_eq!(places.take(ip("192.0.2.3")).unwrap_err(), "total");
        drop(first);
        places.take(ip("192.0.2.1")).unwrap();
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let places = Places::new(9, 1);
        let _place = places.take(ip("2001:db8::1")).unwrap();
        assert_eq!(places.take(ip("2001:db8::ffff:2")).unwrap_err(), "address");
        places.take(ip("2001:db8:0:1::1")).unwrap();
    }

    #[test]
    fn forgets_addresses_without_connections() {
        let places = Places::new(9, 9);
        for last in 0..100 {
            places.take(IpAddr::from([192, 0, 2, last])).unwrap();
        }
        assert!(places.lock().by_address.is_empty());
    }
}
