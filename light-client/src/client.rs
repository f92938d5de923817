//! The light client of one chain: a trust root and the newest verified headers.
//!
//! It keeps up to [`TRUSTED_HEADERS_MAX`] headers in order of height; above that the lowest goes. A header above or between them
//! is verified from the nearest one below it, or from the root. Nothing is verified backwards.

use crate::decode::{Envelope, LightBlock};
use crate::error::{Conflict, LightClientError};
use crate::header::TrustedHeader;
use crate::limits::TRUSTED_HEADERS_MAX;
use crate::options::Options;
use crate::root::TrustRoot;
use crate::time::UnixTime;
use crate::validators::ValidatorSet;
use crate::verify::{Basis, Purpose, has_trusted_power, verify};

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightClient {
    pub(crate) root: TrustRoot,
    pub(crate) options: Options,
    /// By height, ascending; times ascend too.
    pub(crate) headers: Vec<TrustedHeader>,
    pub(crate) frozen: Option<Conflict>,
}

impl LightClient {
    /// A client that has seen no header.
    #[must_use]
    pub fn from_root(root: TrustRoot, options: Options) -> Self {
        Self { root, options, headers: Vec::new(), frozen: None }
    }

    /// Verifies a `tendermint.types.LightBlock` (the signed header and the validator set of its height) and keeps its header.
    ///
    /// `trusted_next_validators` is a `tendermint.types.ValidatorSet`: the set of the height after [`basis`](Self::basis). It is
    /// needed only where that set is neither the root's nor the block's own, and the block does not follow at once. One that
    /// belongs to a lower trusted header makes that one the basis, so that headers verified meanwhile do no harm; one that belongs
    /// to none is left aside. `now` is the caller's time: block time in consensus, the clock elsewhere.
    ///
    /// A header that is trusted already is returned as it is, without a look at anything else.
    pub fn verify(
        &mut self,
        light_block: &[u8],
        trusted_next_validators: Option<&[u8]>,
        now: UnixTime,
    ) -> Result<TrustedHeader, LightClientError> {
        if let Some(conflict) = self.frozen {
            return Err(LightClientError::Frozen(conflict));
        }
        let envelope = Envelope::decode(light_block)?;
        self.check_chain_and_height(&envelope)?;
        let header = envelope.kept.clone();
        let known = self.trusted(header.height).map(|known| known.header_hash);
        if known == Some(header.header_hash) {
            return Ok(header);
        }
        let block = envelope.open()?;
        let supplied = trusted_next_validators.map(ValidatorSet::from_proto_bytes).transpose()?;
        if let Some(trusted) = known {
            self.check_signatures(&block, supplied.as_ref(), now, Purpose::Misbehaviour)?;
            let conflict = Conflict { height: header.height, trusted, conflicting: header.header_hash };
            self.frozen = Some(conflict);
            return Err(LightClientError::Conflict(conflict));
        }
        self.check_before_the_next(&header)?;
        self.check_signatures(&block, supplied.as_ref(), now, Purpose::Update)?;
        self.keep(header.clone());
        Ok(header)
    }

    /// Where trust begins.
    #[must_use]
    pub fn root(&self) -> &TrustRoot {
        &self.root
    }

