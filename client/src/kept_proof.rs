//! A proof that is kept: one JSON file that holds an answer and everything that proves it, to be checked offline, years
//! later, from the network's trust root alone.
//!
//! Layout: `db3_proof` (1), `statement` (what is proven), `evidence` (why), `sha256`. The file is canonical: it must be
//! byte for byte what this module writes for its contents, and the digest covers the rest, so that every byte counts.
//! The digest finds accidents; what convinces is the evidence.

use db3_genesis::NetworkFile;
use db3_light_client::{LightClient, Options, UnixTime};
use db3_primitives::{BlockTime, Hash32, Namespace, RecordHeader, RecordKey, TableName, key, sha256};
use db3_state_tree::{LeafValue, verify_range};
use serde::{Deserialize, Serialize};

use crate::chain::block_time;
use crate::prove::{self, TreeRange};
use crate::record::Record;

/// Version of the layout.
const VERSION: u32 = 1;

/// Why a kept proof does not hold.
#[derive(Debug, thiserror::Error)]
pub enum KeptProofError {
    /// The file is no kept proof at all.
    #[error(
        "{path} is no proof that `db3 get --proof-file` or `db3 scan --proof-file` wrote: {detail}; give such a file"
    )]
    NotAProof {
        /// The file.
        path: String,
        /// What the parser found.
        detail: String,
    },
    /// It is one, and it was altered, or never held.
    #[error("the proof does not hold: {detail}")]
    Invalid {
        /// What does not hold.
        detail: String,
    },
    /// It belongs to another network.
    #[error(
        "the proof is of the network {network} with another trust root than the one that is known by this name; choose its network with --network"
    )]
    OtherNetwork {
        /// The network that it names.
        network: String,
    },
}

