//! From a plan and its validators to the files of a genesis folder. A pure function: who builds, where, when and in
//! which order the validators came changes no byte.
//!
//! | file | holds |
//! |---|---|
//! | `plan.toml` | the plan, in its canonical form |
//! | `validators.toml` | the validators with their power, in order of name |
//! | `<chain id>.json` | the genesis document of each chain; it names the others' first validators as trust roots |
//! | `network.toml` | what users need: chains, endpoints, trust roots |
//!
//! The folder's hash is SHA-256 over the tag `db3.v1.GenesisFolder` and, for each file in order of name (bytes), the
//! length of the name and the name, the length of the file and the file; lengths are 8 bytes, big endian.

use std::collections::BTreeMap;
use std::path::Path;

use db3_genesis::{
    AccountEntry, AppState, ChainEntry, GenesisDocument, GenesisInput, GenesisOperator, GenesisState, NetworkFile,
    NetworkKind, Operator, PayoutEntry, PeerEntry, SettlementGenesis, ShardGenesis, TrustEntry, operator_payouts,
};
use db3_primitives::name::ChainRole;
use db3_primitives::{Address, ChainId, Hash32, Height};
use db3_settlement_state::SettlementState;
use db3_shard_state::ShardState;
use sha2::{Digest as _, Sha256};

use crate::{CandidateChain, NetworkError, Plan, Roster};

const HASH_TAG: &[u8] = b"db3.v1.GenesisFolder";
/// The plan in a genesis folder.
pub const PLAN_FILE: &str = "plan.toml";
/// The validators in a genesis folder.
pub const VALIDATORS_FILE: &str = "validators.toml";
/// What users need, in a genesis folder.
pub const NETWORK_FILE: &str = "network.toml";

/// The files of a genesis folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Name and text of each.
    pub files: BTreeMap<String, String>,
    /// What validators compare.
    pub hash: Hash32,
}

/// Name of a chain's genesis document in a genesis folder.
#[must_use]
pub fn document_file(chain_id: &ChainId) -> String {
    format!("{chain_id}.json")
}

/// Makes the files.
pub fn build(plan: &Plan, roster: &Roster) -> Result<Built, NetworkError> {
    let parts = Parts { plan, roster };
    let mut files =
        BTreeMap::from([(PLAN_FILE.to_owned(), plan.to_toml()?), (VALIDATORS_FILE.to_owned(), roster.to_toml()?)]);
    let mut chains = Vec::new();
    for (at, chain_id) in plan.chains().enumerate() {
        let document = parts.document(at, &chain_id)?;
        check_state(&document)?;
        let text = document.to_json().map_err(|source| genesis_error(&chain_id, source))?;
        files.insert(document_file(&chain_id), text);
        let endpoints = parts.of_chain(at).filter_map(|(chain, _)| chain.endpoint.clone());
        chains.push(ChainEntry::of_genesis(&document, endpoints.collect()));
    }
    let network = NetworkFile {
        name: plan.network.clone(),
        kind: NetworkKind::Validators,
        epoch_secs: plan.epoch_secs,
        keystore: None,
        chains,
    };
    let text = network
        .to_toml()
        .map_err(|error| NetworkError::Malformed { file: NETWORK_FILE.to_owned(), detail: error.to_string() })?;
    // What was written can be read: the file's own checks are stricter than what it is made from.
    NetworkFile::from_toml(&text, Path::new(NETWORK_FILE))?;
    files.insert(NETWORK_FILE.to_owned(), text);
    Ok(Built { hash: hash(&files), files })
}

/// The hash of a folder's files.
pub fn hash(files: &BTreeMap<String, String>) -> Hash32 {
    let mut hasher = Sha256::new_with_prefix(HASH_TAG);
    for (name, text) in files {
        for bytes in [name.as_bytes(), text.as_bytes()] {
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        }
    }
    hasher.finalize().into()
}

fn genesis_error(chain_id: &ChainId, source: db3_genesis::GenesisError) -> NetworkError {
    NetworkError::Genesis { chain: chain_id.to_string(), source }
}

/// That a chain can begin with the document.
fn check_state(document: &GenesisDocument) -> Result<(), NetworkError> {
    let made = match document.state() {
        GenesisState::Shard(genesis) => ShardState::genesis(genesis).map(|_| ()).map_err(|error| error.to_string()),
        GenesisState::Settlement(genesis) => {
            SettlementState::genesis(genesis).map(|_| ()).map_err(|error| error.to_string())
        }
    };
    made.map_err(|detail| NetworkError::State { chain: document.chain_id().to_string(), detail })
}

