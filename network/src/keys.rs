//! A validator's keys for all chains, and the public file that says who it is.
//!
//! ```text
//! <keys>/<chain id>/config/priv_validator_key.json   until `join` moves it into the chain's home
//! <keys>/<chain id>/config/node_key.json             the same
//! <keys>/validator.toml                              the public file, which stays
//! ```
//! Everything is looked at before anything is written: what is refused leaves nothing behind.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use db3_comet::keys::{NodeKeys, node_key_file, validator_key_file};
use db3_genesis::write_atomic;
use db3_primitives::{Address, ChainId};

use crate::address::parse_url;
use crate::candidate::{NO_KEY, check_name, is_key};
use crate::plan::check_account;
use crate::{Candidate, CandidateChain, HostPort, NetworkError, PORT_GRPC, PORT_P2P, Plan, Roster};

/// The public file in the folder of a validator's keys.
const PUBLIC_FILE: &str = "validator.toml";

/// What a validator says of itself.
#[derive(Clone, Copy, Debug)]
pub struct KeysInput<'a> {
    /// The network's plan.
    pub plan: &'a Plan,
    /// The first validators, where the network's genesis is made; the one whose keys these are comes later.
    pub roster: Option<&'a Roster>,
    /// The validator's name.
    pub name: &'a str,
    /// Where its peers reach it: a host, and the settlement chain's port if it is another than 26656.
    pub p2p_address: &'a str,
    /// Where users reach it: a URL, with the settlement chain's port if it is another than 7300.
    pub endpoint: Option<&'a str>,
    /// The account that signs governance transactions with the validator's power.
    pub operator: Address,
    /// The account that is paid what the validator earns.
    pub payout: Address,
    /// Where the secret keys are kept, in a folder for each chain.
    pub keys: &'a Path,
    /// The public key that a signer elsewhere signs each chain's blocks with, of every chain or of none. Then only the
    /// nodes' own keys are made here.
    pub signers: &'a BTreeMap<ChainId, [u8; 32]>,
}

impl KeysInput<'_> {
    /// Looks at what was asked for and at the keys that are there, and makes what is missing. Nothing is written yet.
    pub fn prepare(&self) -> Result<PreparedKeys, NetworkError> {
        check_name("--name", self.name)?;
        check_account("--operator", "account", &self.operator.to_string())?;
        check_account("--payout", "account", &self.payout.to_string())?;
        if let Some(unknown) = self.signers.keys().find(|named| !self.plan.chains().any(|chain| chain == **named)) {
            let chains = self.plan.chains().map(|chain| chain.to_string()).collect::<Vec<_>>().join(", ");
            return Err(NetworkError::field("--signer-key", "chain", unknown, format!("expected one of {chains}")));
        }
        if let Some((chain, key)) = self.signers.iter().find(|(_, key)| !is_key(**key)) {
            return Err(NetworkError::field("--signer-key", chain.to_string(), hex::encode(key), NO_KEY));
        }
        let p2p = HostPort::parse(self.p2p_address, PORT_P2P)
            .map_err(|error| NetworkError::field("--p2p-address", "host", self.p2p_address, error))?;
        let endpoint = self.endpoint.map(|url| {
            let expected = "expected a URL such as https://alice.example, without a path";
            parse_url(url, PORT_GRPC).ok_or_else(|| NetworkError::field("--endpoint", "url", url, expected))
        });
        let endpoint = endpoint.transpose()?;
        let too_high = |option: &str, port: u16| {
            NetworkError::field(option, "port", port, "expected a lower port: each chain needs one of its own")
        };
        let (mut chains, mut keys) = (Vec::new(), Vec::new());
        for (chain_id, after) in self.plan.chains().zip(0u32..) {
            let endpoint = match &endpoint {
                Some((scheme, at)) => {
                    let at = at.after(after).ok_or_else(|| too_high("--endpoint", at.port()))?;
                    Some(format!("{scheme}://{at}"))
                }
                None => None,
            };
            let of_chain = self.keys_of(&chain_id)?;
            chains.push(CandidateChain {
                chain_id,
                pubkey: of_chain.public().validator,
                node_id: of_chain.public().node_id,
                p2p: p2p.after(after).ok_or_else(|| too_high("--p2p-address", p2p.port()))?,
                endpoint,
            });
            keys.push(of_chain);
        }
        let candidate = Candidate {
            network: self.plan.network.clone(),
            shards: self.plan.shards,
            name: self.name.to_owned(),
            operator: self.operator,
            payout: self.payout,
            chains,
        };
        if let Some(roster) = self.roster {
            roster.check_newcomer(self.plan, &candidate, "keys")?;
        }
        Ok(PreparedKeys { candidate, keys, public_file: public_file(self.keys) })
    }
}

