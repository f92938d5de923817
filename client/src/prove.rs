//! What an answer's proofs must show. Pure: bytes and a verified root in, a verdict out; no network, no clock.

use db3_primitives::{Hash32, Namespace, RecordHeader, RecordKey, TableName, key};
use db3_proto::convert::{CheckedRecord, RecordLeaf, checked_record};
use db3_proto::{ics23, v1};
use db3_state_tree::{
    LeafValue, Proof, RANGE_PROOF_FORMAT, prefix_end, verify_absence, verify_existence, verify_range,
};

/// Why an answer is not proven, in a sentence.
pub(crate) type Flaw = String;

/// Checks that the state under `root` holds `value` at the tree key, or nothing where `value` is none.
pub(crate) fn leaf(root: &Hash32, tree_key: &[u8], value: Option<&[u8]>, proof: &[u8]) -> Result<(), Flaw> {
    let proof = ics23::from_bytes(proof).map_err(|error| error.to_string())?;
    match (proof, value) {
        (Proof::Exists(existence), Some(value)) => {
            verify_existence(root, tree_key, value, &existence).map_err(|error| error.to_string())
        }
        (Proof::Absent(absence), None) => verify_absence(root, tree_key, &absence).map_err(|error| error.to_string()),
        (Proof::Absent(_), Some(_)) => Err("a value came with a proof of its absence".to_owned()),
        (Proof::Exists(_), None) => Err("an absence came with a proof of a value".to_owned()),
    }
}

/// A leaf that the state under `root` holds: its key and value, as the proof names them.
pub(crate) fn existing(root: &Hash32, proof: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Flaw> {
    let Proof::Exists(leaf) = ics23::from_bytes(proof).map_err(|error| error.to_string())? else {
        return Err("it came with a proof of absence".to_owned());
    };
    verify_existence(root, &leaf.key, &leaf.value, &leaf).map_err(|error| error.to_string())?;
    Ok((leaf.key, leaf.value))
}

/// Checks one record, or its absence. Without a root the decoded view alone is checked.
pub(crate) fn record(
    root: Option<&Hash32>,
    names: (&Namespace, &TableName, &RecordKey),
    message: Option<&v1::Record>,
    proof: &[u8],
) -> Result<Option<(RecordHeader, Vec<u8>)>, Flaw> {
    let (namespace, table, key) = names;
    let tree_key = key::record(namespace, table, key);
    let Some(message) = message else {
        root.map_or(Ok(()), |root| leaf(root, &tree_key, None, proof))?;
        return Ok(None);
    };
    let checked = checked_record(message).map_err(|error| error.to_string())?;
    if checked.tree_key() != tree_key {
        return Err("another record came than was asked for".to_owned());
    }
    let RecordLeaf::Whole { header, leaf: value } = checked.leaf else {
        return Err("the record came without its value".to_owned());
    };
    root.map_or(Ok(()), |root| leaf(root, &tree_key, Some(&value), proof))?;
    Ok(Some((header, value.get(RecordHeader::BYTES..).unwrap_or_default().to_vec())))
}

/// Bounds of a scan as tree keys, `[from, to)`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TreeRange {
    pub from: Vec<u8>,
    pub to: Vec<u8>,
}

impl TreeRange {
    /// The whole of what has this prefix.
    pub fn of_prefix(prefix: Vec<u8>) -> Self {
        // No tree key that is asked for consists of 0xff bytes alone, so that the end is always there.
        let to = prefix_end(&prefix).unwrap_or_else(|| vec![0xff; 600]);
        Self { from: prefix, to }
    }

    /// The records of a table with keys in `[from, to)`, empty for no bound.
    pub fn of_records(namespace: &Namespace, table: &TableName, from: &[u8], to: &[u8]) -> Self {
        let prefix = key::record_prefix(namespace, table);
        let whole = Self::of_prefix(prefix.clone());
        let bound = |key: &[u8]| [prefix.as_slice(), key].concat();
        let end = if to.is_empty() { whole.to } else { bound(to) };
        let from = bound(from);
        Self { to: end.max(from.clone()), from }
    }
}

/// One page of leaves as a node gave it, before anything is believed.
pub(crate) struct Page<'a> {
    pub leaves: Leaves<'a>,
    pub proof: Option<&'a v1::RangeProof>,
    pub complete_from: &'a [u8],
    pub complete_to: &'a [u8],
    pub is_last: bool,
}

/// Leaves by their tree keys.
pub(crate) type Leaves<'a> = Vec<(Vec<u8>, LeafOf<'a>)>;

/// What is known of a leaf.
pub(crate) enum LeafOf<'a> {
    Bytes(Vec<u8>),
    Borrowed(&'a [u8]),
    Hash(Hash32),
}

impl LeafOf<'_> {
    fn value(&self) -> LeafValue<'_> {
        match self {
            Self::Bytes(bytes) => LeafValue::Bytes(bytes),
            Self::Borrowed(bytes) => LeafValue::Bytes(bytes),
            Self::Hash(hash) => LeafValue::Hash(*hash),
        }
    }
}

/// Checks that a page holds all leaves from `wanted.from` on up to where it says it ends, and returns that end: the
/// start of the next page, or the wanted end on the last.
pub(crate) fn page(root: Option<&Hash32>, wanted: &TreeRange, page: &Page<'_>) -> Result<Vec<u8>, Flaw> {
    if page.complete_from != wanted.from {
        return Err("the page begins elsewhere than was asked".to_owned());
    }
    let end = page.complete_to;
    let ends_right =
        if page.is_last { end == wanted.to } else { end > wanted.from.as_slice() && end < wanted.to.as_slice() };
    if !ends_right {
        return Err("the page does not end where it should".to_owned());
    }
    if let Some(root) = root {
        let proof = page.proof.ok_or("the page came without proof")?;
        if proof.format != u32::from(RANGE_PROOF_FORMAT) {
            return Err(format!("range proofs of format {} cannot be checked by this version", proof.format));
        }
        let leaves: Vec<(&[u8], LeafValue<'_>)> =
            page.leaves.iter().map(|(key, leaf)| (key.as_slice(), leaf.value())).collect();
        verify_range(root, page.complete_from, Some(end), &leaves, &proof.data).map_err(|error| error.to_string())?;
    }
    Ok(end.to_vec())
}

/// Reads the records of a page of a table, each with its tree key and leaf.
pub(crate) fn checked_records<'a>(
    namespace: &Namespace,
    table: &TableName,
    messages: &'a [v1::Record],
) -> Result<(Vec<CheckedRecord>, Leaves<'a>), Flaw> {
    let mut records = Vec::with_capacity(messages.len());
    let mut leaves = Vec::with_capacity(messages.len());
    for message in messages {
        let checked = checked_record(message).map_err(|error| error.to_string())?;
        if checked.namespace != *namespace || checked.table != *table {
            return Err("a record of another table came".to_owned());
        }
        let leaf = match &checked.leaf {
            RecordLeaf::Whole { leaf, .. } => LeafOf::Bytes(leaf.clone()),
            RecordLeaf::Hash(hash) => LeafOf::Hash(*hash),
        };
        leaves.push((checked.tree_key(), leaf));
        records.push(checked);
    }
    Ok((records, leaves))
}
