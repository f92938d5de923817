//! What concerns one account on every shard: its credit, its namespaces and their tables.

use bytes::Bytes;
use db3_primitives::{Address, Namespace, NamespaceLeaf, TableLeaf, TableName, Tai, key};
use db3_proto::convert::{checked_credit_line, checked_namespace, checked_table};
use db3_proto::v1;
use futures::future::join_all;

use crate::chain::{At, Chain, StatePoint};
use crate::client::Client;
use crate::error::ClientError;
use crate::partial::{Partial, Unanswered};
use crate::prove::{self, LeafOf, Page, TreeRange};
use crate::record::Answer;
use crate::wire::{shard, timed};

/// Items of one page of a list.
const PAGE_SIZE: i32 = 500;

/// One account, seen through a client.
#[derive(Clone, Copy)]
pub struct AccountView<'c> {
    pub(crate) client: &'c Client,
    pub(crate) address: Address,
}

/// An account's credit on one shard.
#[derive(Clone, Debug)]
pub struct CreditLine {
    /// The shard.
    pub shard: u32,
    /// Whether the account has a line there at all.
    pub exists: bool,
    /// The sum over all time that the shard may charge.
    pub ceiling: Tai,
    /// What it has charged so far.
    pub spent: Tai,
    /// What is left.
    pub available: Tai,
    /// How many bills there are: the number of the newest.
    pub bill_count: u64,
    /// Last epoch in which the shard may charge at all without hearing from settlement; the node's word.
    pub lease_epoch: u64,
    /// The state that it was read from.
    pub at: StatePoint,
}

/// A namespace.
#[derive(Clone, Debug)]
pub struct NamespaceInfo {
    /// Its name.
    pub name: Namespace,
    /// Who owns it.
    pub owner: Address,
    /// The shard that holds it.
    pub shard: u32,
    /// Height of the block that created it; none for an account's own, which needs no creating.
    pub create_height: Option<u64>,
}

/// A table.
#[derive(Clone, Debug)]
pub struct TableInfo {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: TableName,
    /// Height of the block that created it.
    pub create_height: u64,
}

impl Client {
    /// What concerns one account: credit, namespaces, bills, statements.
    #[must_use]
    pub fn account(&self, address: Address) -> AccountView<'_> {
        AccountView { client: self, address }
    }

    /// A namespace, or none where its absence is proven.
    pub async fn namespace(&self, name: &str) -> Result<Answer<Option<NamespaceInfo>>, ClientError> {
        let name: Namespace = name.parse()?;
        let chain = self.chain_of(&name)?;
        let asked = chain.read_options(At::default());
        let request = v1::GetNamespaceRequest { namespace: name.as_str().to_owned(), read: Some(asked) };
        let answer = chain
            .call(|channel, limit| {
                let request = request.clone();
                async move { shard(channel).get_namespace(timed(request, limit)).await }
            })
            .await?;
        let at = chain.check(answer.context.as_ref(), &asked).await?;
        let shard_id = self.shard_of(&name);
        let found = match &answer.namespace {
            Some(message) => {
                let (named, leaf) = checked_namespace(message, shard_id)
                    .map_err(|error| ClientError::proof(&chain.id, error.to_string()))?;
                if named != name {
                    return Err(ClientError::proof(&chain.id, "another namespace came than was asked for"));
                }
                Some(leaf)
            }
            None => None,
        };
        let leaf = found.flatten();
        if at.verified {
            let stored = leaf.map(|leaf| leaf.to_bytes());
            prove::leaf(&at.root, &key::namespace(&name), stored.as_deref(), &answer.ics23_proof)
                .map_err(|flaw| ClientError::proof(&chain.id, flaw))?;
        }
        let owner = leaf.map(|leaf| leaf.owner).or_else(|| name.own_address());
        let value = owner.map(|owner| info(&name, owner, shard_id.get(), leaf));
        Ok(Answer { value, at })
    }

    /// The tables of a namespace, in order of name; complete.
    pub async fn tables(&self, namespace: &str) -> Result<Answer<Vec<TableInfo>>, ClientError> {
        let namespace: Namespace = namespace.parse()?;
        let chain = self.chain_of(&namespace)?;
        let mut left = Some(TreeRange::of_prefix(key::table_prefix(&namespace)));
        let mut walk = Walk::default();
        let mut tables = Vec::new();
        while let Some(range) = left {
            let asked = walk.read_options(&chain);
            let request = v1::ListTablesRequest {
                namespace: namespace.as_str().to_owned(),
                page_size: PAGE_SIZE,
                page_token: walk.token.clone(),
                read: Some(asked),
                ..v1::ListTablesRequest::default()
            };
            let answer = chain
                .call(|channel, limit| {
                    let request = request.clone();
                    async move { shard(channel).list_tables(timed(request, limit)).await }
                })
                .await?;
            let flawed = |flaw: String| ClientError::proof(&chain.id, flaw);
            let mut leaves = Vec::new();
            for message in &answer.tables {
                let (name, leaf): (TableName, TableLeaf) =
                    checked_table(message, &namespace).map_err(|error| flawed(error.to_string()))?;
                leaves.push((key::table(&namespace, &name), LeafOf::Borrowed(message.stored.as_ref())));
                tables.push(TableInfo { namespace: namespace.clone(), name, create_height: leaf.created_height });
            }
            let page = Page {
                leaves,
                proof: answer.proof.as_ref(),
                complete_from: &answer.complete_from,
                complete_to: &answer.complete_to,
                is_last: answer.next_page_token.is_empty(),
            };
            left = walk.step(&chain, &asked, answer.context.as_ref(), &range, &page, &answer.next_page_token).await?;
        }
        walk.done(&chain, tables)
    }
}

