//! A shard that goes bad when most of a history is over: it says that everybody spent all that it may, and then something
//! that cannot be. What it says before that is believed, as it must be, so it takes the lines that it was given; then it is
//! found at fault, and everybody else goes on.

use db3_primitives::{EpochClose, Height, LogEntry, Payee, ShardId, Statement, Tai};

use crate::model::Said;
use crate::network::Network;

impl Network {
    /// Lets the liar lie, once, as soon as it has told all of its last close. It makes no block after that.
    pub fn lie(&mut self, place: usize) {
        let books = &mut self.shard_books[place];
        let chain = &self.shards[place];
        if self.stopped_until[place] == u64::MAX || chain.state.emission().is_some() || !books.is_done() {
            return;
        }
        let mut entries = Vec::new();
        for (account, leaf) in chain.state.accounts().filter(|(_, leaf)| leaf.ceiling > leaf.spent) {
            let statement = Statement { account, payee: Payee::ValidatorPool, cumulative: leaf.ceiling };
            entries.push(LogEntry::Statement(statement).to_bytes());
            books.log.push(Said::Statement(account, leaf.ceiling.get()));
        }
        let (first, previous) = self.checks.closed[&ShardId::new(u32::try_from(place).unwrap())];
        let close = EpochClose {
            shard: chain.state.chain().shard,
            first,
            last: first,
            first_height: Height::new(1),
            last_height: Height::new(1),
            bills_root: [0; 32],
            bill_count: 0,
            statements: entries.len() as u64,
            total: Tai::new(1 << 90),
            inbox_cursor: books.cursor,
            previous,
        };
        entries.push(if self.rng.percent(50) { LogEntry::EpochClose(close).to_bytes() } else { vec![77; 20] });
        books.log.push(Said::Lie);
        let now = self.now();
        let (settlement, tree) = (self.settlement.timeline.id.clone(), chain.state.tree().clone());
        self.shards[place].timeline.lie(&tree, &settlement, &entries, now);
        self.stopped_until[place] = u64::MAX;
        self.checks.lied = Some(u32::try_from(place).unwrap());
    }
}
