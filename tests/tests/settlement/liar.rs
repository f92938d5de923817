//! A shard that lies freezes alone: whatever it says, the lie is not applied, its channel is stopped where everybody sees it, and
//! the others settle as if it had merely fallen silent.

use std::num::NonZeroU64;

use db3_carry::build::Source;
use db3_carry::{Delivery, HeaderUpdate};
use db3_light_client::{Options, UnixTime};
use db3_primitives::{
    Address, BlockTime, ChainId, Epoch, EpochClose, Height, LogEntry, NetworkName, Payee, PriceTable, Rejection,
    ShardFault, ShardId, Statement, Tai,
};
use db3_settlement_state::{Effects, Executor, Genesis, GenesisAccount, SettlementState};

const EPOCH_SECS: u64 = 60;
const DEADLINE_SECS: u64 = 10;
const GENESIS_SECS: u64 = 1_767_225_600;
const WANT: u128 = 500_000;
/// How many epochs a story has; the lie is told in the second.
const EPOCHS: u64 = 5;

fn account(byte: u8) -> Address {
    Address::new([byte; 20])
}

/// A settlement chain and two shards that say what the story wants.
struct Story {
    state: SettlementState,
    height: u64,
    secs: u64,
    shards: [Source; 2],
    /// Hash of each shard's newest close.
    previous: [[u8; 32]; 2],
}

impl Story {
    fn new() -> Self {
        let network: NetworkName = "devnet".parse().unwrap();
        let shards = [0, 1].map(|shard: u8| {
            let id = ChainId::shard(&network, ShardId::new(u32::from(shard)));
            Source::new(id, &[([shard + 1; 32], 1)], unix(GENESIS_SECS)).unwrap()
        });
        let rich = |byte| GenesisAccount {
            account: account(byte),
            balance: Tai::new(10_000_000),
            collateral: Tai::new(2_000_000),
            trust: Tai::ZERO,
            wants: [0, 1].map(|shard| (ShardId::new(shard), Tai::new(WANT))).to_vec(),
        };
        let state = SettlementState::genesis(&Genesis {
            network,
            shards: 2,
            epoch_secs: NonZeroU64::new(EPOCH_SECS).unwrap(),
            genesis_time: BlockTime::from_secs(GENESIS_SECS),
            prices: PriceTable::v1(),
            expiry_max_secs: 3_600,
            factor_num: 1,
            factor_den: NonZeroU64::MIN,
            treasury: account(9),
            lease_epochs: 3,
            deadline_secs: DEADLINE_SECS,
            grace_epochs: 1,
            seize_epochs: 2,
            write_off_epochs: 3,
            round_accounts_max: 1_000,
            accounts: vec![rich(1), rich(2)],
            payouts: vec![vec![(account(7), 1)], vec![(account(8), 1)]],
            own_payouts: vec![(account(7), 1)],
            peers: shards.iter().map(|shard| shard.peer(Options::never_expires())).collect(),
            validators: Vec::new(),
        })
        .unwrap();
        let mut story = Self { state, height: 0, secs: GENESIS_SECS, shards, previous: [[0; 32]; 2] };
        story.block(1, &[]);
        story
    }

    /// A block of the settlement chain, later by so many seconds; every delivery must be taken.
    fn block(&mut self, secs: u64, deliveries: &[Delivery]) -> Effects {
        self.secs += secs;
        self.height += 1;
        let mut executor = Executor::new(&self.state, Height::new(self.height), BlockTime::from_secs(self.secs));
        for delivery in deliveries {
            executor.deliver(delivery).unwrap();
        }
        let (state, effects) = executor.finish();
        self.state = state;
        self.state.audit().unwrap();
        effects
    }

    /// A shard writes entries, and the header that proves them; what a relayer would bring now.
    fn says(&mut self, shard: usize, entries: &[Vec<u8>]) -> Delivery {
        let settlement = self.state.chain().chain_id();
        for entry in entries {
            self.shards[shard].append(&settlement, entry).unwrap();
        }
        // Headers' times grow, also within a second.
        let nanos = u32::try_from(self.shards[shard].headers().height()).unwrap();
        self.shards[shard].block(UnixTime::new(i64::try_from(self.secs).unwrap(), nanos).unwrap()).unwrap();
        let channel = self.state.channel(self.shards[shard].chain_id()).unwrap();
        let trusted = channel.trusted_height();
        self.shards[shard].delivery(&settlement, channel.cursor(), usize::MAX, trusted).unwrap()
    }

