//! What operators decide, from its submission to its effect, over restarts; and misbehaviour as an engine reports it.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use db3_genesis::{AppState, GenesisOperator, ShardGenesis};
use db3_governance::{Action, GovernanceLeaf, Parameter, Proposal, SignedProposal, Validator, validator_address};
use db3_primitives::{Height, Mutation, PriceTable, Rejection, Scheme, SecretKey, Tai};
use db3_proto::{encode_delivery_tx, encode_governance_tx};
use tempfile::TempDir;
use tendermint_abci::Application as _;
use tendermint_proto::google::protobuf::Timestamp;
use tendermint_proto::v0_38::abci::response_process_proposal::ProposalStatus;
use tendermint_proto::v0_38::abci::{
    Misbehavior, RequestCheckTx, RequestFinalizeBlock, RequestPrepareProposal, RequestProcessProposal,
    ResponseFinalizeBlock, Validator as Reported,
};

use super::support::{Account, CEILING, Settlement, lines_of, now, put, settings, soon, start, until};
use crate::config::EngineKind;
use crate::open::open;
use crate::transfer::{ImportInput, export, import};
use crate::{
    ChainHandle, DecisionEnd, DecisionRow, InitInput, ReceiptState, ShardApp, ShardMachine, audit, init, make_key,
};

pub(super) fn operator() -> SecretKey {
    SecretKey::from_bytes([42; 32]).unwrap()
}

/// A folder with a shard whose validator has an operator.
fn home() -> (TempDir, PathBuf) {
    home_hearing(&Settlement::new())
}

fn home_hearing(settlement: &Settlement) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("node");
    let key = make_key(&home).unwrap();
    let account = operator().address();
    let operators = vec![GenesisOperator::new(&key.pubkey, &account, &account)];
    let InitInput { app_state: AppState::Shard(state), time } = settlement.shard(None) else { panic!() };
    let input = InitInput { app_state: ShardGenesis { operators, ..state }.into(), time };
    init(&home, &input, &settings(&home)).unwrap();
    (folder, home)
}

pub(super) fn signed(leaf: &GovernanceLeaf, now: u64, at_height: u64, actions: Vec<Action>) -> SignedProposal {
    let proposal = Proposal {
        chain_id: "test-shard-0".parse().unwrap(),
        sequence: leaf.sequence() + 1,
        at_height: Height::new(at_height),
        expire_unix_secs: now + 600,
        actions,
    };
    let mut signed = SignedProposal::unsigned(proposal);
    signed.sign(&operator(), Scheme::Raw);
    signed
}

pub(super) fn expiry(secs: u64) -> Vec<Action> {
    vec![Action::SetParameter { parameter: Parameter::ExpiryMaxSecs, value: secs }]
}

fn leaf(chain: &ChainHandle) -> GovernanceLeaf {
    chain.committed().state.governance().leaf().unwrap().clone()
}

fn expiry_of(chain: &ChainHandle) -> u64 {
    chain.committed().state.chain().expiry_max_secs
}