struct Parts<'a> {
    plan: &'a Plan,
    roster: &'a Roster,
}

impl Parts<'_> {
    /// The validators on the chain at this place, each with its operator.
    fn of_chain(&self, at: usize) -> impl Iterator<Item = (&CandidateChain, Operator)> {
        self.roster.validators().iter().filter_map(move |validator| {
            let candidate = &validator.candidate;
            let chain = candidate.chains.get(at)?;
            let operator = Operator {
                validator: chain.pubkey,
                power: validator.power,
                operator: candidate.operator,
                payout: candidate.payout,
            };
            Some((chain, operator))
        })
    }

    fn operators(&self, at: usize) -> Vec<Operator> {
        self.of_chain(at).map(|(_, operator)| operator).collect()
    }

    fn validators(&self, at: usize) -> Vec<db3_genesis::Validator> {
        let validator =
            |operator: Operator| db3_genesis::Validator { pubkey: operator.validator, power: operator.power };
        self.operators(at).into_iter().map(validator).collect()
    }

    /// What another chain's genesis says of the chain at this place.
    fn peer(&self, at: usize, chain_id: &ChainId) -> PeerEntry {
        let trust = TrustEntry::before(Height::new(1), self.plan.time, self.validators(at));
        PeerEntry::new(chain_id, &trust, Some(self.plan.trusting_period_secs))
    }

    fn document(&self, at: usize, chain_id: &ChainId) -> Result<GenesisDocument, NetworkError> {
        let input = GenesisInput {
            time: self.plan.time,
            initial_height: Height::new(1),
            validators: self.validators(at),
            app_hash: None,
            app_state: self.app_state(at, chain_id)?,
        };
        GenesisDocument::new(input).map_err(|source| genesis_error(chain_id, source))
    }

    fn app_state(&self, at: usize, chain_id: &ChainId) -> Result<AppState, NetworkError> {
        let operator = |of: Operator| GenesisOperator::new(&of.validator, &of.operator, &of.payout);
        let operators = self.operators(at).into_iter().map(operator).collect();
        Ok(match chain_id.parts() {
            Some((network, ChainRole::Shard(shard))) => {
                let settlement = self.peer(0, &ChainId::settlement(&network));
                let state = ShardGenesis::new(&network, shard, self.plan.shards, self.plan.epoch_secs, settlement);
                AppState::Shard(ShardGenesis { prices: self.plan.prices.clone(), operators, ..state })
            }
            Some((_, ChainRole::Settlement)) | None => self.settlement(operators).map(AppState::Settlement)?,
        })
    }

    fn settlement(&self, operators: Vec<GenesisOperator>) -> Result<SettlementGenesis, NetworkError> {
        let plan = self.plan;
        let account =
            |entry: &crate::Funded| AccountEntry::with_credit(entry.account, entry.balance, entry.credit, plan.shards);
        let accounts = plan.accounts.iter().map(account).collect::<Result<Vec<_>, _>>();
        let accounts = accounts.map_err(|source| genesis_error(&ChainId::settlement(&plan.network), source))?;
        let shards = plan.chains().enumerate().skip(1);
        let peers = shards.map(|(at, chain_id)| self.peer(at, &chain_id)).collect();
        let state = SettlementGenesis::new(&plan.network, plan.epoch_secs, self.treasury(), accounts, peers);
        // The shards' pools in order, and then the settlement chain's own.
        let pools = (1..).take(state.payouts.len().saturating_sub(1)).chain([0]);
        let payouts = pools.map(|at| self.payouts(at)).collect();
        Ok(SettlementGenesis { prices: plan.prices.clone(), credit: plan.credit.clone(), payouts, operators, ..state })
    }

    fn payouts(&self, at: usize) -> Vec<PayoutEntry> {
        let entry = |(address, power): (Address, u64)| PayoutEntry { address: address.to_string(), power };
        operator_payouts(&self.operators(at)).into_iter().map(entry).collect()
    }

    /// The plan's, or the payout account of the first validator by name.
    fn treasury(&self) -> Address {
        let first = self.roster.validators().first().map(|validator| validator.candidate.payout);
        self.plan.treasury.or(first).unwrap_or(Address::new([0; 20]))
    }
}
