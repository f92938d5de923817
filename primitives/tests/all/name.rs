use db3_primitives::name::ChainRole;
use db3_primitives::{Address, ChainId, Namespace, NetworkName, RecordKey, Rejection, ShardId, TableName};
use proptest::prelude::*;

#[test]
fn namespaces_and_tables_take_lower_case_digits_and_three_signs() {
    for text in ["a", "0", "notes", "db3.example", "a_b-c.d", "9q.ani546-qcxo5fq", &"z".repeat(64)] {
        assert_eq!(text.parse::<Namespace>().unwrap().as_str(), text);
        assert_eq!(text.parse::<TableName>().unwrap().as_str(), text);
    }
    for text in ["", ".a", "_a", "-a", "A", "Notes", "a b", "a/b", "ä", "a\0", "a\n", &"z".repeat(65)] {
        assert!(matches!(text.parse::<Namespace>(), Err(Rejection::NamespaceInvalid { .. })), "{text:?}");
        assert!(matches!(text.parse::<TableName>(), Err(Rejection::TableInvalid { operation: None, .. })), "{text:?}");
    }
}

#[test]
fn an_accounts_own_namespace_is_folded_to_lower_case() {
    let owner: Address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".parse().unwrap();
    for text in [owner.to_string(), owner.lower_hex(), format!("0x{}", owner.lower_hex()[2..].to_uppercase())] {
        let namespace: Namespace = text.parse().unwrap();
        assert_eq!(namespace, Namespace::own(&owner));
        assert_eq!(namespace.as_str(), owner.lower_hex());
        assert_eq!(namespace.own_address(), Some(owner));
    }
    // A wrong capital is no typing error here: any case of the digits names the same account.
    assert!("0x5AaEb6053F3E94C9b9A09f33669435E7Ef1BeAed".parse::<Namespace>().is_ok());
}

#[test]
fn what_only_resembles_an_own_namespace_follows_the_ordinary_rules() {
    let almost = format!("0x{}g", "a".repeat(39));
    assert_eq!(almost.parse::<Namespace>().unwrap().own_address(), None);
    assert_eq!("0xabc".parse::<Namespace>().unwrap().own_address(), None);
    assert!(format!("0x{}G", "a".repeat(39)).parse::<Namespace>().is_err());
    assert!(format!("0X{}", "a".repeat(40)).parse::<Namespace>().is_err());
    // A table is never folded.
    assert!(format!("0x{}", "A".repeat(40)).parse::<TableName>().is_err());
}

#[test]
fn network_names_are_shorter_and_plainer() {
    for text in ["devnet", "a", "0", "db3-2", &"n".repeat(32)] {
        assert_eq!(text.parse::<NetworkName>().unwrap().as_str(), text);
    }
    for text in ["", "Devnet", "dev.net", "dev_net", "dev net", &"n".repeat(33)] {
        assert!(matches!(text.parse::<NetworkName>(), Err(Rejection::NetworkNameInvalid { .. })), "{text:?}");
    }
}

#[test]
fn chain_ids_name_network_and_role() {
    let network: NetworkName = "dev-shard-1".parse().unwrap();
    let shard = ChainId::shard(&network, ShardId::new(12));
    assert_eq!(shard.as_str(), "dev-shard-1-shard-12");
    assert_eq!(
        ChainId::parse(shard.as_str()).unwrap().parts(),
        Some((network.clone(), ChainRole::Shard(ShardId::new(12))))
    );
    let settlement = ChainId::settlement(&network);
    assert_eq!(settlement.as_str(), "dev-shard-1-settlement");
    assert_eq!(settlement.parts(), Some((network, ChainRole::Settlement)));
    for text in
        ["", "dev", "dev-shard-", "dev-shard-01", "dev-shard-+1", "dev-shard-4294967296", "-settlement", "D-settlement"]
    {
        assert!(ChainId::parse(text).is_err(), "{text:?}");
    }
    let longest = ChainId::shard(&"n".repeat(32).parse().unwrap(), ShardId::new(u32::MAX));
    assert!(longest.as_str().len() <= 50, "Tendermint's types take 50");
}

#[test]
fn record_keys_have_1_to_256_bytes() {
    assert_eq!(RecordKey::new(vec![]), Err(Rejection::KeyInvalid { operation: None, bytes: 0, max: 256 }));
    assert_eq!(RecordKey::new(vec![0; 257]), Err(Rejection::KeyInvalid { operation: None, bytes: 257, max: 256 }));
    for bytes in [1, 256] {
        assert_eq!(RecordKey::new(vec![7; bytes]).unwrap().as_bytes().len(), bytes);
    }
}

proptest! {
    #[test]
    fn reading_a_name_never_panics_and_reads_back(text in ".{0,70}", name in "[a-z0-9._-]{0,70}", own in "0x[0-9a-fA-F]{38,42}") {
        for text in [text, name, own] {
            for back in [
                text.parse::<Namespace>().map(|n| n.as_str().parse::<Namespace>().map(|m| m == n)),
                text.parse::<TableName>().map(|n| n.as_str().parse::<TableName>().map(|m| m == n)),
                text.parse::<NetworkName>().map(|n| n.as_str().parse::<NetworkName>().map(|m| m == n)),
                text.parse::<ChainId>().map(|n| n.as_str().parse::<ChainId>().map(|m| m == n)),
            ]
            .into_iter()
            .flatten()
            {
                prop_assert_eq!(back, Ok(true));
            }
        }
    }
}