impl AccountView<'_> {
    /// The account's address.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// Its credit on every shard that answers. All are asked at once.
    pub async fn credit_lines(&self) -> Result<Partial<Vec<CreditLine>>, ClientError> {
        let asked = (0u32..).zip(self.client.shards()).map(|(number, chain)| self.credit_line(number, chain));
        let mut lines = Partial { value: Vec::new(), unanswered: Vec::new() };
        for outcome in join_all(asked).await {
            match outcome {
                Ok(line) => lines.value.push(line),
                Err(error) => lines.unanswered.push(Unanswered::of(error)?),
            }
        }
        Ok(lines)
    }

    /// Its credit on one shard.
    pub async fn credit_line_on(&self, shard: u32) -> Result<CreditLine, ClientError> {
        self.credit_line(shard, self.client.shard(shard)?).await
    }

    async fn credit_line(&self, number: u32, chain: &Chain) -> Result<CreditLine, ClientError> {
        let asked = chain.read_options(At::default());
        let request =
            v1::GetCreditLineRequest { account: Bytes::copy_from_slice(self.address.as_bytes()), read: Some(asked) };
        let answer = chain
            .call(|channel, limit| {
                let request = request.clone();
                async move { shard(channel).get_credit_line(timed(request, limit)).await }
            })
            .await?;
        let line = answer.line.ok_or_else(|| ClientError::malformed(&chain.id, "the answer holds no credit line"))?;
        let at = chain.check(line.context.as_ref(), &asked).await?;
        let leaf = checked_credit_line(&line, &self.address, number.into())
            .map_err(|error| ClientError::proof(&chain.id, error.to_string()))?;
        if at.verified {
            let stored = leaf.map(|leaf| leaf.to_bytes());
            prove::leaf(&at.root, &key::account(&self.address), stored.as_deref(), &line.ics23_proof)
                .map_err(|flaw| ClientError::proof(&chain.id, flaw))?;
        }
        let known = leaf.unwrap_or_default();
        Ok(CreditLine {
            shard: number,
            exists: leaf.is_some(),
            ceiling: known.ceiling,
            spent: known.spent,
            available: known.ceiling.saturating_sub(known.spent),
            bill_count: known.bill_count,
            lease_epoch: line.expire_epoch,
            at,
        })
    }

    /// The namespaces that it has registered on every shard, in order of name; complete.
    pub async fn namespaces(&self) -> Result<Vec<NamespaceInfo>, ClientError> {
        let mut namespaces = Vec::new();
        for (number, chain) in (0u32..).zip(self.client.shards()) {
            self.namespaces_on(number, chain, &mut namespaces).await?;
        }
        namespaces.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(namespaces)
    }

    async fn namespaces_on(
        &self,
        number: u32,
        chain: &Chain,
        found: &mut Vec<NamespaceInfo>,
    ) -> Result<(), ClientError> {
        let mut left = Some(TreeRange::of_prefix(key::namespaces_of(&self.address)));
        let mut walk = Walk::default();
        while let Some(range) = left {
            let asked = walk.read_options(chain);
            let request = v1::ListNamespacesRequest {
                owner: Bytes::copy_from_slice(self.address.as_bytes()),
                page_size: PAGE_SIZE,
                page_token: walk.token.clone(),
                read: Some(asked),
            };
            let answer = chain
                .call(|channel, limit| {
                    let request = request.clone();
                    async move { shard(channel).list_namespaces(timed(request, limit)).await }
                })
                .await?;
            let mut leaves = Vec::new();
            for message in &answer.namespaces {
                let (name, leaf) = checked_namespace(message, number.into())
                    .map_err(|error| ClientError::proof(&chain.id, error.to_string()))?;
                leaves.push((key::owned(&self.address, &name), LeafOf::Borrowed(key::OWNED_VALUE)));
                found.push(info(&name, self.address, number, leaf));
            }
            let page = Page {
                leaves,
                proof: answer.proof.as_ref(),
                complete_from: &answer.complete_from,
                complete_to: &answer.complete_to,
                is_last: answer.next_page_token.is_empty(),
            };
            left = walk.step(chain, &asked, answer.context.as_ref(), &range, &page, &answer.next_page_token).await?;
        }
        Ok(())
    }
}

