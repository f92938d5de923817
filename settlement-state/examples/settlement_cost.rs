//! What a million statements of one shard cost the settlement chain: verified, netted and posted, as CPU seconds of this
//! process, and bytes. Run with `cargo run --release --example settlement_cost -p db3-settlement-state [STATEMENTS]`, or in
//! the profile of the repository by `scripts/bench`.
//!
//! Every account has 1/8 of what it wants spent in the first run and half in the second, so the first shows rounds that
//! renew nothing and the second rounds that write a new ceiling for every account.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::disallowed_types,
    reason = "a measurement stands above the line"
)]

use std::num::NonZeroU64;

use db3_carry::build::Source;
use db3_light_client::{Options, UnixTime};
use db3_primitives::{
    Address, BlockTime, ChainId, Epoch, EpochClose, Hash32, Height, LogEntry, NetworkName, Payee, Posting, PostingLine,
    PriceTable, ShardId, Statement, Tai,
};
use db3_settlement_state::{Effects, Genesis, GenesisAccount, SettlementState, execute};

/// The allocator of the nodes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BEGIN: u64 = 1_767_225_600;
const EPOCH_SECS: u64 = 600;
const WANT: u128 = 8_000;
/// Deliveries in a block: as many of one shard as a node keeps waiting.
const PER_BLOCK: usize = 2;

fn main() {
    let statements: u32 = std::env::args().nth(1).map_or(1_000_000, |count| count.parse().expect("a number"));
    let network: NetworkName = "bench".parse().unwrap();
    let mut source = Source::new(
        ChainId::shard(&network, ShardId::new(0)),
        &[([1; 32], 10)],
        UnixTime::new(BEGIN as i64, 0).unwrap(),
    )
    .unwrap();
    let mut chain = Chain::new(&genesis(&network, &source, statements));
    chain.settle();
    println!("{statements} accounts, each with a statement on one shard");
    let mut previous = [0; 32];
    for (epoch, spent) in [(0, WANT / 8), (1, WANT / 8 + WANT / 2)] {
        let epoch = BEGIN / EPOCH_SECS + epoch;
        previous = write(&mut source, &network, statements, epoch, spent, previous, &chain);
        chain.now = (epoch + 1) * EPOCH_SECS + 1;
        source.block(UnixTime::new(chain.now as i64, 0).unwrap()).unwrap();
        measure(&mut chain, &source, &network, statements);
    }
}

/// One epoch: deliveries, then the round.
fn measure(chain: &mut Chain, source: &Source, network: &NetworkName, statements: u32) {
    let own = ChainId::settlement(network);
    let (mut delivered_bytes, mut deliveries) = (0usize, Vec::new());
    let channel = chain.state.channel(source.chain_id()).unwrap();
    let (mut cursor, mut trusted) = (channel.cursor(), channel.trusted_height());
    let size = source.log(&own).unwrap().frontier().size();
    while cursor < size {
        let delivery = source.delivery(&own, cursor, usize::MAX, trusted).unwrap();
        cursor += delivery.log.entries.len() as u64;
        trusted = source.headers().height();
        delivered_bytes += delivery.log.entries.iter().map(Vec::len).sum::<usize>();
        deliveries.push(delivery);
    }
    let began = cpu_secs();
    for piece in deliveries.chunks(PER_BLOCK) {
        let effects = chain.block(piece);
        assert!(effects.refused.is_empty() && effects.faults.is_empty());
    }
    let verified = cpu_secs();
    let round = chain.settle();
    let posted = cpu_secs();
    let per = |bytes: usize| bytes as f64 / f64::from(statements);
    assert_eq!(round.postings, u64::from(statements) + 1, "one for each statement, and the pool's");
    println!(
        "verified and netted {:.2} s, posted {:.2} s of CPU in {} + {} blocks, together {:.2} s; bytes per statement: \
         {:.1} delivered, {:.1} posted, {:.1} of ceilings",
        verified - began,
        posted - verified,
        deliveries.len().div_ceil(PER_BLOCK),
        round.blocks,
        posted - began,
        per(delivered_bytes),
        per(round.posting_bytes),
        per(round.entry_bytes)
    );
}

