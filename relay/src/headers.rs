//! Which headers lead a reader from the one it trusts to the one that proves a log.
//!
//! Where validators did not change, that is the last one alone. Where they did, each header must be signed by more than a third
//! of those whom the one before it named; a light client of our own finds the headers between, by halving. More of them than one
//! delivery holds go in several: a part of the way is one that the reader takes alone, because what it trusts cannot vouch for
//! the part's last header at once.

use db3_carry::HeaderUpdate;
use db3_light_client::{LightClient, LightClientError, Options, TrustRoot, ValidatorSet};
use db3_primitives::limits::DELIVERY_HEADERS_MAX;
use db3_proto::v1;

use crate::error::RelayError;
use crate::limits::{HEADERS_BYTES_MAX, HEADERS_FETCHED_MAX};
use crate::look::ReaderEnd;
use crate::remote::Remote;

const METHOD: &str = "GetLightBlock";

/// Headers towards the one that is wanted.
#[derive(Debug, Default)]
pub struct Way {
    /// By height; none, where the reader trusts the one wanted already.
    pub headers: Vec<HeaderUpdate>,
    /// Whether they end at the one wanted. Else they are several, and go alone.
    pub complete: bool,
}

impl Way {
    fn whole(headers: Vec<HeaderUpdate>) -> Self {
        Self { headers, complete: true }
    }

    /// What the headers weigh.
    pub fn bytes(&self) -> usize {
        self.headers.iter().map(weight).fold(0, usize::saturating_add)
    }
}

/// The way that leads the reader to `block`, or the first part of it.
pub async fn leading_to(
    block: v1::LightBlock,
    from: &Remote,
    to: &Remote,
    reader: &ReaderEnd,
) -> Result<Way, RelayError> {
    let (trusted, height) = (reader.inbox.trusted_height, block.height);
    if height == trusted {
        return Ok(Way::whole(Vec::new()));
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
        (_, true) => return Ok(Way::whole(vec![update(&block, None)])),
        (_, false) => ValidatorSet::from_proto_bytes(&block.next_validator_set).map_err(bad)?,
    };
    if named.hash() == own.hash() || trusted.checked_add(1) == Some(height) {
        return Ok(Way::whole(vec![update(&block, None)]));
    }
    Halving::begin(named, from, to, reader, height)?.go_to(block).await
}

/// The search for the headers between.
struct Halving<'a> {
    from: &'a Remote,
    to: &'a Remote,
    reader: &'a ReaderEnd,
    /// The height wanted.
    height: u64,
    /// What the reader trusts, and the validators that it names.
    origin: LightClient,
    named: ValidatorSet,
    /// The reader's light client after the headers found.
    client: LightClient,
    way: Way,
}

impl<'a> Halving<'a> {
    fn begin(
        named: ValidatorSet,
        from: &'a Remote,
        to: &'a Remote,
        reader: &'a ReaderEnd,
        height: u64,
    ) -> Result<Self, RelayError> {
        let trusted = reader.inbox.trusted_height;
        let root = TrustRoot::new(from.chain_id.as_str(), trusted, reader.trusted_time(), &named.validators());
        let root = root.map_err(|error| no_way(from, to, reader, height, error.to_string()))?;
        let origin = LightClient::from_root(root, Options::never_expires());
        Ok(Self { from, to, reader, height, client: origin.clone(), origin, named, way: Way::default() })
    }

    /// Goes to the header wanted; where too few sign, to the one in the middle first.
    async fn go_to(mut self, block: v1::LightBlock) -> Result<Way, RelayError> {
        let mut wanted = vec![block];
        for _ in 0..HEADERS_FETCHED_MAX {
            let Some(block) = wanted.last() else {
                self.way.complete = true;
                return Ok(self.way);
            };
            let newest = self.client.newest_height();
            match self.verify(block) {
                Ok(()) => {
                    let Some(block) = wanted.pop() else { continue };
                    if !self.keep(&block)? {
                        return self.part("a delivery has no room for the first headers on the way");
                    }
                }
                Err(LightClientError::NotEnoughPower { .. } | LightClientError::UnknownValidators { .. })
                    if block.height.saturating_sub(newest) > 1 =>
                {
                    let middle = newest.midpoint(block.height);
                    wanted.push(self.from.light_block(middle, newest).await?);
                    continue;
                }
                Err(error) => return Err(self.from.false_answer(METHOD, error.to_string())),
            }
            // Those that wait were asked for beside an older trusted height.
            if let Some(next) = wanted.pop() {
                wanted.push(self.from.light_block(next.height, self.client.newest_height()).await?);
            }
        }
        self.part("too many headers were looked at")
    }

    fn verify(&mut self, block: &v1::LightBlock) -> Result<(), LightClientError> {
        let set = Some(block.next_validator_set.as_ref()).filter(|set| !set.is_empty());
        match self.client.verify(&block.tendermint_light_block, set, self.reader.now) {
            // Whether it is too early is for the reader to say.
            Ok(_) => Ok(()),
            Err(LightClientError::FromTheFuture { header_time, .. }) => {
                self.client.verify(&block.tendermint_light_block, set, header_time).map(|_| ())
            }
            Err(error) => Err(error),
        }
    }

    /// Adds a header that was verified; false, where a delivery has no room for it. One that the reader can trust at once makes
    /// those before it superfluous.
    fn keep(&mut self, block: &v1::LightBlock) -> Result<bool, RelayError> {
        if !self.way.headers.is_empty() && !self.is_out_of_reach(block)? {
            self.way.headers = vec![update(block, Some(&self.named))];
            return Ok(true);
        }
        let update = update(block, None);
        let bytes = self.way.bytes().saturating_add(weight(&update));
        if self.way.headers.len() >= DELIVERY_HEADERS_MAX || bytes > HEADERS_BYTES_MAX {
            return Ok(false);
        }
        self.way.headers.push(update);
        Ok(true)
    }

    fn is_out_of_reach(&self, block: &v1::LightBlock) -> Result<bool, RelayError> {
        let reached = self.origin.is_out_of_reach(&block.tendermint_light_block, &self.named);
        reached.map_err(|error| self.from.false_answer(METHOD, error.to_string()))
    }

    /// What was found, if the reader takes it alone.
    fn part(self, why: &str) -> Result<Way, RelayError> {
        if self.way.headers.len() > 1 {
            return Ok(self.way);
        }
        Err(no_way(self.from, self.to, self.reader, self.height, why.to_owned()))
    }
}

fn no_way(from: &Remote, to: &Remote, reader: &ReaderEnd, height: u64, detail: String) -> RelayError {
    RelayError::NoWay {
        from: from.chain_id.clone(),
        to: to.chain_id.clone(),
        trusted_height: reader.inbox.trusted_height,
        height,
        detail,
    }
}

/// A header with the validators that vouch for it: those that came with it, or these.
fn update(block: &v1::LightBlock, named: Option<&ValidatorSet>) -> HeaderUpdate {
    let came = Some(block.next_validator_set.as_ref()).filter(|set| !set.is_empty());
    // A reader takes a set in one encoding only; bytes that are no set it will refuse.
    let came = || came.map(|set| ValidatorSet::from_proto_bytes(set).map_or(set.to_vec(), |set| set.to_proto_bytes()));
    HeaderUpdate {
        light_block: block.tendermint_light_block.to_vec(),
        trusted_next_validators: named.map(ValidatorSet::to_proto_bytes).or_else(came),
    }
}

fn weight(update: &HeaderUpdate) -> usize {
    let set = update.trusted_next_validators.as_ref().map_or(0, Vec::len);
    update.light_block.len().saturating_add(set)
}
