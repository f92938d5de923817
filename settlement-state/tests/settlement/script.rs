//! Scenarios as text: one step or one expectation a line. Epochs count from the first, amounts are tai.
//!
//! | line | says |
//! |---|---|
//! | `money NAME BALANCE COLLATERAL [SHARD=WANT…]` | an account of genesis |
//! | `at EPOCH SECS` | a block that many seconds after the epoch's begin, and those that have work to do |
//! | `stated SHARD NAME SUM` | the shard states what an account has spent in all |
//! | `closed SHARD EPOCH [CURSOR]` | the shard closes its epochs up to this one, and all that it wrote arrives |
//! | `NAME: OPERATION; … => ok` or a code | a transaction, and what becomes of it |
//! | `see NAME BALANCE COLLATERAL STAGE OUTSTANDING` | an account |
//! | `line NAME SHARD WANT K H R D P W` | a line |
//! | `postings NAME KIND:DEBIT/PAID/WRITTEN_OFF …` | all of an account's postings so far |
//! | `lease SHARD EPOCH` | the last epoch in which the shard may charge |
//! | `rounds N` | how many rounds have finished |

use std::collections::BTreeMap;

use db3_primitives::{Address, Posting, ShardId, Stage, Tai, TransactionOperation};
use db3_settlement_state::{Genesis, GenesisAccount, Outcome, ReceiptOutcome};

use crate::support::{Actor, BEGIN, EPOCH_SECS, FIRST_EPOCH, Net, account, actor, genesis};

pub struct Script {
    net: Option<Net>,
    shards: u32,
    tune: fn(Genesis) -> Genesis,
    given: Vec<GenesisAccount>,
    actors: BTreeMap<String, Actor>,
    postings: Vec<Posting>,
}

/// Runs a scenario on so many shards.
pub fn run(shards: u32, text: &str) {
    run_with(shards, |genesis| genesis, text);
}

/// The same with other parameters.
pub fn run_with(shards: u32, tune: fn(Genesis) -> Genesis, text: &str) {
    let mut script =
        Script { net: None, shards, tune, given: Vec::new(), actors: BTreeMap::new(), postings: Vec::new() };
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap().trim();
        if !line.is_empty() {
            script.step(line, number + 1);
        }
    }
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

