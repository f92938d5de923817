//! What an account may come to owe, by the states and by what is on its way: the sides of rule I8.

use db3_primitives::{Address, CreditEntry, Posting, PostingKind, Tai};
use db3_settlement_state::SettlementState;
use db3_shard_state::ShardState;

use crate::machine::Chain;
use crate::model::{Books, Decision};
use crate::timeline::Timeline;

/// What an account holds above its limit; negative what is free.
pub fn above_limit(state: &SettlementState, account: &Address) -> i128 {
    let view = state.account(account);
    i128::try_from(view.held.get()).unwrap() - i128::try_from(view.limit.get()).unwrap()
}

/// By how much a posting moves that without the account's doing: collateral that is seized and trust that ends lower the limit,
/// and what they cover is held no longer.
pub fn involuntary(before: &SettlementState, state: &SettlementState, books: &Books, posting: &Posting) -> i128 {
    let limit = |collateral: u128| state.chain().limit(Tai::new(collateral), Tai::ZERO).get();
    let fall = match posting.kind {
        PostingKind::Seize => limit(posting.collateral.get() + posting.paid.get()) - limit(posting.collateral.get()),
        PostingKind::WriteOff => match books.deciding {
            Some(Decision::Trust(account, trust)) if account == posting.account => trust,
            Some(_) | None => before.account(&posting.account).leaf.trust.get(),
        },
        PostingKind::Round | PostingKind::Pay | PostingKind::Payout => return 0,
    };
    i128::try_from(fall).unwrap() - i128::try_from(posting.paid.get() + posting.written_off.get()).unwrap()
}

/// The most that an account can ever have spent on a shard by what was written to it until now: by what it knows, and by each
/// entry that is still on its way, as long as the lease of that moment lets it charge.
pub fn most_spendable(account: &Address, chain: &Chain<ShardState>, timeline: &Timeline) -> u128 {
    let leaf = chain.state.account(account).unwrap_or_default();
    let open = chain.state.open_epoch().0.get();
    let (mut ceiling, mut lease, mut most) = (leaf.ceiling, chain.state.chain().lease_epoch, leaf.spent);
    if lease >= open {
        most = most.max(ceiling);
    }
    let cursor = chain.state.channel(&timeline.id).unwrap().cursor();
    for bytes in &timeline.log(&chain.timeline.id)[usize::try_from(cursor).unwrap()..] {
        match CreditEntry::from_bytes(bytes).unwrap() {
            CreditEntry::Line(line) if line.account == *account => ceiling = line.ceiling,
            CreditEntry::Line(_) => {}
            CreditEntry::Heartbeat(heartbeat) => lease = lease.max(heartbeat.lease.get()),
        }
        if lease >= open {
            most = most.max(ceiling);
        }
    }
    most.get()
}
