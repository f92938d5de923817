//! A validator's public file: who it is on every chain, where it is reached, who decides for it and who is paid.
//!
//! ```toml
//! format = 1
//! network = "mine"
//! shards = 2
//! name = "alice"
//! operator = "0x…"                         # signs governance transactions with the validator's power
//! payout = "0x…"                           # is paid what the validator earns
//!
//! [[chains]]                               # the settlement chain, and then every shard in order
//! chain_id = "mine-settlement"
//! pubkey = "<64 hex digits>"               # signs blocks
//! node_id = "<40 hex digits>"              # the node's name among its peers
//! p2p = "alice.example:26656"
//! endpoint = "https://alice.example:7300"  # optional: where users reach it
//! ```
//! It holds no secret. Whoever adds it to a network has to know that it comes from the validator.

use std::path::Path;

use db3_light_client::ValidatorSet;
use db3_primitives::{Address, ChainId, NetworkName, limits};

use crate::address::{HostPort, PORT_GRPC, parse_url};
use crate::plan::{chains, check_account, check_network};
use crate::raw::{self, FORMAT, RawChain, RawValidator};
use crate::{NetworkError, Validator};

const NAME_BYTES_MAX: usize = limits::NETWORK_NAME_BYTES_MAX;
const COMMENT: &str = "# The public part of a validator. It holds no secret; send it to whoever builds the network.\n";

/// A validator's public file, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The network.
    pub network: NetworkName,
    /// How many shards it has.
    pub shards: u32,
    /// The validator's name, 1 to 32 of a-z 0-9 -.
    pub name: String,
    /// The account that signs governance transactions with the validator's power.
    pub operator: Address,
    /// The account that is paid what the validator earns.
    pub payout: Address,
    /// The settlement chain, and then every shard in order.
    pub chains: Vec<CandidateChain>,
}

/// A validator on one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateChain {
    /// The chain.
    pub chain_id: ChainId,
    /// The ed25519 key that its blocks are signed with.
    pub pubkey: [u8; 32],
    /// The node's name among its peers.
    pub node_id: [u8; 20],
    /// Where its peers reach it.
    pub p2p: HostPort,
    /// Where users reach it, if they may.
    pub endpoint: Option<String>,
}

impl CandidateChain {
    /// The node as its peers write it: `id@host:port`.
    #[must_use]
    pub fn peer(&self) -> String {
        format!("{}@{}", hex::encode(self.node_id), self.p2p)
    }
}

impl Candidate {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, NetworkError> {
        let file = path.display().to_string();
        let raw: RawValidator = raw::parse(&raw::read(path)?, &file)?;
        if let Some(power) = raw.power {
            let expected = "expected none: whoever adds the validator gives it its power";
            return Err(NetworkError::field(&file, "power", power, expected));
        }
        raw.check(&file)
    }

    /// Whether both tell of one validator with the same keys.
    #[must_use]
    pub fn has_keys_of(&self, other: &Self) -> bool {
        let keys = |candidate: &Self| -> Vec<_> {
            candidate.chains.iter().map(|chain| (chain.chain_id.clone(), chain.pubkey, chain.node_id)).collect()
        };
        (&self.network, &self.name) == (&other.network, &other.name) && keys(self) == keys(other)
    }

    /// The file's text.
    pub fn to_toml(&self) -> Result<String, NetworkError> {
        raw::text(COMMENT, &self.to_raw(None), &self.name)
    }

    pub(crate) fn to_raw(&self, power: Option<u64>) -> RawValidator {
        RawValidator {
            format: FORMAT,
            network: self.network.as_str().to_owned(),
            shards: self.shards,
            name: self.name.clone(),
            power,
            operator: self.operator.to_string(),
            payout: self.payout.to_string(),
            chains: self.chains.iter().map(RawChain::from).collect(),
        }
    }
}

