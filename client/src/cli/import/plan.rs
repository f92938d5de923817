//! Cutting rows into mutations: as many as fit by count and by bytes.

use db3_primitives::limits::MUTATION_BYTES_MAX;

use super::row::Row;

/// What a pair costs beside key and value: its tags and lengths and the table's name.
const PAIR_OVERHEAD_BYTES: usize = 96;
/// What a mutation costs beside its pairs.
const ENVELOPE_BYTES: usize = 1_024;

/// Cuts rows, in order, into groups that fit in one mutation each.
pub fn cut(rows: Vec<Row>, pairs_max: usize) -> Vec<Vec<Row>> {
    let mut groups: Vec<Vec<Row>> = Vec::new();
    let mut bytes = usize::MAX;
    for row in rows {
        let added = row.key.len().saturating_add(row.value.len()).saturating_add(PAIR_OVERHEAD_BYTES);
        bytes = bytes.saturating_add(added);
        if let Some(group) = groups.last_mut().filter(|group| group.len() < pairs_max && bytes <= MUTATION_BYTES_MAX) {
            group.push(row);
        } else {
            bytes = added.saturating_add(ENVELOPE_BYTES);
            groups.push(vec![row]);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;

    #[test]
    fn groups_keep_order_and_limits() {
        let row = |number: usize| Row { line: number, key: vec![b'k'; 10], value: vec![b'v'; 10_000] };
        let groups = cut((0..100).map(row).collect(), 50);
        assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), 100);
        assert!(groups.iter().all(|group| group.len() <= 26 && !group.is_empty()));
        assert_eq!(groups.concat().iter().map(|row| row.line).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
        assert_eq!(cut((0..5).map(row).collect(), 2).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        assert!(cut(Vec::new(), 2).is_empty());
    }
}
