//! What epochs cost a shard: the blocks of a close with a million active accounts, under load; and what closing, stating and
//! being told ceilings adds to the CPU of the mutations of an epoch.
//!
//! `cargo run -p db3-shard-state --example epoch_cost -- close [ACCOUNTS] [MUTATIONS_PER_BLOCK] [RUNS]` (defaults 1 000 000, 1 000
//! and 5) prints how long blocks take before and during a close: execution and the new root, as the chain's consensus path has
//! them; disk and network are not in it. The blocks of all runs are the same and each run is a process of its own, so what a
//! block takes is its median over the runs: what else the machine does meanwhile hits another block in each, what the block
//! itself costs comes again. The goal is that no block of the close takes longer than twice the median; since most blocks of
//! the run are the close's own, the median of those away from it is printed too, and the longest of single runs.
//!
//! `-- share [ACCOUNTS] [MUTATIONS_PER_ACCOUNT]` (defaults 4 000 and 100) prints CPU seconds of the process.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    clippy::cast_sign_loss,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a measurement stands above the line"
)]

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use db3_carry::build::Source;
use db3_light_client::{Options, UnixTime};
use db3_merkle_log::Frontier;
use db3_primitives::limits::CLOSE_ACCOUNTS_PER_BLOCK_MAX;
use db3_primitives::{
    AccountLeaf, Address, BlockTime, ChainId, ChainLeaf, CreditEntry, Epoch, Heartbeat, Height, LineEntry, Mutation,
    Namespace, NetworkName, Nonce, OpenEpochLeaf, Operation, PriceTable, RecordKey, Scheme, SecretKey, ShardId,
    SignedMutation, Tai, VerifiedMutation, Write, key, sign_mutation,
};
use db3_shard_state::{Effects, Executor, Genesis, Outcome, ShardState};

/// The allocator of the nodes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BEGIN: u64 = 1_767_225_600;
const EPOCH_SECS: u64 = 600;
const CEILING: Tai = Tai::new(1_000_000_000_000);
/// Blocks before the close, and after it, for the median away from it.
const BLOCKS_AROUND: usize = 30;
const SIGNERS: usize = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| arguments.get(at).map_or(default, |text| text.parse().expect("a number"));
    match arguments.first().map(String::as_str) {
        Some("close") => close(number(1, 1_000_000), number(2, 1_000), number(3, 5)),
        Some("close-once") => close_once(number(1, 1_000_000), number(2, 1_000)),
        Some("share") => share(number(1, 4_000), number(2, 100)),
        _ => panic!("close, close-once or share"),
    }
}

/// Blocks of a close, beside those before it and after it: medians of so many runs.
fn close(accounts: usize, mutations: usize, runs: usize) {
    let runs: Vec<Vec<Block>> = (0..runs).map(|_| in_a_process(accounts, mutations)).collect();
    let mut took: [Vec<Duration>; 2] = [Vec::new(), Vec::new()];
    let mut single = [Duration::ZERO; 2];
    for (number, block) in runs[0].iter().enumerate() {
        let mut each: Vec<Duration> = runs.iter().map(|run| run[number].took).collect();
        each.sort_unstable();
        let kind = usize::from(block.closes);
        took[kind].push(each[each.len() / 2]);
        single[kind] = single[kind].max(each[each.len() - 1]);
    }
    for took in &mut took {
        took.sort_unstable();
    }
    let [away, during] = &took;
    let (median, longest) = (away[away.len() / 2], during[during.len() - 1]);
    let mut all = [away.as_slice(), during].concat();
    all.sort_unstable();
    let of_all = all[all.len() / 2];
    let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
    println!(
        "{accounts} accounts with a bill, {mutations} mutations in every block, each block the median of {} runs: {:.2} ms away \
         from the close (longest {:.2}), {:.2} in its {} blocks (p99 {:.2}, longest {:.2}); longest of the close {:.2} times the \
         median of all blocks (goal: at most 2), {:.2} times that away from it. Longest of any single run: {:.2} ms away, {:.2} in the close",
        runs.len(),
        ms(median),
        ms(away[away.len() - 1]),
        ms(during[during.len() / 2]),
        during.len(),
        ms(during[during.len() * 99 / 100]),
        ms(longest),
        ms(longest) / ms(of_all),
        ms(longest) / ms(median),
        ms(single[0]),
        ms(single[1]),
    );
}

/// One block of a run.
struct Block {
    /// Whether it emits statements.
    closes: bool,
    took: Duration,
}

/// The blocks of one run, in a process of its own: none finds the memory of another.
fn in_a_process(accounts: usize, mutations: usize) -> Vec<Block> {
    let program = std::env::current_exe().unwrap();
    let arguments = ["close-once".to_owned(), accounts.to_string(), mutations.to_string()];
    let output = std::process::Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let block = |line: &str| {
        let (kind, nanos) = line.split_once(' ').unwrap();
        Block { closes: kind == "close", took: Duration::from_nanos(nanos.parse().unwrap()) }
    };
    text.lines().map(block).collect()
}