    /// The close that follows.
    fn close(&self, shard: usize, epoch: u64, statements: u64, total: u128) -> EpochClose {
        EpochClose {
            shard: ShardId::new(u32::try_from(shard).unwrap()),
            first: Epoch::new(epoch),
            last: Epoch::new(epoch),
            first_height: Height::new(1),
            last_height: Height::new(2),
            bills_root: [0; 32],
            bill_count: statements,
            statements,
            total: Tai::new(total),
            inbox_cursor: 0,
            previous: self.previous[shard],
        }
    }

    /// What an honest shard says at the end of an epoch: account 1 spent 10 000 more, account 2 20 000 more.
    fn honest(&mut self, shard: usize, number: u64, epoch: u64) -> Vec<Vec<u8>> {
        let times = u128::from(number + 1);
        let close = self.close(shard, epoch, 2, 30_000);
        self.previous[shard] = close.hash();
        vec![statement(1, 10_000 * times), statement(2, 20_000 * times), LogEntry::EpochClose(close).to_bytes()]
    }

    /// A second header of the newest height that the settlement chain trusts, by the same validators.
    fn fraud(&self, shard: usize) -> Delivery {
        let source = &self.shards[shard];
        let trusted = self.state.channel(source.chain_id()).unwrap().trusted_height();
        let light_block = source.headers().fork(trusted, [0xee; 32]).unwrap().unwrap();
        let update = HeaderUpdate { light_block, trusted_next_validators: None };
        Delivery::of_headers(source.chain_id().clone(), vec![update])
    }
}

fn unix(secs: u64) -> UnixTime {
    UnixTime::new(i64::try_from(secs).unwrap(), 0).unwrap()
}

fn statement(who: u8, cumulative: u128) -> Vec<u8> {
    let statement = Statement { account: account(who), payee: Payee::ValidatorPool, cumulative: Tai::new(cumulative) };
    LogEntry::Statement(statement).to_bytes()
}

/// What a shard writes that lies, its last entry being the lie.
type Lie = fn(&mut Story, u64) -> Vec<Vec<u8>>;

/// What shard 1 does in the second epoch.
#[derive(Clone, Copy)]
enum Turn {
    /// It says nothing any more.
    Silent,
    /// It says these entries, of which the last one is the lie.
    Lies(Lie, ShardFault),
    /// Its validators sign two headers of one height.
    Fraud,
}

/// Tells the story and gives the state at its end.
fn tell(turn: Turn) -> Story {
    let mut story = Story::new();
    let first = GENESIS_SECS / EPOCH_SECS;
    for number in 0..EPOCHS {
        let epoch = first + number;
        story.secs = (epoch + 1) * EPOCH_SECS;
        let said = story.honest(0, number, epoch);
        let mut deliveries = vec![story.says(0, &said)];
        if number == 0 {
            let said = story.honest(1, number, epoch);
            deliveries.push(story.says(1, &said));
        }
        let _ = story.block(1, &deliveries);
        if number == 1 {
            lie(&mut story, turn, epoch);
        }
        // Past the deadline, so that a round waits for nobody.
        let _ = story.block(DEADLINE_SECS + 1, &[]);
        let _ = story.block(1, &[]);
    }
    story
}

