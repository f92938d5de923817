//! Rules for the proto files, in the manner of `buf lint` and `buf breaking`, over their descriptor set: how things are named,
//! that every element is commented, and that nothing an old client knows was removed, renumbered, renamed or retyped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod baseline;
mod compile;
mod elements;
mod lint;

use std::path::PathBuf;

use prost::Message as _;
use prost_types::FileDescriptorSet;

fn ours() -> FileDescriptorSet {
    FileDescriptorSet::decode(db3_proto::FILE_DESCRIPTOR_SET).expect("the descriptor set decodes")
}

fn baseline_path() -> PathBuf {
    PathBuf::from("baseline.txt")
}

#[test]
fn the_proto_files_follow_the_naming_and_comment_rules() {
    let found = lint::check(&ours());
    assert!(found.is_empty(), "proto files break rules:\n{}", found.join("\n"));
}

#[test]
fn the_proto_files_break_no_client_of_the_baseline() {
    let now = baseline::render(&ours());
    let path = baseline_path();
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let changes = baseline::compare(&before, &now);
    assert!(
        changes.breaking.is_empty(),
        "the proto files break clients of {}:\n{}\nA line may leave that file only by hand, with its reason in an ADR.",
        path.display(),
        changes.breaking.join("\n")
    );
    if before == now {
        return;
    }
    assert!(
        std::env::var_os("DB3_UPDATE_DOCS").is_some(),
        "{} lacks what was added; DB3_UPDATE_DOCS=1 cargo test -p db3-proto --test schema writes it:\n{}",
        path.display(),
        changes.added.join("\n")
    );
    std::fs::write(&path, now).expect("the baseline is written");
}

#[test]
fn every_service_of_the_surface_has_its_methods() {
    let methods = |service: &str| -> Vec<String> {
        ours()
            .file
            .iter()
            .flat_map(|file| &file.service)
            .filter(|found| found.name() == service)
            .flat_map(|found| found.method.iter().map(|method| method.name().to_owned()))
            .collect()
    };
    let shard = "SubmitMutation BatchSubmitMutations StreamMutations EstimateFee GetNonceWindow GetRecord BatchGetRecords \
                 ScanRecords GetNamespace ListNamespaces ListTables GetCreditLine GetBill ListBills GetEpoch ListEpochs";
    let chain = "GetStatus GetParams GetShardMap GetLightBlock GetReceipt WatchReceipts GetBlock ListBlocks Subscribe \
                 ListOutbox SubmitDelivery GetInbox SubmitGovernance GetGovernance";
    let settlement = "SubmitTransaction EstimateTransactionFee GetAccount GetSettlement ListSettlements GetStatement \
                      ListStatements ListCloses ListShards ListTransactions GetRound";
    for (service, names) in [("ShardService", shard), ("ChainService", chain), ("SettlementService", settlement)] {
        let found = methods(service);
        for name in names.split_whitespace() {
            assert!(found.iter().any(|method| method == name), "{service} lacks {name}");
        }
    }
}
