//! One history that can be read: three shards and their settlement chain, with epochs of the true 600 seconds, on a virtual
//! clock. What happens stands in [`STORY`]; every block is held against the rules and the model, as in the histories of
//! chance; and at the end everything that was written down of each account agrees to the tai.

use std::collections::BTreeMap;

use db3_carry::build::WrittenLog;
use db3_light_client::{LightClient, Options};
use db3_merkle_log::{inclusion_proof, verify_inclusion};
use db3_primitives::{Address, Bill, Epoch, PostingKind, ShardId, Stage, Tai, TransactionOperation, key};
use db3_settlement_state::GenesisAccount;
use db3_state_tree::{Proof, verify_existence};

use crate::machine::Paper;
use crate::model::{Account, Books, Params};
use crate::network::{GENESIS_SECS, Network, Size};
use crate::rng::Rng;
use crate::timeline::{Timeline, unix};

/// An epoch a line: how many relays carry, which shard stands still, and who writes how many records on which shard
/// (`anna 0x20`: twenty on shard 0), one every ten seconds. Records differ from epoch to epoch.
const STORY: &str = "
     relays | still | what people do
     1      |       | anna 0x20, bert 1x20, carl 2x20, dora 0x6
     1      |       | anna 1x12, bert 2x12, carl 0x12, dora 0x6
     # the relay is killed
     0      |       | anna 0x10, bert 1x10, carl 2x10
     # it is back, and another one beside it
     2      |       | anna 0x10, carl 2x30, dora 1x6
     # shard 2 is switched off for three epochs
     2      | 2     | anna 0x15, bert 1x15, dora 0x10
     1      | 2     | anna 0x9, bert 0x7
     2      | 2     | bert 1x11, dora 1x10
     # and it is back, while three carry
     3      |       | carl 2x25, anna 2x5, dora 0x10
     2      |       | anna 0x20, bert 1x20, carl 2x20, dora 1x10
     1      |       | anna 1x3, bert 2x3, carl 0x3
";

/// The people, by their place among the users; dora has almost no money, and credit on trust alone.
const PEOPLE: [&str; 4] = ["anna", "bert", "carl", "dora"];
const DORA: usize = 3;
const SHARDS: u32 = 3;
/// Where everything goes that each shard earns, and last the fees of the settlement chain; also places among the users.
const PAYEES: std::ops::Range<usize> = 4..8;
/// Who shares the pool of shard 1 with its payee, and the powers of the three: sevenths, so that something is left over.
const SHARERS: std::ops::Range<usize> = 8..10;
const SHARED: u32 = 1;
const POWERS: [u64; 3] = [3, 2, 2];
const SIZE: Size =
    Size { shards: SHARDS, users: 10, epoch_secs: 600, block_mutations: 0, bills: 0, trusting_epochs: 0 };
/// Between two blocks.
const BLOCK_SECS: u64 = 10;
/// To pay with, and as credit on every shard: enough, and so little that credit must come back.
const FUNDS: u128 = 1_000_000;
/// What dora has to pay with.
const ALMOST_NOTHING: u128 = 60_000;
/// What dora is trusted with.
const TRUST: u128 = 300_000;
/// What anna gives bert in the second epoch.
const GIFT: u128 = 12_345;
/// What the payees begin with.
const COIN: u128 = 1;

/// A line of the story.
struct Chapter {
    relays: usize,
    still: Option<usize>,
    /// Who writes on which shard, and how many records.
    writes: Vec<(usize, usize, u64)>,
}

fn chapters() -> Vec<Chapter> {
    let lines = STORY.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).skip(1);
    lines
        .map(|line| {
            let [relays, still, writes]: [&str; 3] = line.split('|').collect::<Vec<_>>().try_into().unwrap();
            let write = |text: &str| {
                let (name, amount) = text.trim().split_once(' ').unwrap();
                let (shard, count) = amount.split_once('x').unwrap();
                let place = PEOPLE.iter().position(|known| *known == name).unwrap();
                (place, shard.parse().unwrap(), count.parse().unwrap())
            };
            Chapter {
                relays: relays.trim().parse().unwrap(),
                still: Some(still.trim()).filter(|still| !still.is_empty()).map(|still| still.parse().unwrap()),
                writes: writes.split(',').map(write).collect(),
            }
        })
        .collect()
}

/// Who shares a pool, by address.
fn recipients(addresses: &[Address], pool: u32, payee: Address) -> Vec<(Address, u64)> {
    if pool != SHARED {
        return vec![(payee, 1)];
    }
    let mut shared: Vec<_> = [payee].iter().chain(&addresses[SHARERS]).copied().zip(POWERS).collect();
    shared.sort_unstable();
    shared
}

