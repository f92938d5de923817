//! Objects of the settlement chain as messages and back: what a `checked_…` function returns is what the hashed bytes say, and a
//! message whose decoded view says anything else is refused, whichever field it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::num::NonZeroU64;

use db3_primitives::leaf::RoundPhase;
use db3_primitives::{
    Address, BalanceLeaf, CreditEntry, Cut, Epoch, Fault, Heartbeat, Height, LineEntry, LineLeaf, NetworkName, Nonce,
    NonceWindow, Payee, Posting, PostingKind, PostingLine, PriceTable, RoundLeaf, Running, SettlementLeaf, ShardFault,
    ShardId, ShardLeaf, ShardMap, Stage, Statement, Tai,
};
use db3_proto::convert::{
    AccountLeaves, checked_credit_entry, checked_round, checked_settlement, checked_settlement_account,
    checked_settlement_params, checked_settlement_shard, checked_statement, credit_entry_message, round_message,
    settlement_account_message, settlement_kind, settlement_message, settlement_params_message,
    settlement_shard_message, shard_fault, statement_message,
};
use db3_proto::v1;
use prost::Message;

const SHARD: ShardId = ShardId::new(1);

fn tai(amount: u128) -> Tai {
    Tai::new(amount)
}

fn account() -> Address {
    Address::new([0x11; 20])
}

fn network() -> NetworkName {
    "devnet".parse().unwrap()
}

fn params() -> SettlementLeaf {
    SettlementLeaf {
        network: network(),
        epoch_secs: NonZeroU64::new(600).unwrap(),
        prices: PriceTable::v1(),
        shard_map: ShardMap::new(1, 2).unwrap(),
        expiry_max_secs: 3_600,
        factor_num: 3,
        factor_den: NonZeroU64::new(2).unwrap(),
        treasury: Address::new([9; 20]),
        lease_epochs: 6,
        deadline_secs: 60,
        grace_epochs: 2,
        seize_epochs: 4,
        write_off_epochs: 8,
        round_accounts_max: 1_000,
    }
}

fn line() -> LineLeaf {
    LineLeaf {
        want: tai(500),
        ceiling: tai(900),
        held: tai(1_000),
        cut: Some(Cut { index: 7, lease: Epoch::new(12) }),
        reported: tai(800),
        debited: tai(700),
        paid: tai(600),
        written_off: tai(50),
    }
}

fn leaves() -> AccountLeaves {
    let mut window = NonceWindow::new();
    window.use_nonce(Nonce::new(1)).unwrap();
    window.use_nonce(Nonce::new(3)).unwrap();
    AccountLeaves {
        balance: Some(BalanceLeaf {
            balance: tai(40),
            collateral: tai(1_001),
            trust: tai(5),
            stage: Stage::Outstanding,
            since: Epoch::new(10),
            postings: 4,
        }),
        lines: vec![(ShardId::new(0), LineLeaf::default()), (SHARD, line())],
        window: Some(window),
    }
}

fn posting() -> Posting {
    Posting {
        kind: PostingKind::Round,
        epoch: Epoch::new(10),
        height: Height::new(77),
        time_secs: 1_800_000_000,
        account: account(),
        number: 4,
        debit: tai(100),
        paid: tai(60),
        written_off: tai(1),
        outstanding: tai(39),
        balance: tai(2),
        collateral: tai(3),
        lines: vec![PostingLine {
            shard: SHARD,
            debited_from: tai(600),
            debited_to: tai(700),
            covered_from: tai(590),
            covered_to: tai(651),
        }],
    }
}

fn shard_leaf() -> ShardLeaf {
    ShardLeaf {
        lease: Epoch::new(16),
        last_close: Some(Epoch::new(9)),
        close_hash: [4; 32],
        inbox_cursor: 3,
        statements: 2,
        total: tai(12),
        last_account: Some(account()),
        pool: tai(5),
        income: tai(600),
        fault: Some(Fault { code: ShardFault::CloseTotal, index: 44 }),
    }
}

fn running(phase: RoundPhase) -> RoundLeaf {
    let running = Running { epoch: Epoch::new(10), phase, postings: 3, debited: tai(70), paid: tai(60) };
    RoundLeaf { settled: Some(Epoch::new(9)), rounds: 2, running: Some(running) }
}

/// Every message that differs from `message` in one bit of its encoding, other than in what is the node's word (`strip`).
fn altered<M: Message + Default + PartialEq + Clone>(message: &M, strip: impl Fn(&mut M)) -> Vec<M> {
    let bytes = message.encode_to_vec();
    let mut stripped = message.clone();
    strip(&mut stripped);
    let mut found = Vec::new();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = M::decode(changed.as_slice()) {
            let mut compared = other.clone();
            strip(&mut compared);
            if compared != stripped {
                found.push(other);
            }
        }
    }
    assert!(found.len() > 20, "{}", found.len());
    found
}

#[test]
fn an_account_is_what_its_bytes_say() {
    let message = settlement_account_message(&account(), &leaves(), &params());
    assert_eq!(checked_settlement_account(&message, &account(), &params()).unwrap(), leaves());
    assert_eq!(message.limit_tai, "1506", "3/2 of 1001, rounded down, and 5");
    assert_eq!((message.allocated_tai.as_str(), message.outstanding_tai.as_str()), ("350", "50"));
    assert_eq!(message.unsettled_tai, "100");
    for other in altered(&message, |_| {}) {
        if let Ok(read) = checked_settlement_account(&other, &account(), &params()) {
            assert_ne!(read, leaves(), "a changed message may only be another account's leaves, whole");
            assert_eq!(settlement_account_message(&account(), &read, &params()), other);
        }
    }
    assert!(checked_settlement_account(&message, &Address::new([1; 20]), &params()).is_err());
    let mut swapped = leaves();
    swapped.lines.reverse();
    let swapped = settlement_account_message(&account(), &swapped, &params());
    assert!(checked_settlement_account(&swapped, &account(), &params()).is_err(), "lines come in order of shard");
}

