//! What admits and refuses transactions, and what they cost.

use db3_primitives::{
    Meter, Nonce, PriceTable, Tai, Transaction, TransactionOperation, limits, stored, transaction_upper_bound,
};
use db3_settlement_state::{Genesis, GenesisError, Outcome, SettlementState};

use crate::script::code;
use crate::support::{Actor, Net, account, actor, genesis, sign, source};

/// Real prices; alice has money, bob has not.
fn net() -> (Net, Actor, Actor) {
    let (alice, bob) = (actor(1), actor(2));
    let accounts = vec![account(alice.address, 1_000_000, 1_000, &[(0, 100)]), account(bob.address, 0, 0, &[])];
    let net = Net::with(2, |sources| Genesis { prices: PriceTable::v1(), ..genesis(sources, accounts) });
    (net, alice, bob)
}

fn transfer(to: &Actor, amount: u128) -> Vec<TransactionOperation> {
    vec![TransactionOperation::Transfer { to: to.address, amount: Tai::new(amount) }]
}

#[test]
fn the_fee_leaves_the_balance_and_is_paid_out_at_the_next_round() {
    let (mut net, alice, bob) = net();
    let outcome = net.transact(&alice, transfer(&bob, 5));
    let Outcome::Applied(receipt) = outcome else { panic!("{outcome:?}") };
    let metered = receipt.metered;
    assert_eq!(metered.quantity(Meter::Mutation), 1);
    assert_eq!(metered.bytes_stored, stored::own_window(), "the window is new, bob is not");
    assert_eq!(PriceTable::v1().fee(&metered), Some(receipt.fee));
    let spent = receipt.fee.get() + 5;
    assert_eq!(net.state.account(&alice.address).leaf.balance, Tai::new(1_000_000 - spent));
    assert_eq!(net.state.supply().fee_pool, receipt.fee);
    net.now += 700;
    net.settle();
    let supply = net.state.supply();
    assert_eq!((supply.fee_pool, supply.fee_income), (Tai::ZERO, receipt.fee));
    let paid: u128 = [0xd1, 0xd2, 0xee]
        .map(|byte| net.state.account(&db3_primitives::Address::new([byte; 20])).leaf.balance.get())
        .iter()
        .sum();
    assert_eq!(paid, receipt.fee.get());
}

#[test]
fn what_fails_pays_for_its_bytes_uses_its_nonce_and_does_nothing() {
    let (mut net, alice, bob) = net();
    let outcome = net.transact(&alice, transfer(&bob, 2_000_000));
    let Outcome::Failed(receipt) = &outcome else { panic!("{outcome:?}") };
    assert_eq!((code(&outcome), receipt.metered.operations, receipt.metered.key_bytes), (307, 0, 0));
    assert_eq!(net.state.account(&alice.address).leaf.balance, Tai::new(1_000_000 - receipt.fee.get()));
    assert_eq!(net.state.account(&bob.address).leaf.balance, Tai::ZERO);
    assert!(net.state.window(&alice.address).is_used(Nonce::new(1)));
}

#[test]
fn the_whole_balance_cannot_be_moved_because_the_fee_comes_first() {
    let (mut net, alice, bob) = net();
    assert_eq!(code(&net.transact(&alice, transfer(&bob, 1_000_000))), 307);
}

#[test]
fn execution_costs_what_was_estimated() {
    let (mut net, alice, bob) = net();
    let everything = vec![
        TransactionOperation::Transfer { to: bob.address, amount: Tai::new(1) },
        TransactionOperation::Transfer { to: actor(9).address, amount: Tai::new(1) },
        TransactionOperation::Deposit { to: actor(8).address, amount: Tai::new(100) },
        TransactionOperation::Allocate { shard: db3_primitives::ShardId::new(1), want: Tai::new(5) },
        TransactionOperation::Withdraw { amount: Tai::new(2) },
    ];
    for operations in [everything, transfer(&bob, 2_000_000), transfer(&bob, 1)] {
        let transaction = net.transaction(&alice, net.state.window(&alice.address).next(), operations.clone());
        let estimate = net.state.estimate(&transaction, 200).unwrap();
        let outcome = net.transact(&alice, operations);
        let (Outcome::Applied(receipt) | Outcome::Failed(receipt)) = &outcome else { panic!("{outcome:?}") };
        assert_eq!((estimate.fee, estimate.metered), (receipt.fee, receipt.metered));
        assert_eq!(estimate.failure.map_or(0, |rejection| rejection.code()), code(&outcome));
        assert!(estimate.metered.is_within(&transaction_upper_bound(&transaction, 200)));
        assert!(estimate.fee <= estimate.bound);
    }
}

