//! The genesis document of a chain: a standard Tendermint genesis file, so that `CometBFT` reads the
//! same bytes as the node.
//!
//! It names the chain, the time it begins, the validators and their power, and holds the first
//! state ([`AppState`]), whose `kind` says what sort of chain it is. `app_hash` is empty for a
//! chain that begins with that state, and the root of the imported state for one that continues
//! from an export.

use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use db3_light_client::TrustRoot;
use db3_primitives::{BlockTime, ChainId, Hash32, Height, NetworkName, limits};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tendermint::consensus::params::{AbciParams, ValidatorParams, VersionParams};
use tendermint::{AppHash, PublicKey, Time, block, consensus, evidence, public_key, validator, vote};

use crate::{
    AppState, ChainEntry, ChainKind, GenesisError, GenesisState, Operator, SettlementGenesis, ShardGenesis, operators,
    write_atomic,
};

/// Version of the application in the headers (`version.app`).
const APP_VERSION: u64 = 1;
/// Evidence against a validator is taken for so many blocks and so many seconds after its height, until both are over: it
/// takes power, and nothing else, from who was found at once (ADR 12).
const EVIDENCE_AGE_BLOCKS: u64 = 1_000;
/// The seconds: an hour.
const EVIDENCE_AGE_SECS: u64 = 3_600;
/// A block's envelope (header, evidence, last commit) beside its transactions.
const BLOCK_OVERHEAD_BYTES: u64 = 64 * 1024;

type Tendermint = tendermint::Genesis<AppState>;

/// What of a document tells how the rest is read.
#[derive(Deserialize)]
struct Outline {
    app_state: StateOutline,
}

#[derive(Deserialize)]
struct StateOutline {
    kind: ChainKind,
}

/// A validator of the first set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validator {
    /// Its ed25519 key.
    pub pubkey: [u8; 32],
    /// Its voting power, at least 1.
    pub power: u64,
}

/// What a genesis document is made from.
#[derive(Clone, Debug)]
pub struct GenesisInput {
    /// When the chain begins.
    pub time: BlockTime,
    /// The first height; 1, or the height after that of an imported state.
    pub initial_height: Height,
    /// The validators, at least one.
    pub validators: Vec<Validator>,
    /// Root of the imported state; none for a chain that begins with `app_state`.
    pub app_hash: Option<Hash32>,
    /// What the first state holds.
    pub app_state: AppState,
}

/// A checked genesis document.
#[derive(Clone, Debug)]
pub struct GenesisDocument {
    tendermint: Tendermint,
    chain_id: ChainId,
    time: BlockTime,
    initial_height: Height,
    validators: Vec<Validator>,
    operators: Vec<Operator>,
    app_hash: Option<Hash32>,
    network: NetworkName,
    state: GenesisState,
}

impl GenesisDocument {
    /// Makes a document and checks it.
    pub fn new(input: GenesisInput) -> Result<Self, GenesisError> {
        let chain_id = input.app_state.chain_id()?;
        let time = to_tendermint_time(input.time)?;
        let validators = input.validators.iter().map(to_validator_info).collect::<Result<Vec<_>, _>>()?;
        let initial_height = i64::try_from(input.initial_height.get())
            .map_err(|_| GenesisError::field("initial_height", input.initial_height, "expected less than 2^63"))?;
        let app_hash = input.app_hash.map_or_else(Vec::new, |root| root.to_vec());
        Self::check(Tendermint {
            genesis_time: time,
            chain_id: chain_id
                .as_str()
                .parse()
                .map_err(|error: tendermint::Error| GenesisError::field("chain_id", chain_id.as_str(), error))?,
            initial_height,
            consensus_params: consensus_params(),
            validators,
            app_hash: AppHash::try_from(app_hash).map_err(|error| GenesisError::field("app_hash", "", error))?,
            app_state: input.app_state,
        })
    }

    /// Reads and checks a document.
    pub fn load(path: &Path) -> Result<Self, GenesisError> {
        let bytes = fs::read(path).map_err(|source| GenesisError::File { path: path.to_owned(), source })?;
        Self::from_json(&bytes, path)
    }

