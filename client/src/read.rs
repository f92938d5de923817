//! Reading records: one, several of one state, or a complete range in pages. Everything is checked before it is
//! returned, unless the client was told to believe its nodes.

use std::sync::Arc;

use bytes::Bytes;
use db3_primitives::limits::{BATCH_READ_KEYS_MAX, PAGE_ITEMS_MAX};
use db3_primitives::{Hash32, Namespace, RecordKey, TableName};
use db3_proto::convert::RecordLeaf;
use db3_proto::v1;

use crate::chain::{At, Chain, StatePoint};
use crate::client::Client;
use crate::error::ClientError;
use crate::prove::{self, Page, TreeRange};
use crate::record::{Answer, Record};
use crate::wire::{shard, timed};

/// Which records of a table to scan.
#[derive(Clone, Debug, Default)]
pub struct Range {
    /// First key, inclusive; empty: from the first.
    pub from: Vec<u8>,
    /// End, exclusive; empty: to the last.
    pub to: Vec<u8>,
    /// Only keys that begin with this; together with the bounds, both hold.
    pub prefix: Vec<u8>,
}

/// What a page or a record came with, as it travels: what a kept proof is made of.
#[derive(Clone, Debug)]
pub(crate) struct Evidence<T> {
    pub response: T,
    pub light_block: Option<v1::LightBlock>,
}

impl Client {
    /// A record, or none where its absence is proven.
    pub async fn get(
        &self,
        namespace: &str,
        table: &str,
        key: impl AsRef<[u8]>,
    ) -> Result<Answer<Option<Record>>, ClientError> {
        let names = parse(namespace, table, key.as_ref())?;
        self.get_with(&names, At::default()).await.map(|(answer, _)| answer)
    }

    pub(crate) async fn get_with(
        &self,
        names: &(Namespace, TableName, RecordKey),
        at: At,
    ) -> Result<(Answer<Option<Record>>, Evidence<v1::GetRecordResponse>), ClientError> {
        let (namespace, table, key) = names;
        let chain = self.chain_of(namespace)?;
        let asked = chain.read_options(at);
        let request = v1::GetRecordRequest {
            namespace: namespace.as_str().to_owned(),
            table: table.as_str().to_owned(),
            key: Bytes::copy_from_slice(key.as_bytes()),
            read: Some(asked),
        };
        let response = chain
            .call(|channel, limit| {
                let request = request.clone();
                async move { shard(channel).get_record(timed(request, limit)).await }
            })
            .await?;
        let point = chain.check(response.context.as_ref(), &asked).await?;
        let found =
            prove::record(root(&point), (namespace, table, key), response.record.as_ref(), &response.ics23_proof)
                .map_err(|flaw| ClientError::proof(&chain.id, flaw))?;
        let value = found.map(|(header, value)| Record::new((namespace, table, key), &header, value));
        let light_block = response.context.as_ref().and_then(|context| context.light_block.clone());
        Ok((Answer { value, at: point }, Evidence { response, light_block }))
    }

    /// Several records of one table, all of one state, in the order of the keys; none where absence is proven.
    pub async fn get_many(
        &self,
        namespace: &str,
        table: &str,
        keys: &[RecordKey],
    ) -> Result<Answer<Vec<Option<Record>>>, ClientError> {
        if keys.is_empty() || keys.len() > BATCH_READ_KEYS_MAX {
            return Err(ClientError::input(
                format!("{} keys are asked for at once", keys.len()),
                format!("ask for 1 to {BATCH_READ_KEYS_MAX}"),
            ));
        }
        let (namespace, table): (Namespace, TableName) = (namespace.parse()?, table.parse()?);
        let chain = self.chain_of(&namespace)?;
        let asked = chain.read_options(At::default());
        let names = keys.iter().map(|key| v1::RecordName {
            namespace: namespace.as_str().to_owned(),
            table: table.as_str().to_owned(),
            key: Bytes::copy_from_slice(key.as_bytes()),
        });
        let request = v1::BatchGetRecordsRequest { names: names.collect(), read: Some(asked) };
        let response = chain
            .call(|channel, limit| {
                let request = request.clone();
                async move { shard(channel).batch_get_records(timed(request, limit)).await }
            })
            .await?;
        let point = chain.check(response.context.as_ref(), &asked).await?;
        if response.results.len() != keys.len() {
            return Err(ClientError::proof(
                &chain.id,
                format!("{} records came for {} keys", response.results.len(), keys.len()),
            ));
        }
        let mut records = Vec::with_capacity(keys.len());
        for (key, result) in keys.iter().zip(&response.results) {
            let names = (&namespace, &table, key);
            let found = prove::record(root(&point), names, result.record.as_ref(), &result.ics23_proof)
                .map_err(|flaw| ClientError::proof(&chain.id, flaw))?;
            records.push(found.map(|(header, value)| Record::new(names, &header, value)));
        }
        Ok(Answer { value: records, at: point })
    }

    /// Begins a scan of a table. Pages are of one state, and each is proven complete.
    pub fn scan(&self, namespace: &str, table: &str, range: &Range) -> Result<Scan, ClientError> {
        let (namespace, table): (Namespace, TableName) = (namespace.parse()?, table.parse()?);
        let (from, to) = range.bounds();
        let left = TreeRange::of_records(&namespace, &table, &from, &to);
        Ok(Scan {
            chain: self.chain_of(&namespace)?,
            namespace,
            table,
            from,
            to,
            left: Some(left),
            token: String::new(),
            point: None,
            evidence: None,
        })
    }
}

