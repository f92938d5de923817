//! A chain that governance is tried on: four validators of power 10 with an operator each, and one number to change.

use std::collections::BTreeMap;

use db3_governance::{
    Accepted, Action, GovernanceLeaf, Misbehaviour, Parameter, Proposal, Report, Session, SignedProposal, Subject,
    Validator,
};
use db3_primitives::{Address, BlockTime, ChainId, Height, Rejection, Scheme, SecretKey, key};
use db3_state_tree::Tree;

pub const NOW: u64 = 1_000;

/// Changes one number, which must stay below 100.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Number(pub u64);

impl Subject for Number {
    fn change(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::SetParameter { parameter: Parameter::ExpiryMaxSecs, value } => {
                self.0 = *value;
                Ok(())
            }
            other => Err(format!("no such thing here: {other}")),
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.0 < 100 { Ok(()) } else { Err(format!("{} is not below 100", self.0)) }
    }
}

pub fn operator(number: u8) -> SecretKey {
    SecretKey::from_bytes([number; 32]).unwrap()
}

pub fn validator_key(number: u8) -> [u8; 32] {
    ed25519_consensus::SigningKey::from([number; 32]).verification_key().to_bytes()
}

pub fn validator(number: u8, power: u64) -> Validator {
    Validator {
        key: validator_key(number),
        power,
        operator: operator(number).address(),
        payout: Address::new([number; 20]),
    }
}

pub fn chain_id() -> ChainId {
    "test-shard-0".parse().unwrap()
}

pub fn set(value: u64) -> Action {
    Action::SetParameter { parameter: Parameter::ExpiryMaxSecs, value }
}

pub struct Chain {
    pub tree: Tree,
    pub height: u64,
    pub number: Number,
}

impl Chain {
    pub fn new() -> Self {
        Self::of(&[validator(1, 10), validator(2, 10), validator(3, 10), validator(4, 10)])
    }

    pub fn of(validators: &[Validator]) -> Self {
        let leaf = GovernanceLeaf::new(validators).unwrap();
        let tree = Tree::new().apply(vec![(key::governance(), Some(leaf.to_bytes()))]).unwrap();
        Self { tree, height: 0, number: Number(1) }
    }

    pub fn session(&self) -> Session {
        Session::load(&self.tree).unwrap()
    }

    pub fn powers(&self) -> BTreeMap<[u8; 32], u64> {
        self.session().leaf().unwrap().powers().into_iter().collect()
    }

    /// The next proposal, for the block after the one that holds it.
    pub fn proposal(&self, actions: Vec<Action>) -> Proposal {
        let sequence = self.session().leaf().map_or(0, GovernanceLeaf::sequence) + 1;
        Proposal { chain_id: chain_id(), sequence, at_height: Height::new(0), expire_unix_secs: NOW + 60, actions }
    }

    pub fn judge(&self, signed: &SignedProposal) -> Result<Accepted, Rejection> {
        let next = Height::new(self.height + 1);
        self.session().judge(&chain_id(), next, BlockTime::from_secs(NOW), signed, &self.number)
    }

    pub fn block(&mut self, misbehaviours: &[Misbehaviour], txs: &[SignedProposal]) -> (Report, Vec<Rejection>) {
        self.height += 1;
        let (height, time) = (Height::new(self.height), BlockTime::from_secs(NOW));
        let mut session = self.session();
        self.number = session.begin(height, misbehaviours, self.number.clone());
        let refused = txs.iter().filter_map(|tx| session.accept(&chain_id(), height, time, tx, &self.number).err());
        let refused = refused.collect();
        let (writes, report) = session.finish();
        if !writes.is_empty() {
            self.tree = self.tree.apply(writes.into_iter().collect()).unwrap();
        }
        (report, refused)
    }

    /// A block with one transaction that must be accepted.
    pub fn accepts(&mut self, signed: &SignedProposal) {
        let (report, refused) = self.block(&[], std::slice::from_ref(signed));
        assert_eq!((report.accepted.len(), refused), (1, vec![]));
    }
}

/// Signed raw by these operators.
pub fn signed(proposal: Proposal, by: &[u8]) -> SignedProposal {
    let mut signed = SignedProposal::unsigned(proposal);
    for number in by {
        signed.sign(&operator(*number), Scheme::Raw);
    }
    signed
}