impl KeysInput<'_> {
    /// The keys of one chain.
    fn keys_of(&self, chain_id: &ChainId) -> Result<NodeKeys, NetworkError> {
        let folder = self.keys.join(chain_id.as_str());
        let file = validator_key_file(&folder);
        let signer = match self.signers.get(chain_id) {
            Some(_) if file.exists() => {
                let remedy =
                    "it is a key of this machine, and the signer's is to sign; remove it, or leave out --signer-key";
                return Err(NetworkError::Taken { path: file, remedy });
            }
            None if !self.signers.is_empty() => {
                let expected =
                    format!("expected the key for {chain_id} too: a signer signs for every chain, or for none");
                let named = self.signers.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                return Err(NetworkError::field("--signer-key", "chains", named, expected));
            }
            signer => signer,
        };
        let first = if signer.is_some() { node_key_file(&folder) } else { file };
        if folder.exists() && !first.exists() {
            let remedy = "the key that was in it is in the home of its chain, where `join` moved it, and keys are made once; \
                          validator.toml beside it says which they are. For another validator choose another --name, or \
                          another folder with --keys; if these are not to be used any more, remove the folder of them all";
            return Err(NetworkError::Taken { path: folder, remedy });
        }
        Ok(match signer {
            Some(validator) => NodeKeys::signed_elsewhere(&folder, *validator)?,
            None => NodeKeys::of(&folder)?,
        })
    }
}

/// A validator's keys, of which those that are new are on no disk yet.
pub struct PreparedKeys {
    candidate: Candidate,
    keys: Vec<NodeKeys>,
    /// Beside the keys.
    public_file: PathBuf,
}

impl PreparedKeys {
    /// Writes keys and public file: the latter also to `out`, where nothing else may be than an earlier one of the same keys.
    pub fn write(self, out: &Path) -> Result<Candidate, NetworkError> {
        self.check_out(out)?;
        let text = self.candidate.to_toml()?;
        self.keys.iter().try_for_each(NodeKeys::save)?;
        for path in [self.public_file.as_path(), out] {
            write_atomic(path, text.as_bytes()).map_err(NetworkError::file(path))?;
        }
        Ok(self.candidate)
    }

    fn check_out(&self, out: &Path) -> Result<(), NetworkError> {
        let folder = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            let remedy = "make the folder, or choose another place with --out".to_owned();
            return Err(NetworkError::Missing { path: folder.to_owned(), remedy });
        }
        if out.exists() && !Candidate::load(out).is_ok_and(|known| known.has_keys_of(&self.candidate)) {
            let remedy = "it is another file, or tells of other keys; choose another with --out";
            return Err(NetworkError::Taken { path: out.to_owned(), remedy });
        }
        // Whether a file can be made there, before there is a key to lose.
        let mut name = out.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.try", std::process::id()));
        let probe = folder.join(name);
        File::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(NetworkError::file(out))
    }
}

/// Where the public file of the validator stands whose keys are in this folder.
#[must_use]
pub fn public_file(keys: &Path) -> PathBuf {
    keys.join(PUBLIC_FILE)
}

/// `$DB3_HOME`, or `~/.db3`.
pub fn db3_home() -> Result<PathBuf, NetworkError> {
    if let Some(home) = std::env::var_os("DB3_HOME").filter(|home| !home.is_empty()) {
        let home = PathBuf::from(home);
        return std::path::absolute(&home).map_err(NetworkError::file(&home));
    }
    match std::env::home_dir() {
        Some(home) if !home.as_os_str().is_empty() => Ok(home.join(".db3")),
        _ => Err(NetworkError::Missing {
            path: PathBuf::from("~"),
            remedy: "no home folder is known; set DB3_HOME".to_owned(),
        }),
    }
}
