//! What a batch of changes must look like, checked before anything is done with it.

use crate::bits::KEY_BYTES_MAX;

/// Changes to apply at once: key and new value, or `None` to delete; strictly ascending by key.
pub type Batch = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Why a batch was refused; nothing of it was applied. `entry` counts from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// A key has no bytes.
    #[error("entry {entry} of the batch has an empty key")]
    KeyEmpty {
        /// Which entry.
        entry: usize,
    },
    /// A key is longer than [`KEY_BYTES_MAX`].
    #[error("entry {entry} of the batch has a key of {bytes} bytes, the most is {max}", max = KEY_BYTES_MAX)]
    KeyTooLong {
        /// Which entry.
        entry: usize,
        /// Length of its key.
        bytes: usize,
    },
    /// A key is not above the one before it.
    #[error("entry {entry} of the batch has a key that is not above the one before: {key:02x?}")]
    NotAscending {
        /// Which entry.
        entry: usize,
        /// Its key.
        key: Vec<u8>,
    },
    /// A value has no bytes.
    #[error("entry {entry} of the batch has an empty value for the key {key:02x?}")]
    ValueEmpty {
        /// Which entry.
        entry: usize,
        /// Its key.
        key: Vec<u8>,
    },
}

/// The ladder: key length, order, value length; entry by entry.
pub(crate) fn check(batch: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), BatchError> {
    let mut before: &[u8] = &[];
    for (entry, (key, value)) in batch.iter().enumerate() {
        if key.is_empty() {
            return Err(BatchError::KeyEmpty { entry });
        }
        if key.len() > KEY_BYTES_MAX {
            return Err(BatchError::KeyTooLong { entry, bytes: key.len() });
        }
        if key.as_slice() <= before {
            return Err(BatchError::NotAscending { entry, key: key.clone() });
        }
        if value.as_ref().is_some_and(Vec::is_empty) {
            return Err(BatchError::ValueEmpty { entry, key: key.clone() });
        }
        before = key;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &[u8], value: Option<&[u8]>) -> (Vec<u8>, Option<Vec<u8>>) {
        (key.to_vec(), value.map(<[u8]>::to_vec))
    }

    #[test]
    fn refuses_an_entry_by_its_number() {
        let good = entry(b"a", Some(b"1"));
        let cases = [
            (entry(b"", None), BatchError::KeyEmpty { entry: 1 }),
            (entry(&[b'x'; 513], None), BatchError::KeyTooLong { entry: 1, bytes: 513 }),
            (entry(b"a", None), BatchError::NotAscending { entry: 1, key: b"a".to_vec() }),
            (entry(b"A", None), BatchError::NotAscending { entry: 1, key: b"A".to_vec() }),
            (entry(b"b", Some(b"")), BatchError::ValueEmpty { entry: 1, key: b"b".to_vec() }),
        ];
        for (bad, error) in cases {
            assert_eq!(check(&[good.clone(), bad]), Err(error));
        }
        assert_eq!(check(&[good, entry(&[b'x'; 512], None)]), Ok(()));
        assert_eq!(check(&[]), Ok(()));
    }
}