    /// How long headers are trusted.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options
    }

    /// The newest verified header; none, where only the root is trusted.
    #[must_use]
    pub fn newest(&self) -> Option<&TrustedHeader> {
        self.headers.last()
    }

    /// Height of the newest verified header, or that of the root.
    #[must_use]
    pub fn newest_height(&self) -> u64 {
        self.newest().map_or(self.root.height(), |header| header.height)
    }

    /// The verified header at a height, if it is kept.
    #[must_use]
    pub fn trusted(&self, height: u64) -> Option<&TrustedHeader> {
        let index = self.headers.binary_search_by_key(&height, |header| header.height).ok()?;
        self.headers.get(index)
    }

    /// All verified headers that are kept, by height.
    #[must_use]
    pub fn headers(&self) -> &[TrustedHeader] {
        &self.headers
    }

    /// What froze the client, if anything did.
    #[must_use]
    pub fn frozen(&self) -> Option<Conflict> {
        self.frozen
    }

    /// From which height a header at `height` will be verified, and the hash of the validator set of the height after it: that
    /// is the set to bring along. None at or below the root.
    #[must_use]
    pub fn basis(&self, height: u64) -> Option<(u64, [u8; 32])> {
        let basis = self.basis_below(height);
        (height > basis.height).then_some((basis.height, basis.next_validators_hash))
    }

    /// Whether the root or a header that is kept names the set with this hash for its next height.
    #[must_use]
    pub fn names(&self, validators_hash: [u8; 32]) -> bool {
        self.root.validators().hash() == validators_hash
            || self.headers.iter().any(|header| header.next_validators_hash == validators_hash)
    }

    /// Whether a header of this time is too far ahead of `now` to be trusted yet.
    #[must_use]
    pub fn is_ahead(&self, time: UnixTime, now: UnixTime) -> bool {
        // A sum beyond the year 9999 would be no time.
        let drift = self.options.clock_drift().min(UnixTime::MAX.saturating_since(now));
        time >= now && time.saturating_since(now) >= drift
    }

    /// Whether the newest trusted header (or the root) cannot vouch for a higher one at once: too few of the validators that it
    /// names for its next height say in its commit that they signed that one, so that headers between are needed. Nothing is
    /// kept, and no signature is looked at: a false one makes reach, and never takes it away.
    ///
    /// `named` are those validators, and are compared with what is trusted. What is no light block of this chain, or names too
    /// low a height, is an error.
    pub fn is_out_of_reach(&self, light_block: &[u8], named: &ValidatorSet) -> Result<bool, LightClientError> {
        if let Some(conflict) = self.frozen {
            return Err(LightClientError::Frozen(conflict));
        }
        let envelope = Envelope::decode(light_block)?;
        self.check_chain_and_height(&envelope)?;
        let basis = self.newest().map_or_else(|| self.lowest_basis(), Basis::of);
        let height = envelope.kept.height;
        if height <= basis.height || named.hash() != basis.next_validators_hash {
            let (trusted_height, expected_hash) = (basis.height, basis.next_validators_hash);
            return Err(LightClientError::UnknownValidators { trusted_height, expected_hash });
        }
        // What follows at once is signed by those very validators; a set that is not theirs is no question of reach.
        Ok(basis.height.checked_add(1) != Some(height) && !has_trusted_power(&envelope.open()?, named)?)
    }

    fn check_chain_and_height(&self, envelope: &Envelope) -> Result<(), LightClientError> {
        let chain_id = envelope.chain_id();
        if chain_id != self.root.tendermint_chain_id() {
            return Err(LightClientError::WrongChain {
                expected: self.root.chain_id().to_owned(),
                got: chain_id.to_string(),
            });
        }
        let (height, root) = (envelope.kept.height, self.root.height());
        if height <= root {
            return Err(LightClientError::BelowRoot { height, root });
        }
        Ok(())
    }

    fn check_signatures(
        &self,
        block: &LightBlock,
        supplied: Option<&ValidatorSet>,
        now: UnixTime,
        purpose: Purpose,
    ) -> Result<(), LightClientError> {
        let (basis, next_validators) = self.vouching(block, supplied)?;
        verify(self.root.tendermint_chain_id(), basis, next_validators, block, self.options, now, purpose)
    }

    /// The nearest trusted header below a height, or the root.
    fn basis_below(&self, height: u64) -> Basis {
        self.bases_below(height).next().unwrap_or_else(|| self.lowest_basis())
    }

    /// What is trusted below a height, the nearest first, the root last.
    fn bases_below(&self, height: u64) -> impl Iterator<Item = Basis> {
        let below = self.headers.get(..self.position(height)).unwrap_or_default();
        below.iter().rev().map(Basis::of).chain(std::iter::once(self.lowest_basis()))
    }

    fn lowest_basis(&self) -> Basis {
        Basis {
            height: self.root.height(),
            time: self.root.time(),
            next_validators_hash: self.root.validators().hash(),
        }
    }

    /// The nearest basis, with its next validators from wherever a set with their hash is at hand; where none is, the basis to
    /// which the supplied set belongs.
    fn vouching<'a>(
        &'a self,
        block: &'a LightBlock,
        supplied: Option<&'a ValidatorSet>,
    ) -> Result<(Basis, &'a ValidatorSet), LightClientError> {
        let nearest = self.basis_below(block.kept.height);
        if nearest.height.checked_add(1) == Some(block.kept.height) {
            // The next height's own set must be the one named, and the verifier compares the hashes.
            return Ok((nearest, &block.validators));
        }
        let mut at_hand = [supplied, Some(&block.validators), Some(self.root.validators())].into_iter().flatten();
        if let Some(set) = at_hand.find(|set| set.hash() == nearest.next_validators_hash) {
            return Ok((nearest, set));
        }
        let named = |set: &ValidatorSet, basis: &Basis| set.hash() == basis.next_validators_hash;
        let lower =
            supplied.and_then(|set| Some((self.bases_below(nearest.height).find(|basis| named(set, basis))?, set)));
        lower.ok_or(LightClientError::UnknownValidators {
            trusted_height: nearest.height,
            expected_hash: nearest.next_validators_hash,
        })
    }

    /// Its time must be before that of the nearest trusted header above it; the verifier compares with the one below.
    fn check_before_the_next(&self, header: &TrustedHeader) -> Result<(), LightClientError> {
        match self.headers.get(self.position(header.height)) {
            Some(above) if above.time <= header.time => {
                Err(LightClientError::TimeNotBetween { height: header.height, header_time: header.time })
            }
            _ => Ok(()),
        }
    }

    /// Keeps a verified header that is not kept yet, in its place.
    fn keep(&mut self, header: TrustedHeader) {
        self.headers.insert(self.position(header.height), header);
        if self.headers.len() > TRUSTED_HEADERS_MAX {
            self.headers.remove(0);
        }
    }

    /// How many of the kept headers are below a height.
    fn position(&self, height: u64) -> usize {
        self.headers.partition_point(|kept| kept.height < height)
    }
}