async fn submit(chain: &ChainHandle, signed: SignedProposal) -> Height {
    let submitted = chain.submit_governance(signed).await.unwrap();
    submitted.block(soon()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_decision_takes_effect_in_the_next_block_and_survives_a_restart() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    let decision = signed(&leaf(&chain), now(&chain), 0, expiry(1_800));
    let height = submit(&chain, decision.clone()).await;
    until("the next block", || expiry_of(&chain) == 1_800).await;
    let next = height.next().unwrap();
    chain.wait_height(next, soon()).await.unwrap();
    let expiry_at = |height| chain.version_at(height).unwrap().state.chain().expiry_max_secs;
    assert_ne!(expiry_at(height), 1_800);
    assert_eq!(expiry_at(next), 1_800);
    let again = chain.submit_governance(decision).await.unwrap_err().rejection();
    assert_eq!(again, Rejection::GovernanceSequence { sequence: 1, next: 2 });
    // One that waits for a height is there after the restart, and comes.
    let far = chain.committed().height.get() + 4;
    submit(&chain, signed(&leaf(&chain), now(&chain), far, expiry(900))).await;
    chain.shutdown().await;
    drop(chain);
    let chain = start(&home).await;
    assert_eq!(chain.committed().state.governance().scheduled().count(), 1);
    while chain.committed().height.get() < far {
        // Each decision makes its own block and the next.
        let decision = signed(&leaf(&chain), now(&chain), 0, expiry(1_000));
        let height = submit(&chain, decision).await;
        until("the next block", || chain.committed().height > height).await;
    }
    assert_eq!(chain.committed().state.governance().scheduled().count(), 0);
    assert!([900, 1_000].contains(&expiry_of(&chain)));
    chain.shutdown().await;
    drop(chain);
    let report = audit::check::<ShardMachine>(&settings(&home), true).unwrap();
    assert!(report.height.get() >= far, "every block executes to the same root again");
}

#[tokio::test]
async fn what_became_of_every_decision_is_told_also_after_a_restart() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    let prices = |version| vec![Action::SetPrices(PriceTable { version, ..PriceTable::v1() })];
    let far = chain.committed().height.get() + 12;
    let decide = async |at_height, actions| {
        let decision = signed(&leaf(&chain), now(&chain), at_height, actions);
        let height = submit(&chain, decision).await;
        until("the next block", || chain.committed().height > height).await;
        height
    };
    let first = decide(far, prices(2)).await;
    // What comes earlier takes away what the first could do at its height.
    let second = decide(0, prices(3)).await;
    let third = decide(far, expiry(900)).await;
    let fourth = decide(0, vec![Action::Cancel { sequence: 3 }]).await;
    let state = |rows: &[DecisionRow], sequence: u64| {
        let row = rows.iter().find(|row| row.sequence == sequence).unwrap();
        (row.accepted.unwrap(), row.at_height, row.ended.clone())
    };
    let newest = |chain: &ChainHandle| chain.store().decisions(chain.committed().height, 100).unwrap();
    let rows = newest(&chain);
    assert_eq!(rows.iter().map(|row| row.sequence).collect::<Vec<_>>(), [4, 3, 2, 1]);
    let after = |height: Height| height.next().unwrap();
    assert_eq!(state(&rows, 1), (first, Height::new(far), None));
    assert_eq!(state(&rows, 2), (second, after(second), Some((after(second), DecisionEnd::Done))));
    let cancelled = Some((after(fourth), DecisionEnd::Cancelled { by: 4 }));
    assert_eq!(state(&rows, 3), (third, Height::new(far), cancelled));
    while chain.committed().height.get() < far {
        decide(0, expiry(1_000)).await;
    }
    // An earlier height is told as it was then.
    let then = chain.store().decisions(third, 2).unwrap();
    assert_eq!(then.iter().map(|row| (row.sequence, row.ended.is_some())).collect::<Vec<_>>(), [(3, false), (2, true)]);
    chain.shutdown().await;
    drop(chain);
    let chain = start(&home).await;
    let (_, at_height, ended) = state(&newest(&chain), 1);
    let Some((height, DecisionEnd::Dropped(why))) = ended else { panic!("{ended:?}") };
    assert_eq!((at_height, height), (Height::new(far), Height::new(far)));
    assert!(why.code == 231 && why.message.contains("version 2"), "{why:?}");
    chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_chain_is_governed_by_its_own_validator_or_by_nobody() {
    let (folder, home) = home();
    let chain = start(&home).await;
    submit(&chain, signed(&leaf(&chain), now(&chain), 0, expiry(1_800))).await;
    let waits = signed(&leaf(&chain), now(&chain), 10_000, expiry(900));
    let height = submit(&chain, waits.clone()).await;
    chain.wait_height(height, soon()).await.unwrap();
    chain.shutdown().await;
    drop(chain);
    let mut exported = Vec::new();
    export::<ShardMachine>(settings(&home), &mut exported).unwrap();
    for (name, operator) in [("governed", Some(operator().address())), ("free", None)] {
        let copy = folder.path().join(name);
        let input = ImportInput { settings: settings(&copy), operator, time: None };
        let genesis = import::<ShardMachine>(&copy, &mut Cursor::new(&exported), &input).unwrap();
        let chain = start(&copy).await;
        let session = chain.committed().state.governance();
        assert_eq!(session.scheduled().count(), 0, "what the old validators scheduled is gone");
        let again = chain.submit_governance(waits.clone()).await.unwrap_err().rejection();
        if let Some(operator) = operator {
            let validators = session.leaf().unwrap().validators();
            let own = genesis.validators()[0];
            let expected = Validator { key: own.pubkey, power: own.power, operator, payout: operator };
            assert_eq!(validators, [expected]);
            assert_eq!(again, Rejection::GovernanceSequence { sequence: 2, next: 3 });
            submit(&chain, signed(&leaf(&chain), now(&chain), 0, expiry(1_200))).await;
            until("the change", || expiry_of(&chain) == 1_200).await;
        } else {
            assert_eq!(session.leaf(), None);
            let chain_id = waits.proposal.chain_id.clone();
            assert_eq!(again, Rejection::GovernanceUnavailable { chain_id });
        }
        chain.shutdown().await;
    }
}

#[tokio::test]
async fn the_embedded_engine_keeps_its_validator() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    let other = Validator { key: [1; 32], power: 1, operator: operator().address(), payout: operator().address() };
    for action in [Action::SetValidator(other), Action::RemoveValidator { key: [1; 32] }] {
        let decision = signed(&leaf(&chain), now(&chain), 0, vec![action]);
        let refused = chain.submit_governance(decision).await.unwrap_err().rejection();
        assert_eq!(refused, Rejection::GovernanceEngine);
    }
    chain.shutdown().await;
}

