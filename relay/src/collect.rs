//! From the writer's answers to a delivery: pages of one state, as many as fit, with the proof and the headers; and what hashes
//! can tell of it, checked.

use db3_carry::Delivery;
use db3_light_client::ClaimedHeader;
use db3_merkle_log::limits::{DELIVERY_BYTES_MAX, DELIVERY_ENTRIES_MAX};
use db3_merkle_log::{Frontier, Hash, Inbox};
use db3_primitives::key;
use db3_proto::{ics23, v1};
use db3_state_tree::{ExistenceProof, Proof, verify_existence};

use crate::error::RelayError;
use crate::headers::leading_to;
use crate::limits::{HEADERS_BESIDE_ENTRIES_BYTES_MAX, PAGE_ENTRIES};
use crate::look::{ReaderEnd, first_page, next_page};
use crate::remote::Remote;

const METHOD: &str = "ListOutbox";

/// What the writer has for the reader.
pub struct WriterEnd {
    /// How many entries are proven.
    pub size: u64,
    first: v1::ListOutboxResponse,
}

impl WriterEnd {
    /// Asks the writer for the entries from the reader's cursor on.
    pub async fn look(from: &Remote, to: &Remote, inbox: &v1::Inbox) -> Result<Self, RelayError> {
        let mut page_size = PAGE_ENTRIES;
        loop {
            let first = first_page(from, to, inbox, page_size).await?;
            if bytes_of(&first.entries) <= DELIVERY_BYTES_MAX || page_size == 1 {
                return Ok(Self { size: first.size, first });
            }
            page_size = page_size.div_euclid(2).max(1);
        }
    }

    /// The delivery of what fits into one: entries, or headers alone where the reader has a long way to the one that proves them.
    pub async fn collect(self, from: &Remote, to: &Remote, reader: &ReaderEnd) -> Result<Delivery, RelayError> {
        let first = self.first;
        let bad = |detail: String| from.false_answer(METHOD, detail);
        let context = first.context.clone().unwrap_or_default();
        let proof = existence(&first.ics23_proof).map_err(bad)?;
        let outbox_leaf = first.stored.to_vec();
        let proof_height = context.height.saturating_add(1);
        let headers = match context.light_block.clone() {
            Some(block) if block.height == proof_height => {
                let way = leading_to(block, from, to, reader).await?;
                if !way.complete || way.bytes() > HEADERS_BESIDE_ENTRIES_BYTES_MAX {
                    return Ok(Delivery::of_headers(from.chain_id.clone(), way.headers));
                }
                way.headers
            }
            None if proof_height == reader.inbox.trusted_height => Vec::new(),
            _ => return Err(bad(format!("the header of height {proof_height} does not come along"))),
        };
        let log = Pages::collect(first, from, to, &reader.inbox).await?;
        let delivery =
            Delivery { source: from.chain_id.clone(), headers, proof_height, outbox_leaf, proof: Some(proof), log };
        check(&delivery, &context, from, to, reader)?;
        Ok(delivery)
    }
}

/// What the entries of a page weigh.
fn bytes_of(entries: &[v1::OutboxEntry]) -> usize {
    entries.iter().map(|entry| entry.leaf.len()).fold(0, usize::saturating_add)
}

/// Pages that were put together.
struct Pages {
    log: db3_merkle_log::Delivery,
    bytes: usize,
}

impl Pages {
    async fn collect(
        first: v1::ListOutboxResponse,
        from: &Remote,
        to: &Remote,
        inbox: &v1::Inbox,
    ) -> Result<db3_merkle_log::Delivery, RelayError> {
        let height = height(&first);
        let log =
            db3_merkle_log::Delivery { start: inbox.cursor, entries: Vec::new(), size: first.size, right: Vec::new() };
        let mut pages = Self { log, bytes: 0 };
        let mut token = pages.add(first).map_err(|detail| from.false_answer(METHOD, detail))?;
        while !token.is_empty() {
            let page = next_page(from, to, inbox, std::mem::take(&mut token)).await?;
            if self::height(&page) != height || page.size != pages.log.size {
                let detail = format!("a page of height {} follows one of height {height}", self::height(&page));
                return Err(from.false_answer(METHOD, detail));
            }
            if !pages.has_room_for(&page) {
                break;
            }
            token = pages.add(page).map_err(|detail| from.false_answer(METHOD, detail))?;
        }
        Ok(pages.log)
    }

