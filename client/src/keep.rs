//! Reading with a proof to keep.

use bytes::Bytes;
use db3_primitives::limits::PAGE_ITEMS_MAX;
use db3_proto::v1;

use crate::chain::{At, Chain, StatePoint};
use crate::client::Client;
use crate::error::ClientError;
use crate::kept_proof::{Evidence, KeptPage, KeptProof, KeptRecord, Statement, Subject, to_hex};
use crate::read::{Range, parse};
use crate::record::{Answer, Record};

impl Client {
    /// As [`get`](Self::get), with the proof to keep.
    pub async fn get_and_keep(
        &self,
        namespace: &str,
        table: &str,
        key: impl AsRef<[u8]>,
    ) -> Result<(Answer<Option<Record>>, KeptProof), ClientError> {
        let names = parse(namespace, table, key.as_ref())?;
        let chain = self.chain_of(&names.0)?;
        let (answer, read) = self.get_with(&names, At { height: 0, with_header: true }).await?;
        let subject =
            Subject::Record { key_hex: to_hex(names.2.as_bytes()), record: answer.value.as_ref().map(KeptRecord::new) };
        let statement = self.statement(&answer.at, names.0.as_str(), names.1.as_str(), subject)?;
        let mut evidence = evidence(&chain, read.light_block.as_ref())?;
        evidence.ics23 = Some(to_hex(&read.response.ics23_proof));
        Ok((answer, KeptProof::new(statement, evidence)))
    }

    /// Scans a range up to `limit` records, with the proof to keep.
    pub async fn scan_and_keep(
        &self,
        namespace: &str,
        table: &str,
        range: &Range,
        limit: usize,
    ) -> Result<(Answer<Vec<Record>>, KeptProof), ClientError> {
        let mut scan = self.scan(namespace, table, range)?;
        let (mut records, mut pages, mut light_block) = (Vec::new(), Vec::new(), None);
        while records.len() < limit {
            let left = limit.saturating_sub(records.len()).min(PAGE_ITEMS_MAX);
            let Some(page) = scan.next_page_with(left, pages.is_empty()).await? else { break };
            if let Some(read) = scan.evidence() {
                if pages.is_empty() {
                    light_block.clone_from(&read.light_block);
                }
                pages.push(KeptPage {
                    records: u32::try_from(page.len()).unwrap_or(u32::MAX),
                    complete_to: to_hex(&read.response.complete_to),
                    range_proof: to_hex(
                        &read.response.proof.as_ref().map_or_else(Bytes::new, |proof| proof.data.clone()),
                    ),
                });
            }
            records.extend(page);
        }
        let at =
            scan.at().cloned().ok_or_else(|| ClientError::input("nothing was asked for", "give a --limit above 0"))?;
        let namespace = namespace.parse()?;
        let chain = self.chain_of(&namespace)?;
        let (from, to) = range.bounds();
        let subject = Subject::Range {
            from_hex: to_hex(&from),
            to_hex: to_hex(&to),
            complete: scan.is_done(),
            records: records.iter().map(KeptRecord::new).collect(),
        };
        let statement = self.statement(&at, namespace.as_str(), table, subject)?;
        let mut evidence = evidence(&chain, light_block.as_ref())?;
        evidence.pages = pages;
        Ok((Answer { value: records, at }, KeptProof::new(statement, evidence)))
    }

    fn statement(
        &self,
        at: &StatePoint,
        namespace: &str,
        table: &str,
        subject: Subject,
    ) -> Result<Statement, ClientError> {
        if !at.verified {
            return Err(ClientError::input(
                "a proof is to be kept of an answer that is not verified",
                "leave out --unverified",
            ));
        }
        Ok(Statement {
            network: self.network().name.as_str().to_owned(),
            chain_id: at.chain_id.clone(),
            height: at.height.to_string(),
            root: to_hex(&at.root),
            namespace: namespace.to_owned(),
            table: table.to_owned(),
            subject,
        })
    }
}

fn evidence(chain: &Chain, light_block: Option<&v1::LightBlock>) -> Result<Evidence, ClientError> {
    let block = light_block.ok_or_else(|| ClientError::malformed(&chain.id, "the answer came without its header"))?;
    Ok(Evidence {
        trust_root: to_hex(&chain.trust_root().id()),
        light_block: to_hex(&block.tendermint_light_block),
        next_validators: to_hex(&block.next_validator_set),
        ics23: None,
        pages: Vec::new(),
    })
}