/// The application as `CometBFT` would drive it.
pub(super) struct Driven {
    pub(super) app: ShardApp,
    _folder: TempDir,
}

impl Driven {
    pub(super) fn new() -> Self {
        Self::of(home())
    }

    fn of((folder, home): (TempDir, PathBuf)) -> Self {
        let app = open::<ShardMachine>(comet(&home)).unwrap().app;
        Self { app, _folder: folder }
    }

    pub(super) fn place(&self) -> (i64, Option<Timestamp>, u64) {
        let version = self.app.inner.versions.committed();
        let secs = version.time.secs + 1;
        let time = Timestamp { seconds: i64::try_from(secs).unwrap(), nanos: 0 };
        (i64::try_from(version.height.get()).unwrap() + 1, Some(time), secs)
    }

    pub(super) fn leaf(&self) -> GovernanceLeaf {
        self.app.inner.versions.committed().state.governance().leaf().unwrap().clone()
    }

    pub(super) fn signed(&self, actions: Vec<Action>) -> SignedProposal {
        signed(&self.leaf(), self.place().2, 0, actions)
    }

    fn tx(&self, actions: Vec<Action>) -> Bytes {
        Bytes::from(encode_governance_tx(&self.signed(actions)))
    }

    pub(super) fn prepare(&self, txs: Vec<Bytes>) -> Vec<Bytes> {
        let (height, time, _) = self.place();
        let request = RequestPrepareProposal { max_tx_bytes: i64::MAX, txs, height, time, ..Default::default() };
        self.app.prepare_proposal(request).txs
    }

    pub(super) fn accepts(&self, txs: Vec<Bytes>) -> bool {
        let (height, time, _) = self.place();
        let request = RequestProcessProposal { txs, height, time, ..RequestProcessProposal::default() };
        self.app.process_proposal(request).status == i32::from(ProposalStatus::Accept)
    }

    pub(super) fn decide(&self, txs: Vec<Bytes>, misbehavior: Vec<Misbehavior>) -> ResponseFinalizeBlock {
        let (height, time, _) = self.place();
        let (hash, proposer_address) = (Bytes::from(vec![1; 32]), Bytes::from(vec![2; 20]));
        let request =
            RequestFinalizeBlock { txs, height, time, hash, proposer_address, misbehavior, ..Default::default() };
        let response = self.app.finalize_block(request);
        self.app.commit();
        assert!(self.app.fatal().is_none(), "{:?}", self.app.fatal());
        response
    }

