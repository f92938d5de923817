//! A validator's keys for all chains, and the public file that says who it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use db3_comet::{PublicKeys, keys};
use db3_primitives::{Address, ChainId};

use crate::address::parse_url;
use crate::candidate::{NO_KEY, check_name, is_key};
use crate::plan::check_account;
use crate::{Candidate, CandidateChain, HostPort, NetworkError, PORT_GRPC, PORT_P2P, Plan};

/// What a validator says of itself.
#[derive(Clone, Copy, Debug)]
pub struct KeysInput<'a> {
    /// The network's plan.
    pub plan: &'a Plan,
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
    /// Makes the keys that are missing, and gives the public file.
    pub fn candidate(&self) -> Result<Candidate, NetworkError> {
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
        let mut chains = Vec::new();
        for (chain_id, after) in self.plan.chains().zip(0u32..) {
            let endpoint = match &endpoint {
                Some((scheme, at)) => {
                    let at = at.after(after).ok_or_else(|| too_high("--endpoint", at.port()))?;
                    Some(format!("{scheme}://{at}"))
                }
                None => None,
            };
            let public = self.public(&chain_id)?;
            chains.push(CandidateChain {
                chain_id,
                pubkey: public.validator,
                node_id: public.node_id,
                p2p: p2p.after(after).ok_or_else(|| too_high("--p2p-address", p2p.port()))?,
                endpoint,
            });
        }
        Ok(Candidate {
            network: self.plan.network.clone(),
            shards: self.plan.shards,
            name: self.name.to_owned(),
            operator: self.operator,
            payout: self.payout,
            chains,
        })
    }
}

impl KeysInput<'_> {
    /// The public parts of the keys of one chain.
    fn public(&self, chain_id: &ChainId) -> Result<PublicKeys, NetworkError> {
        let folder = self.keys.join(chain_id.as_str());
        if self.signers.is_empty() {
            return Ok(keys::ensure(&folder)?);
        }
        let Some(validator) = self.signers.get(chain_id).copied() else {
            let expected = format!("expected the key for {chain_id} too: a signer signs for every chain, or for none");
            let named = self.signers.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(NetworkError::field("--signer-key", "chains", named, expected));
        };
        let file = keys::validator_key_file(&folder);
        if file.exists() {
            let remedy =
                "it is a key of this machine, and the signer's is to sign; remove it, or leave out --signer-key";
            return Err(NetworkError::Taken { path: file, remedy });
        }
        Ok(PublicKeys { validator, node_id: keys::ensure_node(&folder)? })
    }
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
