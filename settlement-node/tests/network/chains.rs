//! `ChainService` on both chains: parameters, maps, inboxes, outboxes, deliveries.

use db3_primitives::{ChainId, ShardId};
use db3_proto::convert::{checked_credit_entry, checked_params, checked_settlement_params};
use db3_proto::v1;

use crate::net::{Net, code, network, proving, until};

#[tokio::test(flavor = "multi_thread")]
async fn both_chains_tell_their_parameters_and_where_the_shards_are() {
    let mut net = Net::with_relays(0).await;
    let params = v1::GetParamsRequest { read: Some(proving()) };
    let of_settlement = net.of_settlement.get_params(params).await.unwrap().into_inner().params.unwrap();
    assert_eq!(checked_settlement_params(&of_settlement).unwrap().network, network());
    assert!(of_settlement.settlement.is_some());
    let of_shard = net.of_shard.get_params(params_of_now()).await.unwrap().into_inner().params.unwrap();
    assert_eq!(checked_params(&of_shard).unwrap().shard, ShardId::new(0));
    assert!(of_shard.settlement.is_none());
    for mut chain in [net.of_settlement.clone(), net.of_shard.clone()] {
        let map = chain.get_shard_map(v1::GetShardMapRequest {}).await.unwrap().into_inner();
        assert_eq!(map.ranges.len(), 1);
        assert_eq!(map.ranges[0].endpoints.len(), 1, "{map:?}");
        assert_eq!((map.settlement_chain_id.as_str(), map.settlement_endpoints.len()), ("test-settlement", 1));
    }
    let status = net.of_settlement.get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.chain_id.as_str(), status.shard), ("test-settlement", None));
}

fn params_of_now() -> v1::GetParamsRequest {
    v1::GetParamsRequest { read: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_tells_how_far_the_others_log_was_applied() {
    let mut net = Net::start().await;
    net.credit(0).await;
    let shard = ChainId::shard(&network(), ShardId::new(0));
    let listed = v1::ListOutboxRequest { destination: shard.to_string(), read: Some(proving()), ..Default::default() };
    let outbox = net.of_settlement.list_outbox(listed).await.unwrap().into_inner();
    assert!(outbox.size >= 3, "a lease and two lines: {}", outbox.size);
    assert!(outbox.entries.iter().all(|entry| checked_credit_entry(entry).is_ok()));
    until("all of it", || {
        let settlement = ChainId::settlement(&network());
        net.shard.provable().state.channel(&settlement).is_some_and(|channel| channel.cursor() >= outbox.size)
    })
    .await;
    let request = v1::GetInboxRequest { source: String::new(), read: Some(proving()) };
    let answer = net.of_shard.get_inbox(request).await.unwrap().into_inner();
    let [inbox] = answer.inboxes.as_slice() else { panic!("{answer:?}") };
    assert_eq!(inbox.source, "test-settlement");
    assert!(inbox.cursor >= outbox.size && inbox.trusted_height > 0 && !inbox.frozen);
    assert!(!inbox.stored.is_empty() && !inbox.ics23_proof.is_empty() && inbox.trusted_hash.len() == 32);
    assert_eq!((inbox.trusting_period_secs, inbox.fault_code), (u64::MAX, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_not_heard_is_named() {
    let mut net = Net::with_relays(0).await;
    let request = v1::GetInboxRequest { source: "test-shard-7".to_owned(), read: None };
    assert_eq!(code(&net.of_settlement.get_inbox(request).await.unwrap_err()), 410);
    let request = v1::GetInboxRequest { source: "no chain".to_owned(), read: None };
    assert!(net.of_settlement.get_inbox(request).await.is_err());
    let outbox = v1::ListOutboxRequest { destination: "test-shard-7".to_owned(), ..Default::default() };
    assert_eq!(code(&net.of_settlement.list_outbox(outbox).await.unwrap_err()), 410);
    let empty = v1::SubmitDeliveryRequest::default();
    assert_eq!(code(&net.of_shard.submit_delivery(empty).await.unwrap_err()), 401);
    let nothing = v1::Delivery { source: "test-settlement".to_owned(), ..Default::default() };
    let request = v1::SubmitDeliveryRequest { delivery: Some(nothing), wait: 0 };
    let status = net.of_shard.submit_delivery(request).await.unwrap_err();
    assert!([123, 217, 222].contains(&code(&status)), "{status:?}");
    let records = v1::RecordFilter { namespace: "ns".to_owned(), ..Default::default() };
    let request = v1::SubscribeRequest { records: vec![records], ..Default::default() };
    assert_eq!(code(&net.of_settlement.subscribe(request).await.unwrap_err()), 401, "it has no records");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_relays_change_nothing_but_the_moment() {
    let mut net = Net::with_relays(3).await;
    net.credit(0).await;
    net.credit(1).await;
    let fee = net.write(0, 1).await;
    net.write(1, 1).await;
    net.settle().await;
    let account = net.account(0).await;
    assert_eq!(account.lines[0].paid_tai, fee.to_string(), "debited once");
}