impl Script {
    fn step(&mut self, line: &str, number_of_line: usize) {
        let at = |what: &str| format!("line {number_of_line}, {line}: {what}");
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["money", name, balance, collateral, wants @ ..] => self.money(name, balance, collateral, wants),
            ["at", epoch, secs] => {
                let to = (FIRST_EPOCH + number::<u64>(epoch)) * EPOCH_SECS + number::<u64>(secs);
                let net = self.net();
                let secs = to.checked_sub(net.now).expect("time goes on");
                let effects = net.block(secs, &[], &[]);
                self.take(effects.postings);
                self.settle();
            }
            ["stated", shard, name, sum] => {
                let address = self.address(name);
                self.net().state_of(number(shard), address, number(sum));
            }
            ["closed", shard, epoch, rest @ ..] => {
                let (shard, last) = (number::<usize>(shard), FIRST_EPOCH + number::<u64>(epoch));
                let net = self.net();
                net.now = net.now.max((last + 1) * EPOCH_SECS);
                let mut close = net.close_of(shard, last);
                if let [cursor] = rest {
                    close.inbox_cursor = number(cursor);
                }
                net.close(shard, &close);
                let effects = net.carry(shard);
                assert_eq!(effects.faults, [], "{}", at("an honest shard is at fault"));
                self.take(effects.postings);
                self.settle();
            }
            ["see", name, balance, collateral, stage, outstanding] => {
                let address = self.address(name);
                let view = self.net().state.account(&address);
                let found = (view.leaf.balance, view.leaf.collateral, view.leaf.stage, view.outstanding);
                let stage = match *stage {
                    "clear" => Stage::Clear,
                    "outstanding" => Stage::Outstanding,
                    "delinquent" => Stage::Delinquent,
                    _ => panic!("{}", at("no stage")),
                };
                let [balance, collateral, outstanding] =
                    [balance, collateral, outstanding].map(|text| Tai::new(number(text)));
                assert_eq!(found, (balance, collateral, stage, outstanding), "{}", at("the account differs"));
            }
            ["line", name, shard, sums @ ..] => {
                let (address, shard) = (self.address(name), ShardId::new(number(shard)));
                let line = self.net().state.line(&address, shard).expect(line);
                let found =
                    [line.want, line.ceiling, line.held, line.reported, line.debited, line.paid, line.written_off];
                let expected: Vec<Tai> = sums.iter().map(|text| Tai::new(number(text))).collect();
                assert_eq!(found.as_slice(), expected, "{}", at("want K H R D P W differ"));
            }
            ["postings", name, expected @ ..] => {
                let address = self.address(name);
                let found: Vec<String> =
                    self.postings.iter().filter(|posting| posting.account == address).map(shown).collect();
                assert_eq!(found, expected, "{}", at("the postings differ"));
            }
            ["lease", shard, epoch] => {
                let shard = ShardId::new(number(shard));
                let lease = self.net().state.shard(shard).unwrap().leaf.lease.get();
                assert_eq!(lease, FIRST_EPOCH + number::<u64>(epoch), "{}", at("the lease differs"));
            }
            ["rounds", rounds] => {
                assert_eq!(self.net().state.round().rounds, number::<u64>(rounds), "{}", at("the rounds differ"));
            }
            [name, ..] if name.ends_with(':') => self.transact(line),
            _ => panic!("{}", at("is no step")),
        }
    }

    fn money(&mut self, name: &str, balance: &str, collateral: &str, wants: &[&str]) {
        let wants: Vec<(u32, u128)> =
            wants.iter().map(|want| want.split_once('=').unwrap()).map(|(s, w)| (number(s), number(w))).collect();
        let address = self.address(name);
        self.given.push(account(address, number(balance), number(collateral), &wants));
    }

    fn net(&mut self) -> &mut Net {
        let (shards, tune, given) = (self.shards, self.tune, self.given.clone());
        self.net.get_or_insert_with(|| {
            let net = Net::with(shards, |sources| tune(genesis(sources, given)));
            assert_eq!(net.now, BEGIN);
            net
        })
    }

    /// `v1` and `v2` share the pools, `treasury` gets the rest; other names are accounts with a key.
    fn address(&mut self, name: &str) -> Address {
        match name {
            "v1" => Address::new([0xd1; 20]),
            "v2" => Address::new([0xd2; 20]),
            "treasury" => Address::new([0xee; 20]),
            _ => {
                let seed = self.actors.len() as u8 + 1;
                self.actors.entry(name.to_owned()).or_insert_with(|| actor(seed)).address
            }
        }
    }

    fn settle(&mut self) {
        for effects in self.net().settle() {
            self.take(effects.postings);
        }
    }

    fn take(&mut self, postings: Vec<(u64, Posting)>) {
        for (index, posting) in postings {
            assert_eq!(index, self.postings.len() as u64, "postings are numbered without a gap");
            self.postings.push(posting);
        }
    }

    fn transact(&mut self, line: &str) {
        let (name, rest) = line.split_once(':').unwrap();
        let (operations, expected) = rest.split_once("=>").unwrap();
        let operations: Vec<TransactionOperation> = operations.split(';').map(|text| self.operation(text)).collect();
        self.address(name);
        self.net();
        let (actor, net) = (&self.actors[name], self.net.as_mut().unwrap());
        let before = net.state.postings().size();
        let verified = net.sign(actor, operations);
        let effects = net.block(0, &[], &[verified]);
        let outcome = effects.receipts[0].outcome.clone();
        assert_eq!(before + effects.postings.len() as u64, net.state.postings().size());
        self.take(effects.postings);
        match (expected.trim(), outcome) {
            ("ok", ReceiptOutcome::Applied) => {}
            (code, ReceiptOutcome::Failed(rejection)) if code == rejection.code().to_string() => {}
            (_, outcome) => panic!("{line}: {outcome:?}"),
        }
    }

    fn operation(&mut self, text: &str) -> TransactionOperation {
        let words: Vec<&str> = text.split_whitespace().collect();
        let tai = |text: &str| Tai::new(number(text));
        match words.as_slice() {
            ["transfer", to, amount] => TransactionOperation::Transfer { to: self.address(to), amount: tai(amount) },
            ["deposit", to, amount] => TransactionOperation::Deposit { to: self.address(to), amount: tai(amount) },
            ["withdraw", amount] => TransactionOperation::Withdraw { amount: tai(amount) },
            ["allocate", shard, want] => {
                TransactionOperation::Allocate { shard: ShardId::new(number(shard)), want: tai(want) }
            }
            ["pay", amount] => TransactionOperation::Pay { amount: tai(amount) },
            _ => panic!("{text} is no operation"),
        }
    }
}

fn shown(posting: &Posting) -> String {
    let Posting { kind, debit, paid, written_off, .. } = posting;
    format!("{}:{debit}/{paid}/{written_off}", kind.name())
}

/// An outcome's code; 0 for what was applied.
pub fn code(outcome: &Outcome) -> u32 {
    match outcome {
        Outcome::Applied(_) => 0,
        Outcome::Failed(receipt) => receipt.outcome.code(),
        Outcome::Refused(rejection) => rejection.code(),
    }
}
