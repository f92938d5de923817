//! Power that fails: of what was written and not synced nothing may be left, or the beginning. The last record of the
//! database's log is cut, or nothing but zeros stands in its place; everything before it was synced. (A file system that
//! journals makes a file longer only after its bytes were written; other bytes in their place are damage, and refused.)
//!
//! The log (`RocksDB`, "Write Ahead Log File Format") is made of blocks of 32 KiB; a part of a record has a head of a checksum
//! (4), a length (2, little endian) and a type (1: 1 whole, 2 first, 3 middle, 4 last), and none crosses the end of a block.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::super::support::copy_folder;
use super::Trial;

const LOG_BLOCK_BYTES: usize = 32 * 1024;
const HEAD_BYTES: usize = 7;

/// The newest log of a database below a folder.
fn newest_log(home: &Path) -> PathBuf {
    let mut logs = Vec::new();
    let mut folders = vec![home.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "log") {
                logs.push(path);
            }
        }
    }
    logs.into_iter().max().unwrap()
}

/// Where the last record begins.
fn last_record(log: &[u8]) -> usize {
    let (mut at, mut last) = (0, None);
    while at + HEAD_BYTES <= log.len() {
        let left = LOG_BLOCK_BYTES - at % LOG_BLOCK_BYTES;
        let (length, kind) = (usize::from(u16::from_le_bytes([log[at + 4], log[at + 5]])), log[at + 6]);
        if left < HEAD_BYTES || (length == 0 && kind == 0) {
            at += left;
            continue;
        }
        if kind == 1 || kind == 2 {
            last = Some(at);
        }
        at += HEAD_BYTES + length;
    }
    last.unwrap()
}

/// Lets a process end right after it wrote a block and before that was synced, and tries what may be left of it.
pub(super) async fn at_every_part(trial: &Trial<'_>, check: impl AsyncFn(&Path)) {
    trial.end_at("AfterBlock:6", |command| command);
    let log = newest_log(trial.home);
    let bytes = fs::read(&log).unwrap();
    let unsynced = bytes.len() - last_record(&bytes);
    for (number, lost) in [1, unsynced / 2, unsynced - HEAD_BYTES + 1, unsynced, unsynced].into_iter().enumerate() {
        let copy = trial.home.with_file_name(format!("lost-{number}"));
        copy_folder(trial.home, &copy);
        let log = File::options().write(true).open(copy.join(log.strip_prefix(trial.home).unwrap())).unwrap();
        let left = u64::try_from(bytes.len() - lost).unwrap();
        if number < 4 {
            log.set_len(left).unwrap();
        } else {
            log.write_all_at(&vec![0; lost], left).unwrap();
        }
        check(&copy).await;
    }
}