fn lie(story: &mut Story, turn: Turn, epoch: u64) {
    let before = story.state.shard(ShardId::new(1)).unwrap();
    let (delivery, taken) = match turn {
        Turn::Silent => return,
        Turn::Lies(entries, _) => {
            let entries = entries(story, epoch);
            let taken = entries.len() as u64;
            // What follows a lie is not looked at.
            let more = [entries, vec![statement(2, 20_000)]].concat();
            (story.says(1, &more), taken)
        }
        Turn::Fraud => (story.fraud(1), 0),
    };
    let effects = story.block(1, std::slice::from_ref(&delivery));
    let view = story.state.shard(ShardId::new(1)).unwrap();
    let fault = view.leaf.fault.expect("the shard is at fault, visibly");
    let wanted = match turn {
        Turn::Lies(_, wanted) => wanted,
        Turn::Silent | Turn::Fraud => ShardFault::HeaderConflict,
    };
    assert_eq!(fault.code, wanted);
    assert_eq!(effects.faults.len(), 1, "and told once");
    assert_eq!(view.cursor, before.cursor + taken, "the cursor stands after the lie");
    if taken > 0 {
        assert_eq!(fault.index, view.cursor - 1, "the fault names the entry");
    }
    // From now on nothing is taken from it, and being refused changes nothing.
    let again = story.says(1, &[statement(2, 20_000)]);
    for delivery in [delivery, again] {
        let now = BlockTime::from_secs(story.secs);
        let refused = story.state.check_delivery(&delivery, now).unwrap_err();
        assert!(matches!(refused, Rejection::ChannelFrozen { .. }), "{refused}");
        let begin = || Executor::new(&story.state, Height::new(story.height + 1), now);
        let mut executor = begin();
        assert!(executor.deliver(&delivery).is_err());
        assert_eq!(executor.finish().0.root(), begin().finish().0.root());
    }
}

const LIES: [(&str, Lie, ShardFault); 13] = [
    ("no entry at all", |_, _| vec![vec![77; 20]], ShardFault::EntryMalformed),
    ("an account without a line", |_, _| vec![statement(3, 1)], ShardFault::LineUnknown),
    ("a sum below the last", |_, _| vec![statement(1, 9_999)], ShardFault::StatementBelowLast),
    ("a sum above the line", |_, _| vec![statement(1, WANT + 10_001)], ShardFault::StatementAboveHeld),
    ("an account twice", |_, _| vec![statement(1, 10_000), statement(1, 10_000)], ShardFault::StatementOrder),
    ("accounts out of order", |_, _| vec![statement(2, 20_000), statement(1, 10_000)], ShardFault::StatementOrder),
    (
        "another shard's close",
        |story, epoch| vec![close(EpochClose { shard: ShardId::new(0), ..story.close(1, epoch, 0, 0) })],
        ShardFault::CloseShard,
    ),
    ("a close too far", |story, epoch| vec![close(story.close(1, epoch + 1, 0, 0))], ShardFault::CloseNotContiguous),
    ("a close again", |story, epoch| vec![close(story.close(1, epoch - 1, 0, 0))], ShardFault::CloseNotContiguous),
    (
        "a close of another past",
        |story, epoch| vec![close(EpochClose { previous: [5; 32], ..story.close(1, epoch, 0, 0) })],
        ShardFault::ClosePrevious,
    ),
    (
        "a wrong number of statements",
        |story, epoch| vec![statement(1, 10_000), close(story.close(1, epoch, 2, 0))],
        ShardFault::CloseStatements,
    ),
    (
        "a wrong total",
        |story, epoch| vec![statement(1, 10_000), close(story.close(1, epoch, 1, 1))],
        ShardFault::CloseTotal,
    ),
    (
        "entries applied that were never sent",
        |story, epoch| vec![close(EpochClose { inbox_cursor: 1_000, ..story.close(1, epoch, 0, 0) })],
        ShardFault::CloseCursor,
    ),
];

fn close(close: EpochClose) -> Vec<u8> {
    LogEntry::EpochClose(close).to_bytes()
}

/// What the others have at the end, and what the liar has.
fn outcome(story: &Story) -> impl PartialEq + std::fmt::Debug + use<> {
    let state = &story.state;
    let accounts: Vec<_> = state.accounts().collect();
    let lines: Vec<_> = state.lines().filter(|(_, shard, _)| shard.get() == 0).collect();
    let liar: Vec<_> = state
        .lines()
        .filter(|(_, shard, _)| shard.get() == 1)
        .map(|(account, _, line)| (account, line.reported, line.debited, line.paid, line.written_off))
        .collect();
    let honest = state.shard(ShardId::new(0)).unwrap();
    (accounts, lines, liar, honest, state.round().settled)
}

#[test]
fn a_shard_that_lies_freezes_alone_and_costs_others_nothing() {
    let silent = tell(Turn::Silent);
    let line = silent.state.line(&account(2), ShardId::new(0)).unwrap();
    assert_eq!(line.paid, Tai::new(20_000 * u128::from(EPOCHS)), "the honest shard is settled to its last epoch");
    for (what, entries, fault) in LIES {
        let lied = tell(Turn::Lies(entries, fault));
        assert_eq!(outcome(&lied), outcome(&silent), "{what}");
    }
}

