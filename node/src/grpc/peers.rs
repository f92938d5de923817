//! How many deliveries of one caller's address are looked at at once: fewer than a chain looks at in all, so that one
//! stranger who sends false ones does not keep everybody else out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Of one address. A chain looks at twice as many.
const PER_PEER_MAX: usize = 8;

/// The addresses whose deliveries are looked at. A clone is the same ones.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// Bounded by the server's calls; an address that has none open is not kept.
    open: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

/// A place, free again when it is dropped.
#[derive(Debug)]
pub struct PeerPlace {
    peers: Peers,
    peer: IpAddr,
}

impl Peers {
    /// A place for one more delivery of this address, if it has one left.
    pub fn place(&self, peer: IpAddr) -> Option<PeerPlace> {
        // Whoever panicked with it left it whole: no step in between can fail.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(peer).or_default();
        if *count >= PER_PEER_MAX {
            return None;
        }
        *count = count.saturating_add(1);
        Some(PeerPlace { peers: self.clone(), peer })
    }
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut open = self.peers.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn one_address_does_not_take_the_places_of_another() {
        let peers = Peers::default();
        let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut held: Vec<_> = (0..PER_PEER_MAX).map(|_| peers.place(one).unwrap()).collect();
        assert!(peers.place(one).is_none());
        assert!(peers.place(other).is_some());
        held.pop();
        assert!(peers.place(one).is_some());
        held.clear();
        assert!(peers.open.lock().unwrap().is_empty(), "nothing is kept of those who are gone");
    }
}