    fn has_room_for(&self, page: &v1::ListOutboxResponse) -> bool {
        self.log.entries.len().saturating_add(page.entries.len()) <= DELIVERY_ENTRIES_MAX
            && self.bytes.saturating_add(bytes_of(&page.entries)) <= DELIVERY_BYTES_MAX
    }

    /// Appends a page, which must go on where the one before ended, and returns the token of the next.
    fn add(&mut self, page: v1::ListOutboxResponse) -> Result<String, String> {
        if page.entries.is_empty() {
            return Err("a page without entries before the end of the log".to_owned());
        }
        let next = self.log.start.saturating_add(u64::try_from(self.log.entries.len()).unwrap_or(u64::MAX));
        if let Some((entry, index)) = page.entries.iter().zip(next..).find(|(entry, index)| entry.index != *index) {
            return Err(format!("entry {} stands where {index} belongs", entry.index));
        }
        self.bytes = self.bytes.saturating_add(bytes_of(&page.entries));
        self.log.entries.extend(page.entries.into_iter().map(|entry| entry.leaf.to_vec()));
        let hash = |hash: &[u8]| Hash::try_from(hash).map_err(|_| "a hash to the right has not 32 bytes".to_owned());
        self.log.right = page.right_hashes.iter().map(|bytes| hash(bytes)).collect::<Result<_, _>>()?;
        Ok(page.next_page_token)
    }
}

fn height(page: &v1::ListOutboxResponse) -> u64 {
    page.context.as_ref().map_or(0, |context| context.height)
}

fn existence(proof: &[u8]) -> Result<ExistenceProof, String> {
    match ics23::from_bytes(proof) {
        Ok(Proof::Exists(proof)) => Ok(proof),
        Ok(Proof::Absent(_)) => Err("entries, and a proof that there is no outbox".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// What the reader will check, but for signatures: so that no chain is troubled with what cannot be true.
fn check(
    delivery: &Delivery,
    context: &v1::ReadContext,
    from: &Remote,
    to: &Remote,
    reader: &ReaderEnd,
) -> Result<(), RelayError> {
    let bad = |detail: String| from.false_answer(METHOD, detail);
    let stored = &reader.inbox.stored;
    let inbox = if stored.is_empty() { Ok(Inbox::new()) } else { Inbox::from_bytes(stored) };
    let inbox = inbox.map_err(|error| to.false_answer("GetInbox", error.to_string()))?;
    let outbox = Frontier::from_bytes(&delivery.outbox_leaf).map_err(|error| bad(error.to_string()))?;
    inbox.receive(&delivery.log, outbox.size(), &outbox.root()).map_err(|error| bad(error.to_string())).map(drop)?;
    let root: Hash = context.root.as_ref().try_into().map_err(|_| bad("a root that has not 32 bytes".to_owned()))?;
    if let Some(header) = delivery.headers.last() {
        let claim = ClaimedHeader::read(&header.light_block).map_err(|error| bad(error.to_string()))?;
        if claim.app_hash != Some(root) || claim.height != delivery.proof_height {
            return Err(bad(format!("the header of height {} is not the one over this state", delivery.proof_height)));
        }
    }
    let Some(proof) = &delivery.proof else { return Err(bad("no proof".to_owned())) };
    let key = key::outbox(&to.chain_id);
    verify_existence(&root, &key, &delivery.outbox_leaf, proof).map_err(|error| bad(error.to_string()))
}