/// A kept proof.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeptProof {
    db3_proof: u32,
    statement: Statement,
    evidence: Evidence,
    sha256: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Statement {
    pub network: String,
    pub chain_id: String,
    /// Height of the block after which this holds.
    pub height: String,
    pub root: String,
    pub namespace: String,
    pub table: String,
    pub subject: Subject,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum Subject {
    /// A key and its record, or none.
    Record { key_hex: String, record: Option<KeptRecord> },
    /// All records with keys in [from, to); an empty bound is none.
    Range { from_hex: String, to_hex: String, complete: bool, records: Vec<KeptRecord> },
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_hex: Option<String>,
    pub stored_header: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Evidence {
    /// Identifier of the trust root that the header leads to.
    pub trust_root: String,
    pub light_block: String,
    /// Validators after the trust root, where they are not the header's own.
    pub next_validators: String,
    /// `cosmos.ics23.v1.CommitmentProof` of the record's leaf, or of its absence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ics23: Option<String>,
    /// Complete-range proofs of the pages of a range, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<KeptPage>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptPage {
    pub records: u32,
    /// Tree key up to which the page is complete, exclusive.
    pub complete_to: String,
    pub range_proof: String,
}

/// What a kept proof shows.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The network.
    pub network: String,
    /// The chain.
    pub chain_id: String,
    /// Height of the block after which this holds.
    pub height: u64,
    /// Time of the header that carries the root.
    pub time: BlockTime,
    /// Root of the state.
    pub root: Hash32,
    /// Namespace of the table.
    pub namespace: Namespace,
    /// The table.
    pub table: TableName,
    /// What is shown.
    pub shown: Shown,
}

/// A record, an absence or a range.
#[derive(Clone, Debug)]
pub enum Shown {
    /// This record.
    Record(Record),
    /// This key has no record.
    Absent(RecordKey),
    /// These records and no others have keys in the range.
    Range {
        /// First key, inclusive; empty: from the first.
        from: Vec<u8>,
        /// End, exclusive; empty: to the last.
        to: Vec<u8>,
        /// Whether the range is shown to its end; else up to the last record.
        complete: bool,
        /// The records.
        records: Vec<Record>,
    },
}

impl KeptProof {
    pub(crate) fn new(statement: Statement, evidence: Evidence) -> Self {
        let mut kept = Self { db3_proof: VERSION, statement, evidence, sha256: String::new() };
        kept.sha256 = kept.digest();
        kept
    }

    /// The file's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a file's text. `path` is named in the error.
    pub fn from_json(path: &str, text: &[u8]) -> Result<Self, KeptProofError> {
        let looks_like_one = text.starts_with(b"{\n  \"db3_proof\"");
        let wrong = |detail: String| {
            if looks_like_one {
                KeptProofError::Invalid { detail: format!("the file was altered: {detail}") }
            } else {
                KeptProofError::NotAProof { path: path.to_owned(), detail }
            }
        };
        let kept: Self = serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
        if kept.db3_proof != VERSION {
            return Err(wrong(format!("its version is {}, and only {VERSION} can be checked", kept.db3_proof)));
        }
        if kept.to_json().as_bytes() != text {
            return Err(wrong("it is not written as such files are".to_owned()));
        }
        if kept.sha256 != kept.digest() {
            return Err(wrong("its digest is of other contents".to_owned()));
        }
        Ok(kept)
    }

    fn digest(&self) -> String {
        let covered = serde_json::to_vec(&(self.db3_proof, &self.statement, &self.evidence)).unwrap_or_default();
        to_hex(&sha256(&[&covered]))
    }

    /// The network that it names.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.statement.network
    }

    /// Checks everything from the network's trust root. Nobody is asked.
    pub fn verify(&self, network: &NetworkFile) -> Result<Proven, KeptProofError> {
        let statement = &self.statement;
        let other = || KeptProofError::OtherNetwork { network: statement.network.clone() };
        let entry = network
            .chain(&statement.chain_id)
            .filter(|_| network.name.as_str() == statement.network)
            .ok_or_else(other)?;
        let trust_root = entry.trust_root().map_err(|error| invalid(error.to_string()))?;
        if self.evidence.trust_root != to_hex(&trust_root.id()) {
            return Err(other());
        }
        let height: u64 = statement.height.parse().map_err(|_| invalid("its height is no number"))?;
        let root = Hash32::try_from(unhex(&statement.root)?).map_err(|_| invalid("its root does not have 32 bytes"))?;
        let validators = unhex(&self.evidence.next_validators)?;
        let mut light = LightClient::from_root(trust_root, Options::never_expires());
        // The header was in nobody's future when it was kept, and trust in a root that is at hand does not expire:
        // so it is checked as at the end of time, less the moment at which even that trust ends.
        let now = UnixTime::MAX.saturating_sub_secs(1);
        let header = light
            .verify(&unhex(&self.evidence.light_block)?, Some(validators.as_slice()).filter(|set| !set.is_empty()), now)
            .map_err(|error| invalid(format!("its header is not trusted: {error}")))?;
        if header.height != height.saturating_add(1) || header.app_hash != Some(root) {
            return Err(invalid("its header does not carry the root at that height"));
        }
        let namespace: Namespace =
            statement.namespace.parse().map_err(|error: db3_primitives::Rejection| invalid(error.to_string()))?;
        let table: TableName =
            statement.table.parse().map_err(|error: db3_primitives::Rejection| invalid(error.to_string()))?;
        let shown = match &statement.subject {
            Subject::Record { key_hex, record } => {
                self.verify_record(&root, (&namespace, &table), key_hex, record.as_ref())?
            }
            Subject::Range { from_hex, to_hex, complete, records } => {
                let (from, to) = (unhex(from_hex)?, unhex(to_hex)?);
                let records = self.verify_range(&root, (&namespace, &table), (&from, &to), *complete, records)?;
                Shown::Range { from, to, complete: *complete, records }
            }
        };
        Ok(Proven {
            network: statement.network.clone(),
            chain_id: statement.chain_id.clone(),
            height,
            time: block_time(header.time),
            root,
            namespace,
            table,
            shown,
        })
    }

    fn verify_record(
        &self,
        root: &Hash32,
        (namespace, table): (&Namespace, &TableName),
        key_hex: &str,
        record: Option<&KeptRecord>,
    ) -> Result<Shown, KeptProofError> {
        let key = record_key(unhex(key_hex)?)?;
        let proof = unhex(self.evidence.ics23.as_deref().unwrap_or_default())?;
        let tree_key = key::record(namespace, table, &key);
        let Some(record) = record else {
            prove::leaf(root, &tree_key, None, &proof).map_err(invalid)?;
            return Ok(Shown::Absent(key));
        };
        let (record, leaf) = record.read(namespace, table)?;
        if record.key != key {
            return Err(invalid("its record has another key than the one it is about"));
        }
        prove::leaf(root, &tree_key, Some(&leaf), &proof).map_err(invalid)?;
        Ok(Shown::Record(record))
    }

    fn verify_range(
        &self,
        root: &Hash32,
        (namespace, table): (&Namespace, &TableName),
        (from, to): (&[u8], &[u8]),
        complete: bool,
        records: &[KeptRecord],
    ) -> Result<Vec<Record>, KeptProofError> {
        let wanted = TreeRange::of_records(namespace, table, from, to);
        let read = records.iter().map(|record| record.read(namespace, table));
        let read = read.collect::<Result<Vec<_>, _>>()?;
        let leaves: Vec<(Vec<u8>, &[u8])> =
            read.iter().map(|(record, leaf)| (key::record(namespace, table, &record.key), leaf.as_slice())).collect();
        let mut left = leaves.as_slice();
        let mut at = wanted.from;
        for page in &self.evidence.pages {
            let count = usize::try_from(page.records).unwrap_or(usize::MAX);
            let (of_page, rest) =
                left.split_at_checked(count).ok_or_else(|| invalid("it holds fewer records than its pages say"))?;
            let end = unhex(&page.complete_to)?;
            // A page that went back would show its records twice. (Only of nothing is nothing a whole page.)
            if end < at || (end == at && !of_page.is_empty()) {
                return Err(invalid("its pages do not follow one another"));
            }
            let borrowed: Vec<(&[u8], LeafValue<'_>)> =
                of_page.iter().map(|(key, leaf)| (key.as_slice(), LeafValue::Bytes(leaf))).collect();
            verify_range(root, &at, Some(&end), &borrowed, &unhex(&page.range_proof)?)
                .map_err(|error| invalid(error.to_string()))?;
            (left, at) = (rest, end);
        }
        if !left.is_empty() {
            return Err(invalid("it holds more records than its pages say"));
        }
        if complete != (at == wanted.to) || at > wanted.to {
            return Err(invalid("it does not reach the end of its range"));
        }
        Ok(read.into_iter().map(|(record, _)| record).collect())
    }
}

impl KeptRecord {
    pub(crate) fn new(record: &Record) -> Self {
        let header = RecordHeader {
            owner: record.owner,
            version: record.version,
            height: record.update_height,
            time_secs: record.update_time.secs,
        };
        let (key, key_hex) = text_or_hex(record.key.as_bytes());
        let (value, value_hex) = text_or_hex(&record.value);
        Self { key, key_hex, value, value_hex, stored_header: to_hex(&header.to_bytes()) }
    }

    /// The record and its leaf.
    fn read(&self, namespace: &Namespace, table: &TableName) -> Result<(Record, Vec<u8>), KeptProofError> {
        let key = record_key(from_text_or_hex(self.key.as_deref(), self.key_hex.as_deref())?)?;
        let value = from_text_or_hex(self.value.as_deref(), self.value_hex.as_deref())?;
        let header =
            RecordHeader::from_bytes(&unhex(&self.stored_header)?).map_err(|error| invalid(error.to_string()))?;
        let leaf = header.leaf(&value);
        Ok((Record::new((namespace, table, &key), &header, value), leaf))
    }
}

fn invalid(detail: impl Into<String>) -> KeptProofError {
    KeptProofError::Invalid { detail: detail.into() }
}

fn record_key(bytes: Vec<u8>) -> Result<RecordKey, KeptProofError> {
    RecordKey::new(bytes).map_err(|error| invalid(error.to_string()))
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn unhex(text: &str) -> Result<Vec<u8>, KeptProofError> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits)
        .map_err(|error| invalid(format!("`{}` is no hex: {error}", text.chars().take(40).collect::<String>())))
}

fn text_or_hex(bytes: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(to_hex(bytes))),
    }
}

fn from_text_or_hex(text: Option<&str>, hex_text: Option<&str>) -> Result<Vec<u8>, KeptProofError> {
    match (text, hex_text) {
        (Some(text), None) => Ok(text.as_bytes().to_vec()),
        (None, Some(text)) => unhex(text),
        (None, None) | (Some(_), Some(_)) => Err(invalid("a key or value must stand as text or as hex")),
    }
}