impl Range {
    /// Both bounds and the prefix as `[from, to)`, empty for none.
    pub(crate) fn bounds(&self) -> (Vec<u8>, Vec<u8>) {
        let from = self.from.clone().max(self.prefix.clone());
        let prefix_end = db3_state_tree::prefix_end(&self.prefix).unwrap_or_default();
        let to = match (self.to.is_empty(), prefix_end.is_empty()) {
            (true, _) => prefix_end,
            (false, true) => self.to.clone(),
            (false, false) => prefix_end.min(self.to.clone()),
        };
        (from, to)
    }
}

/// A scan under way.
pub struct Scan {
    chain: Arc<Chain>,
    namespace: Namespace,
    table: TableName,
    from: Vec<u8>,
    to: Vec<u8>,
    /// What is still to come; none after the end.
    left: Option<TreeRange>,
    token: String,
    point: Option<StatePoint>,
    /// Set to keep what the last page came with.
    evidence: Option<Evidence<v1::ScanRecordsResponse>>,
}

impl Scan {
    /// The next page, of at most `limit` records; none after the last.
    pub async fn next_page(&mut self, limit: usize) -> Result<Option<Vec<Record>>, ClientError> {
        self.next_page_with(limit, false).await
    }

    pub(crate) async fn next_page_with(
        &mut self,
        limit: usize,
        with_header: bool,
    ) -> Result<Option<Vec<Record>>, ClientError> {
        let Some(left) = self.left.clone() else { return Ok(None) };
        let chain = Arc::clone(&self.chain);
        let known = self.point.as_ref();
        let asked = v1::ReadOptions {
            trusted_height: known.map_or_else(
                || chain.read_options(At { with_header, height: 0 }).trusted_height,
                |point| point.height.saturating_add(1),
            ),
            ..chain.read_options(At { with_header, height: known.map_or(0, |point| point.height) })
        };
        let request = v1::ScanRecordsRequest {
            namespace: self.namespace.as_str().to_owned(),
            table: self.table.as_str().to_owned(),
            start_key: Bytes::copy_from_slice(&self.from),
            end_key: Bytes::copy_from_slice(&self.to),
            page_size: i32::try_from(limit.clamp(1, PAGE_ITEMS_MAX)).unwrap_or(1),
            page_token: self.token.clone(),
            read: Some(asked),
            ..v1::ScanRecordsRequest::default()
        };
        let response = chain
            .call(|channel, limit| {
                let request = request.clone();
                async move { shard(channel).scan_records(timed(request, limit)).await }
            })
            .await?;
        let point = self.same_point(response.context.as_ref(), &asked).await?;
        let records = self.take(&left, &point, &response)?;
        let light_block = response.context.as_ref().and_then(|context| context.light_block.clone());
        self.evidence = Some(Evidence { response, light_block });
        self.point = Some(point);
        Ok(Some(records))
    }

    /// The state that the pages are of; none before the first.
    #[must_use]
    pub fn at(&self) -> Option<&StatePoint> {
        self.point.as_ref()
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.left.is_none()
    }

    pub(crate) fn evidence(&self) -> Option<&Evidence<v1::ScanRecordsResponse>> {
        self.evidence.as_ref()
    }

    /// The first page's header is verified; the others must be of the very same state.
    async fn same_point(
        &self,
        context: Option<&v1::ReadContext>,
        asked: &v1::ReadOptions,
    ) -> Result<StatePoint, ClientError> {
        let Some(known) = &self.point else { return self.chain.check(context, asked).await };
        let same = context.is_some_and(|context| {
            context.chain_id == known.chain_id && context.height == known.height && context.root.as_ref() == known.root
        });
        if same {
            Ok(known.clone())
        } else {
            Err(ClientError::proof(&self.chain.id, "a page came from another state than the first"))
        }
    }

    fn take(
        &mut self,
        left: &TreeRange,
        point: &StatePoint,
        response: &v1::ScanRecordsResponse,
    ) -> Result<Vec<Record>, ClientError> {
        let flawed = |flaw| ClientError::proof(&self.chain.id, flaw);
        let (checked, leaves) =
            prove::checked_records(&self.namespace, &self.table, &response.records).map_err(flawed)?;
        let page = Page {
            leaves,
            proof: response.proof.as_ref(),
            complete_from: &response.complete_from,
            complete_to: &response.complete_to,
            is_last: response.next_page_token.is_empty(),
        };
        let end = if point.verified { prove::page(root(point), left, &page).map_err(flawed)? } else { left.to.clone() };
        let mut records = Vec::with_capacity(checked.len());
        for record in checked {
            let RecordLeaf::Whole { header, leaf } = &record.leaf else {
                return Err(flawed("a record came without its value".to_owned()));
            };
            let value = leaf.get(db3_primitives::RecordHeader::BYTES..).unwrap_or_default().to_vec();
            records.push(Record::new((&record.namespace, &record.table, &record.key), header, value));
        }
        self.left = (!page.is_last).then_some(TreeRange { from: end, to: left.to.clone() });
        self.token.clone_from(&response.next_page_token);
        Ok(records)
    }
}

/// The root that proofs must lead to; none where nothing is verified.
fn root(point: &StatePoint) -> Option<&Hash32> {
    point.verified.then_some(&point.root)
}

pub(crate) fn parse(
    namespace: &str,
    table: &str,
    key: &[u8],
) -> Result<(Namespace, TableName, RecordKey), ClientError> {
    Ok((namespace.parse()?, table.parse()?, RecordKey::new(key.to_vec())?))
}
