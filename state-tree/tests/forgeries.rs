//! Every range proof that can be made from a tree, true or not: whatever passes must be the truth.
//!
//! A forger who has the tree can prune it anywhere and call any shown leaf a record or an edge. All of these proofs are
//! made here, by an encoder written from the documented format, and tried with many bounds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

mod naive;

use db3_state_tree::{LeafValue, verify_range};
use naive::{Map, sha};

/// A node of a pruned tree in pre-order.
#[derive(Clone)]
enum Token {
    Inner,
    Hash([u8; 32]),
    Shown(Vec<u8>),
}

/// Every way to prune the subtree of these records, and its hash.
fn prunings(records: &[(Vec<u8>, Vec<u8>)]) -> (Vec<Vec<Token>>, [u8; 32]) {
    if let [(key, value)] = records {
        let hash = naive::leaf(key, value);
        return (vec![vec![Token::Hash(hash)], vec![Token::Shown(key.clone())]], hash);
    }
    let right_at = (1..records.len()).max_by_key(|&at| divergence(&records[at - 1].0, &records[at].0)).unwrap();
    let (left, left_hash) = prunings(&records[..right_at]);
    let (right, right_hash) = prunings(&records[right_at..]);
    let hash = sha(&[&[1][..], &left_hash, &right_hash].concat());
    let mut all = vec![vec![Token::Hash(hash)]];
    for left in &left {
        all.extend(right.iter().map(|right| [vec![Token::Inner], left.clone(), right.clone()].concat()));
    }
    (all, hash)
}

/// Greater where two keys differ earlier.
fn divergence(a: &[u8], b: &[u8]) -> std::cmp::Reverse<usize> {
    let bits = |key: &[u8]| -> Vec<bool> {
        let mut bits: Vec<bool> = key
            .iter()
            .flat_map(|byte| std::iter::once(true).chain((0..8).rev().map(move |place| byte >> place & 1 == 1)))
            .collect();
        bits.push(false);
        bits
    };
    std::cmp::Reverse(bits(a).iter().zip(bits(b)).take_while(|(a, b)| **a == *b).count())
}

/// The bytes of a proof and the keys it leaves to be records; `None` if the format cannot say it.
fn encode(tokens: &[Token], map: &Map, left_edge: bool, right_edge: bool) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let is_shown = |token: &&Token| matches!(token, Token::Shown(_));
    let ends: Vec<&Token> = tokens.iter().filter(|token| !matches!(token, Token::Inner)).collect();
    let first = ends.iter().position(is_shown)?;
    let last = ends.iter().rposition(is_shown)?;
    let mut shown = Vec::new();
    for end in &ends[first..=last] {
        match end {
            Token::Shown(key) => shown.push(key.clone()),
            Token::Hash(_) | Token::Inner => return None,
        }
    }
    let hash = |end: &&Token| match end {
        Token::Hash(hash) => hash.to_vec(),
        Token::Shown(_) | Token::Inner => unreachable!("only hashes are outside"),
    };
    if shown.len() < usize::from(left_edge) + usize::from(right_edge) {
        return None;
    }
    let edge = |key: &Vec<u8>| {
        let len = u16::try_from(key.len()).unwrap().to_be_bytes();
        [&len[..], key, &sha(&map[key])].concat()
    };
    let count = |len: usize| u16::try_from(len).unwrap().to_be_bytes();
    let mut bytes = vec![1, u8::from(left_edge) | u8::from(right_edge) << 1];
    bytes.extend(count(first));
    bytes.extend(count(ends.len() - last - 1));
    bytes.extend(ends[..first].iter().flat_map(hash));
    if left_edge {
        bytes.extend(edge(&shown.remove(0)));
    }
    if right_edge {
        bytes.extend(edge(&shown.pop().unwrap()));
    }
    bytes.extend(ends[last + 1..].iter().flat_map(hash));
    for bits in tokens.chunks(8) {
        let bit = |(place, token): (usize, &Token)| u8::from(matches!(token, Token::Inner)) << (7 - place);
        bytes.push(bits.iter().enumerate().map(bit).sum());
    }
    Some((bytes, shown))
}

fn try_all(keys: &[&[u8]]) {
    let map: Map = keys.iter().map(|key| (key.to_vec(), [b"value of ", *key].concat())).collect();
    let records: Vec<_> = map.clone().into_iter().collect();
    let (prunings, root) = prunings(&records);
    assert_eq!(root, naive::root(&map));
    let mut bounds: Vec<Vec<u8>> = vec![vec![], vec![0xff; 9]];
    for key in keys {
        bounds.push(key.to_vec());
        bounds.push([*key, &[0]].concat());
        bounds.push(key[..key.len() - 1].to_vec());
    }
    bounds.sort();
    bounds.dedup();
    let (mut passed, mut refused) = (0, 0);
    for tokens in &prunings {
        for (left_edge, right_edge) in [(false, false), (false, true), (true, false), (true, true)] {
            let Some((bytes, shown)) = encode(tokens, &map, left_edge, right_edge) else { continue };
            let claimed: Vec<_> = shown.iter().map(|key| (key.as_slice(), LeafValue::Bytes(&map[key]))).collect();
            for from in &bounds {
                for to in bounds.iter().map(Some).chain([None]) {
                    let to = to.map(Vec::as_slice);
                    if verify_range(&root, from, to, &claimed, &bytes).is_err() {
                        refused += 1;
                        continue;
                    }
                    passed += 1;
                    let truth: Vec<_> = naive::range(&map, from, to).into_iter().map(|(key, _)| key).collect();
                    assert_eq!(shown, truth, "forged for {from:?}..{to:?}: {bytes:02x?}");
                }
            }
        }
    }
    assert!(passed >= bounds.len() && refused > passed, "{passed} passed, {refused} refused");
}

#[test]
fn no_pruning_of_a_tree_passes_for_a_range_that_it_is_not() {
    try_all(&[b"a"]);
    try_all(&[b"a", b"ab"]);
    try_all(&[b"a", b"ab", b"abc", b"b", b"c"]);
    try_all(&[b"a", b"b", b"c", b"d", b"e", b"f"]);
    try_all(&[b"\x00", b"\x00\x00", b"\x7f", b"\x80", b"\xff", b"\xff\x00"]);
}
