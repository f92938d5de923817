//! The values of a rejection, for the codes that have a message of their own.

use bytes::Bytes;
use db3_primitives::{Address, Namespace, Rejection, Tai};

use crate::convert::timestamp_of_secs;
use crate::v1;
use crate::v1::rejection::Detail;

/// The typed detail of a rejection.
pub fn detail(rejection: &Rejection) -> Option<Detail> {
    credit(rejection)
        .or_else(|| mutation(rejection))
        .or_else(|| ownership(rejection))
        .or_else(|| limit(rejection))
        .or_else(|| settlement(rejection))
}

fn credit(rejection: &Rejection) -> Option<Detail> {
    if let Rejection::CreditExhausted { shard, ceiling, available, fee } = rejection {
        return Some(Detail::CreditExhausted(v1::CreditExhausted {
            ceiling_tai: ceiling.to_string(),
            available_tai: available.to_string(),
            fee_tai: fee.to_string(),
            shard: shard.get(),
        }));
    }
    if let Rejection::FeeOverLimit { max_fee, bound } = rejection {
        return Some(Detail::FeeOverLimit(fee_over_limit(*max_fee, *bound)));
    }
    None
}

fn fee_over_limit(max_fee: Tai, bound: Tai) -> v1::FeeOverLimit {
    v1::FeeOverLimit { max_fee_tai: max_fee.to_string(), fee_tai: bound.to_string() }
}

fn mutation(rejection: &Rejection) -> Option<Detail> {
    if let Rejection::SignerMismatch { account, recovered, digest } = rejection {
        return Some(Detail::SignerMismatch(v1::SignerMismatch {
            account: address(account),
            recovered: address(recovered),
            digest: Bytes::copy_from_slice(digest),
        }));
    }
    if let Rejection::VersionMismatch { expected, actual, .. } = rejection {
        return Some(version(Some(*expected), *actual));
    }
    if let Rejection::RecordExists { version: actual, .. } = rejection {
        return Some(version(None, *actual));
    }
    if let Rejection::NonceUsed { next, .. } = rejection {
        return Some(Detail::Nonce(v1::NonceWindow { next: next.get(), ..v1::NonceWindow::default() }));
    }
    if let Rejection::NonceTooFar { highest, .. } = rejection {
        return Some(Detail::Nonce(v1::NonceWindow { highest_allowed: highest.get(), ..v1::NonceWindow::default() }));
    }
    if let Rejection::Expired { expire, block_time } = rejection {
        return Some(Detail::Expiry(v1::ExpiryOutOfRange {
            expire_unix_secs: *expire,
            block_time: Some(timestamp_of_secs(*block_time)),
            latest_unix_secs: 0,
        }));
    }
    if let Rejection::ExpiryTooFar { expire, latest } = rejection {
        return Some(Detail::Expiry(v1::ExpiryOutOfRange {
            expire_unix_secs: *expire,
            block_time: None,
            latest_unix_secs: *latest,
        }));
    }
    None
}

fn version(expected: Option<u64>, actual: u64) -> Detail {
    Detail::VersionMismatch(v1::VersionMismatch { expected, actual })
}

fn ownership(rejection: &Rejection) -> Option<Detail> {
    if let Rejection::WrongShard { slot, chain_id, map_version, .. } = rejection {
        return Some(Detail::WrongShard(v1::WrongShard {
            chain_id: chain_id.as_str().to_owned(),
            slot: u32::from(slot.get()),
            map_version: *map_version,
            endpoints: Vec::new(),
        }));
    }
    if let Rejection::NotPermitted { namespace, owner, account } = rejection {
        return Some(owned(namespace, Some(owner), Some(account)));
    }
    if let Rejection::NamespaceTaken { namespace, owner } = rejection {
        return Some(owned(namespace, Some(owner), None));
    }
    if let Rejection::NamespaceExists { namespace } = rejection {
        return Some(owned(namespace, None, None));
    }
    None
}

fn owned(namespace: &Namespace, owner: Option<&Address>, account: Option<&Address>) -> Detail {
    Detail::NamespaceOwned(v1::NamespaceOwned {
        namespace: namespace.as_str().to_owned(),
        owner: owner.map_or_else(Bytes::new, address),
        account: account.map_or_else(Bytes::new, address),
    })
}

fn limit(rejection: &Rejection) -> Option<Detail> {
    if let Rejection::HeightUnavailable { earliest, latest, .. } = rejection {
        return Some(Detail::HeightUnavailable(v1::HeightUnavailable {
            earliest: earliest.get(),
            latest_provable: latest.get(),
        }));
    }
    if let Rejection::HistoryMissing { from, .. } = rejection {
        return Some(Detail::HistoryMissing(v1::HistoryMissing { from_height: from.get() }));
    }
    if let Rejection::MutationTooLarge { bytes: actual, max }
    | Rejection::PairTooLarge { bytes: actual, max, .. }
    | Rejection::KeyInvalid { bytes: actual, max, .. }
    | Rejection::TooManyOperations { count: actual, max }
    | Rejection::TooManyItems { count: actual, max } = rejection
    {
        return Some(Detail::LimitExceeded(v1::LimitExceeded { actual: *actual, max: *max }));
    }
    None
}

fn settlement(rejection: &Rejection) -> Option<Detail> {
    if let Rejection::BalanceTooLow { balance: available, amount: needed, .. }
    | Rejection::BalanceTooLowForFee { balance: available, fee: needed }
    | Rejection::CollateralTooLow { collateral: available, amount: needed, .. }
    | Rejection::CreditInUse { limit: available, held: needed, .. } = rejection
    {
        return Some(funds(*available, *needed));
    }
    if let Rejection::DebtOutstanding { outstanding, .. } = rejection {
        return Some(funds(Tai::ZERO, *outstanding));
    }
    if let Rejection::DeliveryGap { cursor, .. } | Rejection::DeliveryStale { cursor } = rejection {
        return Some(Detail::DeliveryCursor(v1::DeliveryCursor { cursor: *cursor }));
    }
    None
}

fn funds(available: Tai, needed: Tai) -> Detail {
    Detail::FundsTooLow(v1::FundsTooLow { available_tai: available.to_string(), needed_tai: needed.to_string() })
}

fn address(address: &Address) -> Bytes {
    Bytes::copy_from_slice(address.as_bytes())
}
