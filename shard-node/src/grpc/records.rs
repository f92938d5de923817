//! `GetRecord`, `BatchGetRecords` and `ScanRecords`.

use bytes::Bytes;
use db3_node::grpc::{Ask, PageToken, Question, Refusal, View, named};
use db3_primitives::leaf::split_record;
use db3_primitives::{Namespace, RecordKey, Rejection, TableName, key, limits};
use db3_proto::convert::request::{invalid, page_size};
use db3_proto::convert::{record_key_message, record_message};
use db3_proto::v1;
use db3_state_tree::{prefix_end, value_hash};
use tokio::time::Instant;

use super::ShardNode;
use crate::kind::ShardKind;

/// What a result of a batch costs beside its record and proof.
const RESULT_OVERHEAD_BYTES: usize = 192;

impl ShardNode {
    pub(super) async fn get_record(
        &self,
        request: v1::GetRecordRequest,
        deadline: Instant,
    ) -> Result<v1::GetRecordResponse, Refusal> {
        let name = Name::read("", &request.namespace, &request.table, &request.key)?;
        let view = self.node.view(request.read, None, deadline).await?;
        self.check_shard(view.state(), &name.namespace)?;
        let (record, ics23_proof) = read(&view, &name);
        Ok(v1::GetRecordResponse { record, context: Some(view.context()), ics23_proof })
    }

    pub(super) async fn batch_get_records(
        &self,
        request: v1::BatchGetRecordsRequest,
        deadline: Instant,
    ) -> Result<v1::BatchGetRecordsResponse, Refusal> {
        let count = request.names.len();
        if count > limits::BATCH_READ_KEYS_MAX {
            return Err(too_many(count, limits::BATCH_READ_KEYS_MAX).into());
        }
        let names = request
            .names
            .iter()
            .enumerate()
            .map(|(at, name)| Name::read(&format!("names[{at}]."), &name.namespace, &name.table, &name.key))
            .collect::<Result<Vec<_>, _>>()?;
        let view = self.node.view(request.read, None, deadline).await?;
        let mut results = Vec::with_capacity(count);
        let mut bytes = 0_usize;
        for name in &names {
            self.check_shard(view.state(), &name.namespace)?;
            let (record, ics23_proof) = read(&view, name);
            let value_bytes = record.as_ref().map_or(0, |record| record.value.len());
            bytes = [value_bytes, ics23_proof.len(), name.tree_key.len(), RESULT_OVERHEAD_BYTES]
                .into_iter()
                .fold(bytes, usize::saturating_add);
            if bytes > limits::PAGE_BYTES_MAX {
                return Err(too_many(count, results.len().max(1)).into());
            }
            results.push(v1::RecordResult { record, ics23_proof });
        }
        Ok(v1::BatchGetRecordsResponse { results, context: Some(view.context()) })
    }

    pub(super) async fn scan_records(
        &self,
        request: v1::ScanRecordsRequest,
        deadline: Instant,
    ) -> Result<v1::ScanRecordsResponse, Refusal> {
        let namespace: Namespace = named("namespace", &request.namespace)?;
        let table: TableName = named("table", &request.table)?;
        for (field, bytes) in
            [("start_key", &request.start_key), ("end_key", &request.end_key), ("prefix", &request.prefix)]
        {
            if bytes.len() > limits::KEY_BYTES_MAX {
                let detail = format!("has {} bytes; no key has more than {}", bytes.len(), limits::KEY_BYTES_MAX);
                return Err(invalid(field, detail).into());
            }
        }
        if !request.end_key.is_empty() && request.end_key < request.start_key {
            return Err(invalid("end_key", "sorts before start_key: the range holds nothing").into());
        }
        let items = page_size(request.page_size)?;
        let question = Question::new(
            "ScanRecords",
            &[
                namespace.as_str().as_bytes(),
                table.as_str().as_bytes(),
                &request.start_key,
                &request.end_key,
                &request.prefix,
                &[u8::from(request.reverse)],
            ],
        );
        let token = PageToken::open(&request.page_token, question)?;
        let view = self.node.view(request.read, token.as_ref().map(|token| token.height), deadline).await?;
        self.check_shard(view.state(), &namespace)?;
        let (from, to) = scan_range(&namespace, &table, &request);
        let keys_only = request.keys_only;
        let mut ask = Ask {
            from,
            to,
            reverse: request.reverse,
            items,
            bytes: &|key, value| key.len().saturating_add(if keys_only { 32 } else { value.len() }),
        };
        ask.resume(token.as_ref());
        let page = ask.page(view.state().tree());
        let prefix_bytes = key::record_prefix(&namespace, &table).len();
        let records = page
            .leaves
            .iter()
            .filter_map(|(tree_key, leaf)| {
                let key = tree_key.get(prefix_bytes..)?;
                if keys_only {
                    return Some(record_key_message(&namespace, &table, key, &value_hash(leaf)));
                }
                record_of_leaf(&namespace, &table, key, leaf)
            })
            .collect();
        let frame = page.frame(&view, question);
        if !frame.next_page_token.is_empty() {
            self.node.chain().pin(view.version());
        }
        Ok(v1::ScanRecordsResponse {
            records,
            next_page_token: frame.next_page_token,
            context: Some(view.context()),
            proof: frame.proof,
            complete_from: frame.complete_from,
            complete_to: frame.complete_to,
        })
    }
}

