//! A validator that comes later, by the public file that `db3-genesis keys` wrote on its machine.

use std::path::Path;

use db3_genesis::NetworkFile;
use db3_governance::{Action, Validator};
use db3_network::Candidate;
use db3_primitives::leaf::settlement::PayoutLeaf;
use db3_primitives::{Address, ChainId, ShardId};

use super::chain_of;
use crate::cli::failure::Failure;
use crate::{Client, GovernanceView};

/// A public file, and the power that it is to have.
pub struct Newcomer {
    file: String,
    power: u64,
    candidate: Candidate,
}

impl Newcomer {
    /// Reads `FILE=POWER`.
    pub fn read(text: &str) -> Result<Self, Failure> {
        let unreadable =
            || Failure::input(format!("--add-validator {text} cannot be read"), "write it as FILE=POWER: dave.toml=10");
        let (file, power) = text.rsplit_once('=').ok_or_else(unreadable)?;
        let power = power.parse().ok().filter(|power| *power > 0).ok_or_else(unreadable)?;
        let candidate = Candidate::load(Path::new(file)).map_err(|error| {
            Failure::input(error.to_string(), "give the file that `db3-genesis keys` wrote with --out, unchanged")
        })?;
        Ok(Self { file: file.to_owned(), power, candidate })
    }

    /// That it becomes a validator of the chain.
    pub fn action(
        &self,
        network: &NetworkFile,
        chain_id: &ChainId,
        governance: &GovernanceView,
    ) -> Result<Action, Failure> {
        let Candidate { name, operator, payout, .. } = &self.candidate;
        if (&self.candidate.network, self.candidate.shards as usize) != (&network.name, network.shards().count()) {
            return Err(Failure::input(
                format!(
                    "{} is of the network {} with {} shards, not of {} with {}",
                    self.file,
                    self.candidate.network,
                    self.candidate.shards,
                    network.name,
                    network.shards().count()
                ),
                "choose its network with --network, or take the file that was made with this one's genesis folder",
            ));
        }
        let key = self.key(chain_id).ok_or_else(|| {
            Failure::input(
                format!("{} has no key for {chain_id}", self.file),
                "take the file that was written, unchanged",
            )
        })?;
        if let Some(known) = validators(governance).find(|known| known.key == key) {
            return Err(Failure::input(
                format!("{name} is a validator of {chain_id} already, with a power of {}", known.power),
                "change its power with --set-validator KEY:POWER:OPERATOR:PAYOUT; `db3 governance show` has the key",
            ));
        }
        Ok(Action::SetValidator(Validator { key, power: self.power, operator: *operator, payout: *payout }))
    }

    fn key(&self, chain_id: &ChainId) -> Option<[u8; 32]> {
        self.candidate.chains.iter().find(|chain| chain.chain_id == *chain_id).map(|chain| chain.pubkey)
    }
}

/// That a shard's validators share in what it earns by their power: those that it has, and newcomers that it will have.
pub async fn share(client: &Client, shard: ShardId, newcomers: &[Newcomer]) -> Result<Action, Failure> {
    let chain_id = chain_of(client, Some(shard.get()))?;
    let governance = client.governance(&chain_id).await?.value;
    let is_new =
        |newcomer: &&Newcomer| !validators(&governance).any(|known| newcomer.key(&chain_id) == Some(known.key));
    let mut all: Vec<(Address, u64)> = validators(&governance).map(|known| (known.payout, known.power)).collect();
    all.extend(newcomers.iter().filter(is_new).map(|newcomer| (newcomer.candidate.payout, newcomer.power)));
    let recipients = PayoutLeaf::new(&all).map_err(|error| {
        Failure::input(
            format!("shard {shard} cannot pay its validators by power: {error}"),
            "say with --payouts who shares",
        )
    })?;
    Ok(Action::SetPayouts { shard, recipients: recipients.recipients().to_vec() })
}

fn validators(governance: &GovernanceView) -> impl Iterator<Item = &Validator> {
    governance.leaf.iter().flat_map(db3_governance::GovernanceLeaf::validators)
}
