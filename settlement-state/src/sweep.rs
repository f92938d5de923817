//! What follows when governance changes the factor, and with it every account's limit: each account with a line becomes
//! due, so that the next round cuts what lies above its limit, or gives what the limit allows now. There may be millions;
//! a block looks at as many lines as a round's, in order of address. While it goes on, the leaf `sweep` is the first
//! account that was not looked at (20 bytes).

use db3_primitives::fatal::damaged;
use db3_primitives::{Address, key};
use db3_state_tree::Tree;

use crate::ledger::Ledger;

/// Begins with the first account, also where an earlier change's is under way.
pub(crate) fn begin(ledger: &mut Ledger) {
    set(ledger, Some(Address::new([0; 20])));
}

/// Whether a version holds one that goes on.
pub(crate) fn is_pending(tree: &Tree) -> bool {
    tree.get(&key::sweep()).is_some()
}

/// Does this block's part.
pub(crate) fn work(ledger: &mut Ledger) {
    let Some(first) = next(ledger) else { return };
    let base = ledger.base.clone();
    let mut left = ledger.chain.round_accounts_max;
    let mut marked = None;
    let end = key::prefix_end(&key::line_prefix());
    for (key, _) in base.range(&key::line_prefix_of(&first), end.as_deref()) {
        let (account, _) = key::split_line(key).unwrap_or_else(|| damaged(key));
        if marked != Some(account) {
            if left == 0 {
                return set(ledger, Some(account));
            }
            ledger.mark_due(account);
            marked = Some(account);
        }
        left = left.saturating_sub(1);
    }
    set(ledger, None);
}

fn next(ledger: &Ledger) -> Option<Address> {
    let key = key::sweep();
    let leaf = match ledger.governed.get(&key) {
        Some(written) => written.as_deref(),
        None => ledger.base.get(&key),
    };
    leaf.map(|leaf| Address::from_slice(leaf).unwrap_or_else(|_| damaged(&key)))
}

fn set(ledger: &mut Ledger, next: Option<Address>) {
    let key = key::sweep();
    if next.is_none() && ledger.base.get(&key).is_none() {
        ledger.governed.remove(&key);
    } else {
        ledger.governed.insert(key, next.map(|account| account.as_bytes().to_vec()));
    }
}
