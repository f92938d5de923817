//! Every maximum of this crate, tied together.

/// Validators in a set.
pub const VALIDATORS_MAX: usize = 1_000;

/// Bytes of a light block: header, one signature for each validator, and the set.
pub const LIGHT_BLOCK_BYTES_MAX: usize = 262_144;

/// Bytes of a validator set.
pub const VALIDATOR_SET_BYTES_MAX: usize = 131_072;

/// Headers that a client keeps.
pub const TRUSTED_HEADERS_MAX: usize = 64;

/// Allowance for clocks that differ.
pub const CLOCK_DRIFT_SECS_MIN: u64 = 30;

/// Heights are below this, so that the next one is a valid height too (Tendermint's are 63 bits wide).
pub const HEIGHT_MAX: u64 = (1 << 63) - 2;

/// Bytes of a chain id, as Tendermint limits it.
pub const CHAIN_ID_BYTES_MAX: usize = 50;

const SIGNATURE_WIRE_BYTES_MAX: usize = 116;
const VALIDATOR_WIRE_BYTES_MAX: usize = 82;
const HEADER_WIRE_BYTES_MAX: usize = 1_024;

const _: () =
    assert!(VALIDATOR_SET_BYTES_MAX >= (VALIDATORS_MAX + 1) * VALIDATOR_WIRE_BYTES_MAX, "the largest set fits");
const _: () = assert!(
    LIGHT_BLOCK_BYTES_MAX
        >= HEADER_WIRE_BYTES_MAX
            + VALIDATORS_MAX * SIGNATURE_WIRE_BYTES_MAX
            + (VALIDATORS_MAX + 1) * VALIDATOR_WIRE_BYTES_MAX,
    "a light block of the largest set fits"
);
