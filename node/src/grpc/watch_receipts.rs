//! `WatchReceipts`: what becomes of named mutations, or of all that an account pays.
//!
//! A named mutation's state is sent at once and at every change; the stream ends when all are final and no account is
//! named. Final is: in a block (and provable, if that was asked for), expired, or dropped. Blocks tell what they hold;
//! what is in no block is looked up at the start and with every sign of life.

use std::collections::{BTreeMap, BTreeSet};

use db3_chain::BlockEventOf;
use db3_primitives::{Address, Height, MutationId, Rejection};
use db3_proto::convert::request::{invalid, mutation_id, optional_account};
use db3_proto::v1;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tonic::Status;

use super::Node;
use super::follow::{Follower, Step};
use super::refusal::Refusal;
use super::subscribe::{Place, heartbeat};
use super::writes::Wait;
use crate::kind::Kind;

/// Most identifiers of one stream.
const IDS_MAX: usize = 1_000;
/// Messages that wait for the caller to read them.
const MESSAGES_MAX: usize = 64;
const CALL: &str = "WatchReceipts";

type Message = Result<v1::WatchReceiptsResponse, Status>;

/// What was last said of a mutation: its state, and whether it is provable.
type Said = (i32, bool);

struct Watch<K: Kind> {
    node: Node<K>,
    /// Named mutations that are not final, and what was said of them.
    open: BTreeMap<MutationId, Option<Said>>,
    account: Option<Address>,
    provable: bool,
    /// Mutations that are in a block and not yet provable, by height.
    unproven: BTreeMap<Height, Unproven>,
    sent: Place,
    messages: mpsc::Sender<Message>,
}

/// Mutations of one block that is not yet provable.
#[derive(Default)]
struct Unproven {
    /// The account's.
    receipts: Vec<v1::Receipt>,
    /// The named ones.
    ids: BTreeSet<MutationId>,
}

/// Nobody reads any more, or there is nothing more to say.
struct Ended;

impl<K: Kind> Node<K> {
    pub(crate) fn watch_receipts(
        &self,
        request: &v1::WatchReceiptsRequest,
        place: OwnedSemaphorePermit,
    ) -> Result<mpsc::Receiver<Message>, Refusal> {
        if request.ids.len() > IDS_MAX {
            return Err(Rejection::TooManyItems { count: request.ids.len() as u64, max: IDS_MAX as u64 }.into());
        }
        let ids = request.ids.iter().map(|id| mutation_id("ids", id)).collect::<Result<Vec<_>, _>>()?;
        let account = optional_account("account", &request.account)?;
        if ids.is_empty() && account.is_none() {
            return Err(invalid("ids", "is empty and no account is named; there would be nothing to watch").into());
        }
        let provable = match v1::WaitMode::try_from(request.wait) {
            Ok(v1::WaitMode::Unspecified) => true,
            _ => match Wait::read(request.wait)? {
                Wait::Provable => true,
                Wait::Committed => false,
                Wait::Checked => return Err(invalid("wait", "must be committed or provable").into()),
            },
        };
        let resumed = Place::open(&request.resume_after, CALL)?;
        let sent = resumed.unwrap_or_else(|| Place::end_of(self.chain.committed().height.get()));
        let follower = self.follow(sent.after());
        let (messages, receiver) = mpsc::channel(MESSAGES_MAX);
        let watch = Watch {
            node: self.clone(),
            open: ids.into_iter().map(|id| (id, None)).collect(),
            account,
            provable,
            unproven: BTreeMap::new(),
            sent,
            messages,
        };
        tokio::spawn(async move {
            watch.run(follower).await;
            drop(place);
        });
        Ok(receiver)
    }
}

impl<K: Kind> Watch<K> {
    async fn run(mut self, mut follower: Follower<K>) {
        if self.look(self.open.keys().copied().collect()).await.is_err() {
            return;
        }
        loop {
            let wanted = self.awaited_height();
            let step = tokio::select! {
                biased;
                () = proven(&self.node, wanted) => None,
                step = follower.next(&self.messages) => Some(step),
            };
            let result = match step {
                None => self.proven().await,
                Some(Step::Block(event)) => self.block(&event).await,
                Some(Step::Beat) => self.beat().await,
                Some(Step::End(status)) => {
                    // The caller sees why, unless it is gone too.
                    let _ = self.messages.send(Err(status)).await;
                    return;
                }
                Some(Step::Gone) => return,
            };
            if result.is_err() {
                return;
            }
        }
    }

    /// The lowest height that somebody waits for to become provable.
    fn awaited_height(&self) -> Option<Height> {
        self.unproven.first_key_value().map(|(height, _)| *height)
    }