/// One run: a line for each block, whether it closes and the nanoseconds that it took.
fn close_once(accounts: usize, mutations: usize) {
    let mut shard = Shard::new(accounts);
    let signers: Vec<Signer> = (0..SIGNERS).map(Signer::new).collect();
    shard.open_lines(&signers, accounts);
    let blocks = accounts.div_ceil(CLOSE_ACCOUNTS_PER_BLOCK_MAX as usize) + 2 * BLOCKS_AROUND + 2;
    let mut load = in_turn(&signers, blocks * mutations).into_iter();
    let mut statements = 0;
    for block in 0..blocks {
        if block == BLOCKS_AROUND {
            shard.now += EPOCH_SECS;
        }
        let verified: Vec<VerifiedMutation> =
            load.by_ref().take(mutations).map(|signed| signed.verify().unwrap()).collect();
        let begin = Instant::now();
        let effects = shard.block(&verified);
        let took = begin.elapsed();
        assert_eq!(effects.bills.len(), mutations);
        statements += effects.entries.len();
        println!("{} {}", if effects.entries.is_empty() { "away" } else { "close" }, took.as_nanos());
    }
    assert_eq!(statements, accounts + SIGNERS + 1, "everybody's statement, and the close");
}

/// CPU of an epoch's mutations, and of what the epoch adds to it.
fn share(accounts: usize, each: usize) {
    let mut shard = Shard::new(0);
    let signers: Vec<Signer> = (0..accounts).map(Signer::new).collect();
    shard.open_lines(&signers, 0);
    let addresses: Vec<Address> = signers.iter().map(|signer| signer.address).collect();
    let mut load = in_turn(&signers, accounts * each).into_iter().peekable();
    let begin = cpu();
    while load.peek().is_some() {
        let now = BlockTime::from_secs(shard.now);
        let admitted = |signed: SignedMutation| {
            shard.state.admit(&signed.content, signed.bytes, now).unwrap();
            signed.verify().unwrap()
        };
        let verified: Vec<VerifiedMutation> = load.by_ref().take(2_000).map(admitted).collect();
        shard.block(&verified);
    }
    let mutated = cpu();
    shard.now += EPOCH_SECS;
    let mut entries = 0;
    let mut blocks = 0;
    while blocks == 0 || shard.state.emission().is_some() {
        entries += shard.block(&[]).entries.len();
        blocks += 1;
    }
    let closed = cpu();
    assert_eq!(entries, accounts + 1, "everybody's statement, and the close");
    let lines = addresses.iter().map(|account| CreditEntry::Line(LineEntry { account: *account, ceiling: CEILING }));
    shard.write(lines);
    let told = cpu();
    shard.hear();
    let heard = cpu();
    let mutations = (mutated - begin).as_secs_f64();
    let added = ((closed - mutated) + (heard - told)).as_secs_f64();
    println!(
        "{accounts} accounts, {each} mutations each: {mutations:.2} s of CPU ({:.1} µs a mutation: admission, signature, \
         execution); the close and its statements {:.1} ms, a ceiling for each and the heartbeat {:.1} ms: {:.2} % more",
        mutations * 1e6 / (accounts * each) as f64,
        (closed - mutated).as_secs_f64() * 1e3,
        (heard - told).as_secs_f64() * 1e3,
        added / mutations * 100.0
    );
}

/// CPU that this process has used, all threads.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A shard, and the settlement chain that it hears.
struct Shard {
    state: ShardState,
    settlement: Source,
    own: ChainId,
    height: u64,
    now: u64,
}

impl Shard {
    /// With so many accounts that have one bill each in the open epoch.
    fn new(accounts: usize) -> Self {
        let network: NetworkName = "bench".parse().unwrap();
        let time = UnixTime::new(BEGIN as i64, 0).unwrap();
        let settlement = Source::new(ChainId::settlement(&network), &[([200; 32], 1)], time).unwrap();
        let genesis = Genesis {
            network: network.clone(),
            shard: ShardId::new(0),
            shards: 1,
            epoch_secs: NonZeroU64::new(EPOCH_SECS).unwrap(),
            genesis_time: BlockTime::from_secs(BEGIN),
            prices: PriceTable::v1(),
            close_accounts_max: CLOSE_ACCOUNTS_PER_BLOCK_MAX,
            expiry_max_secs: 3_600,
            settlement: settlement.peer(Options::never_expires()),
            validators: Vec::new(),
        };
        let state = ShardState::genesis(&genesis).unwrap();
        let state = ShardState::from_tree(state.tree().apply(billed(&state, accounts)).unwrap()).unwrap();
        Self { state, settlement, own: ChainId::shard(&network, ShardId::new(0)), height: 0, now: BEGIN + 1 }
    }

