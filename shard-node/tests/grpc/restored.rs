//! A node that came from a snapshot: what it says of blocks, bills and receipts that are older.

use bytes::Bytes;
use db3_proto::v1;
use db3_proto::v1::rejection::Detail;
use tonic::{Code, Status};

use crate::node::{TestNode, account, code, proving};

/// The height where the history begins, as a refusal says it.
fn begins(status: &Status) -> u64 {
    assert_eq!((code(status), status.code()), (504, Code::OutOfRange), "{status}");
    match db3_proto::status::from_status(status).unwrap().detail {
        Some(Detail::HistoryMissing(missing)) => missing.from_height,
        other => panic!("{other:?}"),
    }
}

fn by_seq(seq: u64) -> v1::GetBillRequest {
    let by = v1::get_bill_request::By::Name(v1::BillName { account: account(0), seq });
    v1::GetBillRequest { by: Some(by), read: Some(proving()) }
}

fn by_mutation(id: &Bytes) -> v1::GetBillRequest {
    v1::GetBillRequest { by: Some(v1::get_bill_request::By::MutationId(id.clone())), read: None }
}

async fn receipt(node: &mut TestNode, id: &Bytes) -> v1::Receipt {
    node.chains.get_receipt(v1::GetReceiptRequest { id: id.clone() }).await.unwrap().into_inner().receipt.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_came_from_a_snapshot_says_from_where_it_knows_and_denies_nothing_older() {
    let mut node = TestNode::start().await;
    let old = node.write(node.put(0, 1, "notes", "k1", "v")).await;
    node.write(node.put(0, 2, "notes", "k2", "v")).await;
    let nobody = Bytes::from(vec![7; 32]);
    assert_eq!(receipt(&mut node, &nobody).await.history_from_height, 0, "nothing is older than its history");
    let whole = node.shard.list_bills(v1::ListBillsRequest::default()).await.unwrap().into_inner();
    assert_eq!(whole.history_from_height, 0);
    // So that the snapshot holds both.
    node.close_epoch().await;

    let mut node = node.restored().await;
    let new = node.write(node.put(0, 3, "notes", "k3", "v")).await;
    let status = node.chains.get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    let from = status.history_from_height;
    assert!(old.height < from && from <= new.height, "{from}");
    for id in [&old.id, &nobody] {
        let unknown = receipt(&mut node, id).await;
        assert_eq!((unknown.state(), unknown.history_from_height), (v1::ReceiptState::Unknown, from));
        assert_eq!(begins(&node.shard.get_bill(by_mutation(id)).await.unwrap_err()), from);
    }
    let known = receipt(&mut node, &new.id).await;
    assert_eq!((known.state(), known.history_from_height), (v1::ReceiptState::Applied, 0));

    for seq in [1, 2] {
        let status = node.shard.get_bill(by_seq(seq)).await.unwrap_err();
        assert_eq!(begins(&status), from);
        assert!(status.message().contains("this node's history begins at height"), "{status}");
    }
    let bill = node.shard.get_bill(by_seq(3)).await.unwrap().into_inner().bill.unwrap();
    assert_eq!((bill.seq, bill.height), (3, new.height));
    for seq in [0, 4] {
        assert_eq!(code(&node.shard.get_bill(by_seq(seq)).await.unwrap_err()), 404, "there is no bill {seq}");
    }
    let asked = v1::ListBillsRequest { account: account(0), ..Default::default() };
    let list = node.shard.list_bills(asked).await.unwrap().into_inner();
    assert_eq!(list.bills.iter().map(|bill| bill.seq).collect::<Vec<_>>(), [3]);
    assert_eq!((list.history_from_height, list.next_page_token.as_str()), (from, ""));

    let block = v1::GetBlockRequest { height: old.height, ..Default::default() };
    assert_eq!(begins(&node.chains.get_block(block).await.unwrap_err()), from);
    let beyond = v1::GetBlockRequest { height: 1 << 40, ..Default::default() };
    assert_eq!(code(&node.chains.get_block(beyond).await.unwrap_err()), 406);
}
