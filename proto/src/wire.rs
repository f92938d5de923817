//! Reads the fields of one protobuf message without knowing its schema, so that what generated code drops in silence (unknown
//! fields) or allocates without asking (repeated fields) is seen first.
//!
//! It never recurses and never allocates. Groups, which proto3 does not have, are refused.

/// One field as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its number, at least 1.
    pub number: u32,
    /// Its content.
    pub value: Value<'a>,
}

/// Content of a field, by wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire types 1 and 5: eight or four bytes.
    Fixed,
    /// Wire type 2.
    Bytes(&'a [u8]),
}

/// Why bytes are no protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end within a field.
    #[error("the bytes end within a field")]
    Truncated,
    /// A varint has more than 64 bits.
    #[error("a varint is longer than 64 bits")]
    VarintTooLong,
    /// A field number is 0 or too large.
    #[error("a field number is out of range")]
    NumberOutOfRange,
    /// A wire type that proto3 does not have.
    #[error("wire type {0} is not used in proto3")]
    WireTypeUnknown(u8),
}

/// The fields of a message in the order of the wire; ends after the first error.
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// Reads the fields of `message`.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<Field<'a>, WireError> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| WireError::NumberOutOfRange)?;
        if number == 0 || number >= 1 << 29 {
            return Err(WireError::NumberOutOfRange);
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            other => {
                let other = u8::try_from(other).unwrap_or(u8::MAX);
                return Err(WireError::WireTypeUnknown(other));
            }
        };
        Ok(Field { number, value })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.rest.split_first().ok_or(WireError::Truncated)?;
            self.rest = rest;
            let bits = u64::from(first & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(WireError::VarintTooLong);
            }
            value |= bits << shift;
            if first & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::VarintTooLong)
    }
}

/// Length of the shortest varint of `value`, 1 to 10 bytes.
pub const fn varint_bytes(value: u64) -> usize {
    let bits = 64_u32.saturating_sub((value | 1).leading_zeros());
    bits.div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_every_wire_type() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 0x02, 0xaa, 0xbb, 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x25, 1, 2, 3, 4];
        let found: Result<Vec<_>, _> = fields(&bytes).collect();
        let field = |number, value| Field { number, value };
        assert_eq!(
            found.unwrap(),
            [
                field(1, Value::Varint(150)),
                field(2, Value::Bytes(&[0xaa, 0xbb])),
                field(3, Value::Fixed),
                field(4, Value::Fixed),
            ]
        );
    }

    #[test]
    fn refuses_what_proto3_does_not_have() {
        let table: [(&[u8], WireError); 7] = [
            (&[0x0b], WireError::WireTypeUnknown(3)),
            (&[0x0c], WireError::WireTypeUnknown(4)),
            (&[0x0f], WireError::WireTypeUnknown(7)),
            (&[0x00, 0x00], WireError::NumberOutOfRange),
            (&[0x08], WireError::Truncated),
            (&[0x0a, 0x05, 1], WireError::Truncated),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], WireError::VarintTooLong),
        ];
        for (bytes, wanted) in table {
            let last = fields(bytes).last().unwrap();
            assert_eq!(last.unwrap_err(), wanted, "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(fields(&bytes).count() <= bytes.len());
        }

        #[test]
        fn varint_lengths_are_those_of_prost(value: u64) {
            prop_assert_eq!(varint_bytes(value), prost::encoding::encoded_len_varint(value));
        }
    }
}
