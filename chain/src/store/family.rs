//! The column families: which there are and how they are tuned.

use rocksdb::{BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, Options};

const WRITE_BUFFER_BYTES: usize = 32 * 1024 * 1024;

/// A column family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Meta,
    Blocks,
    LightBlocks,
    Summaries,
    Snapshot,
    Receipts,
    ReceiptIds,
    Bills,
    BillOrder,
    BillNodes,
    Epochs,
    Logs,
    LogNodes,
    Statements,
    StatementOrder,
    Closes,
    CloseOrder,
    AccountPostings,
    PostingMarks,
    Transactions,
    AccountTransactions,
}

impl Family {
    /// Those of every chain.
    pub(crate) const COMMON: &'static [Self] = &[
        Self::Meta,
        Self::Blocks,
        Self::LightBlocks,
        Self::Summaries,
        Self::Snapshot,
        Self::Receipts,
        Self::ReceiptIds,
        Self::Logs,
        Self::LogNodes,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Blocks => "blocks",
            Self::LightBlocks => "light_blocks",
            Self::Summaries => "summaries",
            Self::Snapshot => "snapshot",
            Self::Receipts => "receipts",
            Self::ReceiptIds => "receipt_ids",
            Self::Bills => "bills",
            Self::BillOrder => "bill_order",
            Self::BillNodes => "bill_nodes",
            Self::Epochs => "epochs",
            Self::Logs => "logs",
            Self::LogNodes => "log_nodes",
            Self::Statements => "statements",
            Self::StatementOrder => "statement_order",
            Self::Closes => "closes",
            Self::CloseOrder => "close_order",
            Self::AccountPostings => "account_postings",
            Self::PostingMarks => "posting_marks",
            Self::Transactions => "transactions",
            Self::AccountTransactions => "account_transactions",
        }
    }

    pub(super) fn descriptor(self, cache: &Cache) -> ColumnFamilyDescriptor {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(cache);
        if matches!(self, Self::ReceiptIds | Self::Bills) {
            table.set_bloom_filter(10.0, false);
        }
        let mut options = Options::default();
        options.set_block_based_table_factory(&table);
        options.set_write_buffer_size(WRITE_BUFFER_BYTES);
        options.set_compression_type(match self {
            // Hashes do not compress.
            Self::BillNodes | Self::LogNodes | Self::ReceiptIds => DBCompressionType::None,
            _ => DBCompressionType::Lz4,
        });
        ColumnFamilyDescriptor::new(self.name(), options)
    }
}