/// A record's name, checked, with its place in the tree.
struct Name {
    namespace: Namespace,
    table: TableName,
    key: RecordKey,
    tree_key: Vec<u8>,
}

impl Name {
    /// `at` is the path of the name in the request.
    fn read(at: &str, namespace: &str, table: &str, key_bytes: &[u8]) -> Result<Self, Refusal> {
        let wrong = |field: &str| {
            let field = format!("{at}{field}");
            move |rejection| Refusal::Field(rejection, field)
        };
        let namespace: Namespace = namespace.parse().map_err(wrong("namespace"))?;
        let table: TableName = table.parse().map_err(wrong("table"))?;
        let key = RecordKey::try_from(key_bytes).map_err(wrong("key"))?;
        let tree_key = key::record(&namespace, &table, &key);
        Ok(Self { namespace, table, key, tree_key })
    }
}

fn read(view: &View<ShardKind>, name: &Name) -> (Option<v1::Record>, Bytes) {
    let record = view
        .state()
        .tree()
        .get(&name.tree_key)
        .and_then(|leaf| record_of_leaf(&name.namespace, &name.table, name.key.as_bytes(), leaf));
    (record, view.proof_of(&name.tree_key))
}

/// The tree keys that a scan asks for: the table's, cut by the bounds and by the prefix.
fn scan_range(namespace: &Namespace, table: &TableName, request: &v1::ScanRecordsRequest) -> (Vec<u8>, Vec<u8>) {
    let table_prefix = key::record_prefix(namespace, table);
    let end_of = |prefix: &[u8]| prefix_end(prefix).unwrap_or_default();
    let prefix = [table_prefix.as_slice(), &request.prefix].concat();
    let start = [table_prefix.as_slice(), &request.start_key].concat();
    let end = if request.end_key.is_empty() {
        end_of(&table_prefix)
    } else {
        [table_prefix.as_slice(), &request.end_key].concat()
    };
    let from = start.max(prefix.clone());
    let to = end.min(end_of(&prefix)).max(from.clone());
    (from, to)
}

/// A record as it travels: what was hashed, and its decoded view.
pub fn record_of_leaf(namespace: &Namespace, table: &TableName, key: &[u8], leaf: &[u8]) -> Option<v1::Record> {
    let (header, value) = split_record(leaf)?;
    Some(record_message(namespace, table, key, &header, value))
}

fn too_many(count: usize, max: usize) -> Rejection {
    Rejection::TooManyItems { count: count as u64, max: max as u64 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn range(start: &str, end: &str, prefix: &str) -> (Vec<u8>, Vec<u8>) {
        let request = v1::ScanRecordsRequest {
            start_key: Bytes::copy_from_slice(start.as_bytes()),
            end_key: Bytes::copy_from_slice(end.as_bytes()),
            prefix: Bytes::copy_from_slice(prefix.as_bytes()),
            ..v1::ScanRecordsRequest::default()
        };
        scan_range(&"ns".parse().unwrap(), &"t".parse().unwrap(), &request)
    }

    fn holds(range: &(Vec<u8>, Vec<u8>), key: &str) -> bool {
        let key =
            key::record(&"ns".parse().unwrap(), &"t".parse().unwrap(), &RecordKey::try_from(key.as_bytes()).unwrap());
        range.0 <= key && key < range.1
    }

    #[test]
    fn bounds_and_prefix_hold_together() {
        let all = range("", "", "");
        assert!(holds(&all, "\0") && holds(&all, "zzzz"));
        let some = range("b", "d", "");
        assert!(!holds(&some, "azz") && holds(&some, "b") && holds(&some, "czz") && !holds(&some, "d"));
        let both = range("ab", "", "a");
        assert!(!holds(&both, "aa") && holds(&both, "ab") && holds(&both, "az") && !holds(&both, "b"));
        let none = range("x", "b", "");
        assert!(!holds(&none, "c") && !holds(&none, "x"));
    }

    #[test]
    fn another_table_is_never_in_the_range() {
        let (from, to) = range("", "", "");
        let other =
            key::record(&"ns".parse().unwrap(), &"t2".parse().unwrap(), &RecordKey::try_from(&b"k"[..]).unwrap());
        assert!(other < from || other >= to);
    }
}
