//! Random blocks against the model, byte by byte; determinism; what does not depend on the split into blocks.

use std::collections::BTreeMap;
use std::sync::Arc;

use db3_primitives::{Mutation, Namespace, Nonce, Operation, Tai, VerifiedMutation, Write};
use db3_shard_state::{BlockItem, Effects, Outcome, Receipt, ReceiptOutcome, ShardState};
use proptest::prelude::*;

use crate::model::{Model, Verdict};
use crate::support::{Actor, Chain, Genesis, actor, genesis, key, log_entry, mutation, namespace, sign, table};

const ACTORS: u8 = 4;

/// A mutation as the generator draws it; nonces and times are relative.
#[derive(Clone, Debug)]
struct Draw {
    actor: u8,
    space: u8,
    nonce: NonceDraw,
    expire: i64,
    max_fee: u128,
    network: bool,
    operations: Vec<OperationDraw>,
}

#[derive(Clone, Copy, Debug)]
enum NonceDraw {
    /// The lowest that this sender has not used in this run, plus a gap.
    Next(u64),
    Exact(u64),
}

#[derive(Clone, Debug)]
enum OperationDraw {
    Write { mode: u8, table: u8, key: u8, bytes: u8, if_version: Option<u64> },
    Delete { table: u8, key: u8, if_version: Option<u64> },
    Namespace,
    Table(u8),
}

#[derive(Clone, Debug)]
struct BlockDraw {
    secs: u64,
    mutations: Vec<Draw>,
}

#[derive(Clone, Debug)]
struct World {
    close_accounts_max: u32,
    lease_epochs: u64,
    ceilings: Vec<u128>,
    blocks: Vec<BlockDraw>,
}

fn operation() -> impl Strategy<Value = OperationDraw> {
    let if_version = || prop_oneof![8 => Just(None), 1 => (0_u64..4).prop_map(Some)];
    prop_oneof![
        12 => (0_u8..5, 0_u8..2, 0_u8..3, 0_u8..40, if_version())
            .prop_map(|(mode, table, key, bytes, if_version)| {
                OperationDraw::Write { mode, table, key, bytes, if_version }
            }),
        2 => (0_u8..2, 0_u8..3, if_version())
            .prop_map(|(table, key, if_version)| OperationDraw::Delete { table, key, if_version }),
        1 => (0_u8..2).prop_map(OperationDraw::Table),
    ]
}

