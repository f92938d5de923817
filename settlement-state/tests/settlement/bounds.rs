//! Work per block is bounded: a round of a hundred thousand accounts, and the confirmation of their cuts, spread over
//! blocks, and so do the entries that transactions cause.

use db3_primitives::{
    Address, BlockTime, CreditEntry, Height, LineEntry, LogEntry, Payee, Rejection, ShardId, Statement, Tai,
    TransactionOperation, limits,
};
use db3_settlement_state::{Effects, Executor, Genesis, Outcome};

use crate::support::{self, Actor, BEGIN, EPOCH_SECS, FIRST_EPOCH, Net, account, actor, genesis, sign};

const ACCOUNTS: u32 = 100_000;
const PER_BLOCK: u32 = 4_096;

fn address(number: u32) -> Address {
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Address::new(bytes)
}

/// What a block may at most have done: each visited account one posting and one entry, and the payouts and heartbeats.
fn is_bounded(effects: &Effects) {
    assert!(effects.postings.len() <= PER_BLOCK as usize + 8, "{} postings", effects.postings.len());
    assert!(effects.entries.len() <= PER_BLOCK as usize + 8, "{} entries", effects.entries.len());
}

#[test]
fn a_round_of_a_hundred_thousand_accounts_spreads_over_blocks_and_ends() {
    let mut net = Net::with(1, |sources| {
        let accounts = (0..ACCOUNTS).map(|number| account(address(number), 5, 50, &[(0, 40)])).collect();
        Genesis { round_accounts_max: PER_BLOCK, ..genesis(sources, accounts) }
    });
    assert!(net.state.round().running.is_some(), "one block is not enough");
    let mut blocks = 1;
    while net.state.work_pending(BlockTime::from_secs(BEGIN)) {
        // Without the audit, which walks everything.
        let (state, effects) = db3_settlement_state::execute(
            &net.state,
            db3_primitives::Height::new(blocks + 1),
            BlockTime::from_secs(BEGIN),
            &[],
            &[],
        );
        is_bounded(&effects);
        net.state = state;
        blocks += 1;
    }
    assert!(blocks >= u64::from(ACCOUNTS / PER_BLOCK));
    assert_eq!(net.state.shard(ShardId::new(0)).unwrap().sent, u64::from(ACCOUNTS) + 1);

    for number in 0..ACCOUNTS {
        net.state_of(0, address(number), 7);
    }
    let close = net.close_of(0, FIRST_EPOCH);
    net.close(0, &close);
    net.now = BEGIN + EPOCH_SECS;
    net.height = blocks;
    while net.state.shard(ShardId::new(0)).unwrap().leaf.last_close.is_none() {
        let effects = net.carry(0);
        assert_eq!(effects.faults, []);
        assert!(effects.postings.is_empty());
    }
    // 5 of 7 are paid, in every account.
    let mut postings = 0;
    while net.state.work_pending(BlockTime::from_secs(net.now)) {
        net.height += 1;
        let (state, effects) = db3_settlement_state::execute(
            &net.state,
            db3_primitives::Height::new(net.height),
            BlockTime::from_secs(net.now),
            &[],
            &[],
        );
        is_bounded(&effects);
        postings += effects.postings.len();
        net.state = state;
    }
    net.state.audit().unwrap();
    assert_eq!(postings, ACCOUNTS as usize + 3, "one each, and three payouts");
    assert_eq!(net.state.shard(ShardId::new(0)).unwrap().leaf.income, Tai::new(5 * u128::from(ACCOUNTS)));
    assert_eq!(net.state.round().rounds, 2);
}

#[test]
fn an_account_that_was_stated_in_a_thousand_closes_is_listed_and_visited_once() {
    const CLOSES: u64 = 1_000;
    let (alice, bob) = (address(1), address(2));
    let accounts = [alice, bob].map(|account| support::account(account, 3_000, 3_000, &[(0, 3_000)]));
    let mut net = Net::new(1, accounts.to_vec());
    net.settle();
    // The shard was not heard for long, and says all of it at once: of alice the same again and again, of bob more each time.
    net.now += CLOSES * EPOCH_SECS;
    for number in 0..CLOSES {
        let entry = |account, cumulative: u64| {
            let (payee, cumulative) = (Payee::ValidatorPool, Tai::new(u128::from(cumulative)));
            LogEntry::Statement(Statement { account, payee, cumulative }).to_bytes()
        };
        net.write(0, &entry(alice, 5));
        net.write(0, &entry(bob, number + 1));
        net.emitted[0].statements = 2;
        net.emitted[0].total = if number == 0 { 6 } else { 1 };
        let close = net.close_of(0, FIRST_EPOCH + number);
        net.close(0, &close);
    }
    let effects = net.carry(0);
    assert_eq!((effects.faults.len(), effects.inbound.len() as u64), (0, 3 * CLOSES));
    let lists = |net: &Net| net.state.tree().prefix(&db3_primitives::key::dues_prefix()).count();
    assert_eq!(lists(&net), 1);
    let effects = net.settle();
    let debits: Vec<_> =
        effects.iter().flat_map(|effects| &effects.postings).map(|(_, posting)| posting.debit.get()).collect();
    assert_eq!(debits.iter().filter(|debit| **debit > 0).collect::<Vec<_>>(), [&5, &u128::from(CLOSES)]);
    assert_eq!(lists(&net), 0);
}