    pub(super) fn check(&self, tx: Bytes) -> u32 {
        self.app.check_tx(RequestCheckTx { tx, r#type: 0 }).code
    }

    pub(super) fn recheck(&self, tx: Bytes) -> u32 {
        self.app.check_tx(RequestCheckTx { tx, r#type: 1 }).code
    }
}

fn comet(home: &Path) -> crate::ChainConfig {
    crate::ChainConfig { engine: EngineKind::CometBft, ..settings(home) }
}

fn second() -> Validator {
    let key = db3_light_client::build::ValidatorKey::from_seed([9; 32]).public_key();
    Validator { key, power: 3, operator: operator().address(), payout: operator().address() }
}

#[test]
fn validators_change_as_decided_and_go_when_they_misbehave() {
    let chain = Driven::new();
    let tx = chain.tx(vec![Action::SetValidator(second())]);
    assert_eq!(chain.check(tx.clone()), 0);
    assert_eq!(chain.prepare(vec![tx.clone()]), std::slice::from_ref(&tx));
    assert!(chain.decide(vec![tx.clone()], Vec::new()).validator_updates.is_empty());
    assert_eq!(chain.check(tx), 226, "once");
    let updates = chain.decide(Vec::new(), Vec::new()).validator_updates;
    assert_eq!(updates.iter().map(|update| update.power).collect::<Vec<_>>(), [3]);
    assert!(updates[0].pub_key.is_some());
    let address = Bytes::copy_from_slice(&validator_address(&second().key));
    let reported = Misbehavior {
        r#type: 1,
        validator: Some(Reported { address, power: 3 }),
        height: 1,
        time: chain.place().1,
        total_voting_power: 13,
    };
    let updates = chain.decide(Vec::new(), vec![reported.clone(), reported.clone()]).validator_updates;
    assert_eq!(updates.iter().map(|update| update.power).collect::<Vec<_>>(), [0]);
    assert!(chain.decide(Vec::new(), vec![reported]).validator_updates.is_empty(), "evidence again");
    assert_eq!(chain.app.inner.versions.committed().state.governance().evidence().count(), 1);
}

#[test]
fn a_block_holds_only_decisions_that_can_be_accepted_and_before_every_bundle() {
    let chain = Driven::new();
    let good = chain.tx(expiry(1_800));
    let mut unsigned = signed(&chain.leaf(), chain.place().2, 0, expiry(1_800));
    unsigned.signatures.clear();
    let unsigned = Bytes::from(encode_governance_tx(&unsigned));
    let mut account = Account::new(1);
    let bundle = Bytes::from(db3_proto::encode_bundle([account.put(chain.place().2, "k", 1)]));
    assert!(chain.accepts(vec![good.clone()]));
    for refused in [vec![unsigned.clone()], vec![good.clone(), good.clone()], vec![bundle, good.clone()]] {
        assert!(!chain.accepts(refused));
    }
    assert_eq!(chain.check(unsigned.clone()), 230);
    let mut cut = good.to_vec();
    cut.pop();
    assert_eq!(chain.check(Bytes::from(cut)), 125);
    assert_eq!(chain.prepare(vec![unsigned.clone(), good.clone(), good.clone()]), std::slice::from_ref(&good));
    // Even a block that nobody should have decided is executed, and what cannot be accepted has no effect.
    chain.decide(vec![unsigned, good.clone(), good], Vec::new());
    assert_eq!(chain.leaf().sequence(), 1);
}

#[test]
fn what_may_cost_more_than_its_limit_under_new_prices_is_let_go_and_the_rest_waits_on() {
    let mut settlement = Settlement::new();
    let chain = Driven::of(home_hearing(&settlement));
    settlement.says_lines(&lines_of(1..2));
    chain.decide(vec![Bytes::from(encode_delivery_tx(&settlement.delivery(0, 0)))], Vec::new());
    let inner = &chain.app.inner;
    let account = Account::new(1);
    let limited = |nonce, max_fee| {
        let mutation = account.mutation(chain.place().2, nonce, vec![put("k", b"v")]);
        account.sign(&Mutation { max_fee, ..mutation })
    };
    let (old, state) = (PriceTable::v1(), inner.versions.committed().state.clone());
    let unlimited = limited(1, Tai::new(CEILING));
    let signed = db3_proto::decode_mutation(&unlimited).unwrap();
    let bound = state.estimate(&signed.content, signed.bytes).unwrap().bound;
    let [on, off] = [unlimited, limited(2, bound)].map(|envelope| inner.admit(vec![envelope]).remove(0).unwrap());
    let dearer = PriceTable { version: 2, per_mutation: old.per_mutation.checked_add(bound).unwrap(), ..old };
    chain.decide(vec![chain.tx(vec![Action::SetPrices(dearer)])], Vec::new());
    assert_eq!((on.receipt.now(), off.receipt.now()), (ReceiptState::Pending, ReceiptState::Pending));
    chain.decide(Vec::new(), Vec::new());
    assert_eq!((on.receipt.now(), off.receipt.now()), (ReceiptState::Pending, ReceiptState::Unknown));
    assert_eq!(inner.mempool.size().0, 1);
}
