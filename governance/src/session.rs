//! Governance during one block.
//!
//! What a transaction asks for is tried when it is accepted, on what the changes before it will leave, so that a slip is
//! told to whoever made it. It is tried again at its height, because validators may have misbehaved and channels moved
//! on meanwhile; what cannot be done then is dropped as a whole, and told in the [`Report`].

use std::collections::BTreeMap;

use db3_primitives::fatal::damaged;
use db3_primitives::limits::{BLOCK_GOVERNANCE_MAX, GOVERNANCE_AHEAD_BLOCKS_MAX, GOVERNANCE_SCHEDULED_MAX};
use db3_primitives::{BlockTime, ChainId, DecodeError, Height, Identifier, Rejection, key};
use db3_state_tree::Tree;

use crate::action::Action;
use crate::evidence::{Evidence, Known, Misbehaviour, validator_address};
use crate::leaf::{FORMAT, GovernanceLeaf};
use crate::proposal::Proposal;
use crate::signed::SignedProposal;
use crate::subject::Subject;

/// Changes that wait, by their height and number.
type Plans = BTreeMap<(Height, u64), Proposal>;

/// What governance does in one block.
#[derive(Clone, Debug)]
pub struct Session {
    base: Tree,
    leaf: Option<GovernanceLeaf>,
    plans: Plans,
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    report: Report,
}

/// A transaction that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its identifier.
    pub id: Identifier,
    /// Its number.
    pub sequence: u64,
    /// The height that its change waits for.
    pub at_height: Height,
}

/// A change whose height has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The number of its transaction.
    pub sequence: u64,
    /// Its transaction's identifier.
    pub id: Identifier,
    /// Why nothing of it was done, if nothing was.
    pub failure: Option<Rejection>,
}

/// A change that waited, and waits no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// The number of its transaction.
    pub sequence: u64,
    /// Its transaction's identifier.
    pub id: Identifier,
    /// The height that it waited for.
    pub at_height: Height,
    /// The number of the transaction that took it back.
    pub by: u64,
}

/// What governance did in a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Transactions of this block.
    pub accepted: Vec<Accepted>,
    /// Changes that were due.
    pub applied: Vec<Applied>,
    /// Changes that were taken back.
    pub cancelled: Vec<Cancelled>,
    /// What was recorded against validators.
    pub evidence: Vec<Evidence>,
    /// Validators whose power changed, in order of key; power 0: gone. Consensus wants to know.
    pub validator_updates: Vec<([u8; 32], u64)>,
}

/// A state of things that a proposal is tried on.
#[derive(Clone)]
struct Trial<S> {
    leaf: GovernanceLeaf,
    plans: Plans,
    subject: S,
}

impl Session {
    /// What a version holds of governance.
    pub fn load(tree: &Tree) -> Result<Self, DecodeError> {
        let leaf = tree.get(&key::governance()).map(GovernanceLeaf::from_bytes).transpose()?;
        let mut plans = Plans::new();
        if leaf.is_some() {
            for (tree_key, value) in tree.prefix(&key::plan_prefix()) {
                let damaged = DecodeError::Invalid { what: "scheduled change", field: "body" };
                let body = value.strip_prefix(&[FORMAT]).and_then(|body| Proposal::from_bytes(body).ok());
                let (Some(place), Some(proposal)) = (key::split_plan(tree_key), body) else { return Err(damaged) };
                plans.insert(place, proposal);
            }
        }
        Ok(Self { base: tree.clone(), leaf, plans, writes: BTreeMap::new(), report: Report::default() })
    }

    /// The same of a version that was looked at when it was loaded.
    #[must_use]
    pub fn of(tree: &Tree) -> Self {
        Self::load(tree).unwrap_or_else(|_| damaged(&key::governance()))
    }

    /// Validators and the number of the last transaction; none where the chain has no operators.
    #[must_use]
    pub fn leaf(&self) -> Option<&GovernanceLeaf> {
        self.leaf.as_ref()
    }

    /// The changes that wait, with the height of each, in order.
    pub fn scheduled(&self) -> impl Iterator<Item = (Height, &Proposal)> {
        self.plans.iter().map(|((height, _), proposal)| (*height, proposal))
    }

