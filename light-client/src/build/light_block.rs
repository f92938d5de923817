//! What a light client is given of a block.

use prost::Message;
use tendermint::block::{Commit, Header};
use tendermint_proto::v0_38::types::{
    Commit as RawCommit, LightBlock as RawLightBlock, SignedHeader as RawSignedHeader, ValidatorSet as RawSet,
};

use super::header::raw_header;
use crate::validators::ValidatorSet;

/// `tendermint.types.LightBlock`: the header, the commit for it and the validators of its height.
#[must_use]
pub fn light_block_bytes(header: &Header, commit: &Commit, validators: &ValidatorSet) -> Vec<u8> {
    let block = RawLightBlock {
        signed_header: Some(RawSignedHeader {
            header: Some(raw_header(header)),
            commit: Some(RawCommit::from(commit.clone())),
        }),
        validator_set: Some(RawSet::from(validators.tendermint().clone())),
    };
    block.encode_to_vec()
}
