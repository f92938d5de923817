//! `GetNamespace`, `ListNamespaces` and `ListTables`.

use db3_node::grpc::{Ask, PageToken, Question, Refusal, named};
use db3_primitives::{Namespace, NamespaceLeaf, TableLeaf, TableName, key};
use db3_proto::convert::request::{optional_account, page_size};
use db3_proto::convert::{namespace_message, table_message};
use db3_proto::v1;
use db3_state_tree::prefix_end;
use tokio::time::Instant;

use super::ShardNode;

impl ShardNode {
    pub(super) async fn get_namespace(
        &self,
        request: v1::GetNamespaceRequest,
        deadline: Instant,
    ) -> Result<v1::GetNamespaceResponse, Refusal> {
        let namespace: Namespace = named("namespace", &request.namespace)?;
        let view = self.node.view(request.read, None, deadline).await?;
        self.check_shard(view.state(), &namespace)?;
        let tree_key = key::namespace(&namespace);
        let leaf = view.state().namespace(&namespace);
        Ok(v1::GetNamespaceResponse {
            namespace: namespace_message(&namespace, leaf.as_ref(), view.state().chain().shard),
            context: Some(view.context()),
            ics23_proof: view.proof_of(&tree_key),
        })
    }

    pub(super) async fn list_namespaces(
        &self,
        request: v1::ListNamespacesRequest,
        deadline: Instant,
    ) -> Result<v1::ListNamespacesResponse, Refusal> {
        let owner = optional_account("owner", &request.owner)?;
        let question = Question::new("ListNamespaces", &[&request.owner]);
        let items = page_size(request.page_size)?;
        let token = PageToken::open(&request.page_token, question)?;
        let view = self.node.view(request.read, token.as_ref().map(|token| token.height), deadline).await?;
        let prefix = owner.as_ref().map_or_else(key::namespace_prefix, key::namespaces_of);
        let mut ask = prefix_ask(prefix, items);
        ask.resume(token.as_ref());
        let state = view.state();
        let page = ask.page(state.tree());
        let namespaces = page
            .leaves
            .iter()
            .filter_map(|(tree_key, leaf)| {
                let (name, leaf) = if owner.is_none() {
                    (key::split_namespace(tree_key)?, NamespaceLeaf::from_bytes(leaf).ok())
                } else {
                    let (_, name) = key::split_owned(tree_key)?;
                    let leaf = state.namespace(&name);
                    (name, leaf)
                };
                namespace_message(&name, leaf.as_ref(), state.chain().shard)
            })
            .collect();
        let frame = page.frame(&view, question);
        if !frame.next_page_token.is_empty() {
            self.node.chain().pin(view.version());
        }
        Ok(v1::ListNamespacesResponse {
            namespaces,
            next_page_token: frame.next_page_token,
            context: Some(view.context()),
            proof: frame.proof,
            complete_from: frame.complete_from,
            complete_to: frame.complete_to,
        })
    }

    pub(super) async fn list_tables(
        &self,
        request: v1::ListTablesRequest,
        deadline: Instant,
    ) -> Result<v1::ListTablesResponse, Refusal> {
        let namespace: Namespace = named("namespace", &request.namespace)?;
        let only: Option<TableName> =
            if request.table.is_empty() { None } else { Some(named("table", &request.table)?) };
        let question = Question::new("ListTables", &[namespace.as_str().as_bytes(), request.table.as_bytes()]);
        let items = page_size(request.page_size)?;
        let token = PageToken::open(&request.page_token, question)?;
        let view = self.node.view(request.read, token.as_ref().map(|token| token.height), deadline).await?;
        self.check_shard(view.state(), &namespace)?;
        let mut ask = match &only {
            Some(table) => {
                let from = key::table(&namespace, table);
                Ask { to: [from.as_slice(), &[0]].concat(), from, reverse: false, items, bytes: &plain_bytes }
            }
            None => prefix_ask(key::table_prefix(&namespace), items),
        };
        ask.resume(token.as_ref());
        let page = ask.page(view.state().tree());
        let tables = page.leaves.iter().filter_map(|(tree_key, leaf)| table_of_leaf(tree_key, leaf)).collect();
        let frame = page.frame(&view, question);
        if !frame.next_page_token.is_empty() {
            self.node.chain().pin(view.version());
        }
        Ok(v1::ListTablesResponse {
            tables,
            next_page_token: frame.next_page_token,
            context: Some(view.context()),
            proof: frame.proof,
            complete_from: frame.complete_from,
            complete_to: frame.complete_to,
        })
    }
}

fn plain_bytes(key: &[u8], value: &[u8]) -> usize {
    key.len().saturating_add(value.len())
}

fn prefix_ask(prefix: Vec<u8>, items: usize) -> Ask<'static> {
    Ask { to: prefix_end(&prefix).unwrap_or_default(), from: prefix, reverse: false, items, bytes: &plain_bytes }
}

fn table_of_leaf(tree_key: &[u8], leaf: &[u8]) -> Option<v1::Table> {
    let (namespace, table) = key::split_table(tree_key)?;
    Some(table_message(&namespace, &table, &TableLeaf::from_bytes(leaf).ok()?))
}
