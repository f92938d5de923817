//! What a block works on: the overlay of records, and, decoded once per block, the accounts, windows and books that it
//! charges.
//!
//! Accounts, windows and books change only through a delivery, a charge or a close, none of which is ever taken back, so
//! they need no draft. They are written into the tree when the block ends.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use db3_primitives::{AccountLeaf, Address, ChainLeaf, Epoch, Namespace, NamespaceLeaf, Nonce, NonceWindow, Tai, key};

use crate::books::OpenBooks;
use crate::overlay::Overlay;
use crate::rules::Rules;
use db3_primitives::fatal::damaged;

/// One account as this block leaves it.
#[derive(Clone, Debug)]
pub(crate) struct AccountSession {
    /// Its sums before this block.
    pub(crate) before: AccountLeaf,
    /// Its sums now.
    pub(crate) leaf: AccountLeaf,
    /// The windows of its mutations in this block.
    pub(crate) windows: BTreeMap<Namespace, WindowSession>,
}

/// One window as this block leaves it.
#[derive(Clone, Debug)]
pub(crate) struct WindowSession {
    pub(crate) window: NonceWindow,
    /// Whether the tree or an earlier mutation of the block has it, so that it has been paid for.
    pub(crate) paid: bool,
    /// The nonce that was used last in this block.
    pub(crate) last: Option<Nonce>,
}

/// A working version.
pub(crate) struct Ledger {
    pub(crate) chain: Arc<ChainLeaf>,
    pub(crate) overlay: Overlay,
    pub(crate) accounts: BTreeMap<Address, AccountSession>,
    pub(crate) books: OpenBooks,
    /// Accounts whose ceiling was lowered.
    pub(crate) lowered: BTreeSet<Address>,
    pub(crate) rules: Rules,
}

impl Ledger {
    pub(crate) fn new(chain: Arc<ChainLeaf>, overlay: Overlay, books: OpenBooks) -> Self {
        Self { chain, overlay, accounts: BTreeMap::new(), books, lowered: BTreeSet::new(), rules: Rules::DESIGN }
    }

    /// The account's sums; none where it has no line here.
    pub(crate) fn account(&self, account: &Address) -> Option<AccountLeaf> {
        if let Some(session) = self.accounts.get(account) {
            return Some(session.leaf);
        }
        stored_account(&self.overlay, account)
    }

    /// The window of an account on a namespace, fresh where it has none.
    pub(crate) fn window(&self, account: &Address, namespace: &Namespace) -> Cow<'_, WindowSession> {
        let in_block = self.accounts.get(account).and_then(|session| session.windows.get(namespace));
        match in_block {
            Some(session) => Cow::Borrowed(session),
            None => Cow::Owned(stored_window(&self.overlay, account, namespace)),
        }
    }

    /// The account and its window, to be changed; none where the account has no line.
    pub(crate) fn open(
        &mut self,
        account: &Address,
        namespace: &Namespace,
    ) -> Option<(&mut AccountLeaf, &mut WindowSession, &mut OpenBooks)> {
        let Self { overlay, accounts, books, .. } = self;
        let session = match accounts.entry(*account) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let leaf = stored_account(overlay, account)?;
                entry.insert(AccountSession { before: leaf, leaf, windows: BTreeMap::new() })
            }
        };
        let window =
            session.windows.entry(namespace.clone()).or_insert_with(|| stored_window(overlay, account, namespace));
        Some((&mut session.leaf, window, books))
    }

    /// Sets what an account may spend here; its first line opens the account.
    pub(crate) fn set_ceiling(&mut self, account: &Address, ceiling: Tai) {
        let leaf = self.account(account).unwrap_or_default();
        if ceiling < leaf.ceiling {
            self.lowered.insert(*account);
        }
        if let Some(session) = self.accounts.get_mut(account) {
            // No charge moved it, which the check at the block's end holds against `before`.
            (session.before.ceiling, session.leaf.ceiling) = (ceiling, ceiling);
            return;
        }
        self.overlay.put(key::account(account), AccountLeaf { ceiling, ..leaf }.to_bytes());
    }

    /// Sets the last epoch in which this shard may charge; one that is earlier than what it knows changes nothing.
    pub(crate) fn extend_lease(&mut self, lease: Epoch) {
        if lease.get() > self.chain.lease_epoch {
            let chain = ChainLeaf { lease_epoch: lease.get(), ..(*self.chain).clone() };
            self.overlay.put(key::chain(), chain.to_bytes());
            self.chain = Arc::new(chain);
        }
    }

    /// A namespace; none where nobody created it.
    pub(crate) fn namespace(&self, namespace: &Namespace) -> Option<NamespaceLeaf> {
        let key = key::namespace(namespace);
        let leaf = self.overlay.get(&key)?;
        Some(NamespaceLeaf::from_bytes(leaf).unwrap_or_else(|_| damaged(&key)))
    }

    /// Writes the charged accounts and their windows into the overlay.
    pub(crate) fn write_accounts(&mut self) {
        for (account, session) in &self.accounts {
            self.overlay.put(key::account(account), session.leaf.to_bytes());
            for (namespace, window) in &session.windows {
                self.overlay.put(key::window(account, namespace), window.window.to_bytes());
            }
        }
    }

    /// Writes the books into the overlay.
    pub(crate) fn write_books(&mut self) {
        self.overlay.put(key::open_epoch(), self.books.to_leaf().to_bytes());
    }
}

fn stored_account(overlay: &Overlay, account: &Address) -> Option<AccountLeaf> {
    let key = key::account(account);
    let leaf = overlay.get(&key)?;
    Some(AccountLeaf::from_bytes(leaf).unwrap_or_else(|_| damaged(&key)))
}

fn stored_window(overlay: &Overlay, account: &Address, namespace: &Namespace) -> WindowSession {
    let key = key::window(account, namespace);
    match overlay.get(&key) {
        Some(leaf) => WindowSession {
            window: NonceWindow::from_bytes(leaf).unwrap_or_else(|_| damaged(&key)),
            paid: true,
            last: None,
        },
        None => WindowSession { window: NonceWindow::new(), paid: false, last: None },
    }
}
