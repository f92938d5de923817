//! Records and batches, the same for every subject: a function of a seed.

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a value.
pub const VALUE_BYTES: usize = 100;

/// A key.
pub type Key = [u8; KEY_BYTES];
/// A key and its value.
pub type Record = (Key, [u8; VALUE_BYTES]);

/// A generator of even numbers over 64 bits (`SplitMix64`; Steele, Lea, Flood 2014).
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; the bias does not matter here.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.draw()).unwrap_or_default().checked_rem(bound).unwrap_or_default()
    }

    /// Random bytes.
    pub fn fill<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            let random = self.draw().to_le_bytes();
            for (byte, random) in chunk.iter_mut().zip(random) {
                *byte = random;
            }
        }
        bytes
    }
}

/// `count` records with random keys, sorted by key.
#[must_use]
pub fn records(count: usize) -> Vec<Record> {
    let mut random = Random(1);
    let mut records: Vec<Record> = (0..count).map(|_| (random.fill(), random.fill())).collect();
    records.sort_unstable_by_key(|(key, _)| *key);
    records.dedup_by_key(|(key, _)| *key);
    records
}

/// New values for `count` random keys of the records, sorted by key.
#[must_use]
pub fn updates(records: &[Record], count: usize, round: u64) -> Vec<Record> {
    let mut random = Random(round.wrapping_add(1_000));
    let mut updates = Vec::with_capacity(count);
    while updates.len() < count {
        let missing = count.saturating_sub(updates.len());
        let more = (0..missing).filter_map(|_| records.get(random.below(records.len())));
        updates.extend(more.map(|(key, _)| (*key, random_value(key, round))));
        updates.sort_unstable_by_key(|(key, _)| *key);
        updates.dedup_by_key(|(key, _)| *key);
    }
    updates
}

fn random_value(key: &Key, round: u64) -> [u8; VALUE_BYTES] {
    let seed = key.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    Random(seed.wrapping_add(round)).fill()
}
