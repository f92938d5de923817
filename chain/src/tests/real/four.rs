//! Four validators on real `CometBFT` processes.

use std::collections::BTreeSet;

use db3_primitives::Height;

use super::super::support::{Account, commit, now, soon, until};
use super::{BEGUN, Net, by_the_grammar, ready, root};
use crate::{ChainHandle, ReceiptState, SubmitError};

async fn four() -> (Net, Vec<ChainHandle>) {
    let mut net = Net::new(4);
    let mut chains = Vec::new();
    for number in 0..4 {
        chains.push(net.launch(number).await);
    }
    for chain in &chains {
        ready(chain).await;
    }
    let height = net.fund(&chains[0]).await;
    for chain in &chains {
        chain.wait_height(height, soon()).await.unwrap();
    }
    (net, chains)
}

/// Every node has the same root after every block that all have.
async fn agree(chains: &[ChainHandle]) -> Height {
    let newest = chains.iter().map(|chain| chain.committed().height).max().unwrap();
    for chain in chains {
        until("caught up", || chain.committed().height >= newest).await;
    }
    for height in 1..=newest.get() {
        let roots: BTreeSet<_> = chains.iter().map(|chain| root(chain, Height::new(height))).collect();
        assert_eq!(roots.len(), 1, "height {height}");
    }
    newest
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_on_any_node_is_the_same_on_all_and_once() {
    let (net, chains) = four().await;
    let mut accounts: Vec<_> = (1..=4).map(Account::new).collect();

    // Every node takes mutations of its own account.
    let mut waiting = Vec::new();
    for round in 0..10 {
        for (chain, account) in chains.iter().zip(&mut accounts) {
            let envelope = account.put(now(chain), &format!("k{round}"), 2);
            waiting.push(chain.submit(envelope).await.unwrap());
        }
    }
    for mut submitted in waiting {
        let ReceiptState::Done(receipt) = submitted.receipt.committed(soon()).await else { panic!("lost") };
        assert_eq!(receipt.rejection, None);
    }

    // The same mutation at all nodes at once stands in one block, and is billed once.
    let mut account = Account::new(5);
    for round in 0..5 {
        let envelope = account.put(now(&chains[0]), &format!("same{round}"), 1);
        let mut waiting = Vec::new();
        for chain in &chains {
            match chain.submit(envelope.clone()).await {
                Ok(submitted) => waiting.push(submitted),
                Err(error) => panic!("{error}"),
            }
        }
        let mut receipts = Vec::new();
        for mut submitted in waiting {
            let ReceiptState::Done(receipt) = submitted.receipt.committed(soon()).await else { panic!("lost") };
            receipts.push(receipt);
        }
        assert!(receipts.iter().all(|receipt| **receipt == *receipts[0]), "{receipts:?}");
    }

    // Two mutations with one nonce, at two nodes: one of them, everywhere; the other one is told why.
    let account = Account::new(6);
    let time = now(&chains[0]);
    let (one, other) = (account.put_with_nonce(time, "one", 1, 1), account.put_with_nonce(time, "other", 1, 1));
    let first = chains[0].submit(one).await;
    let second = chains[1].submit(other).await;
    let mut ends = Vec::new();
    for submitted in [first, second] {
        ends.push(match submitted {
            Ok(mut submitted) => matches!(submitted.receipt.committed(soon()).await, ReceiptState::Done(_)),
            Err(SubmitError::Rejected { .. }) => false,
            Err(error) => panic!("{error}"),
        });
    }
    assert_eq!(ends.iter().filter(|done| **done).count(), 1, "{ends:?}");

    agree(&chains).await;
    for chain in &chains {
        let state = &chain.committed().state;
        let bills = |number| state.account(&Account::new(number).address()).unwrap().bill_count;
        assert_eq!([bills(1), bills(2), bills(3), bills(4), bills(5), bills(6)], [10, 10, 10, 10, 5, 1]);
        until("nothing waits", || chain.status().unwrap().pool_mutations == 0).await;
    }
    for chain in &chains {
        chain.shutdown().await;
        assert!(by_the_grammar(&[], chain).starts_with(&BEGUN));
    }
    drop(net);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_of_four_go_on_and_the_fourth_catches_up() {
    let (net, mut chains) = four().await;
    let mut account = Account::new(1);
    let gone = chains.pop().unwrap();
    gone.shutdown().await;
    drop(gone);
    for number in 0..5 {
        commit(&chains[0], account.put(now(&chains[0]), &format!("k{number}"), 1)).await;
    }
    chains.push(net.start(3).await);
    agree(&chains).await;
    let receipt = commit(&chains[3], account.put(now(&chains[3]), "back", 1)).await;
    assert_eq!(receipt.rejection, None);
    agree(&chains).await;
    for chain in &chains {
        chain.shutdown().await;
    }
}
