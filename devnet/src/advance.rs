//! Moving block time: of all chains or of none, and what was closed and settled thereby.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow, bail};
use db3_chain::{Chain, Machine};
use db3_client::devnet_args::AHEAD_SECS_MAX;
use db3_primitives::{BlockTime, Epoch, PostingKind, Tai};

use crate::control::{Advanced, Closed, Settled};
use crate::network::{Network, RunningChains};

/// Closes that one answer lists, at most: consecutive empty epochs close as one, so there are few.
const CLOSES_MAX: usize = 1_000;
/// Seconds by which clocks that were read one after the other may seem to differ.
const APART_SECS_MAX: u64 = 1;

impl Network {
    /// Moves the block time of every chain, and returns when every epoch that ended thereby is closed, settled, and
    /// paid or outstanding, and every shard may charge again. A step after which clients would trust no header any more
    /// is refused and moves nothing.
    pub async fn advance(&self, secs: u64) -> Result<Vec<Advanced>> {
        let chains = &self.chains;
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        check_step(secs, chains.newest_time().secs, clock)?;
        let before: Vec<Epoch> = chains.shards.iter().map(|shard| shard.committed().state.open_epoch().0).collect();
        let first_posting = chains.settlement.committed().state.postings().size();
        // What moving time was interrupted in earlier is finished first.
        chains.align_time().await?;
        chains.move_time(secs).await?;
        let open: Vec<Epoch> = chains
            .shards
            .iter()
            .map(|shard| Epoch::of(shard.now().secs, shard.committed().state.chain().epoch_secs))
            .collect();
        chains.until(|| Ok(chains.closed(&open))).await?;
        // What a shard closed before is settled already, or will be with what it closes next.
        let ended = open.iter().zip(&before).filter(|(open, before)| open > before);
        if let Some(last) = ended.map(|(open, _)| open.get().saturating_sub(1)).min() {
            chains.until(|| Ok(chains.settled(Epoch::new(last)))).await?;
        }
        chains.until_credit_stands().await?;
        let mut advanced = vec![chains.what_settled(first_posting)?];
        for (shard, before) in chains.shards.iter().zip(before) {
            advanced.push(what_closed(shard, before)?);
        }
        Ok(advanced)
    }
}

impl RunningChains {
    /// Moves every chain. The one whose time is furthest goes first, so that if it refuses nothing has moved; and the
    /// settlement chain before shards of the same time, so that what they tell it does not come from its future.
    async fn move_time(&self, secs: u64) -> Result<()> {
        let mut order: Vec<(BlockTime, Option<usize>)> = vec![(self.settlement.now(), None)];
        order.extend(self.shards.iter().enumerate().map(|(at, shard)| (shard.now(), Some(at))));
        order.sort_by_key(|(now, _)| std::cmp::Reverse(now.secs));
        for (nth, (_, which)) in order.into_iter().enumerate() {
            let moved = match which.map(|at| self.shards.get(at)) {
                None => move_one(self.settlement.clone(), secs).await,
                Some(Some(shard)) => move_one(shard.clone(), secs).await,
                Some(None) => Ok(()),
            };
            match moved {
                Err(error) if nth > 0 => self.follow(&error).await?,
                moved => moved?,
            }
        }
        Ok(())
    }

    /// Tries once more to bring a chain that did not move up to those that did.
    async fn follow(&self, error: &anyhow::Error) -> Result<()> {
        self.align_time().await.map_err(|again| {
            anyhow!(
                "{error}; and again: {again}; the other chains have moved, and this one follows them with the next \
                 `db3 devnet advance`, or when the devnet starts again"
            )
        })
    }

    /// The time of the chain that is furthest.
    fn newest_time(&self) -> BlockTime {
        self.shards.iter().map(db3_chain::ChainHandle::now).fold(self.settlement.now(), BlockTime::max)
    }

    /// Brings chains whose time lags behind another's up to it: what moving them was interrupted in is finished.
    pub async fn align_time(&self) -> Result<()> {
        let newest = self.newest_time();
        let behind = |now: BlockTime| {
            let behind = newest.secs.saturating_sub(now.secs);
            (behind > APART_SECS_MAX).then_some(behind)
        };
        if let Some(secs) = behind(self.settlement.now()) {
            move_one(self.settlement.clone(), secs).await?;
        }
        for shard in &self.shards {
            if let Some(secs) = behind(shard.now()) {
                move_one(shard.clone(), secs).await?;
            }
        }
        Ok(())
    }

    /// Whether these epochs are open on the shards, and every one before them has its close.
    fn closed(&self, open: &[Epoch]) -> Result<(), String> {
        for (shard, epoch) in self.shards.iter().zip(open) {
            let state = &shard.provable().state;
            if state.open_epoch().0 < *epoch || state.emission().is_some() {
                return Err(format!("{} has not closed the epochs before {epoch}", shard.chain_id()));
            }
        }
        Ok(())
    }

    /// Whether an epoch is settled.
    fn settled(&self, epoch: Epoch) -> Result<(), String> {
        let round = self.settlement.provable().state.round();
        if round.running.is_none() && round.settled >= Some(epoch) {
            return Ok(());
        }
        Err(format!("{} has not settled epoch {epoch}", self.settlement.chain_id()))
    }