/// The network as the story begins.
fn begin() -> Network {
    let mut rng = Rng::new(600);
    let (users, map) = Network::people(&mut rng, SIZE);
    let addresses = users.addresses();
    let params = Params {
        epoch_secs: SIZE.epoch_secs,
        factor: (1, 1),
        treasury: addresses[PAYEES.end - 1],
        lease_epochs: 3,
        deadline_secs: 200,
        grace_epochs: 1,
        seize_epochs: 2,
        write_off_epochs: 3,
        lines_per_block: 20,
        map,
        payouts: (0..).zip(&addresses[PAYEES]).map(|(pool, payee)| recipients(&addresses, pool, *payee)).collect(),
    };
    let mut books = Books::new(params, GENESIS_SECS);
    let accounts = addresses.iter().enumerate().map(|(place, address)| {
        let (balance, collateral, trust, want) = match place {
            DORA => (ALMOST_NOTHING, 0, TRUST, TRUST / 3),
            place if PAYEES.contains(&place) || SHARERS.contains(&place) => (COIN, 0, 0, 0),
            _ => (FUNDS, FUNDS * u128::from(SHARDS), 0, FUNDS),
        };
        let wants: Vec<(u32, u128)> = (0..SHARDS).filter(|_| want > 0).map(|shard| (shard, want)).collect();
        books.open(*address, Account { balance, collateral, trust, ..Account::default() }, &wants);
        GenesisAccount {
            account: *address,
            balance: Tai::new(balance),
            collateral: Tai::new(collateral),
            trust: Tai::new(trust),
            wants: wants.into_iter().map(|(shard, want)| (ShardId::new(shard), Tai::new(want))).collect(),
        }
    });
    let accounts = accounts.collect();
    let mut network = Network::of(rng, SIZE, users, books, accounts);
    network.busy = false;
    network
}

/// One epoch; the records have numbers from `first` on.
fn tell(network: &mut Network, chapter: &Chapter, first: u64, gift: Option<Tai>) {
    network.relayed_by(chapter.relays);
    for tick in 0..SIZE.epoch_secs / BLOCK_SECS {
        network.now_millis += BLOCK_SECS * 1_000;
        network.relay();
        let now = network.now().secs;
        // What a round brought has arrived by then.
        let nth = tick.checked_sub(5);
        let gifts = gift.filter(|_| nth == Some(0)).map(|amount| {
            let to = network.users.addresses()[1];
            network.users.signed_transaction(0, now, vec![TransactionOperation::Transfer { to, amount }])
        });
        let gifts: Vec<_> = gifts.into_iter().map(Paper::Transaction).collect();
        network.settlement_block_of(&gifts, gifts.len());
        for shard in (0..network.shards.len()).filter(|shard| chapter.still != Some(*shard)) {
            let writes = chapter.writes.iter().filter(|(_, on, count)| *on == shard && nth < Some(*count));
            let writes: Vec<_> = writes
                .filter_map(|(place, on, _)| Some(network.users.record(*place, *on, first + nth?, now)))
                .collect();
            network.shard_block_of(shard, &writes, writes.len());
        }
    }
}