    fn block(&mut self, mutations: &[VerifiedMutation]) -> Effects {
        self.height += 1;
        let mut executor = Executor::new(&self.state, Height::new(self.height), BlockTime::from_secs(self.now));
        for mutation in mutations {
            let outcome = executor.apply(mutation);
            assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
        }
        let (state, effects) = executor.finish();
        self.state = state;
        effects
    }

    /// Writes entries into the settlement chain's log.
    fn write(&mut self, entries: impl Iterator<Item = CreditEntry>) {
        let heartbeat = Heartbeat { epoch: Epoch::new(0), lease: Epoch::new(u64::MAX), inbox_cursor: 0 };
        for entry in entries.chain([CreditEntry::Heartbeat(heartbeat)]) {
            self.settlement.append(&self.own, &entry.to_bytes()).unwrap();
        }
        self.settlement.block(UnixTime::new(self.now as i64, 0).unwrap()).unwrap();
    }

    /// Applies all of that log which was not heard yet, one delivery in a block.
    fn hear(&mut self) {
        let settlement = self.settlement.chain_id().clone();
        let size = self.settlement.log(&self.own).unwrap().frontier().size();
        loop {
            let channel = self.state.channel(&settlement).unwrap();
            if channel.cursor() == size {
                return;
            }
            let delivery =
                self.settlement.delivery(&self.own, channel.cursor(), usize::MAX, channel.trusted_height()).unwrap();
            self.height += 1;
            let mut executor = Executor::new(&self.state, Height::new(self.height), BlockTime::from_secs(self.now));
            executor.deliver(&delivery).unwrap();
            self.state = executor.finish().0;
        }
    }

    /// A line for every signer, by delivery; they have no bill yet. `others` were there before.
    fn open_lines(&mut self, signers: &[Signer], others: usize) {
        let lines =
            signers.iter().map(|signer| CreditEntry::Line(LineEntry { account: signer.address, ceiling: CEILING }));
        let lines: Vec<CreditEntry> = lines.collect();
        self.write(lines.into_iter());
        self.hear();
        assert!(self.state.tree().len() >= (others + signers.len()) as u64);
    }
}

/// The leaves of accounts with one bill of one tai each, and of the open epoch that has those bills.
fn billed(state: &ShardState, accounts: usize) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let (open, first_height) = state.open_epoch();
    let chain = ChainLeaf { lease_epoch: u64::MAX, ..state.chain().clone() };
    let mut leaves = BTreeMap::from([(key::chain(), chain.to_bytes())]);
    let line = AccountLeaf::with_ceiling(CEILING).charge(Tai::new(1), open.get()).unwrap().to_bytes();
    let mut bills = Frontier::new();
    for number in 0..accounts as u64 {
        // Spread like real addresses.
        let mut address = [0; 20];
        address[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        leaves.insert(key::account(&Address::new(address)), line.clone());
        let _ = bills.append(&address);
    }
    let books = OpenEpochLeaf { open, first_height, total: Tai::new(accounts as u128), bills: bills.to_bytes() };
    leaves.insert(key::open_epoch(), books.to_bytes());
    leaves.into_iter().map(|(key, leaf)| (key, Some(leaf))).collect()
}

/// An account that signs.
struct Signer {
    key: SecretKey,
    address: Address,
}

impl Signer {
    fn new(number: usize) -> Self {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
        let key = SecretKey::from_bytes(seed).unwrap();
        Self { address: key.address(), key }
    }

    /// One pair of 100 bytes, as `db3 bench write --pairs 1` writes it.
    fn sign(&self, nonce: u64) -> SignedMutation {
        let write = Write {
            table: "t".parse().unwrap(),
            key: RecordKey::new(format!("key-{nonce:08}").into_bytes()).unwrap(),
            value: vec![7; 82],
            if_version: None,
        };
        let mutation = Mutation {
            network: "bench".parse().unwrap(),
            account: self.address,
            namespace: Namespace::own(&self.address),
            nonce: Nonce::new(nonce),
            expire_unix_secs: BEGIN + 3_000,
            max_fee: Tai::new(1_000_000_000),
            operations: vec![Operation::Put(write)],
        };
        // Any bytes of the right length that are another mutation's in none.
        let body = [self.address.as_bytes().as_slice(), &nonce.to_be_bytes(), &[0; 130]].concat();
        let envelope = sign_mutation(&self.key, &mutation, body, Scheme::Raw);
        SignedMutation::new(mutation, envelope, 229)
    }
}

/// Mutations of several accounts in turn.
fn in_turn(signers: &[Signer], count: usize) -> Vec<SignedMutation> {
    (0..count).map(|number| signers[number % signers.len()].sign((number / signers.len()) as u64 + 1)).collect()
}