#[test]
fn a_shard_whose_validators_sign_two_headers_freezes_alone() {
    assert_eq!(outcome(&tell(Turn::Fraud)), outcome(&tell(Turn::Silent)));
}

#[test]
fn a_close_before_its_epoch_has_ended_is_a_lie() {
    let early = |story: &mut Story, epoch: u64| vec![close(story.close(1, epoch, 0, 0)), close_early(story, epoch)];
    assert_eq!(outcome(&tell(Turn::Lies(early, ShardFault::CloseEarly))), outcome(&tell(Turn::Silent)));
}

/// The close of the epoch that is still open, after that of the one before.
fn close_early(story: &Story, epoch: u64) -> Vec<u8> {
    let before = story.close(1, epoch, 0, 0);
    close(EpochClose { previous: before.hash(), ..story.close(1, epoch + 1, 0, 0) })
}

/// What shard 1 says of both accounts before its lie: all that their lines allow.
const GROWN: [u128; 2] = [400_000, WANT];

fn grown() -> Vec<Vec<u8>> {
    vec![statement(1, GROWN[0]), statement(2, GROWN[1])]
}

#[test]
fn a_shard_that_states_growth_before_its_lie_takes_at_most_the_lines_that_it_was_given() {
    let silent = tell(Turn::Silent);
    let cases: [(&str, Lie, ShardFault); 4] = [
        (
            "a wrong total",
            |story, epoch| [grown(), vec![close(story.close(1, epoch, 2, 1))]].concat(),
            ShardFault::CloseTotal,
        ),
        (
            "a wrong number",
            |story, epoch| [grown(), vec![close(story.close(1, epoch, 3, GROWN[0] + GROWN[1] - 30_000))]].concat(),
            ShardFault::CloseStatements,
        ),
        ("an account twice", |_, _| [grown(), vec![statement(2, WANT)]].concat(), ShardFault::StatementOrder),
        ("an account without a line", |_, _| [grown(), vec![statement(3, 1)]].concat(), ShardFault::LineUnknown),
    ];
    for (what, entries, fault) in cases {
        let lied = tell(Turn::Lies(entries, fault));
        let mut taken = 0;
        for (who, grown) in [1, 2].into_iter().zip(GROWN) {
            let [line, other] = [1, 0].map(|shard| silent.state.line(&account(who), ShardId::new(shard)).unwrap());
            let [lied_line, lied_other] =
                [1, 0].map(|shard| lied.state.line(&account(who), ShardId::new(shard)).unwrap());
            let balance = |story: &Story| story.state.account(&account(who)).leaf.balance.get();
            let lost = balance(&silent) - balance(&lied);
            assert_eq!(lost, grown - line.paid.get(), "{what}: account {who} pays what was stated");
            assert!(lost <= line.held.get() - line.reported.get(), "{what}: and at most the line of shard 1");
            assert_eq!(
                (lied_line.reported.get(), lied_line.paid.get()),
                (grown, grown),
                "{what}: nothing after the lie"
            );
            assert_eq!(lied_line.held, line.held, "{what}: what is frozen is lent no more");
            assert_eq!(lied_other, other, "{what}: the line of the honest shard is what it would be");
            let rest = |story: &Story| {
                let view = story.state.account(&account(who));
                (view.leaf.collateral, view.leaf.trust, view.leaf.stage, view.outstanding)
            };
            assert_eq!(rest(&lied), rest(&silent), "{what}");
            taken += lost;
        }
        // It went to the liar's payees, and nobody else has more or less.
        let balance = |story: &Story, who: u8| story.state.account(&account(who)).leaf.balance.get();
        assert_eq!(balance(&lied, 8), balance(&silent, 8) + taken, "{what}");
        for who in [7, 9] {
            assert_eq!(balance(&lied, who), balance(&silent, who), "{what}: account {who}");
        }
        let honest = |story: &Story| (story.state.shard(ShardId::new(0)).unwrap(), story.state.round().settled);
        assert_eq!(honest(&lied), honest(&silent), "{what}");
    }
}