fn allocate(shard: u32, want: u128) -> TransactionOperation {
    TransactionOperation::Allocate { shard: ShardId::new(shard), want: Tai::new(want) }
}

#[test]
fn a_transaction_tells_a_shard_of_a_line_once_and_the_last_word_counts() {
    let alice = actor(1);
    let mut net = Net::new(2, vec![account(alice.address, 5, 100, &[(0, 10)])]);
    // Up, down to another ceiling and up again, 62 times over, and once on the other shard.
    let mut operations: Vec<_> = (0..62).map(|turn| allocate(0, [40, 20, 30][turn % 3])).collect();
    operations.insert(1, allocate(1, 7));
    operations.push(allocate(0, 25));
    let verified = net.sign(&alice, operations);
    let effects = net.block(1, &[], &[verified]);
    let said: Vec<_> = effects.entries.iter().map(|entry| CreditEntry::from_bytes(&entry.bytes).unwrap()).collect();
    let line = |ceiling| CreditEntry::Line(LineEntry { account: alice.address, ceiling: Tai::new(ceiling) });
    assert_eq!(said, [line(25), line(7)]);
    // What the shard may still act on is the highest ceiling of them all until it tells of that one entry.
    let found = net.state.line(&alice.address, ShardId::new(0)).unwrap();
    assert_eq!((found.ceiling, found.held), (Tai::new(25), Tai::new(40)));
    assert_eq!(found.cut.map(|cut| cut.index), Some(effects.entries[0].index));
    let close = net.close_of(0, FIRST_EPOCH);
    net.close(0, &close);
    net.now = BEGIN + EPOCH_SECS;
    net.carry(0);
    net.block(1, &[], &[]);
    let found = net.state.line(&alice.address, ShardId::new(0)).unwrap();
    assert_eq!((found.held, found.cut), (Tai::new(25), None));
}

#[test]
fn a_failed_transaction_leaves_no_entry_and_not_the_place_of_another() {
    let alice = actor(1);
    let mut net = Net::new(1, vec![account(alice.address, 5, 100, &[(0, 10)])]);
    let nonce = net.state.window(&alice.address).next();
    let sign = |nonce, operations| sign(&alice, &net.transaction(&alice, nonce, operations));
    let first = sign(nonce, vec![allocate(0, 20)]);
    let withdraw = TransactionOperation::Withdraw { amount: Tai::new(1_000) };
    let fails = sign(nonce.next().unwrap(), vec![allocate(0, 40), allocate(0, 30), withdraw]);
    let effects = net.block(1, &[], &[first, fails]);
    let line = CreditEntry::Line(LineEntry { account: alice.address, ceiling: Tai::new(20) });
    let said: Vec<_> = effects.entries.iter().map(|entry| CreditEntry::from_bytes(&entry.bytes).unwrap()).collect();
    assert_eq!(said, [line]);
    assert_eq!(net.state.line(&alice.address, ShardId::new(0)).unwrap().held, Tai::new(20));
}