    /// Checks a document's bytes; `path` is for the error's text.
    pub fn from_json(bytes: &[u8], path: &Path) -> Result<Self, GenesisError> {
        let outline: Outline = parse(bytes, path)?;
        Self::check(match outline.app_state.kind {
            ChainKind::Shard => with_state(parse::<tendermint::Genesis<ShardGenesis>>(bytes, path)?),
            ChainKind::Settlement => with_state(parse::<tendermint::Genesis<SettlementGenesis>>(bytes, path)?),
        })
    }

    /// Writes the document, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), GenesisError> {
        write_atomic(path, self.to_json()?.as_bytes())
            .map_err(|source| GenesisError::File { path: path.to_owned(), source })
    }

    /// The document as JSON, with a line end.
    pub fn to_json(&self) -> Result<String, GenesisError> {
        let mut text = serde_json::to_string_pretty(&self.tendermint).map_err(|error| GenesisError::Malformed {
            path: PathBuf::new(),
            line: error.line(),
            column: error.column(),
            detail: crate::json_fault(&error),
        })?;
        text.push('\n');
        Ok(text)
    }

    fn check(tendermint: Tendermint) -> Result<Self, GenesisError> {
        let network = tendermint.app_state.network()?;
        let chain_id = tendermint.app_state.chain_id()?;
        if tendermint.chain_id.as_str() != chain_id.as_str() {
            return Err(GenesisError::field(
                "chain_id",
                &tendermint.chain_id,
                format!("expected {} by kind, network and shard in app_state", chain_id.as_str()),
            ));
        }
        let initial_height = u64::try_from(tendermint.initial_height).unwrap_or_default();
        if initial_height == 0 {
            return Err(GenesisError::field("initial_height", tendermint.initial_height, "expected 1 or more"));
        }
        let app_hash = check_app_hash(&tendermint.app_hash)?;
        if app_hash.is_some() != (initial_height > 1) {
            return Err(GenesisError::field(
                "app_hash",
                &tendermint.app_hash,
                "expected the root of the imported state if initial_height is above 1, else empty",
            ));
        }
        let time = from_tendermint_time(tendermint.genesis_time)?;
        let validators = check_validators(&tendermint.validators)?;
        let operators = operators::check(tendermint.app_state.operators(), &validators)?;
        let state = tendermint.app_state.check(time, &operators)?;
        let initial_height = Height::new(initial_height);
        Ok(Self { tendermint, chain_id, time, initial_height, validators, operators, app_hash, network, state })
    }

    /// The chain's identifier.
    #[must_use]
    pub fn chain_id(&self) -> &ChainId {
        &self.chain_id
    }

    /// When the chain begins.
    #[must_use]
    pub fn time(&self) -> BlockTime {
        self.time
    }

    /// Height of the first block.
    #[must_use]
    pub fn initial_height(&self) -> Height {
        self.initial_height
    }

    /// The first validators.
    #[must_use]
    pub fn validators(&self) -> &[Validator] {
        &self.validators
    }

    /// Who stands behind the first validators, in their order; empty for a chain without governance.
    #[must_use]
    pub fn operators(&self) -> &[Operator] {
        &self.operators
    }

    /// Root of the state that the chain continues from; none if it begins with `app_state`.
    #[must_use]
    pub fn app_hash(&self) -> Option<Hash32> {
        self.app_hash
    }

    /// What the state machine starts from.
    #[must_use]
    pub fn state(&self) -> &GenesisState {
        &self.state
    }

    /// What sort of chain it is.
    #[must_use]
    pub fn kind(&self) -> ChainKind {
        self.app_state().kind()
    }

    /// The network that the chain belongs to.
    #[must_use]
    pub fn network(&self) -> &NetworkName {
        &self.network
    }

    /// Length of an epoch.
    #[must_use]
    pub fn epoch_secs(&self) -> NonZeroU64 {
        match &self.state {
            GenesisState::Shard(state) => state.epoch_secs,
            GenesisState::Settlement(state) => state.epoch_secs,
        }
    }

    /// The first state as it stands in the file.
    #[must_use]
    pub fn app_state(&self) -> &AppState {
        &self.tendermint.app_state
    }

    /// Consensus parameters, for the headers' consensus hash.
    #[must_use]
    pub fn consensus_params(&self) -> &consensus::Params {
        &self.tendermint.consensus_params
    }

    /// What a light client of this chain starts from: the height before the first block, a second
    /// before the chain begins, and the first validators.
    pub fn trust_root(&self) -> Result<TrustRoot, GenesisError> {
        let entry = ChainEntry::of_genesis(self, Vec::new());
        entry.trust_root().map_err(|error| GenesisError::field("validators", self.validators.len(), error))
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T, GenesisError> {
    serde_json::from_slice(bytes).map_err(|error| GenesisError::Malformed {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        detail: crate::json_fault(&error),
    })
}

/// The document with either kind of first state.
fn with_state<S: Into<AppState>>(document: tendermint::Genesis<S>) -> Tendermint {
    Tendermint {
        genesis_time: document.genesis_time,
        chain_id: document.chain_id,
        initial_height: document.initial_height,
        consensus_params: document.consensus_params,
        validators: document.validators,
        app_hash: document.app_hash,
        app_state: document.app_state.into(),
    }
}

fn consensus_params() -> consensus::Params {
    consensus::Params {
        block: block::Size {
            max_bytes: (limits::BLOCK_BYTES_MAX as u64).saturating_add(BLOCK_OVERHEAD_BYTES),
            max_gas: -1,
            time_iota_ms: block::Size::default_time_iota_ms(),
        },
        evidence: evidence::Params {
            max_age_num_blocks: EVIDENCE_AGE_BLOCKS,
            max_age_duration: evidence::Duration(Duration::from_secs(EVIDENCE_AGE_SECS)),
            max_bytes: 1_048_576,
        },
        validator: ValidatorParams { pub_key_types: vec![public_key::Algorithm::Ed25519] },
        version: Some(VersionParams { app: APP_VERSION }),
        abci: AbciParams::default(),
    }
}

fn to_validator_info(validator: &Validator) -> Result<validator::Info, GenesisError> {
    let name = hex::encode(validator.pubkey);
    let key = PublicKey::from_raw_ed25519(&validator.pubkey)
        .ok_or_else(|| GenesisError::field("validators", &name, "expected an ed25519 key"))?;
    let power = vote::Power::try_from(validator.power)
        .map_err(|error| GenesisError::field("validators", validator.power, error))?;
    Ok(validator::Info::new(key, power))
}

fn check_validators(infos: &[validator::Info]) -> Result<Vec<Validator>, GenesisError> {
    if infos.is_empty() {
        return Err(GenesisError::field("validators", "[]", "expected at least one validator"));
    }
    let mut validators: Vec<Validator> = Vec::with_capacity(infos.len());
    for (at, info) in infos.iter().enumerate() {
        let field = format!("validators[{at}]");
        let key = info
            .pub_key
            .ed25519()
            .ok_or_else(|| GenesisError::field(&field, info.pub_key.to_hex(), "expected ed25519"))?;
        let pubkey: [u8; 32] = key
            .as_bytes()
            .try_into()
            .map_err(|_| GenesisError::field(&field, info.pub_key.to_hex(), "expected 32 bytes"))?;
        if info.power.is_zero() {
            return Err(GenesisError::field(&field, "power 0", "expected a power of 1 or more"));
        }
        if validators.iter().any(|known| known.pubkey == pubkey) {
            return Err(GenesisError::field(&field, hex::encode(pubkey), "expected each key once"));
        }
        validators.push(Validator { pubkey, power: info.power.value() });
    }
    Ok(validators)
}

fn check_app_hash(app_hash: &AppHash) -> Result<Option<Hash32>, GenesisError> {
    match app_hash.as_bytes() {
        [] => Ok(None),
        bytes => bytes
            .try_into()
            .map(Some)
            .map_err(|_| GenesisError::field("app_hash", app_hash, "expected 32 bytes or none")),
    }
}

fn to_tendermint_time(time: BlockTime) -> Result<Time, GenesisError> {
    i64::try_from(time.secs)
        .ok()
        .and_then(|secs| Time::from_unix_timestamp(secs, time.nanos).ok())
        .ok_or_else(|| GenesisError::field("genesis_time", time.secs, "expected a time before the year 10000"))
}

fn from_tendermint_time(time: Time) -> Result<BlockTime, GenesisError> {
    let nanos = time.unix_timestamp_nanos().rem_euclid(1_000_000_000);
    match (u64::try_from(time.unix_timestamp()), u32::try_from(nanos)) {
        (Ok(secs), Ok(nanos)) if secs > 0 => Ok(BlockTime { secs, nanos }),
        _ => Err(GenesisError::field("genesis_time", time, "expected a time after 1970-01-01")),
    }
}
