//! Which shards a command is about, and which number an epoch has there.

use super::args::EpochChoice;
use super::failure::Failure;
use crate::{BillStatus, Client, ClientError, EpochList, Refusal};

/// The shards that are asked for.
pub fn shards(client: &Client, only: Option<u32>) -> Result<Vec<u32>, Failure> {
    let count = u32::try_from(client.network().shards().count()).unwrap_or(u32::MAX);
    match only {
        None => Ok((0..count).collect()),
        Some(shard) if shard < count => Ok(vec![shard]),
        Some(shard) => Err(Failure::input(
            format!("the network {} has no shard {shard}", client.network().name),
            format!("its shards are 0 to {}", count.saturating_sub(1)),
        )),
    }
}

/// Which epoch to filter by.
#[derive(Clone, Copy, Debug)]
pub enum OnShard {
    /// All.
    Any,
    /// This one.
    Number(u64),
}

impl OnShard {
    /// None: all.
    #[must_use]
    pub fn number(self) -> Option<u64> {
        match self {
            Self::Any => None,
            Self::Number(number) => Some(number),
        }
    }
}

/// Number of the rejection of an epoch that there is not.
pub const EPOCH_NOT_FOUND: u32 = 405;

/// A shard does not know the epoch that was asked for.
pub fn no_such_epoch(shard: u32, refusal: Box<Refusal>) -> Failure {
    // What lists the epochs of that shard is a whole command.
    let remedy = format!("`db3 epoch list --shard {shard}` shows those that there are");
    Failure::from(ClientError::Rejected(refusal)).explained(&format!("shard {shard}"), remedy)
}

/// The number that a shard's bills of an epoch carry: that of the first of those that closed together. None where no epoch
/// has closed there yet.
pub async fn epoch_on(
    client: &Client,
    shard: u32,
    choice: Option<EpochChoice>,
) -> Result<Option<OnShard>, ClientError> {
    let Some(choice) = choice else { return Ok(Some(OnShard::Any)) };
    let wanted = match choice {
        EpochChoice::Number(number) => {
            return match client.epoch(shard, Some(number)).await {
                Ok(epoch) => Ok(Some(OnShard::Number(epoch.message.epoch))),
                // The list of the bills says what is missing of them.
                Err(error) if error.history_from().is_some() => Ok(Some(OnShard::Number(number))),
                Err(error) => Err(error),
            };
        }
        EpochChoice::Open => BillStatus::Open,
        EpochChoice::Last => BillStatus::Closed,
    };
    let EpochList { epochs, missing } = client.epochs(shard, 5).await?;
    let found = epochs.iter().find(|epoch| epoch.message.status() == wanted);
    match (found, missing) {
        (Some(epoch), _) => Ok(Some(OnShard::Number(epoch.message.epoch))),
        (None, None) => Ok(None),
        (None, Some(missing)) => Err(missing),
    }
}
