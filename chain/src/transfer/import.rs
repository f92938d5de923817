//! A new chain that continues from an exported state: the same chain id and parameters, the next height, a new
//! validator. Its trust root is new, so clients have to be told of it. The old validators govern it no more, and what
//! they had scheduled is dropped ([`begin_anew`]), so its first root is another where they had.

use std::io::BufRead;
use std::path::Path;

use db3_genesis::{ChainKind, GenesisDocument, Validator};
use db3_governance::begin_anew;
use db3_primitives::name::ChainRole;
use db3_primitives::{Address, BlockTime, ChainId, Height, limits};
use db3_state_tree::Tree;

use super::TransferError;
use super::export::{BeginsLine, EntryLine, ExportHeader, FORMAT, LeafLine};
use super::logs::Logs;
use crate::config::ChainConfig;
use crate::init::{check_empty, genesis_file, make_genesis, make_key, write_settings};
use crate::machine::{At, Machine};
use crate::open::state_of;
use crate::store::snapshot::{SnapshotMeta, TreeBuilder};
use crate::store::{Store, StoreError};

/// A leaf's longest line: both halves in hex digits and what stands around them.
const LINE_BYTES_MAX: u64 = 2 * (limits::TREE_KEY_BYTES_MAX as u64 + 64 * 1024) + 64;

/// A line after the first.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Content {
    Leaf(LeafLine<'static>),
    Begins(BeginsLine),
    Entry(EntryLine),
}

/// How a state is imported.
#[derive(Clone, Debug)]
pub struct ImportInput {
    /// Settings of the new folder.
    pub settings: ChainConfig,
    /// Who governs the new chain, with the power of its validator; none: nobody.
    pub operator: Option<Address>,
    /// When the new chain begins; none: now. It is after the exported block in any case.
    pub time: Option<BlockTime>,
}

/// Makes a folder from an export. The root of the leaves must be the one that its header names, and the entries
/// of each log must fold to what the state names.
pub fn import<M: Machine>(
    home: &Path,
    from: &mut dyn BufRead,
    input: &ImportInput,
) -> Result<GenesisDocument, TransferError> {
    check_empty(home)?;
    let mut lines = Lines { from, number: 0, buffer: Vec::new() };
    let header: ExportHeader = lines.next()?.ok_or_else(|| TransferError::malformed("line 1", "is missing"))?;
    check_kind::<M>(&header.chain_id)?;
    let meta = meta_of(&header)?;
    let mut builder = TreeBuilder::default();
    let mut leaves = 0_u64;
    let mut logs = Logs::of(At { height: meta.height, time: meta.time });
    while let Some(content) = lines.next::<Content>()? {
        let line = lines.number;
        let bytes = |text: &str| hex::decode(text).map_err(|error| TransferError::malformed(at(line), error));
        match content {
            Content::Leaf(LeafLine { key, value }) if logs.len() == 0 => {
                builder.add(bytes(&key)?, bytes(&value)?).map_err(altered)?;
                leaves = leaves.saturating_add(1);
            }
            Content::Leaf(_) => return Err(TransferError::malformed(at(line), "a leaf stands after the logs")),
            Content::Begins(BeginsLine { log, begins }) => {
                let log = log.parse().map_err(|error: String| TransferError::malformed(at(line), error))?;
                logs.begin(at(line), log, &begins)?;
            }
            Content::Entry(EntryLine { log, entry, height, time }) => {
                let log = log.parse().map_err(|error: String| TransferError::malformed(at(line), error))?;
                let taken = taken(height.as_deref(), time.as_deref(), line)?;
                logs.add(at(line), log, bytes(&entry)?, taken)?;
            }
        }
    }
    if leaves.to_string() != header.leaves {
        let detail = format!("the header names {} leaves, {leaves} follow", header.leaves);
        return Err(TransferError::malformed(at(lines.number), detail));
    }
    if logs.len().to_string() != header.log_entries {
        let detail = format!("the header names {} entries of logs, {} follow", header.log_entries, logs.len());
        return Err(TransferError::malformed(at(lines.number), detail));
    }
    let state = builder.finish(&meta).and_then(state_of::<M>).map_err(altered)?;
    logs.check::<M>("the entries", &state)?;
    let app_state = M::genesis_again(&state);
    let app_state = app_state.ok_or_else(|| TransferError::malformed("the leaves", "name no chain to hear"))?;
    let chain_id = M::chain_id(&state);
    if chain_id.as_str() != header.chain_id {
        let detail = format!("the header names {}, the state {chain_id}", header.chain_id);
        return Err(TransferError::malformed("line 1", detail));
    }
    let validator = make_key(home)?;
    let governor = |operator: Address| {
        let Validator { pubkey: key, power } = validator;
        db3_governance::Validator { key, power, operator, payout: operator }
    };
    let governors: Vec<_> = input.operator.map(governor).into_iter().collect();
    let changes = begin_anew(M::tree(&state), &governors)
        .map_err(|error| TransferError::malformed("the governance of the state", error))?;
    let tree = M::tree(&state).apply(changes).map_err(|error| TransferError::malformed("the leaves", error))?;
    let state = state_of::<M>(tree)?;
    let meta = SnapshotMeta { root: M::root(&state), ..meta };
    let first = meta.height.next().ok_or_else(|| TransferError::malformed("line 1", "there is no next height"))?;
    let time = input.time.unwrap_or_else(|| crate::app::Clock::default().now()).max(meta.time);
    let genesis = make_genesis(home, app_state, first, Some(meta.root), Some(time))?;
    write_settings(home, &input.settings)?;
    let store = Store::open::<M>(home, &header.chain_id)?;
    logs.write::<M>(&store, &state)?;
    store.advance_snapshot(Some(&Tree::new()), M::tree(&state), &SnapshotMeta { time, ..meta })?;
    store.sync()?;
    // Last, so that a folder with a genesis is a whole one.
    genesis.save(&genesis_file(home)).map_err(crate::error::StartError::from)?;
    Ok(genesis)
}