/// A list under way: pages of one state, each complete.
#[derive(Default)]
struct Walk {
    token: String,
    point: Option<StatePoint>,
}

impl Walk {
    fn read_options(&self, chain: &Chain) -> v1::ReadOptions {
        chain.read_options(At { height: self.point.as_ref().map_or(0, |point| point.height), with_header: false })
    }

    /// Checks a page and returns what is left.
    async fn step(
        &mut self,
        chain: &Chain,
        asked: &v1::ReadOptions,
        context: Option<&v1::ReadContext>,
        range: &TreeRange,
        page: &Page<'_>,
        next_token: &str,
    ) -> Result<Option<TreeRange>, ClientError> {
        let point = chain.check(context, asked).await?;
        if self.point.as_ref().is_some_and(|known| known.root != point.root) {
            return Err(ClientError::proof(&chain.id, "a page came from another state than the first"));
        }
        let end = if point.verified {
            prove::page(Some(&point.root), range, page).map_err(|flaw| ClientError::proof(&chain.id, flaw))?
        } else {
            page.complete_to.to_vec()
        };
        self.point = Some(point);
        next_token.clone_into(&mut self.token);
        Ok((!page.is_last).then(|| TreeRange { from: end, to: range.to.clone() }))
    }

    fn done<T>(self, chain: &Chain, value: T) -> Result<Answer<T>, ClientError> {
        let at = self.point.ok_or_else(|| ClientError::malformed(&chain.id, "the list has no page"))?;
        Ok(Answer { value, at })
    }
}

fn info(name: &Namespace, owner: Address, shard: u32, leaf: Option<NamespaceLeaf>) -> NamespaceInfo {
    NamespaceInfo { name: name.clone(), owner, shard, create_height: leaf.map(|leaf| leaf.created_height) }
}
