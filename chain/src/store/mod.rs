//! What a chain keeps on disk: one `RocksDB` with these column families. Numbers in keys are big endian, so rows of one
//! kind stand in their order.
//!
//! | family | key | value |
//! |---|---|---|
//! | `meta` | name | see [`snapshot`], [`decisions`] and [`Store::offset_secs`]; `format`; `chain_id`; `genesis`: SHA-256 of the file |
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
//! | `log_nodes` | outbox | index (8) of its first entry here; only where it came with a state from elsewhere |
//! | `statements`, `statement_order`, `closes`, `close_order` | | see [`statements`] |
//! | `account_postings`, `posting_marks` | | see [`postings`] |
//! | `transactions`, `account_transactions` | | see [`transactions`] |
//!
//! Which families a folder has depends on the kind of its chain.
//!
//! `node.lock` ([`lock`]), `newest` ([`newest`]) and `manifest` ([`manifest`]) stand beside the database's folder.
//!
//! Blocks are the log. A block is on disk before anything of it leaves the process: its history batch is written with
//! a synced write-ahead log, which also syncs the block written before it. Everything but blocks and the snapshot can
//! be made again from them: replay writes the same rows.

pub mod bills;
pub mod blocks;
pub mod decisions;
pub mod epochs;
mod error;
pub(crate) mod family;
pub mod lock;
pub mod logs;
mod manifest;
mod newest;
mod note;
pub mod postings;
pub mod receipts;
pub(crate) mod row;
pub mod snapshot;
pub mod statements;
mod steps;
pub mod transactions;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use db3_primitives::hash::sha256;
use rocksdb::{Cache, ColumnFamily, DB, IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions};

use crate::init::genesis_file;
use crate::machine::Machine;

pub use error::StoreError;
pub(crate) use family::Family;
pub(crate) use row::Row;
pub(crate) use steps::Step;

/// Layout of the rows: a program opens data of its own layout alone.
pub const DATA_LAYOUT: &str = "5";
const FORMAT: &[u8] = DATA_LAYOUT.as_bytes();
const CACHE_BYTES: usize = 64 * 1024 * 1024;
const LOG_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A row: key and value.
pub(crate) type KeyValue = (Box<[u8]>, Box<[u8]>);

/// The open files of one chain. Whoever holds it has the folder for itself.
pub struct Store {
    db: DB,
    home: PathBuf,
    lock: lock::HomeLock,
    newest: newest::Newest,
    manifest: manifest::Manifest,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("home", &self.home).finish_non_exhaustive()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // What is not noted now is only not compared at the next start.
        let _ = self.keep_manifest();
    }
}

/// Whether a folder's rows are those of `M`: the database only opens with every family that it has.
fn check_families<M: Machine>(home: &Path, data: &Path) -> Result<(), StoreError> {
    if !data.join("CURRENT").exists() {
        return check_empty(data);
    }
    let found = DB::list_cf(&Options::default(), data).map_err(StoreError::database(data, "list its families"))?;
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

/// A folder without `CURRENT` holds no database: but only one that never held one is taken for a new one. The file is
/// made before the first log and the first table.
fn check_empty(data: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::File { path: data.to_owned(), source };
    for entry in std::fs::read_dir(data).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|kind| kind == "log" || kind == "sst") {
            return Err(StoreError::missing("the file", data.join("CURRENT").display()));
        }
    }
    Ok(())
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
        // What a power failure leaves behind the last synced row is no damage, and nothing after the first row that
        // cannot be read is taken. Where that took more than was being written, [`Store::check_newest`] says so.
        options.set_wal_recovery_mode(rocksdb::DBRecoveryMode::PointInTime);
        // Logs that are finished have the length that they had then, and none is missing.
        options.set_track_and_verify_wals_in_manifest(true);
        options.set_paranoid_checks(true);
        options.set_max_manifest_file_size(manifest::LIST_BYTES_MAX);
        let manifest = manifest::Manifest::open(home, &data)?;
        check_families::<M>(home, &data)?;
        let cache = Cache::new_lru_cache(CACHE_BYTES);
        let families = Family::COMMON.iter().chain(M::FAMILIES).map(|family| family.descriptor(&cache));
        let db =
            DB::open_cf_descriptors(&options, &data, families).map_err(StoreError::database(&data, "be opened"))?;
        let store = Self { db, home: home.to_owned(), lock, newest: newest::Newest::open(home)?, manifest };
        store.keep_manifest()?;
        store.check_owner(chain_id)?;
        store.check_genesis()?;
        Ok(store)
    }

    /// Whether the genesis is still the one that the rows were made with.
    fn check_genesis(&self) -> Result<(), StoreError> {
        let path = genesis_file(&self.home);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            // A folder is made with its genesis as the last file.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(StoreError::File { path, source }),
        };
        let found = sha256(&[&bytes]);
        match self.get(Family::Meta, b"genesis")? {
            Some(expected) if expected == found => Ok(()),
            Some(expected) => {
                Err(StoreError::OtherGenesis { path, found: hex::encode(found), expected: hex::encode(expected) })
            }
            None => self.put(Family::Meta, b"genesis", &found, true),
        }
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

    /// Notes how far the database's list of files has come.
    pub(crate) fn keep_manifest(&self) -> Result<(), StoreError> {
        self.manifest.keep()
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
        self.db.get_cf(self.family(family)?, key).map_err(self.failed("read a row"))
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
        self.db.write_opt(batch, &options).map_err(self.failed("write"))
    }

    fn failed(&self, doing: &'static str) -> impl Fn(rocksdb::Error) -> StoreError + use<'_> {
        move |source| StoreError::database(&self.home.join("data"), doing)(source)
    }

    /// Rows of a family from `from` in the given direction.
    pub(crate) fn rows<'a>(
        &'a self,
        family: Family,
        mode: IteratorMode<'_>,
    ) -> Result<impl Iterator<Item = Result<KeyValue, StoreError>> + use<'a>, StoreError> {
        let rows = self.db.iterator_cf(self.family(family)?, mode);
        Ok(rows.map(|row| row.map_err(self.failed("read rows"))))
    }

    /// Reads every row of every family, each with its checksum, and counts them.
    pub(crate) fn read_everything<M: Machine>(&self) -> Result<u64, StoreError> {
        let mut rows = 0_u64;
        for family in Family::COMMON.iter().chain(M::FAMILIES) {
            let mut options = ReadOptions::default();
            // What is read once must not push out what is read often.
            options.fill_cache(false);
            for row in self.db.iterator_cf_opt(self.family(*family)?, options, IteratorMode::Start) {
                row.map_err(self.failed("read rows"))?;
                rows = rows.saturating_add(1);
            }
        }
        Ok(rows)
    }

    /// Puts everything written so far on the disk.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.db.flush_wal(true).map_err(self.failed("be synced"))
    }
}