    /// What is recorded against validators, in order of their addresses, as the version before the block has it.
    pub fn evidence(&self) -> impl Iterator<Item = Evidence> {
        let kept = self.base.prefix(&key::evidence_prefix());
        kept.filter_map(|(tree_key, leaf)| Evidence::from_bytes(key::split_evidence(tree_key)?, leaf).ok())
    }

    /// Begins a block: takes the power of validators that misbehaved, then makes the changes that are due, and gives what
    /// they leave of `subject`. Evidence against whom no power is left to take, and is known to have misbehaved, is passed over.
    pub fn begin<S: Subject>(&mut self, height: Height, misbehaviours: &[Misbehaviour], subject: S) -> S {
        let due = self.plans.first_key_value().is_some_and(|((at_height, _), _)| *at_height <= height);
        let Some(before) = self.leaf.as_ref().filter(|_| due || !misbehaviours.is_empty()).cloned() else {
            return subject;
        };
        let mut leaf = before.clone();
        for misbehaviour in misbehaviours {
            self.punish(&mut leaf, height, misbehaviour);
        }
        let plans = std::mem::take(&mut self.plans);
        let mut trial = Trial { leaf, plans, subject };
        while let Some(((at_height, sequence), proposal)) = trial.plans.pop_first() {
            if at_height > height {
                trial.plans.insert((at_height, sequence), proposal);
                break;
            }
            self.writes.insert(key::plan(at_height, sequence), None);
            let failure = match self.attempt(&trial, &proposal) {
                Ok(after) => {
                    let gone = trial.plans.iter().filter(|(place, _)| !after.plans.contains_key(place));
                    for ((at_height, planned), cancelled) in gone {
                        self.writes.insert(key::plan(*at_height, *planned), None);
                        let (id, at_height) = (cancelled.id(), *at_height);
                        self.report.cancelled.push(Cancelled { sequence: *planned, id, at_height, by: sequence });
                    }
                    trial = after;
                    None
                }
                Err(rejection) => Some(rejection),
            };
            self.report.applied.push(Applied { sequence, id: proposal.id(), failure });
        }
        let Trial { leaf, plans, subject } = trial;
        self.plans = plans;
        if leaf != before {
            self.writes.insert(key::governance(), Some(leaf.to_bytes()));
            self.report.validator_updates = updates(&before, &leaf);
        }
        self.leaf = Some(leaf);
        subject
    }

    /// Accepts a transaction of the block and schedules its change. A refused one leaves no trace.
    pub fn accept<S: Subject>(
        &mut self,
        own: &ChainId,
        height: Height,
        time: BlockTime,
        signed: &SignedProposal,
        subject: &S,
    ) -> Result<Accepted, Rejection> {
        if self.report.accepted.len() >= BLOCK_GOVERNANCE_MAX {
            return Err(Rejection::BlockFull { what: "governance transactions" });
        }
        let accepted = self.judge(own, height, time, signed, subject)?;
        let place = (accepted.at_height, accepted.sequence);
        let plan = [[FORMAT].as_slice(), &signed.proposal.to_bytes()].concat();
        self.writes.insert(key::plan(place.0, place.1), Some(plan));
        self.plans.insert(place, signed.proposal.clone());
        if let Some(leaf) = &mut self.leaf {
            leaf.sequence = accepted.sequence;
            self.writes.insert(key::governance(), Some(leaf.to_bytes()));
        }
        self.report.accepted.push(accepted);
        Ok(accepted)
    }

    /// Whether a block of this height and time could accept a transaction. The checks, in order of their cost: those of
    /// [`look`](Self::look), signatures, and a trial of its actions, where the keys in it are looked at.
    pub fn judge<S: Subject>(
        &self,
        own: &ChainId,
        height: Height,
        time: BlockTime,
        signed: &SignedProposal,
        subject: &S,
    ) -> Result<Accepted, Rejection> {
        let proposal = &signed.proposal;
        let at_height = self.look(own, height, time, proposal)?;
        let leaf = self.leaf.as_ref().ok_or_else(|| Rejection::GovernanceUnavailable { chain_id: own.clone() })?;
        signed.check(leaf)?;
        self.rehearse(leaf, at_height, proposal, subject)?;
        Ok(Accepted { id: proposal.id(), sequence: proposal.sequence, at_height })
    }

