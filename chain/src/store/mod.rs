//! What a chain keeps on disk: one `RocksDB` with these column families. Numbers in keys are big endian, so rows of one
//! kind stand in their order.
//!
//! | family | key | value |
//! |---|---|---|
//! | `meta` | name | see [`snapshot`] and [`Store::offset_secs`] |
//! | `blocks` | height | `tendermint.types.Block` |
//! | `light_blocks` | height | `tendermint.types.LightBlock` |
//! | `summaries` | height | see [`blocks`] |
//! | `snapshot` | tree key | leaf |
//! | `receipts` | height ‖ index (4) | `db3.v1.Receipt` |
//! | `receipt_ids` | identifier | height ‖ index (4) |
//! | `bills` | account ‖ number | see [`bills`] |
//! | `bill_order` | epoch ‖ index in its log | account ‖ number |
//! | `bill_nodes` | epoch ‖ level (1) ‖ index | hash |
//! | `epochs` | last epoch | see [`epochs`] |
//! | `logs` | log ‖ index | entry; see [`logs`] |
//! | `log_nodes` | log ‖ level (1) ‖ index | hash |
//! | `statements`, `statement_order`, `closes`, `close_order` | | see [`statements`] |
//! | `account_postings`, `posting_marks` | | see [`postings`] |
//!
//! Which families a folder has depends on the kind of its chain.
//!
//! Blocks are the log. A block is on disk before anything of it leaves the process: its history batch is written with
//! a synced write-ahead log, which also syncs the block written before it. Everything but blocks and the snapshot can
//! be made again from them: replay writes the same rows.

pub mod bills;
pub mod blocks;
pub mod epochs;
mod error;
pub(crate) mod family;
pub mod lock;
pub mod logs;
pub mod postings;
pub mod receipts;
pub(crate) mod row;
pub mod snapshot;
pub mod statements;
mod steps;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rocksdb::{Cache, ColumnFamily, DB, IteratorMode, Options, WriteBatch, WriteOptions};

use crate::machine::Machine;

pub use error::StoreError;
pub(crate) use family::Family;
pub(crate) use row::Row;
pub(crate) use steps::Step;

/// Layout of the rows.
const FORMAT: &[u8] = b"2";
const CACHE_BYTES: usize = 64 * 1024 * 1024;
const LOG_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A row: key and value.
pub(crate) type KeyValue = (Box<[u8]>, Box<[u8]>);

/// The open files of one chain. Whoever holds it has the folder for itself.
pub struct Store {
    db: DB,
    home: PathBuf,
    lock: lock::HomeLock,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("home", &self.home).finish_non_exhaustive()
    }
}

/// Whether a folder's rows are those of `M`: the database only opens with every family that it has.
fn check_families<M: Machine>(home: &Path, data: &Path) -> Result<(), StoreError> {
    if !data.join("CURRENT").exists() {
        return Ok(());
    }
    let found = DB::list_cf(&Options::default(), data).map_err(StoreError::database("list its families"))?;
    let known = |name: &str| Family::COMMON.iter().chain(M::FAMILIES).any(|family| family.name() == name);
    match found.iter().find(|name| name.as_str() != "default" && !known(name)) {
        None => Ok(()),
        Some(name) => Err(StoreError::OtherChain {
            home: home.to_owned(),
            found: format!("the data of another version or of another kind of chain ({name})"),
            expected: format!("data of layout {}", String::from_utf8_lossy(FORMAT)),
        }),
    }
}

impl Store {
    /// Opens, or makes, the files of `chain_id` in `<home>/data`, with the rows that `M` asks for.
    pub fn open<M: Machine>(home: &Path, chain_id: &str) -> Result<Self, StoreError> {
        let lock = lock::HomeLock::take(home)?;
        let data = home.join("data");
        std::fs::create_dir_all(&data).map_err(|source| StoreError::File { path: data.clone(), source })?;
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_max_total_wal_size(LOG_BYTES_MAX);
        options.set_keep_log_file_num(4);
        options.set_max_open_files(512);
        // A tail of the log that was cut off in the middle of a write is no damage; anything else is.
        options.set_wal_recovery_mode(rocksdb::DBRecoveryMode::TolerateCorruptedTailRecords);
        check_families::<M>(home, &data)?;
        let cache = Cache::new_lru_cache(CACHE_BYTES);
        let families = Family::COMMON.iter().chain(M::FAMILIES).map(|family| family.descriptor(&cache));
        let db = DB::open_cf_descriptors(&options, &data, families).map_err(StoreError::database("be opened"))?;
        let store = Self { db, home: home.to_owned(), lock };
        store.check_owner(chain_id)?;
        Ok(store)
    }

    fn check_owner(&self, chain_id: &str) -> Result<(), StoreError> {
        let expect = |key: &str, expected: &[u8]| match self.get(Family::Meta, key.as_bytes())? {
            Some(found) if found == expected => Ok(()),
            Some(found) => Err(StoreError::OtherChain {
                home: self.home.clone(),
                found: format!("{key} {}", String::from_utf8_lossy(&found)),
                expected: format!("{key} {}", String::from_utf8_lossy(expected)),
            }),
            None => self.put(Family::Meta, key.as_bytes(), expected, true),
        };
        expect("format", FORMAT)?;
        expect("chain_id", chain_id.as_bytes())
    }

    /// The folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Notes in the folder where its node listens.
    pub(crate) fn announce(&self, listen: Option<SocketAddr>) -> Result<(), StoreError> {
        self.lock.write(listen).map_err(|source| StoreError::File { path: self.home.join("node.lock"), source })
    }

    /// Seconds by which block time runs ahead of the clock.
    pub fn offset_secs(&self) -> Result<u64, StoreError> {
        match self.get(Family::Meta, b"offset_secs")? {
            Some(bytes) => Row::new("time offset", b"offset_secs", &bytes).only(Row::u64),
            None => Ok(0),
        }
    }

    /// Keeps the seconds by which block time runs ahead of the clock, synced.
    pub fn set_offset_secs(&self, secs: u64) -> Result<(), StoreError> {
        self.put(Family::Meta, b"offset_secs", &secs.to_be_bytes(), true)
    }

    pub(crate) fn family(&self, family: Family) -> Result<&ColumnFamily, StoreError> {
        self.db.cf_handle(family.name()).ok_or_else(|| StoreError::missing("column family", family.name()))
    }

    pub(crate) fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get_cf(self.family(family)?, key).map_err(StoreError::database("read a row"))
    }

    pub(crate) fn put(&self, family: Family, key: &[u8], value: &[u8], sync: bool) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(family)?, key, value);
        self.write(batch, sync)
    }

    /// Writes a batch, all or nothing; `sync` puts it and everything written before it on the disk.
    pub(crate) fn write(&self, batch: WriteBatch, sync: bool) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.db.write_opt(batch, &options).map_err(StoreError::database("write"))
    }

    /// Rows of a family from `from` in the given direction.
    pub(crate) fn rows<'a>(
        &'a self,
        family: Family,
        mode: IteratorMode<'_>,
    ) -> Result<impl Iterator<Item = Result<KeyValue, StoreError>> + use<'a>, StoreError> {
        let rows = self.db.iterator_cf(self.family(family)?, mode);
        Ok(rows.map(|row| row.map_err(StoreError::database("read rows"))))
    }

    /// Puts everything written so far on the disk.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.db.flush_wal(true).map_err(StoreError::database("be synced"))
    }
}
