//! The model's state as leaves: every sum found by looking at all bills again.

use std::collections::{BTreeMap, BTreeSet};

use db3_carry::Channel;
use db3_merkle_log::Frontier;
use db3_primitives::{
    AccountLeaf, Address, ChainId, Epoch, Height, NamespaceLeaf, OpenEpochLeaf, RecordHeader, TableKind, TableLeaf,
    Tai, key,
};

use crate::model::{Model, Record, base};
use crate::settlement::settlement_peer;

impl Model {
    /// Every leaf of the state.
    pub fn leaves(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut leaves = BTreeMap::new();
        leaves.insert(key::chain(), self.chain.to_bytes());
        let settlement = ChainId::settlement(&self.chain.network);
        leaves.extend(Channel::new(settlement_peer(&self.chain.network)).unwrap().leaves());
        for (name, (owner, created_height)) in &self.world.namespaces {
            let leaf = NamespaceLeaf { owner: *owner, created_height: *created_height };
            leaves.insert(key::namespace(name), leaf.to_bytes());
            leaves.insert(key::owned(owner, name), vec![1]);
        }
        for ((space, table), (created_height, floor)) in &self.world.tables {
            let leaf = TableLeaf { kind: TableKind::Plain, created_height: *created_height, floor: *floor };
            leaves.insert(key::table(space, table), leaf.to_bytes());
        }
        for ((space, table, record_key), Record { owner, version, height, time, value }) in &self.world.records {
            let header = RecordHeader { owner: *owner, version: *version, height: *height, time_secs: *time };
            leaves.insert(key::record(space, table, record_key), header.leaf(value));
        }
        for ((account, space), used) in &self.used {
            leaves.insert(key::window(account, space), window_leaf(used));
        }
        for account in self.ceilings.keys() {
            leaves.insert(key::account(account), self.account(account).to_bytes());
        }
        for close in &self.closes {
            leaves.insert(key::epoch(close.last), close.hash().to_vec());
        }
        if let Some(closing) = &self.closing {
            leaves.insert(key::emission(), closing.leaf.to_bytes());
        }
        if !self.entries.is_empty() {
            let mut log = Frontier::new();
            for entry in &self.entries {
                log.append(&entry.to_bytes());
            }
            leaves.insert(key::outbox(&settlement), log.to_bytes());
        }
        leaves.insert(key::open_epoch(), self.open_leaf().to_bytes());
        leaves
    }

    fn open_leaf(&self) -> OpenEpochLeaf {
        let mut log = Frontier::new();
        let mut total = 0;
        for (_, bill) in self.bills.iter().filter(|(epoch, _)| *epoch == self.open) {
            log.append(&bill.to_bytes());
            total += bill.fee.get();
        }
        OpenEpochLeaf {
            open: Epoch::new(self.open),
            first_height: Height::new(self.open_first_height),
            total: Tai::new(total),
            bills: log.to_bytes(),
        }
    }

    /// The two newest epochs with bills, found by looking at all bills.
    fn account(&self, account: &Address) -> AccountLeaf {
        let bills: Vec<(u64, u128)> = self
            .bills
            .iter()
            .filter(|(_, bill)| bill.account == *account)
            .map(|(epoch, bill)| (*epoch, bill.fee.get()))
            .collect();
        let before = |epoch: u64| {
            let earlier = bills.iter().filter(|(of, _)| *of < epoch);
            (Tai::new(earlier.clone().map(|(_, fee)| fee).sum()), earlier.count() as u64)
        };
        let mut epochs: Vec<u64> = bills.iter().map(|(epoch, _)| *epoch).collect();
        epochs.dedup();
        let newest = epochs.pop().unwrap_or(0);
        let previous = epochs.pop().unwrap_or(0);
        let (opening_spent, opening_bills) = before(newest);
        let (previous_opening_spent, previous_opening_bills) = before(previous);
        AccountLeaf {
            ceiling: Tai::new(self.ceilings[account]),
            spent: Tai::new(bills.iter().map(|(_, fee)| fee).sum()),
            bill_count: bills.len() as u64,
            epoch: newest,
            opening_spent,
            opening_bills,
            previous_epoch: previous,
            previous_opening_spent,
            previous_opening_bills,
        }
    }
}

/// base ‖ bitmap of the used nonces above it.
fn window_leaf(used: &BTreeSet<u64>) -> Vec<u8> {
    let base = base(used);
    let mut bitmap = vec![0_u8; 512];
    for nonce in used.range(base + 1..) {
        let bit = usize::try_from(nonce - base - 1).unwrap();
        bitmap[bit / 8] |= 1 << (bit % 8);
    }
    while bitmap.last() == Some(&0) {
        bitmap.pop();
    }
    [base.to_be_bytes().to_vec(), bitmap].concat()
}
