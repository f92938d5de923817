use db3_primitives::{
    Address, Meter, Metered, Mutation, Namespace, Nonce, Operation, PriceTable, RecordKey, Tai, Write, stored,
    upper_bound,
};
use proptest::prelude::*;

fn write(key_bytes: usize, value_bytes: usize) -> Write {
    Write {
        table: "cities".parse().unwrap(),
        key: RecordKey::new(vec![b'k'; key_bytes]).unwrap(),
        value: vec![0; value_bytes],
        if_version: None,
    }
}

fn mutation(namespace: &str, operations: Vec<Operation>) -> Mutation {
    Mutation {
        network: "devnet".parse().unwrap(),
        account: Address::new([0xab; 20]),
        namespace: namespace.parse().unwrap(),
        nonce: Nonce::new(1),
        expire_unix_secs: 1,
        max_fee: Tai::MAX,
        operations,
    }
}

#[test]
fn version_1_charges_what_the_table_says() {
    let metered = Metered { mutations: 1, bytes_in: 232, operations: 2, key_bytes: 50, bytes_stored: 400 };
    let prices = PriceTable::v1();
    assert_eq!(prices.fee(&metered), Some(Tai::new(2_000 + 232 * 5 + 2 * 500 + 50 * 20 + 400 * 20)));
    let lines: Vec<_> = prices
        .charges(&metered)
        .iter()
        .map(|c| (c.meter.name(), c.quantity, c.unit_price.get(), c.amount.get()))
        .collect();
    assert_eq!(
        lines,
        [
            ("mutations", 1, 2_000, 2_000),
            ("bytes_in", 232, 5, 1_160),
            ("operations", 2, 500, 1_000),
            ("key_bytes", 50, 20, 1_000),
            ("bytes_stored", 400, 20, 8_000),
        ]
    );
}

#[test]
fn a_fee_that_no_amount_holds_is_none() {
    let prices = PriceTable { per_byte_in: Tai::MAX, ..PriceTable::v1() };
    assert_eq!(prices.fee(&Metered { bytes_in: 2, ..Metered::default() }), None);
    assert_eq!(prices.fee(&Metered { bytes_in: 1, mutations: 1, ..Metered::default() }), None);
    assert_eq!(prices.fee(&Metered { bytes_in: 1, ..Metered::default() }), Some(Tai::MAX));
}

#[test]
fn the_bound_takes_everything_for_new() {
    let notes: Namespace = "notes".parse().unwrap();
    let cities = "cities".parse().unwrap();
    let bound = upper_bound(&mutation("notes", vec![Operation::Put(write(6, 12)), Operation::Put(write(6, 12))]), 300);
    // rec/ 1 notes 1 cities kkkkkk
    let key = 4 + 1 + 5 + 1 + 6 + 6;
    let window = 250 + (4 + 20 + 5) + 8 + 512;
    let table = 250 + (4 + 1 + 5 + 6) + 18;
    assert_eq!(stored::window(&notes), window);
    assert_eq!(stored::table(&notes, &cities), table);
    assert_eq!(
        bound,
        Metered {
            mutations: 1,
            bytes_in: 300,
            operations: 2,
            key_bytes: 2 * key,
            bytes_stored: 2 * (250 + key + 45 + 12) + window + table,
        }
    );
}

#[test]
fn the_bound_counts_a_namespace_only_where_it_can_come_into_being() {
    let notes: Namespace = "notes".parse().unwrap();
    let create = upper_bound(&mutation("notes", vec![Operation::CreateNamespace]), 100);
    let namespace = (250 + 3 + 5 + 29) + (250 + 4 + 20 + 5 + 1);
    assert_eq!(stored::namespace(&notes), namespace);
    assert_eq!(create.bytes_stored, stored::window(&notes) + namespace);
    assert_eq!(create.key_bytes, (3 + 5) + (4 + 20 + 5));
    let own = Namespace::own(&Address::new([0xab; 20]));
    let delete =
        Operation::Delete { table: "t".parse().unwrap(), key: RecordKey::new(vec![1]).unwrap(), if_version: None };
    let bound = upper_bound(&mutation(own.as_str(), vec![delete]), 100);
    assert_eq!(bound.bytes_stored, stored::window(&own) + stored::namespace(&own));
}

#[test]
fn the_largest_mutation_costs_less_than_a_twentieth_of_a_db3_a_kilobyte() {
    let operations = (0..1_000).map(|_| Operation::Put(write(256, 1))).collect();
    let fee = PriceTable::v1().fee(&upper_bound(&mutation("notes", operations), 262_144)).unwrap();
    assert!(fee < Tai::new(50_000_000), "{fee}");
}

proptest! {
    #[test]
    fn charges_add_up_to_the_fee(quantities: [u32; 5], prices: [u64; 5]) {
        let [mutations, bytes_in, operations, key_bytes, bytes_stored] = quantities;
        let metered = Metered { mutations, bytes_in, operations, key_bytes, bytes_stored };
        let [a, b, c, d, e] = prices.map(|price| Tai::new(price.into()));
        let table = PriceTable { version: 9, per_mutation: a, per_byte_in: b, per_operation: c, per_key_byte: d, per_byte_stored: e };
        let sum = table.charges(&metered).iter().try_fold(Tai::ZERO, |sum, charge| sum.checked_add(charge.amount));
        prop_assert_eq!(table.fee(&metered), sum);
        prop_assert_eq!(Metered::from_bytes(&metered.to_bytes()), Ok(metered));
        prop_assert_eq!(PriceTable::from_bytes(&table.to_bytes()), Ok(table));
    }

    #[test]
    fn a_fee_never_falls_when_more_is_used(base: [u16; 5], more: [u16; 5]) {
        let metered = |q: [u32; 5]| Metered { mutations: q[0], bytes_in: q[1], operations: q[2], key_bytes: q[3], bytes_stored: q[4] };
        let small = metered(base.map(u32::from));
        let mut large = base.map(u32::from);
        large.iter_mut().zip(more).for_each(|(quantity, more)| *quantity += u32::from(more));
        prop_assert!(PriceTable::v1().fee(&small) <= PriceTable::v1().fee(&metered(large)));
        prop_assert_eq!(Meter::ALL.map(|meter| small.quantity(meter)), base.map(u32::from));
    }
}
