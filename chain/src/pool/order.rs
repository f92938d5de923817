//! Nonce order within a block: one account's mutations on one namespace stand in the order of their nonces.

use std::collections::HashMap;

use db3_primitives::{Body as _, Nonce};

use crate::machine::Machine;

/// Puts items in nonce order per account and namespace, and changes as little as that asks for: the places that one
/// account's mutations on a namespace (those of one lane) have stay theirs, only filled in order. What has no body stays
/// where it is.
pub(crate) fn by_nonce<M: Machine, T>(items: &mut [T], body: impl Fn(&T) -> Option<&M::Body>) {
    if is_ordered::<M, T>(items, &body) {
        return;
    }
    let mut groups: HashMap<_, Vec<(Nonce, usize)>> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        if let Some(body) = body(item) {
            let group = groups.entry(M::lane(body)).or_default();
            group.push((body.nonce(), at));
        }
    }
    // `take[at]` is the item that belongs at place `at`.
    let mut take: Vec<usize> = (0..items.len()).collect();
    for group in groups.into_values() {
        let places: Vec<usize> = group.iter().map(|(_, at)| *at).collect();
        let mut sorted = group;
        sorted.sort_unstable();
        for (place, (_, from)) in places.into_iter().zip(sorted) {
            if let Some(slot) = take.get_mut(place) {
                *slot = from;
            }
        }
    }
    permute(items, &take);
}

fn is_ordered<M: Machine, T>(items: &[T], body: &impl Fn(&T) -> Option<&M::Body>) -> bool {
    let mut last: HashMap<M::Lane, Nonce> = HashMap::new();
    items.iter().filter_map(body).all(|body| {
        let before = last.insert(M::lane(body), body.nonce());
        before.is_none_or(|before| before <= body.nonce())
    })
}

/// Moves every item to its place: afterwards `items[at]` is what was `items[take[at]]`.
fn permute<T>(items: &mut [T], take: &[usize]) {
    // `now[item]` is where the item that was first at place `item` is now, `at[place]` which item is at the place.
    let mut now: Vec<usize> = (0..items.len()).collect();
    let mut at: Vec<usize> = (0..items.len()).collect();
    for (place, wanted) in take.iter().enumerate() {
        let (Some(&from), Some(&moved)) = (now.get(*wanted), at.get(place)) else { return };
        items.swap(place, from);
        at.swap(place, from);
        if let Some(slot) = now.get_mut(moved) {
            *slot = from;
        }
        if let Some(slot) = now.get_mut(*wanted) {
            *slot = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::permute;

    #[test]
    fn a_permutation_takes_every_item_from_where_it_says() {
        for take in [vec![0, 1, 2, 3], vec![3, 2, 1, 0], vec![1, 2, 3, 0], vec![2, 0, 3, 1]] {
            let mut items = ['a', 'b', 'c', 'd'];
            permute(&mut items, &take);
            let expected: Vec<char> = take.iter().filter_map(|from| "abcd".chars().nth(*from)).collect();
            assert_eq!(items.to_vec(), expected, "{take:?}");
        }
    }
}
