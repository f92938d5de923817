//! The validators of a network together. Whatever order they come in, they stand in order of name.

use std::collections::BTreeMap;

use db3_light_client::limits::VALIDATORS_MAX;
use db3_primitives::limits::PAYOUT_POWER_MAX;

use crate::raw::{self, RawRoster, RawValidator};
use crate::{Candidate, NetworkError, Plan};

const COMMENT: &str =
    "# The validators of this network, in order of name: their keys, their power, where they are reached.\n";

/// A validator with its power, which is the same on every chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// Its voting power, at least 1.
    pub power: u64,
    /// Who it is.
    pub candidate: Candidate,
}

/// The validators of a network, each name, key and address once, in order of name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster(Vec<Validator>);

impl Validator {
    /// The entry's text.
    pub fn to_toml(&self) -> Result<String, NetworkError> {
        raw::text("", &self.candidate.to_raw(Some(self.power)), &self.candidate.name)
    }

    /// Checks an entry's text; `file` is for the error's.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, NetworkError> {
        raw::parse::<RawValidator>(text, file)?.check_with_power(file)
    }
}

impl Roster {
    /// The validators of the plan's network; `file` is for the error's text.
    pub fn new(plan: &Plan, mut validators: Vec<Validator>, file: &str) -> Result<Self, NetworkError> {
        if validators.is_empty() || validators.len() > VALIDATORS_MAX {
            let expected = format!("expected 1 to {VALIDATORS_MAX}; `db3-genesis add-validator` adds one");
            return Err(NetworkError::field(file, "validators", format!("{} entries", validators.len()), expected));
        }
        validators.sort_by(|one, other| one.candidate.name.cmp(&other.candidate.name));
        let total = validators.iter().try_fold(0u64, |sum, validator| sum.checked_add(validator.power));
        if total.is_none_or(|total| total > PAYOUT_POWER_MAX) {
            let expected = format!("expected at most {PAYOUT_POWER_MAX} together");
            return Err(NetworkError::field(file, "power", "the sum of the validators'", expected));
        }
        let mut taken = Taken { file, known: BTreeMap::new() };
        for Validator { candidate, .. } in &validators {
            taken.take_candidate(plan, candidate)?;
            for chain in &candidate.chains {
                taken.take(&candidate.name, "p2p", chain.p2p.to_string())?;
                if let Some(endpoint) = &chain.endpoint {
                    taken.take(&candidate.name, "endpoint", endpoint.clone())?;
                }
            }
        }
        Ok(Self(validators))
    }

    /// Checks the text of a genesis folder's `validators.toml`.
    pub fn from_toml(plan: &Plan, text: &str, file: &str) -> Result<Self, NetworkError> {
        let raw: RawRoster = raw::parse(text, file)?;
        let check = |raw: RawValidator| {
            let of = format!("{file}, {}", raw.name);
            raw.check_with_power(&of)
        };
        Self::new(plan, raw.validators.into_iter().map(check).collect::<Result<_, _>>()?, file)
    }

    /// The text of `validators.toml`, the same for the same validators.
    pub fn to_toml(&self) -> Result<String, NetworkError> {
        let raw = |validator: &Validator| validator.candidate.to_raw(Some(validator.power));
        raw::text(COMMENT, &RawRoster { validators: self.0.iter().map(raw).collect() }, "validators.toml")
    }

    /// That a validator can come later: it is of this network, and name and keys are none of the first validators'. Where they
    /// are reached may be where one of them was; `file` is for the error's text.
    pub fn check_newcomer(&self, plan: &Plan, newcomer: &Candidate, file: &str) -> Result<(), NetworkError> {
        let mut taken = Taken { file, known: BTreeMap::new() };
        let first = self.0.iter().map(|validator| &validator.candidate);
        first.chain([newcomer]).try_for_each(|candidate| taken.take_candidate(plan, candidate))
    }

    /// The validators, in order of name.
    #[must_use]
    pub fn validators(&self) -> &[Validator] {
        &self.0
    }

    /// The validator of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Validator> {
        self.0.iter().find(|validator| validator.candidate.name == name)
    }

    /// The power of all together.
    #[must_use]
    pub fn power(&self) -> u64 {
        self.0.iter().fold(0, |sum, validator| sum.saturating_add(validator.power))
    }
}

/// What may stand once alone, and whose it is.
struct Taken<'a> {
    file: &'a str,
    known: BTreeMap<(&'static str, String), String>,
}

impl Taken<'_> {
    /// A validator of the plan's network, with its name and keys.
    fn take_candidate(&mut self, plan: &Plan, candidate: &Candidate) -> Result<(), NetworkError> {
        if (&candidate.network, candidate.shards) != (&plan.network, plan.shards) {
            let value = format!("{} with {} shards", candidate.network, candidate.shards);
            let expected = format!("expected {} with {} shards, as planned", plan.network, plan.shards);
            return Err(NetworkError::field(self.file, format!("network of {}", candidate.name), value, expected));
        }
        self.take(&candidate.name, "name", candidate.name.clone())?;
        for chain in &candidate.chains {
            self.take(&candidate.name, "pubkey", hex::encode(chain.pubkey))?;
            self.take(&candidate.name, "node_id", hex::encode(chain.node_id))?;
        }
        Ok(())
    }

    fn take(&mut self, whose: &str, what: &'static str, value: String) -> Result<(), NetworkError> {
        match self.known.insert((what, value.clone()), whose.to_owned()) {
            None => Ok(()),
            Some(other) => {
                let expected = format!("expected each once on the network, and {other} has it");
                Err(NetworkError::field(self.file, format!("{what} of {whose}"), value, expected))
            }
        }
    }
}
