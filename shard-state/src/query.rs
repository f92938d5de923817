//! What can be read of a version. Nothing here changes anything, and nothing here is proved: proofs are the tree's.

use db3_carry::Channel;
use db3_merkle_log::Frontier;
use db3_primitives::leaf::split_record;
use db3_primitives::{
    AccountLeaf, Address, ChainId, Epoch, Hash32, Namespace, NamespaceLeaf, NonceWindow, RecordHeader, RecordKey,
    TableLeaf, TableName, key,
};

use crate::inbound;
use crate::state::ShardState;
use db3_primitives::fatal::damaged;

impl ShardState {
    /// A record: its header and its value; none where there is none.
    #[must_use]
    pub fn record(&self, namespace: &Namespace, table: &TableName, key: &RecordKey) -> Option<(RecordHeader, &[u8])> {
        let key = key::record(namespace, table, key);
        self.tree().get(&key).map(|leaf| split_record(leaf).unwrap_or_else(|| damaged(&key)))
    }

    /// The records of a table with keys in [`from`, `to`), in order of key; without `to` up to the last one.
    #[must_use = "iterators do nothing unless consumed"]
    pub fn records<'a>(
        &'a self,
        namespace: &Namespace,
        table: &TableName,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> impl DoubleEndedIterator<Item = (&'a [u8], RecordHeader, &'a [u8])> + use<'a> {
        let prefix = key::record_prefix(namespace, table);
        let first = [prefix.as_slice(), from].concat();
        let end = match to {
            Some(to) => Some([prefix.as_slice(), to].concat()),
            None => key::prefix_end(&prefix),
        };
        let prefix_bytes = prefix.len();
        self.tree().range(&first, end.as_deref()).map(move |(key, leaf)| {
            let (header, value) = split_record(leaf).unwrap_or_else(|| damaged(key));
            (key.get(prefix_bytes..).unwrap_or_default(), header, value)
        })
    }

    /// A namespace; none where nobody created it. An account's own namespace is never created.
    #[must_use]
    pub fn namespace(&self, namespace: &Namespace) -> Option<NamespaceLeaf> {
        let key = key::namespace(namespace);
        self.tree().get(&key).map(|leaf| NamespaceLeaf::from_bytes(leaf).unwrap_or_else(|_| damaged(&key)))
    }

    /// All created namespaces in order of name.
    #[must_use = "iterators do nothing unless consumed"]
    pub fn namespaces(&self) -> impl DoubleEndedIterator<Item = (Namespace, NamespaceLeaf)> {
        self.tree().prefix(&key::namespace_prefix()).map(|(key, leaf)| {
            match (key::split_namespace(key), NamespaceLeaf::from_bytes(leaf)) {
                (Some(namespace), Ok(leaf)) => (namespace, leaf),
                _ => damaged(key),
            }
        })
    }

    /// The namespaces that an account created, in order of name.
    #[must_use = "iterators do nothing unless consumed"]
    pub fn namespaces_of<'a>(&'a self, owner: &Address) -> impl DoubleEndedIterator<Item = Namespace> + use<'a> {
        self.tree().prefix(&key::namespaces_of(owner)).map(|(key, _)| match key::split_owned(key) {
            Some((_, namespace)) => namespace,
            None => damaged(key),
        })
    }

    /// A table; none where there is none.
    #[must_use]
    pub fn table(&self, namespace: &Namespace, table: &TableName) -> Option<TableLeaf> {
        let key = key::table(namespace, table);
        self.tree().get(&key).map(|leaf| TableLeaf::from_bytes(leaf).unwrap_or_else(|_| damaged(&key)))
    }

    /// The tables of a namespace in order of name.
    #[must_use = "iterators do nothing unless consumed"]
    pub fn tables<'a>(
        &'a self,
        namespace: &Namespace,
    ) -> impl DoubleEndedIterator<Item = (TableName, TableLeaf)> + use<'a> {
        self.tree().prefix(&key::table_prefix(namespace)).map(|(key, leaf)| {
            match (key::split_table(key), TableLeaf::from_bytes(leaf)) {
                (Some((_, table)), Ok(leaf)) => (table, leaf),
                _ => damaged(key),
            }
        })
    }

    /// An account's sums; none where it has no line here.
    #[must_use]
    pub fn account(&self, account: &Address) -> Option<AccountLeaf> {
        let key = key::account(account);
        self.tree().get(&key).map(|leaf| AccountLeaf::from_bytes(leaf).unwrap_or_else(|_| damaged(&key)))
    }

    /// All accounts with a line, in order of address.
    #[must_use = "iterators do nothing unless consumed"]
    pub fn accounts(&self) -> impl DoubleEndedIterator<Item = (Address, AccountLeaf)> {
        self.tree().prefix(&key::account_prefix()).map(|(key, leaf)| {
            match (key::split_account(key), AccountLeaf::from_bytes(leaf)) {
                (Some(account), Ok(leaf)) => (account, leaf),
                _ => damaged(key),
            }
        })
    }

    /// The window of an account on a namespace; a fresh one where none is stored.
    #[must_use]
    pub fn window(&self, account: &Address, namespace: &Namespace) -> NonceWindow {
        let key = key::window(account, namespace);
        match self.tree().get(&key) {
            Some(leaf) => NonceWindow::from_bytes(leaf).unwrap_or_else(|_| damaged(&key)),
            None => NonceWindow::new(),
        }
    }

    /// The log towards another chain; an empty one where nothing was ever written to it.
    #[must_use]
    pub fn outbox_to(&self, destination: &ChainId) -> Frontier {
        inbound::outbox(|key| self.tree().get(key), destination).frontier().clone()
    }

    /// How many entries of that log the other chain has applied, by its newest word that can be true: from there on a
    /// delivery may need them.
    #[must_use]
    pub fn acknowledged_by(&self, destination: &ChainId) -> u64 {
        inbound::acknowledged(|key| self.tree().get(key), destination)
    }

    /// The settlement chain of this network: the one that a shard hears and tells.
    #[must_use]
    pub fn settlement(&self) -> ChainId {
        ChainId::settlement(&self.chain().network)
    }

    /// What this chain keeps of another one that it hears; none where it hears nothing from it.
    #[must_use]
    pub fn channel(&self, source: &ChainId) -> Option<Channel> {
        inbound::channel(|key| self.tree().get(key), source)
    }

    /// The last epoch of the first close of the chain; none before that.
    #[must_use]
    pub fn first_close(&self) -> Option<Epoch> {
        let (key, _) = self.tree().prefix(&key::epoch_prefix()).next()?;
        Some(key::split_epoch(key).unwrap_or_else(|| damaged(key)))
    }

    /// The close that covers an epoch: its last epoch and its hash; none where the epoch is not closed, or its close
    /// still waits for its statements.
    #[must_use]
    pub fn epoch_hash(&self, epoch: Epoch) -> Option<(Epoch, Hash32)> {
        let end = key::prefix_end(&key::epoch_prefix());
        let (key, leaf) = self.tree().range(&key::epoch(epoch), end.as_deref()).next()?;
        match (key::split_epoch(key), leaf.try_into()) {
            (Some(last), Ok(hash)) => Some((last, hash)),
            _ => damaged(key),
        }
    }
}