#[test]
fn an_account_that_nobody_knows_has_nothing() {
    let message = settlement_account_message(&account(), &AccountLeaves::default(), &params());
    assert_eq!((message.balance_tai.as_str(), message.stored.len(), message.lines.len()), ("0", 0, 0));
    assert_eq!(message.nonces.as_ref().unwrap().next, 1);
    assert_eq!(checked_settlement_account(&message, &account(), &params()).unwrap(), AccountLeaves::default());
}

#[test]
fn a_posting_is_what_its_bytes_say() {
    let message = settlement_message(5, &posting());
    assert_eq!(checked_settlement(&message).unwrap(), posting());
    for other in altered(&message, |message| message.index = 0) {
        if let Ok(read) = checked_settlement(&other) {
            assert_eq!(settlement_message(other.index, &read), other);
        }
    }
    let kinds = [PostingKind::Round, PostingKind::Pay, PostingKind::Seize, PostingKind::WriteOff, PostingKind::Payout];
    for kind in kinds {
        assert_eq!(i32::from(kind.number()), i32::from(settlement_kind(kind)), "one number everywhere");
    }
}

#[test]
fn a_shard_is_what_its_bytes_say() {
    let message = settlement_shard_message(&network(), SHARD, &shard_leaf());
    assert_eq!(checked_settlement_shard(&message, &network()).unwrap(), (SHARD, shard_leaf()));
    assert_eq!(message.chain_id, "devnet-shard-1");
    for other in altered(&message, |_| {}) {
        if let Ok((shard, read)) = checked_settlement_shard(&other, &network()) {
            assert_eq!(settlement_shard_message(&network(), shard, &read), other);
        }
    }
    for fault in ShardFault::ALL {
        assert_eq!(i32::from(fault.number()), i32::from(shard_fault(fault)), "one number everywhere");
    }
}

#[test]
fn a_round_is_what_its_bytes_say() {
    for leaf in [
        RoundLeaf::default(),
        running(RoundPhase::Accounts { after: None }),
        running(RoundPhase::Accounts { after: Some(account()) }),
        running(RoundPhase::Shards { next: SHARD }),
    ] {
        let message = round_message(&leaf);
        assert_eq!(checked_round(&message).unwrap(), leaf);
        for other in altered(&message, |_| {}) {
            if let Ok(read) = checked_round(&other) {
                assert_eq!(round_message(&read), other);
            }
        }
    }
}

#[test]
fn the_settlement_chains_parameters_are_what_their_bytes_say() {
    let message = settlement_params_message(&params());
    assert_eq!(checked_settlement_params(&message).unwrap(), params());
    assert_eq!((message.chain_id.as_str(), message.shards), ("devnet-settlement", 2));
    for other in altered(&message, |_| {}) {
        if let Ok(read) = checked_settlement_params(&other) {
            assert_eq!(settlement_params_message(&read), other);
        }
    }
}

#[test]
fn entries_for_a_shard_are_what_their_bytes_say() {
    let line = CreditEntry::Line(LineEntry { account: account(), ceiling: tai(900) });
    let heartbeat = CreditEntry::Heartbeat(Heartbeat { epoch: Epoch::new(10), lease: Epoch::new(16), inbox_cursor: 7 });
    for entry in [line, heartbeat] {
        let message = credit_entry_message(3, &entry);
        assert_eq!(checked_credit_entry(&message).unwrap(), entry);
        for other in altered(&message, |message| message.index = 0) {
            if let Ok(read) = checked_credit_entry(&other) {
                assert_eq!(credit_entry_message(other.index, &read), other);
            }
        }
    }
}

#[test]
fn what_is_said_of_a_statement_must_add_up() {
    let statement = Statement { account: account(), payee: Payee::ValidatorPool, cumulative: tai(900) };
    let bare = statement_message(SHARD, &statement);
    assert_eq!(checked_statement(&bare).unwrap(), statement);
    let told = v1::Statement {
        previous_cumulative_tai: "700".into(),
        amount_tai: "200".into(),
        paid_tai: "120".into(),
        written_off_tai: "30".into(),
        outstanding_tai: "50".into(),
        ..bare
    };
    assert_eq!(checked_statement(&told).unwrap(), statement);
    for edit in [
        (|told| told.previous_cumulative_tai = "701".into()) as fn(&mut v1::Statement),
        |told| told.amount_tai = "201".into(),
        |told| told.amount_tai = "x".into(),
        |told| told.paid_tai = "121".into(),
        |told| told.written_off_tai = "340282366920938463463374607431768211455".into(),
        |told| told.cumulative_tai = "901".into(),
        |told| told.account = vec![1; 20].into(),
        |told| told.payee = vec![1; 21].into(),
        |told| told.leaf = vec![1; 58].into(),
    ] {
        let mut wrong = told.clone();
        edit(&mut wrong);
        assert!(checked_statement(&wrong).is_err(), "{wrong:?}");
    }
}
