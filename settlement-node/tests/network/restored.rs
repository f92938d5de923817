//! Both chains on nodes that came from snapshots: what they deliver, and what they say of entries that are older.

use bytes::Bytes;
use db3_primitives::{ChainId, ShardId};
use db3_proto::v1;
use db3_proto::v1::rejection::Detail;
use tonic::{Code, Status};

use crate::net::{Net, code, network, proving, until};

/// The height where the history begins, as a refusal says it.
fn begins(status: &Status) -> u64 {
    assert_eq!((code(status), status.code()), (504, Code::OutOfRange), "{status}");
    match db3_proto::status::from_status(status).unwrap().detail {
        Some(Detail::HistoryMissing(missing)) => missing.from_height,
        other => panic!("{other:?}"),
    }
}

fn from(start_index: u64) -> v1::ListOutboxRequest {
    v1::ListOutboxRequest { start_index, read: Some(proving()), ..Default::default() }
}

/// What the shard has been told of its outbox, and the settlement chain of its own.
fn acknowledged(net: &Net) -> (u64, u64) {
    let shard = &net.shard.provable().state;
    (shard.acknowledged_by(&shard.settlement()), net.settlement.provable().state.acknowledged_by(ShardId::new(0)))
}

/// Each chain has acknowledged more of the other's entries than before.
async fn grows(net: &Net, before: (u64, u64)) -> (u64, u64) {
    until("both are told", || {
        let now = acknowledged(net);
        now.0 > before.0 && now.1 > before.1
    })
    .await;
    acknowledged(net)
}

async fn epochs(net: &mut Net, from_epoch: Option<u64>) -> (Vec<u64>, u64) {
    let request = v1::ListEpochsRequest { from_epoch, ..Default::default() };
    let answer = net.records.list_epochs(request).await.unwrap().into_inner();
    assert!(answer.next_page_token.is_empty());
    (answer.epochs.iter().map(|epoch| epoch.epoch).collect(), answer.history_from_height)
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_go_on_between_restored_nodes_which_say_what_of_their_outboxes_they_do_not_have() {
    let mut net = Net::start().await;
    net.credit(0).await;
    net.write(0, 1).await;
    let first = net.settle().await;
    net.write(0, 2).await;
    let second = net.settle().await;
    let heard = grows(&net, (0, 0)).await;
    let whole = epochs(&mut net, None).await;
    assert!(whole.0.ends_with(&[second, first]) && whole.1 == 0, "{whole:?}");

    let mut net = net.restored().await;
    // More may have been acknowledged before both stopped.
    let now = acknowledged(&net);
    for (mut chain, heard, now) in [(net.of_shard.clone(), heard.0, now.0), (net.of_settlement.clone(), heard.1, now.1)]
    {
        let status = chain.get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
        for index in [0, heard - 1] {
            let refusal = chain.list_outbox(from(index)).await.unwrap_err();
            assert_eq!(begins(&refusal), status.history_from_height);
            assert!(refusal.message().contains(&format!("entry {index} of the outbox")), "{refusal}");
        }
        let all = chain.list_outbox(from(now)).await.unwrap().into_inner();
        assert!(all.entries.iter().map(|entry| entry.index).eq(now..all.size), "{all:?}");
        let beyond = chain.list_outbox(from(all.size + 1)).await.unwrap_err();
        assert_ne!(code(&beyond), 504, "{beyond}");
    }
    let get = |epoch| v1::GetEpochRequest { epoch: Some(epoch), read: Some(proving()) };
    let old = net.records.get_epoch(get(first)).await.unwrap_err();
    let (listed, history) = epochs(&mut net, None).await;
    assert_eq!((begins(&old), listed.contains(&first)), (history, false));
    assert_eq!(epochs(&mut net, Some(first)).await, (vec![], history), "none is known, not: there is none");
    assert_eq!(code(&net.records.get_epoch(get(second + 1_000)).await.unwrap_err()), 405);

    net.write(0, 3).await;
    let third = net.settle().await;
    net.write(0, 4).await;
    net.settle().await;
    grows(&net, now).await;
    assert_eq!(net.records.get_epoch(get(third)).await.unwrap().into_inner().epoch.unwrap().epoch, third);
    // What the restored shard stated is proven where it arrived, and so is what it stated before.
    for epoch in [first, third] {
        let account = Bytes::copy_from_slice(crate::net::address(0).as_bytes());
        let request = v1::GetStatementRequest { account, shard: 0, epoch: Some(epoch), read: Some(proving()) };
        let statement = net.money.get_statement(request).await.unwrap().into_inner().statement.unwrap();
        assert_eq!(statement.status(), v1::BillStatus::Paid, "{statement:?}");
    }
    let source = ChainId::shard(&network(), ShardId::new(0));
    assert!(net.settlement.provable().state.channel(&source).unwrap().frozen().is_none());
}