#[test]
fn the_entries_that_transactions_of_a_block_cause_for_a_shard_are_bounded_and_the_rest_wait() {
    // Each transaction raises the lines of 64 accounts that have lines on two shards by a deposit.
    const BATCH: u32 = limits::TRANSACTION_OPERATIONS_MAX as u32;
    let alice = actor(1);
    let most = limits::BLOCK_LINE_ENTRIES_MAX;
    let mut accounts = vec![account(alice.address, 1_000_000, 100, &[])];
    accounts.extend((0..most).map(|number| account(address(number), 5, 0, &[(0, 10), (1, 5)])));
    let mut net = Net::new(3, accounts);
    net.settle();
    let deposits = |batch: u32| {
        let to = |number| TransactionOperation::Deposit { to: address(batch * BATCH + number), amount: Tai::new(20) };
        (0..BATCH).map(to).collect::<Vec<_>>()
    };
    let begun = net.state.window(&alice.address).next();
    let nonce = |number: u32| db3_primitives::Nonce::new(begun.get() + u64::from(number));
    let signed =
        |net: &Net, alice: &Actor, number, operations| sign(alice, &net.transaction(alice, nonce(number), operations));
    let sent = |net: &Net| [0, 1, 2].map(|shard| net.state.shard(ShardId::new(shard)).unwrap().sent);
    let before = sent(&net);

    let mut executor = Executor::new(&net.state, Height::new(net.height + 1), BlockTime::from_secs(net.now));
    for batch in 0..most / BATCH {
        let outcome = executor.apply(&signed(&net, &alice, batch, deposits(batch)));
        assert!(matches!(outcome, Outcome::Applied(_)), "batch {batch}: {outcome:?}");
    }
    let full = |outcome| assert_eq!(outcome, Outcome::Refused(Rejection::BlockFull { what: "log entries" }));
    let waiting = most / BATCH;
    full(executor.apply(&signed(&net, &alice, waiting, vec![allocate(2, 5), allocate(0, 5)])));
    // A shard whose log has room is not concerned, and neither is what tells no shard anything.
    let elsewhere = executor.apply(&signed(&net, &alice, waiting, vec![allocate(2, 5)]));
    assert!(matches!(elsewhere, Outcome::Applied(_)), "{elsewhere:?}");
    let transfer = TransactionOperation::Transfer { to: address(0), amount: Tai::new(1) };
    let silent = executor.apply(&signed(&net, &alice, waiting + 1, vec![transfer]));
    assert!(matches!(silent, Outcome::Applied(_)), "{silent:?}");
    net.state = executor.finish().0;
    net.height += 1;
    let most = u64::from(most);
    assert_eq!(sent(&net), [before[0] + most, before[1] + most, before[2] + 1]);
    net.state.audit().unwrap();

    // What had to wait is taken by the next block.
    let effects = net.block(1, &[], &[signed(&net, &alice, waiting + 2, vec![allocate(0, 5)])]);
    assert_eq!((effects.receipts[0].outcome.code(), effects.entries.len()), (0, 1));
}

#[test]
fn accounts_with_many_lines_share_a_budget_of_each_block_and_others_never_wait_for_it() {
    const SHARDS: u32 = 128;
    const PER_TRANSACTION: u32 = SHARDS * limits::TRANSACTION_OPERATIONS_MAX as u32;
    let (many, few) = (actor(1), actor(2));
    let wants: Vec<(u32, u128)> = (0..SHARDS).map(|shard| (shard, 1)).collect();
    let accounts = vec![account(many.address, 1_000, 500, &wants), account(few.address, 1_000, 500, &wants[..16])];
    let mut net = Net::new(SHARDS, accounts);
    net.settle();
    let begun = net.state.window(&many.address).next().get();
    let signed = |net: &Net, number: u32| {
        let nonce = db3_primitives::Nonce::new(begun + u64::from(number));
        let again = vec![allocate(0, 1); limits::TRANSACTION_OPERATIONS_MAX];
        sign(&many, &net.transaction(&many, nonce, again))
    };
    let mut executor = Executor::new(&net.state, Height::new(net.height + 1), BlockTime::from_secs(net.now));
    let room = limits::BLOCK_LINES_MAX / PER_TRANSACTION;
    for number in 0..room {
        let outcome = executor.apply(&signed(&net, number));
        assert!(matches!(outcome, Outcome::Applied(_)), "{number}: {outcome:?}");
    }
    assert_eq!(executor.apply(&signed(&net, room)), Outcome::Refused(Rejection::BlockFull { what: "lines" }));
    let other = executor.apply(&net.sign(&few, vec![allocate(3, 2)]));
    assert!(matches!(other, Outcome::Applied(_)), "{other:?}");
    net.state = executor.finish().0;
    net.height += 1;
    let waited = signed(&net, room);
    assert_eq!(net.block(1, &[], &[waited]).receipts[0].outcome.code(), 0);
}

#[test]
fn a_genesis_with_larger_rounds_than_the_limit_is_refused() {
    let too_many = |sources: &[db3_carry::build::Source]| Genesis {
        round_accounts_max: limits::ROUND_ACCOUNTS_PER_BLOCK_MAX + 1,
        ..genesis(sources, Vec::new())
    };
    let refused = db3_settlement_state::SettlementState::genesis(&too_many(&[crate::support::source(0)]));
    assert_eq!(refused.unwrap_err(), db3_settlement_state::GenesisError::Parameter { field: "round_accounts_max" });
}