/// That the export is of a chain that this program runs.
fn check_kind<M: Machine>(chain_id: &str) -> Result<(), TransferError> {
    let malformed = |detail: String| TransferError::malformed("line 1", detail);
    let known = ChainId::parse(chain_id).map_err(|error| malformed(error.to_string()))?;
    let (kind, program) = match known.parts() {
        Some((_, ChainRole::Settlement)) => (ChainKind::Settlement, "settlement-node"),
        Some((_, ChainRole::Shard(_))) => (ChainKind::Shard, "shard-node"),
        None => return Err(malformed(format!("chain_id is {chain_id}, which names no chain of a network"))),
    };
    if kind == M::KIND {
        return Ok(());
    }
    Err(malformed(format!("holds the state of {chain_id}; import it with `{program} init --import`")))
}

/// The lines are not those that were exported: it is a file that was given, not this node's own.
fn altered(error: StoreError) -> TransferError {
    let detail = match error {
        StoreError::RootMismatch { found, expected, .. } => format!(
            "come to the root 0x{}, and the header names 0x{}: export the state once more",
            hex::encode(found),
            hex::encode(expected)
        ),
        other => other.to_string(),
    };
    TransferError::malformed("the leaves", detail)
}

fn meta_of(header: &ExportHeader) -> Result<SnapshotMeta, TransferError> {
    let wrong = |field: &str, value: &str| TransferError::malformed("line 1", format!("{field} is {value}"));
    if header.format != FORMAT {
        return Err(wrong("format", &header.format.to_string()));
    }
    let mut root = [0; 32];
    hex::decode_to_slice(&header.root, &mut root).map_err(|_| wrong("root", &header.root))?;
    let height: Height = header.height.parse().map_err(|_| wrong("height", &header.height))?;
    if height.get() == 0 {
        return Err(wrong("height", "0: there is nothing to continue from"));
    }
    let time = BlockTime::parse_rfc3339(&header.time).map_err(|_| wrong("time", &header.time))?;
    Ok(SnapshotMeta { height, time, root })
}

/// The block that took in an entry.
fn taken(height: Option<&str>, time: Option<&str>, line: u64) -> Result<Option<At>, TransferError> {
    let wrong = || TransferError::malformed(at(line), "names no block: height and time stand together, or neither");
    match (height, time) {
        (None, None) => Ok(None),
        (Some(height), Some(time)) => {
            let height = height.parse().map_err(|_| wrong())?;
            let time = BlockTime::parse_rfc3339(time).map_err(|_| wrong())?;
            Ok(Some(At { height, time }))
        }
        (Some(_), None) | (None, Some(_)) => Err(wrong()),
    }
}

fn at(line: u64) -> String {
    format!("line {line}")
}

struct Lines<'a> {
    from: &'a mut dyn BufRead,
    number: u64,
    buffer: Vec<u8>,
}

impl Lines<'_> {
    /// The next line, read as JSON; none at the end.
    fn next<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, TransferError> {
        use std::io::Read as _;
        self.buffer.clear();
        self.number = self.number.saturating_add(1);
        let read = (&mut *self.from).take(LINE_BYTES_MAX).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(None);
        }
        serde_json::from_slice(&self.buffer).map(Some).map_err(|error| {
            let place = format!("line {}, column {}", self.number, error.column());
            TransferError::malformed(place, db3_genesis::json_fault(&error))
        })
    }
}
