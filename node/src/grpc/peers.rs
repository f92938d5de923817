//! How many deliveries of one stranger are looked at at once, and when: fewer than a chain looks at in all, so that one who
//! sends false ones does not keep everybody else out. One whose delivery failed at its signatures, which cost the most, waits
//! before the next one is looked at, longer each time; a good one ends that.
//!
//! A stranger is an address of IPv4, or the network of 64 bits that one customer has of IPv6. Callers behind one proxy are one
//! stranger, so the wait is short. The node's own relay is none, and is not asked here.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use db3_chain::cost_signatures;
use db3_primitives::Rejection;

/// Of one stranger. A chain looks at twice as many.
const PER_PEER_MAX: usize = 8;
/// The wait after the first failure; it doubles from one to the next.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(8);
/// Failures are forgotten after this long without another.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Of so many strangers failures are known; then those that failed longest ago are forgotten.
const FAILED_MAX: usize = 1_024;

/// The strangers whose deliveries are looked at. A clone is the same ones.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// Bounded by the server's calls; who has none open is not kept.
    open: BTreeMap<IpAddr, usize>,
    /// Failures in a row, and when the last one was.
    failed: BTreeMap<IpAddr, (u32, Instant)>,
}

/// A place, free again when it is dropped.
#[derive(Debug)]
pub struct PeerPlace {
    peers: Peers,
    peer: IpAddr,
}

impl Peers {
    /// A place for one more delivery from this address, if it has one left and need not wait.
    pub fn place(&self, address: IpAddr, now: Instant) -> Result<PeerPlace, Rejection> {
        let peer = stranger(address);
        let known = &mut *self.lock();
        if known.failed.get(&peer).is_some_and(|(failures, last)| since(*last, now) < wait(*failures)) {
            return Err(Rejection::Overloaded {
                what: "deliveries of this address failed at their signatures; it waits",
            });
        }
        let count = known.open.entry(peer).or_default();
        if *count >= PER_PEER_MAX {
            return Err(Rejection::Overloaded { what: "deliveries of one address at once" });
        }
        *count = count.saturating_add(1);
        Ok(PeerPlace { peers: self.clone(), peer })
    }

    // Whoever panicked with it left it whole: no step in between can fail.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PeerPlace {
    /// The delivery was looked at, and this is why it was refused, if it was.
    pub fn looked_at(self, refused: Option<&Rejection>, now: Instant) {
        let failed = &mut self.peers.lock().failed;
        match refused {
            Some(refused) if cost_signatures(refused) => {
                failed.retain(|_, (_, last)| since(*last, now) < FORGET_AFTER);
                let failures = failed.get(&self.peer).map_or(0, |(failures, _)| *failures);
                failed.insert(self.peer, (failures.saturating_add(1), now));
                if failed.len() > FAILED_MAX {
                    let longest = failed.iter().min_by_key(|(_, (_, last))| *last).map(|(peer, _)| *peer);
                    longest.map(|peer| failed.remove(&peer));
                }
            }
            None => {
                failed.remove(&self.peer);
            }
            // What is refused for less says nothing of who brought it.
            Some(_) => {}
        }
    }
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let open = &mut self.peers.lock().open;
        if let Some(count) = open.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

fn since(last: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(last)
}

fn wait(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    WAIT_FIRST.saturating_mul(doubled).min(WAIT_MAX)
}

/// Whom an address stands for.
fn stranger(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn false_one() -> Rejection {
        Rejection::HeaderRefused { detail: String::new() }
    }

    #[test]
    fn one_address_does_not_take_the_places_of_another() {
        let (peers, now) = (Peers::default(), Instant::now());
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let mut held: Vec<_> = (0..PER_PEER_MAX).map(|_| peers.place(one, now).unwrap()).collect();
        assert!(peers.place(one, now).is_err());
        assert!(peers.place(other, now).is_ok());
        held.pop();
        assert!(peers.place(one, now).is_ok());
        held.clear();
        assert!(peers.lock().open.is_empty(), "nothing is kept of those who are gone");
    }

    #[test]
    fn the_many_addresses_of_one_network_are_one_stranger() {
        let (peers, now) = (Peers::default(), Instant::now());
        let host = |host: usize| address(&format!("2001:db8:0:1::{host:x}"));
        let held: Vec<_> = (0..PER_PEER_MAX).map(|number| peers.place(host(number), now).unwrap()).collect();
        assert!(peers.place(address("2001:db8:0:1:ffff::1"), now).is_err());
        assert!(peers.place(address("2001:db8:0:2::1"), now).is_ok());
        assert_eq!(stranger(address("::ffff:192.0.2.1")), address("192.0.2.1"));
        drop(held);
    }

    #[test]
    fn who_failed_at_signatures_waits_longer_each_time_until_a_good_one_comes() {
        let (peers, mut now) = (Peers::default(), Instant::now());
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for expected in [1, 2, 4, 8, 16, 16, 16] {
            peers.place(one, now).unwrap().looked_at(Some(&false_one()), now);
            assert!(peers.place(one, now).is_err());
            assert!(peers.place(other, now).is_ok());
            now += WAIT_FIRST * expected;
            assert!(peers.place(one, now.checked_sub(Duration::from_millis(1)).unwrap()).is_err(), "{expected}");
        }
        // What is refused without a look at signatures changes nothing, and what is good ends it.
        peers.place(one, now).unwrap().looked_at(Some(&Rejection::DeliveryStale { cursor: 1 }), now);
        assert_eq!(peers.lock().failed.len(), 1);
        peers.place(one, now).unwrap().looked_at(None, now);
        assert!(peers.place(one, now).is_ok() && peers.lock().failed.is_empty());
    }

    #[test]
    fn of_a_bounded_number_of_strangers_failures_are_known() {
        let (peers, mut now) = (Peers::default(), Instant::now());
        for number in 0..u32::try_from(FAILED_MAX).unwrap() + 10 {
            now += Duration::from_millis(1);
            peers.place(IpAddr::V4(number.into()), now).unwrap().looked_at(Some(&false_one()), now);
        }
        assert_eq!(peers.lock().failed.len(), FAILED_MAX);
        assert!(!peers.lock().failed.contains_key(&IpAddr::V4(9.into())));
        now += FORGET_AFTER;
        peers.place(address("192.0.2.1"), now).unwrap().looked_at(Some(&false_one()), now);
        assert_eq!(peers.lock().failed.len(), 1);
    }
}