/// Compares everything that was written down of one account; gives what it paid, by shard.
fn agree(network: &Network, place: usize, begun_with: u128) -> BTreeMap<u32, u128> {
    let (name, address) = (PEOPLE[place], network.users.addresses()[place]);
    let view = network.settlement.state.account(&address);
    let record = &network.record;
    let mut paid = BTreeMap::new();
    for (number, line) in &view.lines {
        let shard = number.get();
        // Its bills are numbered, and each says the sum of all up to it.
        let bills: Vec<&(Epoch, Bill)> =
            record.bills.iter().filter(|(_, bill)| bill.account == address && bill.shard == *number).collect();
        let mut spent = 0;
        for (seq, (_, bill)) in (1..).zip(&bills) {
            spent += bill.fee.get();
            assert_eq!((bill.seq, bill.cum_after.get()), (seq, spent), "{name} on shard {shard}");
        }
        // Its statements follow each other, and each is the sum of bills up to it.
        let stated = record.statements.iter().filter(|(on, one)| *on == shard && one.account == address);
        let stated: Vec<u128> = stated.map(|(_, statement)| statement.cumulative.get()).collect();
        assert!(stated.is_sorted_by(|a, b| a < b), "{name} on shard {shard}: {stated:?}");
        for cumulative in &stated {
            assert!(bills.iter().any(|(_, bill)| bill.cum_after.get() == *cumulative), "{name} on shard {shard}");
        }
        assert_eq!(stated.last().copied().unwrap_or(0), spent, "{name} on shard {shard}: all of it is stated");
        // Its postings debit that, and cover what was paid or written off, without gaps.
        let (mut debited, mut covered, mut written_off) = (0, 0, 0);
        for posting in record.postings.iter().filter(|one| one.account == address && one.kind != PostingKind::Payout) {
            let Some(moved) = posting.line(*number) else { continue };
            assert_eq!((moved.debited_from.get(), moved.covered_from.get()), (debited, covered), "{name}");
            (debited, covered) = (moved.debited_to.get(), moved.covered_to.get());
            if posting.kind == PostingKind::WriteOff {
                written_off += moved.covered().get();
            }
        }
        let leaf = network.shards[shard as usize].state.account(&address).unwrap();
        let sums = [debited, covered, line.debited.get(), line.reported.get(), leaf.spent.get()];
        assert_eq!(sums, [spent; 5], "{name} on shard {shard}: bills, statements, postings and sums are one sum");
        assert_eq!((line.paid.get(), line.written_off.get()), (covered - written_off, written_off), "{name}");
        // The credit that is left: what the settlement chain lends is what the shard knows. Of whom something was written
        // off gets none any more, and the ceiling may stand below what was spent.
        assert_eq!(leaf.ceiling, line.ceiling, "{name} on shard {shard}");
        let beyond = |sum: u128| line.ceiling.get().saturating_sub(sum);
        assert_eq!(leaf.available().get(), beyond(spent), "{name} on shard {shard}");
        assert_eq!(line.want.is_zero(), place == DORA, "{name} on shard {shard}");
        let lent = beyond(covered);
        assert!(lent <= line.want.get() && lent * 4 >= line.want.get() * 3, "{name} on shard {shard} is lent {lent}");
        paid.insert(shard, line.paid.get());
    }
    let all: u128 = paid.values().sum();
    assert_eq!(view.leaf.balance.get(), begun_with - all, "{name}'s balance is lower by what it paid");
    assert_eq!((view.leaf.stage, view.outstanding), (Stage::Clear, Tai::ZERO), "{name} owes nothing any more");
    paid
}

/// That a leaf stands in the state under the newest header, which leads back to the trust root.
fn proven(timeline: &Timeline, key: &[u8], leaf: &[u8]) {
    let options = Options::never_expires();
    let newest = timeline.newest_header(0).unwrap();
    let mut client = LightClient::from_root(timeline.peer(options).root, options);
    let header = client.verify(&newest.headers[0].light_block, None, unix(timeline.time())).unwrap();
    let Proof::Exists(proof) = timeline.proven().prove(key) else { panic!("the leaf is not there") };
    verify_existence(&header.app_hash.unwrap(), key, leaf, &proof).unwrap();
}

fn log_of(entries: impl Iterator<Item = Vec<u8>>) -> WrittenLog {
    let mut log = WrittenLog::default();
    for entry in entries {
        log.append(&entry).unwrap();
    }
    log
}

/// That an entry stands in a log of this size and root.
fn included(log: &WrittenLog, index: u64, entry: &[u8], size: u64, root: &[u8; 32]) {
    let proof = inclusion_proof(log, index, size).unwrap();
    verify_inclusion(entry, index, size, &proof, root).unwrap();
}

/// What `db3 bill verify` checks: the bill under the root of its epoch's close, the close under a header of its shard, and the
/// postings that debited and paid it under a header of the settlement chain.
fn verify_bill(network: &Network, epoch: Epoch, bill: &Bill) {
    let record = &network.record;
    let shard = &network.shards[bill.shard.get() as usize];
    let of_epoch =
        |close: &&db3_primitives::EpochClose| close.shard == bill.shard && (close.first..=close.last).contains(&epoch);
    let close = record.closes.iter().find(of_epoch).unwrap();
    let billed =
        record.bills.iter().filter(|(at, one)| one.shard == bill.shard && (close.first..=close.last).contains(at));
    let billed: Vec<Vec<u8>> = billed.map(|(_, bill)| bill.to_bytes()).collect();
    let index = billed.iter().position(|bytes| *bytes == bill.to_bytes()).unwrap() as u64;
    included(&log_of(billed.into_iter()), index, &bill.to_bytes(), close.bill_count, &close.bills_root);
    proven(&shard.timeline, &key::epoch(close.last), &close.hash());

    let postings = log_of(record.postings.iter().map(db3_primitives::Posting::to_bytes));
    proven(&network.settlement.timeline, &key::postings(), &postings.frontier().to_bytes());
    let (size, root) = (postings.frontier().size(), postings.frontier().root());
    let lines = || {
        (0..).zip(&record.postings).filter(|(_, one)| one.account == bill.account && one.kind != PostingKind::Payout)
    };
    for does in [db3_primitives::PostingLine::debits, db3_primitives::PostingLine::covers] {
        let mut found = lines().filter(|(_, one)| one.line(bill.shard).is_some_and(|line| does(line, bill.cum_after)));
        let (index, posting) = found.next().unwrap();
        assert!(found.next().is_none(), "a bill is debited once and paid once");
        included(&postings, index, &posting.to_bytes(), size, &root);
    }
}

