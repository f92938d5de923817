//! Status, blocks, headers and the shard map.

use db3_primitives::ChainId;
use db3_proto::v1;
use db3_shard_node::{ChainEndpoints, ServeConfig};
use tonic::Code;

use crate::node::{Plan, TestNode, code, put};

#[tokio::test(flavor = "multi_thread")]
async fn the_status_tells_where_the_chain_stands() {
    let mut node = TestNode::start().await;
    let receipt = node.write(node.put(0, 1, "notes", "k", "v")).await;
    let status = node.chains.get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.chain_id.as_str(), status.shard, status.ready), ("test-shard-0", Some(0), true));
    assert!(status.height > receipt.height && status.provable_height >= receipt.height);
    assert_eq!(status.root, node.chain.committed().root.to_vec());
    assert_eq!(status.engine, "solo");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_lists_its_receipts_in_pages() {
    let mut node = TestNode::start().await;
    let mutations = (1..=5).map(|nonce| node.put(0, nonce, "notes", &format!("k{nonce}"), "v")).collect();
    let request = v1::BatchSubmitMutationsRequest { mutations, wait: v1::WaitMode::Provable.into() };
    let outcomes = node.shard.batch_submit_mutations(request).await.unwrap().into_inner().outcomes;
    let mut expected = std::collections::BTreeMap::<u64, u32>::new();
    for outcome in outcomes {
        match outcome.outcome.unwrap() {
            v1::mutation_outcome::Outcome::Receipt(receipt) => *expected.entry(receipt.height).or_default() += 1,
            other => panic!("{other:?}"),
        }
    }
    for (height, count) in expected {
        let mut seen = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::GetBlockRequest { height, page_size: 2, page_token };
            let page = node.chains.get_block(request).await.unwrap().into_inner();
            assert_eq!(page.block.unwrap().applied, count);
            seen.extend(page.receipts.iter().map(|receipt| receipt.index));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, (0..count).collect::<Vec<_>>());
    }
    let missing = v1::GetBlockRequest { height: 1 << 40, ..Default::default() };
    let status = node.chains.get_block(missing).await.unwrap_err();
    assert_eq!((code(&status), status.code()), (406, Code::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_listed_newest_first_with_or_without_empty_ones() {
    let mut node = TestNode::start().await;
    for nonce in 1..=3 {
        node.write(node.put(0, nonce, "notes", "k", "v")).await;
    }
    let mut heights = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListBlocksRequest { page_size: 2, page_token, ..Default::default() };
        let page = node.chains.list_blocks(request).await.unwrap().into_inner();
        heights.extend(page.blocks.iter().map(|block| block.height));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert!(heights.windows(2).all(|pair| pair[0] == pair[1] + 1), "{heights:?}");
    assert_eq!(heights.last(), Some(&1));
    let request = v1::ListBlocksRequest { skip_empty: true, ..Default::default() };
    let full = node.chains.list_blocks(request).await.unwrap().into_inner().blocks;
    assert_eq!(full.iter().map(|block| block.mutations).sum::<u32>(), 3);
    assert!(full.iter().all(|block| block.transactions > 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn light_blocks_carry_the_root_of_the_state_before() {
    let mut node = TestNode::start().await;
    let receipt = node.write(node.put(0, 1, "notes", "k", "v")).await;
    let request =
        v1::GetLightBlockRequest { height: receipt.height + 1, trusted_height: 0, with_proposer_priorities: false };
    let block = node.chains.get_light_block(request).await.unwrap().into_inner().light_block.unwrap();
    assert_eq!(block.height, receipt.height + 1);
    let stored = node.chain.store().summary(db3_primitives::Height::new(receipt.height)).unwrap().unwrap();
    assert_eq!(block.app_hash, stored.root.to_vec());
    assert!(block.next_validator_set.is_empty(), "the validators have not changed");
    let newest = node.chains.get_light_block(v1::GetLightBlockRequest::default()).await.unwrap().into_inner();
    assert!(newest.light_block.unwrap().height >= block.height);
    let missing = v1::GetLightBlockRequest { height: 1 << 40, trusted_height: 0, with_proposer_priorities: false };
    let status = node.chains.get_light_block(missing).await.unwrap_err();
    assert_eq!((code(&status), status.code()), (402, Code::OutOfRange));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shard_map_has_every_slot_once_and_the_known_endpoints() {
    let endpoints = vec![ChainEndpoints {
        chain_id: ChainId::parse("test-shard-1").unwrap(),
        endpoints: vec!["http://127.0.0.1:9".to_owned()],
    }];
    let serve = ServeConfig { endpoints, ..ServeConfig::new("127.0.0.1:0".parse().unwrap()) };
    let mut node = TestNode::with(Plan { shards: 3, serve, ..Plan::default() }).await;
    let map = node.chains.get_shard_map(v1::GetShardMapRequest {}).await.unwrap().into_inner();
    assert_eq!((map.slots, map.ranges.len()), (1_024, 3));
    let mut next = 0;
    for range in &map.ranges {
        assert_eq!(range.first_slot, next);
        next = range.last_slot + 1;
    }
    assert_eq!(next, 1_024);
    assert_eq!(map.ranges[1].endpoints, ["http://127.0.0.1:9"]);
    // A refusal tells them too.
    let shard = node.chain.committed().state.chain().shard.get();
    if shard != 1 {
        let map = node.chain.committed().state.chain().shard_map;
        let of_one =
            (0..).map(|n| format!("n{n}")).find(|name| map.shard_of_namespace(&name.parse().unwrap()).get() == 1);
        let envelope = node.sign(0, &of_one.unwrap().parse().unwrap(), 1, vec![put("t", "k", "v")]);
        let rejection = db3_proto::status::from_status(&node.refused(envelope).await).unwrap();
        match rejection.detail.unwrap() {
            v1::rejection::Detail::WrongShard(detail) => assert_eq!(detail.endpoints, ["http://127.0.0.1:9"]),
            other => panic!("{other:?}"),
        }
    }
}