    /// What the settlement chain posted from an index of its log on.
    fn what_settled(&self, first_posting: u64) -> Result<Advanced> {
        let version = self.settlement.provable();
        let mut settled: Vec<Settled> = Vec::new();
        for index in first_posting..version.state.postings().size() {
            let Some(posting) = self.settlement.store().posting(index)? else {
                bail!("{}: posting {index} is not stored", self.settlement.chain_id());
            };
            if posting.kind == PostingKind::Payout {
                continue;
            }
            let epoch = posting.epoch.get();
            if settled.last().is_none_or(|last| last.epoch != epoch) {
                settled.push(Settled { epoch, ..Settled::default() });
            }
            if let Some(last) = settled.last_mut() {
                last.add(posting.debit, posting.paid, posting.written_off);
            }
        }
        Ok(Advanced {
            chain_id: self.settlement.chain_id().to_owned(),
            block_time: version.time.rfc3339(),
            open_epoch: Epoch::of(version.time.secs, version.state.chain().epoch_secs).get(),
            closed: Vec::new(),
            settled,
            settled_epoch: version.state.round().settled.map(Epoch::get),
        })
    }
}

impl Settled {
    fn add(&mut self, debit: Tai, paid: Tai, written_off: Tai) {
        self.postings = self.postings.saturating_add(1);
        for (sum, amount) in [(&mut self.debited, debit), (&mut self.paid, paid), (&mut self.written_off, written_off)]
        {
            // The supply bounds what a round can move.
            *sum = sum.checked_add(amount).unwrap_or(Tai::MAX);
        }
    }
}

/// Whether chains whose time is `newest` may move by so many seconds, where this machine's clock is at `clock`.
fn check_step(secs: u64, newest: u64, clock: u64) -> Result<()> {
    let largest = clock.saturating_add(AHEAD_SECS_MAX).saturating_sub(newest);
    if secs <= largest {
        return Ok(());
    }
    let ahead = newest.saturating_sub(clock);
    let remedy = if largest == 0 {
        "`db3 devnet reset` begins anew, at the clock's time".to_owned()
    } else {
        format!("the largest step now is `db3 devnet advance {largest}`")
    };
    bail!(
        "block time cannot move by {secs} s: it is {ahead} s ahead of this machine's clock, and no client trusts what is \
         more than {AHEAD_SECS_MAX} s ahead; {remedy}"
    )
}

async fn move_one<M: Machine>(chain: Chain<M>, secs: u64) -> Result<()> {
    let name = chain.chain_id().to_owned();
    let moved = tokio::task::spawn_blocking(move || chain.advance_time(secs)).await?;
    moved.map(drop).map_err(|error| anyhow!("the time of {name} cannot be moved: {error}"))
}

fn what_closed(chain: &db3_chain::ChainHandle, open_before: Epoch) -> Result<Advanced> {
    let version = chain.provable();
    let mut closed = Vec::new();
    for row in chain.store().epochs(None, CLOSES_MAX)? {
        let close = row.close;
        if close.last < open_before {
            break;
        }
        closed.push(Closed {
            first: close.first.get(),
            last: close.last.get(),
            bills: close.bill_count,
            statements: close.statements,
            total_tai: close.total.to_string(),
        });
    }
    closed.reverse();
    Ok(Advanced {
        chain_id: chain.chain_id().to_owned(),
        block_time: version.time.rfc3339(),
        open_epoch: version.state.open_epoch().0.get(),
        closed,
        settled: Vec::new(),
        settled_epoch: None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use db3_client::devnet_args::{AHEAD_SECS_MAX, StartArgs};

    use super::check_step;
    use crate::accounts::derive;
    use crate::home::Home;
    use crate::make::{make_chains, settle};
    use crate::start::start_chains;

    #[test]
    fn a_step_leaves_headers_within_what_clients_trust_and_the_largest_is_named() {
        let clock = 1_800_000_000;
        assert!(check_step(AHEAD_SECS_MAX, clock, clock).is_ok());
        let said = check_step(2_000_000_000, clock.saturating_add(600), clock).unwrap_err().to_string();
        let largest = AHEAD_SECS_MAX.saturating_sub(600);
        assert!(said.ends_with(&format!("the largest step now is `db3 devnet advance {largest}`")), "{said}");
        assert!(check_step(largest, clock.saturating_add(600), clock).is_ok());
        let beyond = check_step(1, clock.saturating_add(AHEAD_SECS_MAX), clock).unwrap_err().to_string();
        assert!(beyond.contains("db3 devnet reset"), "{beyond}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn chains_that_were_left_behind_follow_before_time_moves_on() {
        let folder = tempfile::TempDir::new().unwrap();
        let home = Home::find(Some(folder.path())).unwrap();
        let made = settle(&home, &StartArgs::default()).unwrap();
        let keys = derive(1, made.shards).unwrap();
        let names = make_chains(&home, &made, &keys).unwrap();
        let chains = start_chains(&home, &names, &keys.accounts).await.unwrap();
        let times = || {
            let all = chains.shards.iter().map(db3_chain::ChainHandle::now).chain([chains.settlement.now()]);
            all.map(|time| time.secs).collect::<Vec<_>>()
        };
        let apart = || times().iter().max().unwrap().abs_diff(*times().iter().min().unwrap());
        // As when the second of three chains could not be moved.
        chains.shards[0].advance_time(3_600).unwrap();
        assert!(apart() >= 3_600);
        chains.align_time().await.unwrap();
        assert!(apart() <= 2, "{:?}", times());
        let before = times()[0];
        chains.move_time(600).await.unwrap();
        assert!(apart() <= 2 && times().iter().all(|time| *time >= before.saturating_add(600)), "{:?}", times());
    }
}
