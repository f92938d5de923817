//! Words of `db3-primitives` as messages, and messages as words.
//!
//! `…_message` functions make messages. `checked_…` functions are for whoever received one and trusts nobody: they take the
//! bytes that were hashed, decode them, and refuse a message whose decoded view says anything else; only what they return may
//! be shown as proven. `request` reads the fields of requests.

mod account;
mod bill;
mod chain;
mod entry;
mod name;
mod posting;
mod price;
mod record;
pub mod request;
mod round;
mod settlement;
mod time;
mod view;

pub use account::{checked_credit_line, checked_window, credit_line_message, window_message};
pub use bill::{BillAbout, bill_message, checked_bill};
pub use chain::{
    checked_params, checked_settlement_params, params_message, settlement_params_message, shard_map_message,
    shard_map_of,
};
pub use entry::{
    checked_credit_entry, checked_epoch, checked_outbox_entry, checked_statement, credit_entry_message, epoch_message,
    open_epoch_message, outbox_entry_message, statement_message,
};
pub use name::{checked_namespace, checked_table, namespace_message, table_message};
pub use posting::{checked_settlement, settlement_kind, settlement_message};
pub use price::{charge_message, charges_message, price_table_message};
pub use record::{CheckedRecord, RecordLeaf, checked_record, record_key_message, record_message, record_name_message};
pub use round::{checked_round, checked_settlement_shard, round_message, settlement_shard_message, shard_fault};
pub use settlement::{AccountLeaves, account_line_message, checked_settlement_account, settlement_account_message};
pub use time::{block_time, timestamp, timestamp_of_secs};
pub use view::ViewError;
