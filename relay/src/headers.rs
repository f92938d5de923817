//! Which headers lead a reader from the one it trusts to the one that proves a log.
//!
//! Where validators did not change, that is the last one alone. Where they did, each header must be signed by more than a third
//! of those whom the one before it named; a light client of our own finds the headers between, by halving.

use db3_carry::HeaderUpdate;
use db3_light_client::{LightClient, LightClientError, Options, TrustRoot, UnixTime, ValidatorSet};
use db3_primitives::limits::DELIVERY_HEADERS_MAX;
use db3_proto::v1;

use crate::error::RelayError;
use crate::limits::HEADERS_FETCHED_MAX;
use crate::look::ReaderEnd;
use crate::remote::Remote;

const METHOD: &str = "GetLightBlock";

/// The headers that lead the reader to `block`; none, where it trusts that height already.
pub async fn leading_to(
    block: v1::LightBlock,
    from: &Remote,
    to: &Remote,
    reader: &ReaderEnd,
) -> Result<Vec<HeaderUpdate>, RelayError> {
    let (trusted, height) = (reader.inbox.trusted_height, block.height);
    if height == trusted {
        return Ok(Vec::new());
    }
    if height < trusted {
        let detail = format!("a header of height {height}, where {to} trusts {trusted} already", to = to.chain_id);
        return Err(from.false_answer(METHOD, detail));
    }
    let bad = |error: LightClientError| from.false_answer(METHOD, error.to_string());
    let own = ValidatorSet::of_light_block(&block.tendermint_light_block).map_err(bad)?;
    let named = match (trusted, block.next_validator_set.is_empty()) {
        // The reader has the validators of the first height, and nobody was asked about them.
        (0, _) => ValidatorSet::of_light_block(&from.light_block(1, 0).await?.tendermint_light_block).map_err(bad)?,
        (_, true) => return Ok(vec![update(&block)]),
        (_, false) => ValidatorSet::from_proto_bytes(&block.next_validator_set).map_err(bad)?,
    };
    if named.hash() == own.hash() || trusted.checked_add(1) == Some(height) {
        return Ok(vec![update(&block)]);
    }
    by_halving(block, &named, from, to, reader).await
}

/// Goes to the header wanted; where too few sign, to the one in the middle first.
async fn by_halving(
    block: v1::LightBlock,
    named: &ValidatorSet,
    from: &Remote,
    to: &Remote,
    reader: &ReaderEnd,
) -> Result<Vec<HeaderUpdate>, RelayError> {
    let (trusted_height, height) = (reader.inbox.trusted_height, block.height);
    let no_way = |detail: String| RelayError::NoWay {
        from: from.chain_id.clone(),
        to: to.chain_id.clone(),
        trusted_height,
        height,
        detail,
    };
    let root = TrustRoot::new(from.chain_id.as_str(), trusted_height, reader.trusted_time(), &named.validators());
    let root = root.map_err(|error| no_way(error.to_string()))?;
    let mut client = LightClient::from_root(root, Options::never_expires());
    let (mut headers, mut wanted) = (Vec::new(), vec![block]);
    for _ in 0..HEADERS_FETCHED_MAX {
        let Some(block) = wanted.last() else { return Ok(headers) };
        let newest = client.newest_height();
        match verify(&mut client, block, reader.now) {
            Ok(()) => headers.extend(wanted.pop().as_ref().map(update)),
            Err(LightClientError::NotEnoughPower { .. } | LightClientError::UnknownValidators { .. })
                if block.height.saturating_sub(newest) > 1 =>
            {
                let middle = newest.midpoint(block.height);
                wanted.push(from.light_block(middle, newest).await?);
                continue;
            }
            Err(error) => return Err(from.false_answer(METHOD, error.to_string())),
        }
        if headers.len() > DELIVERY_HEADERS_MAX {
            return Err(no_way(format!("validators changed so much that it takes more than {DELIVERY_HEADERS_MAX}")));
        }
        // Those that wait were asked for beside an older trusted height.
        if let Some(next) = wanted.pop() {
            wanted.push(from.light_block(next.height, client.newest_height()).await?);
        }
    }
    Err(no_way(format!("{HEADERS_FETCHED_MAX} headers were looked at")))
}

fn verify(client: &mut LightClient, block: &v1::LightBlock, now: UnixTime) -> Result<(), LightClientError> {
    let set = Some(block.next_validator_set.as_ref()).filter(|set| !set.is_empty());
    match client.verify(&block.tendermint_light_block, set, now) {
        // Whether it is too early is for the reader to say.
        Ok(_) => Ok(()),
        Err(LightClientError::FromTheFuture { header_time, .. }) => {
            client.verify(&block.tendermint_light_block, set, header_time).map(|_| ())
        }
        Err(error) => Err(error),
    }
}

fn update(block: &v1::LightBlock) -> HeaderUpdate {
    HeaderUpdate {
        light_block: block.tendermint_light_block.to_vec(),
        trusted_next_validators: Some(block.next_validator_set.to_vec()).filter(|set| !set.is_empty()),
    }
}