    async fn block(&mut self, event: &BlockEventOf<K::Machine>) -> Result<(), Ended> {
        let height = event.height();
        for (mutation, index) in event.mutations.iter().zip(0_u64..) {
            let place = Place { height: height.get(), index };
            let receipt = &mutation.receipt;
            if self.open.contains_key(&receipt.id) {
                self.say(receipt.id, self.node.stored_receipt(receipt)).await?;
                continue;
            }
            let watched = self.account.is_some_and(|account| account == receipt.account);
            if !watched || place <= self.sent {
                continue;
            }
            let message = self.node.stored_receipt(receipt);
            if self.provable && message.provable_height == 0 {
                self.unproven.entry(height).or_default().receipts.push(message.clone());
            }
            self.send(place, v1::watch_receipts_response::Event::Receipt(message)).await?;
        }
        self.sent = self.sent.max(Place::end_of(height.get()));
        self.more()
    }

    /// Says again, with their height, what has become provable.
    async fn proven(&mut self) -> Result<(), Ended> {
        let provable = self.node.chain.provable().height;
        let mut named = Vec::new();
        while let Some(entry) = self.unproven.first_entry().filter(|entry| *entry.key() <= provable) {
            let (height, unproven) = entry.remove_entry();
            for receipt in unproven.receipts {
                let receipt = v1::Receipt { provable_height: height.get(), ..receipt };
                self.send(self.sent, v1::watch_receipts_response::Event::Receipt(receipt)).await?;
            }
            named.extend(unproven.ids);
        }
        self.look(named).await
    }

    /// Looks up these of the named mutations, and says what has changed.
    async fn look(&mut self, ids: Vec<MutationId>) -> Result<(), Ended> {
        let receipts = match self.node.receipts(ids).await {
            Ok(receipts) => receipts,
            Err(refusal) => {
                let _ = self.messages.send(Err(refusal.into())).await;
                return Err(Ended);
            }
        };
        for (id, receipt) in receipts {
            self.say(id, receipt).await?;
        }
        self.more()
    }

    /// Says what is known of a named mutation, if it is not final and this has not been said.
    async fn say(&mut self, id: MutationId, receipt: v1::Receipt) -> Result<(), Ended> {
        let Some(before) = self.open.get(&id).copied() else { return Ok(()) };
        let said = (receipt.state, receipt.provable_height > 0);
        if self.is_final(&receipt) {
            self.open.remove(&id);
        } else {
            self.open.insert(id, Some(said));
        }
        if self.provable && receipt.height > 0 && receipt.provable_height == 0 {
            // Looked up again when the height is provable.
            self.unproven.entry(Height::new(receipt.height)).or_default().ids.insert(id);
        }
        if before == Some(said) {
            return Ok(());
        }
        self.send(self.sent, v1::watch_receipts_response::Event::Receipt(receipt)).await
    }

    /// Whether anything is left to be said.
    fn more(&self) -> Result<(), Ended> {
        if self.open.is_empty() && self.account.is_none() { Err(Ended) } else { Ok(()) }
    }

    fn is_final(&self, receipt: &v1::Receipt) -> bool {
        match receipt.state() {
            v1::ReceiptState::Applied | v1::ReceiptState::Failed => !self.provable || receipt.provable_height > 0,
            v1::ReceiptState::Expired => true,
            // Dropped: what was sent is in no block.
            v1::ReceiptState::Unknown => receipt.rejection.is_some(),
            v1::ReceiptState::Unspecified | v1::ReceiptState::Pending => false,
        }
    }

    async fn beat(&mut self) -> Result<(), Ended> {
        self.look(self.open.keys().copied().collect()).await?;
        let beat = heartbeat(&self.node);
        self.send(self.sent, v1::watch_receipts_response::Event::Heartbeat(beat)).await
    }

    async fn send(&mut self, place: Place, event: v1::watch_receipts_response::Event) -> Result<(), Ended> {
        let message = v1::WatchReceiptsResponse { cursor: place.seal(CALL), event: Some(event) };
        self.messages.send(Ok(message)).await.map_err(|_| Ended)?;
        self.sent = place;
        Ok(())
    }
}

/// Ends when the height is provable; never if there is none.
async fn proven<K: Kind>(node: &Node<K>, height: Option<Height>) {
    let far = Instant::now().checked_add(node.limits.call_time_max).unwrap_or_else(Instant::now);
    match height {
        // A wait that runs out is taken up again by the loop.
        Some(height) => drop(node.chain.wait_height(height, far).await),
        None => std::future::pending().await,
    }
}
