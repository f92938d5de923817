//! The judging of a delivery, in order of cost: form, cursor, fold, state proof, what its headers say, signatures. So what is
//! false is refused before anything of it costs more than hashes, and whatever is refused after a look at a signature is
//! [`Rejection::HeaderRefused`].
//!
//! Relayers never make each other fail: what another one brought meanwhile is skipped (entries before the cursor, headers that
//! are known), and what brings nothing new at all is named [`Rejection::DeliveryStale`], which tells a relayer that the work is
//! done.

use db3_light_client::{ClaimedHeader, LightClient, LightClientError, UnixTime, ValidatorSet};
use db3_merkle_log::{Frontier, InboxError};
use db3_primitives::{ChainId, Height, Rejection, key};
use db3_state_tree::verify_existence;

use crate::channel::Channel;
use crate::delivery::{Delivery, HeaderUpdate, malformed};
use crate::received::{NewEntries, Received};

impl Channel {
    /// What a delivery brings to the chain `own`. `now` is block time in consensus, and the later of block time and the clock at
    /// admission. Nothing is changed; the caller applies the entries and writes the leaves of
    /// [`Received::advance`](crate::Received::advance).
    ///
    /// Errors: [`Rejection::ChannelFrozen`], [`Rejection::DeliverySourceUnknown`] (another source's), and those that the
    /// delivery deserves: malformed, gap, stale, false, header refused, header too early (the same bytes may be good in a
    /// moment), headers not due.
    pub fn receive<'d>(&self, own: &ChainId, delivery: &'d Delivery, now: UnixTime) -> Result<Received<'d>, Rejection> {
        if let Some(conflict) = self.frozen() {
            let detail = LightClientError::Frozen(conflict).to_string();
            return Err(Rejection::ChannelFrozen { chain_id: self.source.clone(), detail });
        }
        if delivery.source != self.source {
            return Err(Rejection::DeliverySourceUnknown { chain_id: delivery.source.clone() });
        }
        delivery.check_form()?;
        if delivery.is_headers_alone() {
            self.receive_headers(delivery, now)
        } else {
            self.receive_entries(own, delivery, now)
        }
    }

    fn receive_entries<'d>(
        &self,
        own: &ChainId,
        delivery: &'d Delivery,
        now: UnixTime,
    ) -> Result<Received<'d>, Rejection> {
        self.check_cursor(delivery)?;
        let outbox = Frontier::from_bytes(&delivery.outbox_leaf).map_err(|e| malformed(e.to_string()))?;
        let new = self.inbox.receive(&delivery.log, outbox.size(), &outbox.root()).map_err(|error| refused(&error))?;
        let claims = claims(delivery)?;
        self.check_proof(own, delivery, claims.last())?;
        self.check_claims(&claims, delivery, now)?;
        Ok(match self.updated(delivery, now)? {
            Updated::Client(client) => Received::Entries(NewEntries::new(self, client, new)),
            Updated::Frozen(client) => self.frozen_by(client),
        })
    }

    fn receive_headers<'d>(&self, delivery: &'d Delivery, now: UnixTime) -> Result<Received<'d>, Rejection> {
        let claims = claims(delivery)?;
        // Proof that the source's validators signed twice is welcome at any time.
        let contradicts = |claim: &ClaimedHeader| {
            self.client.trusted(claim.height).is_some_and(|known| known.header_hash != claim.header_hash)
        };
        if !claims.iter().any(contradicts) {
            if !self.headers_due(now) && !self.catches_up(&claims, delivery)? {
                return Err(Rejection::HeadersNotDue { height: Height::new(self.trusted_height()) });
            }
            if claims.last().is_none_or(|newest| newest.height <= self.trusted_height()) {
                return Err(Rejection::DeliveryStale { cursor: self.cursor() });
            }
        }
        self.check_claims(&claims, delivery, now)?;
        Ok(match self.updated(delivery, now)? {
            Updated::Client(client) => Received::Headers(Self { client, ..self.clone() }),
            Updated::Frozen(client) => self.frozen_by(client),
        })
    }

    /// Whether headers alone lead to one that the newest trusted header cannot vouch for, because the source changed more than
    /// two thirds of its validators' power between them. Such headers a reader has to take before any entry beyond them, and
    /// more of them than one delivery holds come in several. Each such delivery costs its relayer a change of validators that
    /// really happened, so nobody fills blocks with headers that are not needed.
    fn catches_up(&self, claims: &[ClaimedHeader], delivery: &Delivery) -> Result<bool, Rejection> {
        let new = claims.iter().position(|claim| claim.height > self.trusted_height());
        let [first, .., last] = new.and_then(|new| delivery.headers.get(new..)).unwrap_or_default() else {
            return Ok(false);
        };
        let refused = |error: LightClientError| Rejection::HeaderRefused { detail: error.to_string() };
        let Some(named) = self.named_beside(first).map_err(refused)? else { return Ok(false) };
        self.client.is_out_of_reach(&last.light_block, &named).map_err(refused)
    }

    /// The validators that the newest trusted header names, where they are at hand: beside a header, as its own, or the root's.
    fn named_beside(&self, header: &HeaderUpdate) -> Result<Option<ValidatorSet>, LightClientError> {
        let wanted = self.client.newest().map_or(self.client.root().validators().hash(), |it| it.next_validators_hash);
        let beside = header.trusted_next_validators.as_deref().map(ValidatorSet::from_proto_bytes).transpose()?;
        let own = ValidatorSet::of_light_block(&header.light_block)?;
        let sets = [beside, Some(own), Some(self.client.root().validators().clone())];
        Ok(sets.into_iter().flatten().find(|set| set.hash() == wanted))
    }

    /// Whether something of it is new, and nothing before it is missing.
    fn check_cursor(&self, delivery: &Delivery) -> Result<(), Rejection> {
        let (cursor, start) = (self.cursor(), delivery.log.start);
        if start > cursor {
            return Err(Rejection::DeliveryGap { cursor, start });
        }
        let entries = u64::try_from(delivery.log.entries.len()).unwrap_or(u64::MAX);
        if start.saturating_add(entries) <= cursor {
            return Err(Rejection::DeliveryStale { cursor });
        }
        Ok(())
    }

    /// That the outbox leaf stands under the app hash which the header of `proof_height` claims; whether that header is one to
    /// trust comes afterwards.
    fn check_proof(&self, own: &ChainId, delivery: &Delivery, last: Option<&ClaimedHeader>) -> Result<(), Rejection> {
        let height = delivery.proof_height;
        let app_hash = match last {
            Some(claim) if claim.height == height => claim.app_hash,
            Some(claim) => {
                return Err(malformed(format!(
                    "its proof is of height {height} and its last header of {}",
                    claim.height
                )));
            }
            // A relay that was slow earns this one, and no signature was looked at: it is no header to distrust.
            None => {
                let detail = || format!("the header of height {height} is neither known nor brought along");
                self.client.trusted(height).ok_or_else(|| unproven(detail()))?.app_hash
            }
        };
        let no_state = || unproven(format!("the header of height {height} has no app hash"));
        let proof = delivery.proof.as_ref().ok_or_else(|| malformed("it has entries and no proof"))?;
        verify_existence(&app_hash.ok_or_else(no_state)?, &key::outbox(own), &delivery.outbox_leaf, proof)
            .map_err(|error| unproven(format!("the outbox to {own} at height {height}: {error}")))
    }

    /// All that the headers must be and that needs no signature, of every one of them before a signature of any is looked at:
    /// of the source, in order of time, not of the future, and with no set beside them but those that come in useful.
    fn check_claims(&self, claims: &[ClaimedHeader], delivery: &Delivery, now: UnixTime) -> Result<(), Rejection> {
        let header_refused = |error: LightClientError| Rejection::HeaderRefused { detail: error.to_string() };
        let mut before: Option<&ClaimedHeader> = None;
        let mut named: Vec<[u8; 32]> = Vec::with_capacity(claims.len());
        for (claim, header) in claims.iter().zip(&delivery.headers) {
            let ClaimedHeader { chain_id, height, time, .. } = claim;
            if *chain_id != self.source.as_str() {
                let (expected, got) = (self.source.as_str().to_owned(), chain_id.clone());
                return Err(header_refused(LightClientError::WrongChain { expected, got }));
            }
            if before.is_some_and(|before| before.time >= *time) {
                return Err(header_refused(LightClientError::TimeNotBetween { height: *height, header_time: *time }));
            }
            // One that is known was in time, and to sign two of a height is fraud at any time.
            if self.client.trusted(*height).is_none() && self.client.is_ahead(*time, now) {
                let error = LightClientError::FromTheFuture { header_time: *time, now };
                return Err(Rejection::HeaderTooEarly { detail: error.to_string() });
            }
            self.check_named(&named, header)?;
            named.push(claim.next_validators_hash);
            before = Some(claim);
        }
        Ok(())
    }

    /// A set that comes along is one that a trusted header or one before it names, in its one encoding. What a header needs, or
    /// needed before another relay was faster, is such a set; everything else is freight that nobody pays for.
    fn check_named(&self, named: &[[u8; 32]], header: &HeaderUpdate) -> Result<(), Rejection> {
        let Some(bytes) = &header.trusted_next_validators else { return Ok(()) };
        let set = ValidatorSet::from_proto_bytes(bytes).map_err(|error| malformed(error.to_string()))?;
        if set.to_proto_bytes() != *bytes {
            return Err(malformed("the bytes of its validators are not the one encoding of what they say"));
        }
        if self.client.names(set.hash()) || named.contains(&set.hash()) {
            return Ok(());
        }
        Err(unproven("it brings validators that no trusted header names".to_owned()))
    }

    /// The light client after the delivery's headers. Those that it knows cost no signatures.
    fn updated(&self, delivery: &Delivery, now: UnixTime) -> Result<Updated, Rejection> {
        let mut client = self.client.clone();
        for header in &delivery.headers {
            match client.verify(&header.light_block, header.trusted_next_validators.as_deref(), now) {
                Ok(_) => {}
                Err(LightClientError::Conflict(_)) => return Ok(Updated::Frozen(client)),
                Err(error) => return Err(Rejection::HeaderRefused { detail: error.to_string() }),
            }
        }
        Ok(Updated::Client(client))
    }

    fn frozen_by<'d>(&self, client: LightClient) -> Received<'d> {
        Received::Frozen(Self { client, ..self.clone() })
    }
}