/// What the blocks of a round wrote. Each block's effects are dropped before the next, as a chain does that has stored them.
#[derive(Default)]
struct Written {
    blocks: usize,
    postings: u64,
    posting_bytes: usize,
    entry_bytes: usize,
}

/// CPU that this process has used, all threads, in seconds; Linux only. The kernel counts in hundredths.
fn cpu_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

fn address(number: u32) -> Address {
    // Spread like real addresses, but ascending.
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&(number.wrapping_mul(4_294)).to_be_bytes());
    bytes[4..8].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
    Address::new(bytes)
}

fn genesis(network: &NetworkName, source: &Source, accounts: u32) -> Genesis {
    let account = |number| GenesisAccount {
        account: address(number),
        balance: Tai::new(100_000),
        collateral: Tai::new(2 * WANT),
        trust: Tai::ZERO,
        wants: vec![(ShardId::new(0), Tai::new(WANT))],
    };
    Genesis {
        network: network.clone(),
        shards: 1,
        epoch_secs: NonZeroU64::new(EPOCH_SECS).unwrap(),
        genesis_time: BlockTime::from_secs(BEGIN),
        prices: PriceTable::v1(),
        expiry_max_secs: 3_600,
        factor_num: 1,
        factor_den: NonZeroU64::new(1).unwrap(),
        treasury: Address::new([0xee; 20]),
        lease_epochs: 10,
        deadline_secs: 120,
        grace_epochs: 1,
        seize_epochs: 2,
        write_off_epochs: 3,
        round_accounts_max: 16_384,
        accounts: (0..accounts).map(account).collect(),
        payouts: vec![vec![(Address::new([0xdd; 20]), 1)]],
        own_payouts: Vec::new(),
        peers: vec![source.peer(Options::never_expires())],
        validators: Vec::new(),
    }
}

/// Writes an epoch's statements and its close.
fn write(
    source: &mut Source,
    network: &NetworkName,
    statements: u32,
    epoch: u64,
    spent: u128,
    previous: Hash32,
    chain: &Chain,
) -> Hash32 {
    let own = ChainId::settlement(network);
    let before = chain.state.line(&address(0), ShardId::new(0)).unwrap().reported.get();
    for number in 0..statements {
        let statement =
            Statement { account: address(number), payee: Payee::ValidatorPool, cumulative: Tai::new(spent) };
        source.append(&own, &LogEntry::Statement(statement).to_bytes()).unwrap();
    }
    let close = EpochClose {
        shard: ShardId::new(0),
        first: Epoch::new(epoch),
        last: Epoch::new(epoch),
        first_height: Height::new(1),
        last_height: Height::new(2),
        bills_root: [0; 32],
        bill_count: u64::from(statements),
        statements: u64::from(statements),
        total: Tai::new((spent - before) * u128::from(statements)),
        inbox_cursor: chain.state.shard(ShardId::new(0)).unwrap().sent,
        previous,
    };
    source.append(&own, &LogEntry::EpochClose(close).to_bytes()).unwrap();
    close.hash()
}

struct Chain {
    state: SettlementState,
    height: u64,
    now: u64,
}

impl Chain {
    fn new(genesis: &Genesis) -> Self {
        Self { state: SettlementState::genesis(genesis).unwrap(), height: 0, now: BEGIN }
    }

    fn block(&mut self, deliveries: &[db3_carry::Delivery]) -> Effects {
        self.height += 1;
        let time = BlockTime::from_secs(self.now);
        let (state, effects) = execute(&self.state, Height::new(self.height), time, deliveries, &[]);
        self.state = state;
        effects
    }

    fn settle(&mut self) -> Written {
        let mut written = Written::default();
        while self.state.work_pending(BlockTime::from_secs(self.now)) {
            let effects = self.block(&[]);
            written.blocks += 1;
            written.postings += effects.postings.len() as u64;
            let bytes = |posting: &Posting| 154 + PostingLine::BYTES * posting.lines.len();
            written.posting_bytes += effects.postings.iter().map(|(_, posting)| bytes(posting)).sum::<usize>();
            written.entry_bytes += effects.entries.iter().map(|entry| entry.bytes.len()).sum::<usize>();
        }
        written
    }
}