    /// Whether it would be accepted if enough operators had signed it: what [`judge`](Self::judge) says, without signatures.
    /// Gives the height at which its change would take effect.
    pub fn rehearsed<S: Subject>(
        &self,
        own: &ChainId,
        height: Height,
        time: BlockTime,
        proposal: &Proposal,
        subject: &S,
    ) -> Result<Height, Rejection> {
        let at_height = self.look(own, height, time, proposal)?;
        let leaf = self.leaf.as_ref().ok_or_else(|| Rejection::GovernanceUnavailable { chain_id: own.clone() })?;
        proposal.check_keys()?;
        self.rehearse(leaf, at_height, proposal, subject)?;
        Ok(at_height)
    }

    /// Does on a trial what waits before it, and then what it says.
    fn rehearse<S: Subject>(
        &self,
        leaf: &GovernanceLeaf,
        at_height: Height,
        proposal: &Proposal,
        subject: &S,
    ) -> Result<(), Rejection> {
        let mut trial = Trial { leaf: leaf.clone(), plans: self.plans.clone(), subject: subject.clone() };
        let mine = (at_height, proposal.sequence);
        while let Some(place) = trial.plans.first_key_value().map(|(place, _)| *place).filter(|place| *place < mine) {
            let Some(before) = trial.plans.remove(&place) else { break };
            trial = self.attempt(&trial, &before).unwrap_or(trial);
        }
        self.attempt(&trial, proposal).map(|_| ())
    }

    /// What costs next to nothing to ask, of whoever signed it, in this order: operators, chain, number, expiry, height, room.
    /// Gives the height at which its change would take effect.
    pub fn look(
        &self,
        own: &ChainId,
        height: Height,
        time: BlockTime,
        proposal: &Proposal,
    ) -> Result<Height, Rejection> {
        let leaf = self.leaf.as_ref().ok_or_else(|| Rejection::GovernanceUnavailable { chain_id: own.clone() })?;
        if proposal.chain_id != *own {
            let (chain_id, expected) = (proposal.chain_id.clone(), own.clone());
            return Err(Rejection::GovernanceOtherChain { chain_id, expected });
        }
        let next = leaf.sequence.saturating_add(1);
        if proposal.sequence != next {
            return Err(Rejection::GovernanceSequence { sequence: proposal.sequence, next });
        }
        if proposal.expire_unix_secs <= time.secs {
            return Err(Rejection::Expired { expire: proposal.expire_unix_secs, block_time: time.secs });
        }
        let at_height = effective(proposal.at_height, height)?;
        if self.plans.len() >= GOVERNANCE_SCHEDULED_MAX {
            return Err(Rejection::GovernanceFull { max: GOVERNANCE_SCHEDULED_MAX as u64 });
        }
        Ok(at_height)
    }

    /// What a block wrote, by tree key, and what it did.
    #[must_use]
    pub fn finish(self) -> (BTreeMap<Vec<u8>, Option<Vec<u8>>>, Report) {
        (self.writes, self.report)
    }

    /// Records what a validator did and takes its power, unless it is the last one. Of one that has left since, it is
    /// recorded as well: consensus has proven that it was one then. One deed of each is kept, and where that cost it
    /// nothing, because it was the last one, the next takes its place.
    fn punish(&mut self, leaf: &mut GovernanceLeaf, recorded: Height, misbehaviour: &Misbehaviour) {
        let Misbehaviour { validator, kind, height, time } = *misbehaviour;
        let found = leaf.validators.iter().find(|found| validator_address(&found.key) == validator).copied();
        let last = leaf.validators.len() == 1;
        let kept = self.evidence_of(&validator);
        if kept.is_some_and(|kept| kept.removed() || (last && found.is_some())) {
            return;
        }
        let known = found.map(|found| {
            let removed = !last && leaf.remove(&found.key).is_some();
            Known { key: found.key, power: found.power, operator: found.operator, removed }
        });
        // Of one that has left, what was known of it when it was the last one stays known.
        let kept = kept.and_then(|kept| kept.known).map(|kept| Known { removed: true, ..kept });
        let known = known.or(kept);
        let evidence = Evidence { validator, kind, height, time_secs: time.secs, recorded, known };
        self.writes.insert(key::evidence(&validator), Some(evidence.to_bytes()));
        self.report.evidence.push(evidence);
    }

