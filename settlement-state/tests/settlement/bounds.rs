//! Work per block is bounded: a round of a hundred thousand accounts, and the confirmation of their cuts, spread over
//! blocks.

use db3_primitives::{Address, BlockTime, ShardId, Tai, limits};
use db3_settlement_state::{Effects, Genesis};

use crate::support::{BEGIN, EPOCH_SECS, FIRST_EPOCH, Net, account, genesis};

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
fn a_genesis_with_larger_rounds_than_the_limit_is_refused() {
    let too_many = |sources: &[db3_carry::build::Source]| Genesis {
        round_accounts_max: limits::ROUND_ACCOUNTS_PER_BLOCK_MAX + 1,
        ..genesis(sources, Vec::new())
    };
    let refused = db3_settlement_state::SettlementState::genesis(&too_many(&[crate::support::source(0)]));
    assert_eq!(refused.unwrap_err(), db3_settlement_state::GenesisError::Parameter { field: "round_accounts_max" });
}
