//! The bills of an account beside its mutations: one for each that a block holds, applied or failed, none twice and none
//! for what is in no block; numbered without a gap, and adding up to what the account owes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use db3_proto::v1;

use crate::caller::{Caller, Node, timed};

const PAGE: i32 = 1_000;

/// What a node tells of an account.
pub type Told = (v1::CreditLine, Vec<v1::Bill>);

/// What a node tells of an account: its line, and its bills from the newest to the first.
pub async fn of_account(caller: &Caller, node: &Node, min_height: u64) -> Result<Told> {
    let read = v1::ReadOptions { min_height, ..v1::ReadOptions::default() };
    let asked = v1::GetCreditLineRequest { account: caller.address(), read: Some(read) };
    let line = node.shard().get_credit_line(timed(asked)).await.with_context(|| node.url.clone())?;
    let line = line.into_inner().line.context("no line")?;
    let (mut bills, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = v1::ListBillsRequest {
            account: caller.address(),
            page_size: PAGE,
            page_token,
            ..v1::ListBillsRequest::default()
        };
        let page = node.shard().list_bills(timed(asked)).await.with_context(|| node.url.clone())?.into_inner();
        bills.extend(page.bills);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok((line, bills));
        }
    }
}

/// Compares them with the receipts of mutations, by identifier; gives how many of those are billed.
pub fn compare(line: &v1::CreditLine, bills: &[v1::Bill], receipts: &BTreeMap<Bytes, v1::Receipt>) -> Result<usize> {
    let mut sum = tai(&line.spent_tai)?;
    let mut number = line.bill_count;
    let mut billed = BTreeSet::new();
    for bill in bills {
        ensure!(bill.seq == number, "where bill {number} should be stands bill {}", bill.seq);
        ensure!(tai(&bill.cumulative_tai)? == sum, "bill {number} ends at {} tai, not at {sum}", bill.cumulative_tai);
        let fee = tai(&bill.fee_tai)?;
        sum = sum.checked_sub(fee).with_context(|| format!("bill {number} of {fee} tai is more than all up to it"))?;
        number = number.checked_sub(1).context("more bills than the line counts")?;
        let id = hex::encode(&bill.reference);
        ensure!(billed.insert(bill.reference.clone()), "{id} is billed twice, the second time by bill {}", bill.seq);
        if let Some(receipt) = receipts.get(&bill.reference) {
            let code = receipt.rejection.as_ref().map_or(0, |rejection| rejection.code);
            ensure!(
                is_in_block(receipt)
                    && (receipt.bill_seq, &receipt.fee_tai, receipt.height, receipt.index, code)
                        == (bill.seq, &bill.fee_tai, bill.height, bill.index, bill.outcome_code),
                "{id} has the receipt {receipt:?} and the bill {bill:?}"
            );
        }
    }
    ensure!(number == 0 && sum == 0, "before the first bill there are {number} more, of {sum} tai");
    let mut found = 0_usize;
    for (id, receipt) in receipts.iter().filter(|(_, receipt)| is_in_block(receipt)) {
        ensure!(billed.contains(id), "{} is in block {} and has no bill", hex::encode(id), receipt.height);
        found = found.saturating_add(1);
    }
    Ok(found)
}

/// Compares what a node tells that has bills from a height on with what one tells that has all: the same line, and all of
/// those bills.
pub fn compare_from(from: u64, told: &Told, all: &Told) -> Result<()> {
    let (line, bills) = told;
    let rest: Vec<_> = all.1.iter().filter(|bill| bill.height >= from).collect();
    ensure!(*line == all.0, "the line is {line:?}, elsewhere {:?}", all.0);
    ensure!(
        bills.iter().eq(rest.iter().copied()),
        "from height {from} on there are the bills {:?}, elsewhere {:?}",
        bills.iter().map(|bill| bill.seq).collect::<Vec<_>>(),
        rest.iter().map(|bill| bill.seq).collect::<Vec<_>>(),
    );
    Ok(())
}

/// Whether a mutation was applied, or failed in a block.
pub fn is_in_block(receipt: &v1::Receipt) -> bool {
    matches!(receipt.state(), v1::ReceiptState::Applied | v1::ReceiptState::Failed)
}

fn tai(text: &str) -> Result<u128> {
    text.parse().with_context(|| format!("{text:?} is no amount"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;

    fn receipt(seq: u64, code: u32) -> v1::Receipt {
        let state = if code == 0 { v1::ReceiptState::Applied } else { v1::ReceiptState::Failed };
        let rejection = (code > 0).then(|| v1::Rejection { code, ..v1::Rejection::default() });
        let fee_tai = "10".to_owned();
        v1::Receipt { state: state.into(), bill_seq: seq, fee_tai, height: 7, rejection, ..v1::Receipt::default() }
    }

    fn bill(id: &'static str, seq: u64, outcome_code: u32) -> v1::Bill {
        v1::Bill {
            reference: Bytes::from_static(id.as_bytes()),
            seq,
            height: 7,
            outcome_code,
            fee_tai: "10".to_owned(),
            cumulative_tai: seq.checked_mul(10).unwrap().to_string(),
            ..v1::Bill::default()
        }
    }

    fn line(bill_count: u64) -> v1::CreditLine {
        let spent_tai = bill_count.checked_mul(10).unwrap().to_string();
        v1::CreditLine { bill_count, spent_tai, ..v1::CreditLine::default() }
    }

    #[test]
    fn what_a_block_holds_is_billed_once_and_nothing_else_is() {
        let receipts: BTreeMap<_, _> = [
            (Bytes::from_static(b"applied"), receipt(1, 0)),
            (Bytes::from_static(b"failed"), receipt(2, 901)),
            (Bytes::from_static(b"lost"), v1::Receipt::default()),
        ]
        .into();
        let good = [bill("failed", 2, 901), bill("applied", 1, 0)];
        assert_eq!(compare(&line(2), &good, &receipts).unwrap(), 2);
        let another = [bill("another", 3, 0), good[0].clone(), good[1].clone()];
        assert_eq!(compare(&line(3), &another, &receipts).unwrap(), 2);
        for (said, count, bills) in [
            ("billed twice", 4, vec![bill("other", 4, 0), bill("other", 3, 0), good[0].clone(), good[1].clone()]),
            ("has the receipt", 3, vec![bill("applied", 3, 0), good[0].clone(), good[1].clone()]),
            ("no bill", 1, vec![good[1].clone()]),
            ("has the receipt", 3, vec![bill("lost", 3, 0), good[0].clone(), good[1].clone()]),
            ("has the receipt", 2, vec![bill("failed", 2, 0), good[1].clone()]),
            ("where bill 2 should be", 2, vec![good[1].clone()]),
            ("there are 1 more", 2, vec![good[0].clone()]),
            ("where bill 3 should be", 3, good.to_vec()),
        ] {
            let error = compare(&line(count), &bills, &receipts).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let all = (line(2), good.to_vec());
        assert!(compare_from(8, &(line(2), vec![]), &all).is_ok());
        assert!(compare_from(7, &(line(2), good.to_vec()), &all).is_ok());
        for (from, told) in [(7, (line(2), good[..1].to_vec())), (8, (line(2), good.to_vec())), (8, (line(1), vec![]))]
        {
            assert!(compare_from(from, &told, &all).is_err(), "{told:?}");
        }
        let mut dear = good.to_vec();
        dear[1].fee_tai = "11".to_owned();
        assert!(compare(&line(2), &dear, &receipts).unwrap_err().to_string().contains("more than all"));
    }
}