/// What each got of the shared pool, the treasury included; each payout is divided by power.
fn shares(network: &Network, addresses: &[Address]) -> BTreeMap<Address, u128> {
    let of_pool = |posting: &&db3_primitives::Posting| {
        posting.kind == PostingKind::Payout && posting.line(ShardId::new(SHARED)).is_some()
    };
    let mut payouts: BTreeMap<Epoch, BTreeMap<Address, u128>> = BTreeMap::new();
    for posting in network.record.postings.iter().filter(of_pool) {
        let before = payouts.entry(posting.epoch).or_default().insert(posting.account, posting.paid.get());
        assert_eq!(before, None, "everybody is paid once in a round");
    }
    let (treasury, mut shares, mut odd) = (addresses[PAYEES.end - 1], BTreeMap::new(), 0);
    for payout in payouts.values() {
        let whole: u128 = payout.values().sum();
        for (account, power) in recipients(addresses, SHARED, addresses[PAYEES][SHARED as usize]) {
            let share = whole * u128::from(power) / u128::from(POWERS.iter().sum::<u64>());
            assert_eq!(payout.get(&account).copied().unwrap_or(0), share, "{account} of {whole}");
        }
        odd += payout.get(&treasury).copied().unwrap_or(0);
        for (account, share) in payout {
            *shares.entry(*account).or_default() += share;
        }
    }
    assert!(odd > 0, "the floors leave something over now and then");
    shares
}

#[test]
fn a_story_of_true_epochs_comes_out_to_the_tai_for_everybody() {
    let mut network = begin();
    let addresses: Vec<Address> = network.users.addresses();
    let mut written = 0;
    for (number, chapter) in (0..).zip(chapters()) {
        let gift = (number == 1).then_some(Tai::new(GIFT));
        tell(&mut network, &chapter, number * 100, gift);
        written += chapter.writes.iter().map(|(_, _, count)| count).sum::<u64>();
    }
    // Nobody writes any more, and one relay carries until everything is settled and paid out.
    let quiet = Chapter { relays: 1, still: None, writes: Vec::new() };
    for number in 0..5 {
        tell(&mut network, &quiet, 10_000 + number, None);
    }

    // Three wrote whatever they wanted; what dora could not get was refused, and cost nothing.
    let refused: u64 = network.refused.values().sum();
    assert!(refused > 0 && network.refused.keys().all(|reason| *reason == "CREDIT_EXHAUSTED"), "{:?}", network.refused);
    assert_eq!(network.record.bills.len() as u64 + refused, written);
    let bills_of =
        |place: usize| network.record.bills.iter().filter(|(_, bill)| bill.account == addresses[place]).count();
    let sent = |place: usize| {
        chapters().iter().flat_map(|one| &one.writes).filter(|one| one.0 == place).map(|one| one.2).sum::<u64>()
    };
    assert!((0..DORA).all(|place| bills_of(place) as u64 == sent(place)));
    assert!(network.checks.kinds.contains_key(&PostingKind::WriteOff), "what dora could not pay is written off");

    let fee = network.books.fee_income;
    let begun_with = [FUNDS - GIFT - fee, FUNDS + GIFT, FUNDS, ALMOST_NOTHING];
    let paid: Vec<_> = (0..PEOPLE.len()).map(|place| agree(&network, place, begun_with[place])).collect();
    assert_eq!(paid[DORA].values().sum::<u128>(), ALMOST_NOTHING, "dora paid all that she had");
    // What was paid is what was earned, and who shares a pool has a share of each payout, to the tai.
    let shares = shares(&network, &addresses);
    let earned: u128 = paid.iter().filter_map(|paid| paid.get(&SHARED)).sum();
    assert_eq!(shares.values().sum::<u128>(), earned, "what the shared pool earned");
    for (shard, payee) in (0..).zip(&addresses[PAYEES]) {
        let of_shard = || paid.iter().filter_map(|paid| paid.get(&shard)).sum();
        let earned = match shard {
            SHARED => shares[payee],
            shard if shard < SHARDS => of_shard(),
            // The treasury gets the fees, and what the floors leave over.
            _ => fee + shares[payee],
        };
        let balance = network.settlement.state.account(payee).leaf.balance.get();
        assert_eq!(balance, COIN + earned, "the payee of pool {shard}");
    }
    for sharer in &addresses[SHARERS] {
        assert_eq!(network.settlement.state.account(sharer).leaf.balance.get(), COIN + shares[sharer]);
    }
    let bills = network.record.bills.clone();
    for _ in 0..25 {
        let (epoch, bill) = network.rng.pick(&bills).clone();
        verify_bill(&network, epoch, &bill);
    }
}
