//! Numbers that must not be mixed up: a height is no epoch and an epoch is no nonce.

use std::fmt;
use std::num::{NonZeroU64, ParseIntError};
use std::str::FromStr;

use crate::limits::SLOTS;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($inner);

        impl $name {
            /// Wraps the number.
            #[must_use]
            pub const fn new(number: $inner) -> Self {
                Self(number)
            }

            /// The number itself.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }

            /// The next one, unless this is the last that can be written.
            #[must_use]
            pub const fn next(self) -> Option<Self> {
                match self.0.checked_add(1) {
                    Some(next) => Some(Self(next)),
                    None => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }

        impl From<$inner> for $name {
            fn from(number: $inner) -> Self {
                Self(number)
            }
        }
    };
}

number! {
    /// A block's height on its chain; the first block has 1.
    Height(u64)
}
number! {
    /// An epoch: n is [n · `epoch_secs`, (n + 1) · `epoch_secs`) in Unix seconds of block time.
    Epoch(u64)
}
number! {
    /// A shard chain of a network, from 0.
    ShardId(u32)
}
number! {
    /// A mutation's number within (account, namespace), from 1.
    Nonce(u64)
}

impl Epoch {
    /// The epoch that a block of this time belongs to.
    #[must_use]
    pub const fn of(time_secs: u64, epoch_secs: NonZeroU64) -> Self {
        // Division by a non-zero number cannot fail.
        match time_secs.checked_div(epoch_secs.get()) {
            Some(epoch) => Self(epoch),
            None => Self(0),
        }
    }

    /// The first Unix second of the epoch, unless no `u64` holds it.
    #[must_use]
    pub const fn start_secs(self, epoch_secs: NonZeroU64) -> Option<u64> {
        self.0.checked_mul(epoch_secs.get())
    }
}

/// One of the 1 024 slots that namespaces hash to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// Slot `number`, if there is one.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number < SLOTS { Some(Self(number)) } else { None }
    }

    /// The first ten bits of a hash.
    #[must_use]
    pub const fn of_hash(hash: &[u8; 32]) -> Self {
        let [first, second, ..] = *hash;
        Self(u16::from_be_bytes([first, second]) >> 6)
    }

    /// The slot's number, < 1 024.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