fn draw() -> impl Strategy<Value = Draw> {
    let nonce = prop_oneof![
        12 => (0_u64..3).prop_map(NonceDraw::Next),
        1 => (1_u64..6).prop_map(NonceDraw::Exact),
        1 => prop_oneof![Just(4_096), Just(4_097), Just(4_105), Just(u64::MAX)].prop_map(NonceDraw::Exact),
    ];
    let expire = prop_oneof![20 => 1_i64..3_600, 1 => -5_i64..1, 1 => 3_600_i64..3_610];
    let max_fee = prop_oneof![15 => Just(u128::MAX), 1 => 0_u128..60_000];
    let operations =
        (prop::bool::weighted(0.3), prop::collection::vec(operation(), 0..5)).prop_map(|(creates, mut operations)| {
            if creates || operations.is_empty() {
                operations.splice(0..0, [OperationDraw::Namespace, OperationDraw::Table(0), OperationDraw::Table(1)]);
            }
            operations
        });
    (0..ACTORS, 0_u8..4, nonce, expire, max_fee, prop::bool::weighted(0.97), operations).prop_map(
        |(actor, space, nonce, expire, max_fee, network, operations)| Draw {
            actor,
            space,
            nonce,
            expire,
            max_fee,
            network,
            operations,
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    let secs = prop_oneof![6 => 0_u64..4, 2 => 8_u64..12, 1 => 20_u64..60];
    let block = (secs, prop::collection::vec(draw(), 0..7)).prop_map(|(secs, mutations)| BlockDraw { secs, mutations });
    let ceiling = prop_oneof![8 => Just(1_u128 << 100), 2 => 60_000_u128..400_000, 1 => Just(0)];
    (
        1_u32..5,
        prop_oneof![4 => Just(1_000_u64), 1 => 0_u64..4],
        // The last actor sometimes has no line.
        prop::collection::vec(ceiling, usize::from(ACTORS) - 1..=usize::from(ACTORS)),
        prop::collection::vec(block, 1..14),
    )
        .prop_map(|(close_accounts_max, lease_epochs, ceilings, mut blocks)| {
            blocks.insert(0, registrations());
            World { close_accounts_max, lease_epochs, ceilings, blocks }
        })
}

/// The first block registers the two names, if their owners can pay.
fn registrations() -> BlockDraw {
    let register = |actor: u8, space: u8| Draw {
        actor,
        space,
        nonce: NonceDraw::Next(0),
        expire: 1,
        max_fee: u128::MAX,
        network: true,
        operations: vec![OperationDraw::Namespace, OperationDraw::Table(0), OperationDraw::Table(1)],
    };
    BlockDraw { secs: 0, mutations: vec![register(0, 2), register(1, 3)] }
}

fn genesis_of(world: &World) -> Genesis {
    let lines: Vec<_> =
        (0_u8..).zip(&world.ceilings).map(|(number, ceiling)| (actor(number + 1).address, *ceiling)).collect();
    let base = genesis(&lines);
    Genesis {
        close_accounts_max: world.close_accounts_max,
        lease_epoch: base.genesis_time.secs / base.epoch_secs + world.lease_epochs,
        ..base
    }
}

/// Turns draws into signed mutations, knowing which nonces it gave out.
#[derive(Default)]
struct Senders {
    next: BTreeMap<(u8, u8), u64>,
}

impl Senders {
    fn sign(&mut self, draw: &Draw, now: u64) -> VerifiedMutation {
        let sender: Actor = actor(draw.actor + 1);
        let space = match draw.space {
            0 | 1 => Namespace::own(&sender.address),
            number => namespace(["notes", "cities"][usize::from(number) - 2]),
        };
        let own = space.own_address().is_some();
        let next = self.next.entry((draw.actor, draw.space.max(1))).or_insert(1);
        let nonce = match draw.nonce {
            NonceDraw::Next(gap) => {
                *next += gap + 1;
                *next - 1
            }
            NonceDraw::Exact(nonce) => nonce,
        };
        let mut operations: Vec<Operation> = draw.operations.iter().map(operation_of).collect();
        if own {
            if operations[0] == Operation::CreateNamespace {
                operations.retain(|operation| {
                    !matches!(operation, Operation::CreateNamespace | Operation::CreateTable { .. })
                });
            }
            if operations.is_empty() {
                operations.push(crate::support::put("a", "b", "c"));
            }
        }
        let base = mutation(&sender, nonce, operations);
        let network = if draw.network { base.network.clone() } else { "other".parse().unwrap() };
        let mutation = Mutation {
            namespace: space,
            nonce: Nonce::new(nonce),
            expire_unix_secs: now.saturating_add_signed(draw.expire),
            max_fee: Tai::new(draw.max_fee),
            network,
            ..base
        };
        sign(&sender, &mutation)
    }
}

fn operation_of(draw: &OperationDraw) -> Operation {
    let name = |number: u8| table(["a", "b.longer"][usize::from(number)]);
    let record = |number: u8| key([&b"k"[..], b"kk", b"\0", b"k\xff"][usize::from(number)]);
    match draw {
        OperationDraw::Write { mode, table, key, bytes, if_version } => {
            let write = Write {
                table: name(*table),
                key: record(*key),
                value: vec![*bytes; usize::from(*bytes)],
                if_version: *if_version,
            };
            match mode {
                0 => Operation::Insert(write),
                1 => Operation::Update(write),
                _ => Operation::Put(write),
            }
        }
        OperationDraw::Delete { table, key, if_version } => {
            Operation::Delete { table: name(*table), key: record(*key), if_version: *if_version }
        }
        OperationDraw::Namespace => Operation::CreateNamespace,
        OperationDraw::Table(table) => Operation::CreateTable { table: name(*table) },
    }
}

fn verdict(receipt: &Receipt) -> Verdict {
    let name = match &receipt.outcome {
        ReceiptOutcome::Applied => "ok",
        ReceiptOutcome::Failed(rejection) | ReceiptOutcome::Refused(rejection) => rejection.name(),
    };
    Verdict { name, fee: receipt.fee.get(), versions: receipt.versions.clone() }
}

/// Seconds after the block before, and the mutations.
type SignedBlock = (u64, Vec<VerifiedMutation>);

/// The run of a world: the chain, its blocks' effects, the mutations as signed.
fn run(world: &World) -> (Chain, Vec<Effects>, Vec<SignedBlock>) {
    let mut chain = Chain::new(&genesis_of(world));
    let mut senders = Senders::default();
    let (mut effects, mut blocks) = (Vec::new(), Vec::new());
    for block in &world.blocks {
        let now = chain.time + block.secs;
        let mutations: Vec<_> = block.mutations.iter().map(|draw| senders.sign(draw, now)).collect();
        effects.push(chain.block(block.secs, &mutations));
        blocks.push((block.secs, mutations));
    }
    (chain, effects, blocks)
}

fn compare(state: &ShardState, model: &Model) -> Result<(), TestCaseError> {
    let leaves: BTreeMap<Vec<u8>, Vec<u8>> =
        state.tree().range(&[], None).map(|(key, leaf)| (key.to_vec(), leaf.to_vec())).collect();
    for (key, leaf) in &model.leaves() {
        prop_assert_eq!(leaves.get(key), Some(leaf), "leaf at {}", String::from_utf8_lossy(key));
    }
    prop_assert_eq!(leaves.len(), model.leaves().len(), "execution stored more than the model");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_blocks_agree_with_the_model_byte_by_byte(world in world()) {
        let genesis = genesis_of(&world);
        let mut chain = Chain::new(&genesis);
        let mut model = Model::new(&genesis, chain.state.chain());
        let mut senders = Senders::default();
        let mut entries = 0;
        for block in &world.blocks {
            let now = chain.time + block.secs;
            let mutations: Vec<_> = block.mutations.iter().map(|draw| senders.sign(draw, now)).collect();
            let effects = chain.block(block.secs, &mutations);
            model.begin_block(chain.height, chain.time);
            let mut bills = effects.bills.iter();
            for (position, (receipt, mutation)) in effects.receipts.iter().zip(&mutations).enumerate() {
                let expected = model.apply(mutation.mutation(), mutation.bytes());
                prop_assert_eq!(verdict(receipt), expected.clone(), "{:?}", mutation.mutation());
                if !matches!(receipt.outcome, ReceiptOutcome::Refused(_)) {
                    let bill = bills.next().expect("I1: an executed mutation has a bill");
                    let account = &mutation.mutation().account;
                    let seq = model.bills.iter().filter(|(_, bill)| bill.account == *account).count() as u64 + 1;
                    prop_assert_eq!((bill.index as usize, bill.height.get(), bill.seq), (position, chain.height, seq));
                    prop_assert_eq!(bill.cum_after.get(), model.spent(account) + expected.fee, "I2: {}", account);
                    prop_assert_eq!((bill.account, bill.reference), (*account, mutation.id().0));
                    model.keep(bill.clone());
                }
            }
            prop_assert_eq!(bills.next(), None, "I1: no bill without an executed mutation");
            let written: Vec<_> = effects.entries.iter().map(log_entry).collect();
            prop_assert_eq!(&written[..], &model.entries[entries..]);
            for (written, expected) in effects.entries.iter().zip(entries as u64..) {
                prop_assert_eq!(written.index, expected, "entries are numbered without a gap");
            }
            prop_assert!(written.len() <= world.close_accounts_max as usize + 1, "work per block is bounded");
            entries = model.entries.len();
            compare(&chain.state, &model)?;
        }
    }

    #[test]
    fn the_same_blocks_give_the_same_root_and_effects(world in world()) {
        let (first, first_effects, _) = run(&world);
        let (second, second_effects, _) = run(&world);
        prop_assert_eq!(first.state.root(), second.state.root());
        prop_assert_eq!(first_effects, second_effects);
    }

    #[test]
    fn a_state_restored_from_its_leaves_goes_on_in_the_same_way(world in world(), cut in 0_usize..14) {
        let (undisturbed, effects, blocks) = run(&world);
        let mut chain = Chain::new(&genesis_of(&world));
        for (position, (secs, mutations)) in blocks.iter().enumerate() {
            if position == cut {
                let leaves = chain.state.tree().range(&[], None).map(|(key, leaf)| (key.to_vec(), Some(leaf.to_vec())));
                let tree = db3_state_tree::Tree::new().apply(leaves.collect()).unwrap();
                chain.state = ShardState::from_tree(tree).unwrap();
            }
            prop_assert_eq!(&chain.block(*secs, mutations), &effects[position]);
        }
        prop_assert_eq!(chain.state.root(), undisturbed.state.root());
    }

    #[test]
    fn candidates_that_are_refused_leave_no_trace(world in world()) {
        let (undisturbed, effects, blocks) = run(&world);
        let mut chain = Chain::new(&genesis_of(&world));
        let mut offered = Chain::new(&genesis_of(&world));
        for ((secs, mutations), effects) in blocks.iter().zip(&effects) {
            // A proposer offers everything and keeps what is not refused.
            let mut executor = offered.executor(*secs);
            let mut taken = Vec::new();
            for mutation in mutations {
                if !matches!(executor.apply(mutation), Outcome::Refused(_)) {
                    taken.push(mutation.clone());
                }
            }
            let (state, proposed) = executor.finish();
            offered.state = state;
            offered.height += 1;
            offered.time += secs;
            // Everybody else executes the block that came of it.
            let executed = chain.block(*secs, &taken);
            prop_assert_eq!(&proposed, &executed);
            prop_assert_eq!(offered.state.root(), chain.state.root());
            prop_assert!(executed.receipts.iter().all(|receipt| receipt.bill_seq.is_some()));
            prop_assert_eq!(executed.bills.len(), effects.bills.len());
        }
        for ((account, left), (_, right)) in chain.state.accounts().zip(undisturbed.state.accounts()) {
            prop_assert_eq!(left, right, "{}", account);
        }
    }

    #[test]
    fn a_block_in_two_halves_does_the_same_to_records_and_sums(world in world(), at in 0_usize..7) {
        let mut whole = Chain::new(&genesis_of(&world));
        let mut halves = Chain::new(&genesis_of(&world));
        let mut senders = Senders::default();
        for block in &world.blocks {
            // A close goes on in every block, so the two differ while one is being emitted.
            let secs = block.secs % 2;
            if whole.time + secs >= (whole.time / 10 + 1) * 10 {
                break;
            }
            let mutations: Vec<_> = block.mutations.iter().map(|draw| senders.sign(draw, whole.time + secs)).collect();
            let effects = whole.block(secs, &mutations);
            if effects.receipts.iter().any(|receipt| verdict(receipt).name == "NONCE_ORDER") {
                break;
            }
            let (first, second) = mutations.split_at(at.min(mutations.len()));
            let mut receipts = halves.block(secs, first).receipts;
            receipts.extend(halves.block(0, second).receipts);
            let of = |receipts: &[Receipt]| receipts.iter().map(verdict).collect::<Vec<_>>();
            prop_assert_eq!(of(&effects.receipts), of(&receipts));
            let accounts = |chain: &Chain| chain.state.accounts().collect::<Vec<_>>();
            prop_assert_eq!(accounts(&whole), accounts(&halves));
            let records = |chain: &Chain| -> Vec<_> {
                chain.state.tree().prefix(b"rec/").map(|(key, leaf)| (key.to_vec(), leaf[45..].to_vec())).collect()
            };
            prop_assert_eq!(records(&whole), records(&halves));
        }
    }

    #[test]
    fn items_that_are_no_mutations_take_a_place_and_nothing_else(world in world()) {
        let (undisturbed, effects, blocks) = run(&world);
        let mut chain = Chain::new(&genesis_of(&world));
        for ((secs, mutations), effects) in blocks.iter().zip(&effects) {
            let bad = BlockItem::Refused { id: None, rejection: db3_primitives::Rejection::BodyNotCanonical };
            let mut items: Vec<BlockItem> = mutations.iter().cloned().map(Arc::new).map(BlockItem::Verified).collect();
            items.push(bad);
            let with_bad = chain.items(*secs, &items);
            prop_assert_eq!(&with_bad.receipts, &effects.receipts);
            prop_assert_eq!(with_bad.refused.len(), 1);
            prop_assert_eq!(with_bad.refused[0].index as usize, mutations.len());
        }
        prop_assert_eq!(chain.state.root(), undisturbed.state.root());
    }
}