/// What became of the light client.
enum Updated {
    /// All headers are good.
    Client(LightClient),
    /// Two verified headers at one height.
    Frozen(LightClient),
}

/// What the delivery's headers say of themselves; heights must grow. Also one that is known already must be a whole light block
/// and nothing else, because it stands in a block.
fn claims(delivery: &Delivery) -> Result<Vec<ClaimedHeader>, Rejection> {
    let mut claims: Vec<ClaimedHeader> = Vec::with_capacity(delivery.headers.len());
    for header in &delivery.headers {
        let claim = ClaimedHeader::read_strictly(&header.light_block)
            .map_err(|error| Rejection::HeaderRefused { detail: error.to_string() })?;
        if claims.last().is_some_and(|before| before.height >= claim.height) {
            return Err(malformed(format!("its header of height {} does not stand in order of height", claim.height)));
        }
        claims.push(claim);
    }
    Ok(claims)
}

fn refused(error: &InboxError) -> Rejection {
    match error {
        InboxError::Gap { cursor, start } => Rejection::DeliveryGap { cursor: *cursor, start: *start },
        InboxError::TooManyEntries { .. } | InboxError::EntryTooLong { .. } | InboxError::TooManyBytes { .. } => {
            malformed(error.to_string())
        }
        InboxError::SizeDiffers { .. } | InboxError::Fold(_) | InboxError::WrongRoot => unproven(error.to_string()),
    }
}

fn unproven(detail: String) -> Rejection {
    Rejection::DeliveryFalse { detail }
}
