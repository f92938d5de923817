//! The ladder that a mutation climbs before it may be in a block, without the signature: one check after the other,
//! cheapest first, and the first that fails is the answer.
//!
//! 1. its own form and size, 2. network, 3. shard, 4. expiry, 5. right to the namespace, 6. nonce, 7. fee limit
//!    against the static upper bound, 8. credit line, 9. lease, 10. credit for the upper bound.
//!
//! Admission asks it of the newest version, execution of the working version of the block. It changes nothing, and
//! what it refuses is never charged.

use db3_primitives::limits::MUTATION_BYTES_MAX;
use db3_primitives::{
    BlockTime, ChainId, Epoch, Metered, Mutation, Operation, PriceTable, Rejection, Tai, upper_bound,
};

use crate::ledger::Ledger;

/// What a mutation may cost at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Static upper bound of what will be metered.
    pub metered: Metered,
    /// Its price: what the line must have left, and what a node reserves.
    pub bound: Tai,
}

/// Climbs the whole ladder.
pub(crate) fn check(ledger: &Ledger, mutation: &Mutation, bytes: u32, now: BlockTime) -> Result<Admission, Rejection> {
    check_form(mutation, bytes)?;
    check_place(ledger, mutation)?;
    check_expiry(ledger, mutation, now)?;
    check_right(ledger, mutation)?;
    check_nonce(ledger, mutation)?;
    let admission = bound(&ledger.chain.prices, mutation, bytes)?;
    if admission.bound > mutation.max_fee {
        return Err(Rejection::FeeOverLimit { max_fee: mutation.max_fee, bound: admission.bound });
    }
    check_credit(ledger, mutation, admission.bound)?;
    Ok(admission)
}

/// Step 1. The decoder has checked it already; execution does not rely on that.
pub(crate) fn check_form(mutation: &Mutation, bytes: u32) -> Result<(), Rejection> {
    if u64::from(bytes) > MUTATION_BYTES_MAX as u64 {
        return Err(Rejection::MutationTooLarge { bytes: u64::from(bytes), max: MUTATION_BYTES_MAX as u64 });
    }
    mutation.validate()
}

/// Steps 2 and 3.
pub(crate) fn check_place(ledger: &Ledger, mutation: &Mutation) -> Result<(), Rejection> {
    let chain = &ledger.chain;
    if mutation.network != chain.network {
        return Err(Rejection::NetworkMismatch { network: mutation.network.clone(), expected: chain.network.clone() });
    }
    let slot = mutation.namespace.slot();
    let shard = chain.shard_map.shard_of(slot);
    if shard != chain.shard {
        return Err(Rejection::WrongShard {
            namespace: mutation.namespace.clone(),
            slot,
            chain_id: ChainId::shard(&chain.network, shard),
            map_version: chain.shard_map.version(),
        });
    }
    Ok(())
}

/// Step 4. A mutation may stand in a block whose time is before its expiry.
fn check_expiry(ledger: &Ledger, mutation: &Mutation, now: BlockTime) -> Result<(), Rejection> {
    let expire = mutation.expire_unix_secs;
    if now.secs >= expire {
        return Err(Rejection::Expired { expire, block_time: now.secs });
    }
    let latest = now.secs.saturating_add(ledger.chain.expiry_max_secs);
    if expire > latest {
        return Err(Rejection::ExpiryTooFar { expire, latest });
    }
    Ok(())
}

/// Step 5. The owner's right, or the right of who creates the namespace with the first operation.
pub(crate) fn check_right(ledger: &Ledger, mutation: &Mutation) -> Result<(), Rejection> {
    let Mutation { namespace, account, .. } = mutation;
    let creates = matches!(mutation.operations.first(), Some(Operation::CreateNamespace));
    let owner = namespace.own_address().or_else(|| ledger.namespace(namespace).map(|leaf| leaf.owner));
    match owner {
        Some(owner) if owner == *account => Ok(()),
        Some(owner) if creates => Err(Rejection::NamespaceTaken { namespace: namespace.clone(), owner }),
        Some(owner) => Err(Rejection::NotPermitted { namespace: namespace.clone(), owner, account: *account }),
        None if creates => Ok(()),
        None => Err(Rejection::NamespaceNotFound { namespace: namespace.clone() }),
    }
}

/// Step 6. Unused and within the window; and in order within a block.
fn check_nonce(ledger: &Ledger, mutation: &Mutation) -> Result<(), Rejection> {
    let session = ledger.window(&mutation.account, &mutation.namespace);
    session.window.check(mutation.nonce)?;
    match session.last {
        Some(after) if mutation.nonce < after => Err(Rejection::NonceOrder { nonce: mutation.nonce, after }),
        Some(_) | None => Ok(()),
    }
}

/// The price of the static upper bound. One that is no amount is above every limit.
pub(crate) fn bound(prices: &PriceTable, mutation: &Mutation, bytes: u32) -> Result<Admission, Rejection> {
    let metered = upper_bound(mutation, bytes);
    match prices.fee(&metered) {
        Some(bound) => Ok(Admission { metered, bound }),
        None => Err(Rejection::FeeOverLimit { max_fee: mutation.max_fee, bound: Tai::new(u128::MAX) }),
    }
}

/// Steps 8 to 10.
fn check_credit(ledger: &Ledger, mutation: &Mutation, bound: Tai) -> Result<(), Rejection> {
    let Some(leaf) = ledger.account(&mutation.account) else {
        return Err(Rejection::LineMissing { account: mutation.account });
    };
    let (epoch, lease) = (ledger.books.epoch, Epoch::new(ledger.chain.lease_epoch));
    if !(ledger.rules.may_charge)(epoch, lease) {
        return Err(Rejection::LeaseEnded { epoch, lease });
    }
    let available = leaf.available();
    if bound > available {
        let shard = ledger.chain.shard;
        return Err(Rejection::CreditExhausted { shard, ceiling: leaf.ceiling, available, fee: bound });
    }
    Ok(())
}
