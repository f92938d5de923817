//! Roots and proof bytes that must not change by accident: a change here changes every chain.

mod naive;

use db3_state_tree::Tree;

fn sample(records: u32) -> Tree {
    let map = (0..records).map(|n| (format!("rec/{n}").into_bytes(), format!("value {n}").into_bytes())).collect();
    let tree = naive::tree(&map);
    assert_eq!(tree.root(), naive::root(&map));
    tree
}

#[test]
fn roots_are_pinned() {
    for (records, root) in [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "4f1a3cb0504deab54a9edfd566561411dd8b41d8e49cb6a87d133842993606cd"),
        (10, "1dc266eb86adcf004bcaa6c6c50c51c720eb9e0c93ddd47ed9718bcd7134ffd9"),
        (1000, "72ab590d2bc36808478991b19523f39573df6a47ec0eee1fed4b2d09f597bfd0"),
    ] {
        assert_eq!(hex::encode(sample(records).root()), root, "{records} records");
    }
}

#[test]
fn range_proof_bytes_are_pinned() {
    let proof = sample(10).prove_range(b"rec/2", Some(b"rec/4"), 10).proof.to_bytes();
    let expected = [
        // header: format 1, a right edge, one left hash, three right hashes
        "010200010003",
        // left hash
        "e7f9f24a53711039d947888ded728a93917b6925c4128240b589653583beeb83",
        // right edge: length, key `rec/4`, value hash
        "00057265632f34085a57ddb929d1a2853aad31940d6e718918762b8db43f299e86fe732d13d6b9",
        // right hash
        "0576c58d8845e6492a269c9ea9c2572fb78eeba33ef99699a19fa7012f05930b",
        // right hash
        "fd0b63929eaead7af5433e7b4cabfe2c9553f3eabb54b267e064244572d12853",
        // right hash
        "0ed6026b28494771a6b2841c9142a307ec4a95e39b39800f0e091fd513feaf19",
        // shape
        "e980",
    ];
    assert_eq!(hex::encode(proof), expected.concat());
}