    /// What is kept of a validator, this block's included.
    fn evidence_of(&self, validator: &[u8; 20]) -> Option<Evidence> {
        let tree_key = key::evidence(validator);
        let kept = self.writes.get(&tree_key).and_then(Option::as_deref).or_else(|| self.base.get(&tree_key));
        kept.map(|kept| Evidence::from_bytes(*validator, kept).unwrap_or_else(|_| damaged(&tree_key)))
    }

    /// What all actions of a proposal leave, or why it cannot be.
    fn attempt<S: Subject>(&self, trial: &Trial<S>, proposal: &Proposal) -> Result<Trial<S>, Rejection> {
        let mut trial = trial.clone();
        let refused = |action: u32, detail: String| Rejection::GovernanceAction { action, detail };
        let mut last = 0;
        for (index, action) in (0..).zip(&proposal.actions) {
            self.act(&mut trial, action).map_err(|detail| refused(index, detail))?;
            last = index;
        }
        trial.leaf.check().map_err(|error| refused(last, error.to_string()))?;
        trial.subject.check().map_err(|detail| refused(last, detail))?;
        Ok(trial)
    }

    fn act<S: Subject>(&self, trial: &mut Trial<S>, action: &Action) -> Result<(), String> {
        match action {
            Action::SetValidator(validator) => {
                let known = trial.leaf.validators.iter().any(|known| known.key == validator.key);
                if !known && self.evidence_of(&validator_address(&validator.key)).is_some() {
                    return Err("this key misbehaved and cannot come back; take a new one".to_owned());
                }
                trial.leaf.set(*validator);
                Ok(())
            }
            Action::RemoveValidator { key } => {
                trial.leaf.remove(key).map(|_| ()).ok_or_else(|| "there is no validator with this key".to_owned())
            }
            Action::Cancel { sequence } => {
                let place = trial.plans.keys().find(|(_, planned)| planned == sequence).copied();
                let cancelled = place.and_then(|place| trial.plans.remove(&place));
                cancelled.map(|_| ()).ok_or_else(|| format!("no change of a transaction {sequence} waits"))
            }
            Action::SetPrices(_)
            | Action::SetParameter { .. }
            | Action::SetTreasury { .. }
            | Action::SetTrust { .. }
            | Action::SetPayouts { .. }
            | Action::ReplaceChannel(_) => trial.subject.change(action),
        }
    }
}

/// The height at which a change of a block of `height` takes effect.
fn effective(at_height: Height, height: Height) -> Result<Height, Rejection> {
    let earliest = Height::new(height.get().saturating_add(1));
    let latest = Height::new(height.get().saturating_add(GOVERNANCE_AHEAD_BLOCKS_MAX));
    if at_height.get() == 0 {
        return Ok(earliest);
    }
    if (earliest..=latest).contains(&at_height) {
        Ok(at_height)
    } else {
        Err(Rejection::GovernanceHeight { at_height, earliest, latest })
    }
}

/// Every key whose power differs, with the power it has now.
fn updates(before: &GovernanceLeaf, after: &GovernanceLeaf) -> Vec<([u8; 32], u64)> {
    let old: BTreeMap<[u8; 32], u64> = before.powers().into_iter().collect();
    let new: BTreeMap<[u8; 32], u64> = after.powers().into_iter().collect();
    let mut updates: BTreeMap<[u8; 32], u64> =
        old.keys().filter(|key| !new.contains_key(*key)).map(|key| (*key, 0)).collect();
    updates.extend(new.into_iter().filter(|(key, power)| old.get(key) != Some(power)));
    updates.into_iter().collect()
}
