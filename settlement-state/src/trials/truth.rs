//! What must be true of the product and the shards together, entries on their way included.

use db3_primitives::{Address, CreditEntry, ShardId};

use super::shards::Shard;
use crate::SettlementState;

/// The most that an account may ever have spent on a shard with what is issued so far: whatever of it arrives, in order,
/// at whatever time.
fn pot(shard: &Shard, account: usize, address: Address, log: &[CreditEntry]) -> u128 {
    let line = &shard.accounts[account];
    let (mut most, mut ceiling, mut lease) = (line.spent, line.ceiling, shard.lease);
    let mut look = |ceiling: u128, lease: u64| {
        if lease >= shard.epoch {
            most = most.max(ceiling);
        }
    };
    look(ceiling, lease);
    for entry in &log[shard.cursor..] {
        match entry {
            CreditEntry::Line(line) if line.account == address => ceiling = line.ceiling.get(),
            CreditEntry::Line(_) => {}
            CreditEntry::Heartbeat(heartbeat) => lease = heartbeat.lease.get(),
        }
        look(ceiling, lease);
    }
    most
}

/// Rules I8 and I9 over all chains, and the audit of the settlement chain.
pub(super) fn check(state: &SettlementState, addresses: &[Address], shards: &[Shard], logs: &[Vec<CreditEntry>]) {
    state.audit().unwrap();
    for (account, address) in addresses.iter().enumerate() {
        for (number, shard) in shards.iter().enumerate() {
            let spent = shard.accounts[account].spent;
            let Some(line) = state.line(address, ShardId::new(number as u32)) else {
                assert_eq!(spent, 0);
                continue;
            };
            assert!(line.is_ordered(), "I9: {line:?}");
            assert!(line.reported.get() <= spent && spent <= line.held.get(), "I9: spent {spent}, {line:?}");
            let pot = pot(shard, account, *address, &logs[number]);
            assert!(pot <= line.held.get(), "I8: shard {number} may let {address} spend {pot}, held is {line:?}");
        }
    }
}