/// That a text can be a validator's name.
pub(crate) fn check_name(file: &str, name: &str) -> Result<(), NetworkError> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(good) {
        return Ok(());
    }
    Err(NetworkError::field(file, "name", name, format!("expected 1 to {NAME_BYTES_MAX} of a-z 0-9 -")))
}

impl RawValidator {
    /// The validator without its power.
    pub(crate) fn check(self, file: &str) -> Result<Candidate, NetworkError> {
        raw::check_format(file, self.format)?;
        let network = check_network(file, &self.network, self.shards)?;
        check_name(file, &self.name)?;
        let expected: Vec<ChainId> = chains(&network, self.shards).collect();
        if self.chains.len() != expected.len() {
            let what = format!("expected {}: the settlement chain and {} shards", expected.len(), self.shards);
            return Err(NetworkError::field(file, "chains", format!("{} entries", self.chains.len()), what));
        }
        let pairs = self.chains.into_iter().zip(expected).enumerate();
        Ok(Candidate {
            chains: pairs.map(|(at, (chain, id))| chain.check(file, at, id)).collect::<Result<_, _>>()?,
            operator: check_account(file, "operator", &self.operator)?,
            payout: check_account(file, "payout", &self.payout)?,
            network,
            shards: self.shards,
            name: self.name,
        })
    }

    /// The validator with its power.
    pub(crate) fn check_with_power(self, file: &str) -> Result<Validator, NetworkError> {
        let power = self.power.unwrap_or_default();
        if power == 0 {
            return Err(NetworkError::field(file, "power", power, "expected a power of 1 or more"));
        }
        Ok(Validator { power, candidate: self.check(file)? })
    }
}

impl RawChain {
    fn check(self, file: &str, at: usize, expected: ChainId) -> Result<CandidateChain, NetworkError> {
        let field = |name: &str| format!("chains[{at}].{name}");
        if self.chain_id != expected.as_str() {
            let what = format!("expected {expected} by network and order");
            return Err(NetworkError::field(file, field("chain_id"), &self.chain_id, what));
        }
        let p2p = self.p2p.parse().map_err(|error| NetworkError::field(file, field("p2p"), &self.p2p, error))?;
        let endpoint = self.endpoint.map(|url| match parse_url(&url, PORT_GRPC) {
            Some((scheme, at)) if format!("{scheme}://{at}") == url => Ok(url),
            _ => {
                Err(NetworkError::field(file, field("endpoint"), &url, "expected a URL such as https://a.example:7300"))
            }
        });
        let pubkey = bytes(file, &field("pubkey"), &self.pubkey, "expected an ed25519 key of 64 hex digits")?;
        if !is_key(pubkey) {
            return Err(NetworkError::field(file, field("pubkey"), &self.pubkey, NO_KEY));
        }
        Ok(CandidateChain {
            pubkey,
            node_id: bytes(file, &field("node_id"), &self.node_id, "expected a node's name of 40 hex digits")?,
            chain_id: expected,
            p2p,
            endpoint: endpoint.transpose()?,
        })
    }
}

impl From<&CandidateChain> for RawChain {
    fn from(chain: &CandidateChain) -> Self {
        Self {
            chain_id: chain.chain_id.as_str().to_owned(),
            pubkey: hex::encode(chain.pubkey),
            node_id: hex::encode(chain.node_id),
            p2p: chain.p2p.to_string(),
            endpoint: chain.endpoint.clone(),
        }
    }
}

/// What is said of 32 bytes that are no point of the curve.
pub(crate) const NO_KEY: &str = "expected an ed25519 key: nobody can sign with this one";

/// Whether blocks can be signed with a key.
pub(crate) fn is_key(pubkey: [u8; 32]) -> bool {
    ValidatorSet::new(&[(pubkey, 1)]).is_ok()
}

fn bytes<const N: usize>(file: &str, field: &str, text: &str, expected: &str) -> Result<[u8; N], NetworkError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| NetworkError::field(file, field, text, expected))?;
    Ok(bytes)
}
