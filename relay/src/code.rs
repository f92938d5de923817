//! Refusals that a relay tells from failures, by their numbers; docs/codes.md lists all.

/// Another relay was first.
pub const DELIVERY_STALE: u32 = 217;
/// The same bytes may be good in a moment.
pub const HEADER_TOO_EARLY: u32 = 220;
/// The reader takes nothing of this log any more.
pub const CHANNEL_FROZEN: u32 = 221;
/// Headers alone are not needed yet.
pub const HEADERS_NOT_DUE: u32 = 222;
/// The node asked has no such height: its state or its block.
pub const HEIGHTS_MISSING: [u32; 2] = [402, 406];
/// From here on: this node cannot do it now.
pub const UNAVAILABLE_MIN: u32 = 500;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use db3_primitives::{ChainId, Class, Height, Rejection};

    use super::*;

    #[test]
    fn the_codes_are_those_of_the_list() {
        let (detail, chain_id) = (String::new(), ChainId::parse("a-settlement").unwrap());
        assert_eq!(Rejection::DeliveryStale { cursor: 0 }.code(), DELIVERY_STALE);
        assert_eq!(Rejection::HeaderTooEarly { detail: detail.clone() }.code(), HEADER_TOO_EARLY);
        assert_eq!(Rejection::ChannelFrozen { chain_id, detail }.code(), CHANNEL_FROZEN);
        assert_eq!(Rejection::HeadersNotDue { height: Height::new(1) }.code(), HEADERS_NOT_DUE);
        assert!(
            Rejection::TABLE.iter().all(|row| (row.class() == Class::Unavailable) == (row.code >= UNAVAILABLE_MIN))
        );
    }
}