#[test]
fn the_ladder_of_admission_names_the_first_thing_that_is_wrong() {
    let (mut net, alice, bob) = net();
    assert_eq!(code(&net.transact(&alice, transfer(&bob, 1))), 0);
    let good = net.transaction(&alice, Nonce::new(2), transfer(&bob, 1));
    let (state, now) = (net.state.clone(), db3_primitives::BlockTime::from_secs(net.now));
    let admit = |transaction: &Transaction, bytes: u32| {
        state.admit(transaction, bytes, now).map_err(|rejection| rejection.code()).err()
    };
    let changed = |change: &dyn Fn(&mut Transaction)| {
        let mut transaction = good.clone();
        change(&mut transaction);
        admit(&transaction, 200)
    };
    assert_eq!(admit(&good, 200), None);
    assert_eq!(admit(&good, limits::TRANSACTION_BYTES_MAX as u32 + 1), Some(102));
    assert_eq!(changed(&|transaction| transaction.operations.clear()), Some(107));
    assert_eq!(changed(&|transaction| transaction.network = "other".parse().unwrap()), Some(112));
    assert_eq!(changed(&|transaction| transaction.expire_unix_secs = now.secs), Some(201));
    assert_eq!(changed(&|transaction| transaction.expire_unix_secs = now.secs + 3_601), Some(202));
    assert_eq!(changed(&|transaction| transaction.nonce = Nonce::new(1)), Some(207));
    assert_eq!(changed(&|transaction| transaction.nonce = Nonce::new(1 + 4_097)), Some(208));
    assert_eq!(changed(&|transaction| transaction.max_fee = Tai::new(1)), Some(210));
    assert_eq!(changed(&|transaction| transaction.account = bob.address), Some(223));
    let too_much = TransactionOperation::Withdraw { amount: Tai::new(1_001) };
    let failing = Transaction { operations: vec![too_much], ..good.clone() };
    let foreseen = state.foresee(&failing, &state.admit(&failing, 200, now).unwrap(), now);
    assert_eq!(foreseen.map_err(|rejection| rejection.code()), Err(309), "foreseen, after the signature");
    let admission = state.admit(&good, 200, now).unwrap();
    assert_eq!(PriceTable::v1().fee(&admission.metered), Some(admission.bound));
}

#[test]
fn a_block_refuses_what_admission_refuses_and_takes_what_only_fails() {
    let (mut net, alice, bob) = net();
    let first = net.sign(&alice, transfer(&bob, 1));
    net.block(0, &[], std::slice::from_ref(&first));
    let effects = net.block(0, &[], &[first]);
    assert_eq!(effects.receipts[0].outcome.code(), 207, "a replay");
    let broke = net.sign(&bob, transfer(&alice, 1));
    assert_eq!(net.block(0, &[], &[broke]).receipts[0].outcome.code(), 223);
    let root = net.state.root();
    let other =
        Transaction { network: "other".parse().unwrap(), ..net.transaction(&alice, Nonce::new(9), transfer(&bob, 1)) };
    let other = sign(&alice, &other);
    assert_eq!(net.block(0, &[], &[other]).receipts[0].outcome.code(), 112);
    assert_eq!(net.state.root(), root);
}

#[test]
fn one_senders_transactions_may_come_in_any_order() {
    let (mut net, alice, bob) = net();
    let signed: Vec<_> =
        [3, 1, 2].map(|nonce| sign(&alice, &net.transaction(&alice, Nonce::new(nonce), transfer(&bob, 1)))).into();
    let effects = net.block(0, &[], &signed);
    assert!(effects.receipts.iter().all(|receipt| receipt.outcome.code() == 0));
    assert_eq!(net.state.window(&alice.address).base(), 3);
}

#[test]
fn a_genesis_that_makes_no_chain_is_refused_by_what_is_wrong() {
    let sources = [source(0), source(1)];
    let alice = actor(1).address;
    let make = |change: &dyn Fn(&mut Genesis)| {
        let mut genesis = genesis(&sources, vec![account(alice, 5, 5, &[(0, 5)])]);
        change(&mut genesis);
        SettlementState::genesis(&genesis).map(|state| state.supply().supply)
    };
    assert_eq!(make(&|_| {}).unwrap(), Tai::new(10));
    let twice = make(&|genesis| genesis.accounts.push(genesis.accounts[0].clone()));
    assert_eq!(twice.unwrap_err(), GenesisError::AccountTwice { account: alice });
    let nowhere = make(&|genesis| genesis.accounts[0].wants[0].0 = db3_primitives::ShardId::new(2));
    assert!(matches!(nowhere, Err(GenesisError::Want { .. })));
    let rich = make(&|genesis| genesis.accounts[0].balance = limits::CEILING_TAI_MAX);
    assert_eq!(rich.unwrap_err(), GenesisError::TooMuchMoney);
    assert!(matches!(make(&|genesis| genesis.peers.swap(0, 1)), Err(GenesisError::PeerMisplaced { .. })));
    assert!(matches!(
        make(&|genesis| {
            genesis.payouts.pop();
        }),
        Err(GenesisError::PerShard { .. })
    ));
    assert!(matches!(make(&|genesis| genesis.own_payouts[0].1 = 0), Err(GenesisError::Payouts { .. })));
    assert!(matches!(make(&|genesis| genesis.shards = 0), Err(GenesisError::Shards { .. })));
    assert!(matches!(make(&|genesis| genesis.lease_epochs = 0), Err(GenesisError::Parameter { .. })));
    assert!(matches!(make(&|genesis| genesis.write_off_epochs = 0), Err(GenesisError::Parameter { .. })));
    let damaged = |key: &[u8]| {
        let state = SettlementState::genesis(&genesis(&sources, Vec::new())).unwrap();
        let tree = state.tree().apply(vec![(key.to_vec(), Some(vec![9]))]).unwrap();
        SettlementState::from_tree(tree).is_err()
    };
    assert!([&b"round"[..], b"supply", b"shard/0000", b"nothing", b"client/devnet-shard-1"].into_iter().all(damaged));
}
