//! The file of a proposal, which goes from operator to operator.
//!
//! ```json
//! { "text": ["DB3 governance", …], "body": "0x…", "signatures": [{ "signer": "0x…", "scheme": 1, "signature": "0x…" }] }
//! ```
//! `body` is what is signed. `text` and `signer` are for people: they are written, and read from the body and the
//! signatures again.

use std::path::Path;

use db3_governance::{Proposal, Signature, SignedProposal};
use db3_primitives::Scheme;
use db3_primitives::hash::hex_text;
use serde::{Deserialize, Serialize};

use crate::cli::failure::Failure;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    text: Vec<String>,
    body: String,
    signatures: Vec<Signed>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    signer: String,
    scheme: i32,
    signature: String,
}

/// Writes a proposal and its signatures.
pub fn write(path: &Path, signed: &SignedProposal) -> Result<(), Failure> {
    let signers = signed.signers()?;
    let signature = |(signature, signer): (&Signature, &db3_primitives::Address)| Signed {
        signer: signer.to_string(),
        scheme: signature.scheme.number(),
        signature: hex_text(&signature.bytes),
    };
    let file = File {
        text: signed.proposal.signing_text().lines().map(ToOwned::to_owned).collect(),
        body: hex_text(&signed.proposal.to_bytes()),
        signatures: signed.signatures.iter().zip(&signers).map(signature).collect(),
    };
    let text = serde_json::to_string_pretty(&file).map_err(|error| wrong(path, &error.to_string()))?;
    db3_genesis::write_atomic(path, format!("{text}\n").as_bytes())
        .map_err(|error| Failure::file("write", path, &error))
}

/// Reads a proposal and its signatures. A text that is not the body's is refused: somebody would sign what they did not
/// read.
pub fn read(path: &Path) -> Result<SignedProposal, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
    let file: File = serde_json::from_str(&text).map_err(|error| wrong(path, &error.to_string()))?;
    let bytes = bytes(&file.body).ok_or_else(|| wrong(path, "its body is not 0x and hexadecimal digits"))?;
    let proposal = Proposal::from_bytes(&bytes)?;
    proposal.check_keys()?;
    if !proposal.signing_text().lines().eq(file.text.iter().map(String::as_str)) {
        return Err(wrong(path, "its text is not what its body says"));
    }
    let signatures = file.signatures.iter().map(|signed| signature(path, signed)).collect::<Result<_, _>>()?;
    Ok(SignedProposal { proposal, signatures })
}

fn signature(path: &Path, signed: &Signed) -> Result<Signature, Failure> {
    let bytes = bytes(&signed.signature).and_then(|bytes| bytes.try_into().ok());
    let bytes = bytes.ok_or_else(|| wrong(path, &format!("the signature of {} has not 65 bytes", signed.signer)))?;
    Ok(Signature { scheme: Scheme::from_number(signed.scheme)?, bytes })
}

/// The bytes that `0x` and pairs of hexadecimal digits write.
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("0x")?).ok()
}

fn wrong(path: &Path, what: &str) -> Failure {
    Failure::input(
        format!("{} is no proposal: {what}", path.display()),
        "take a file that `db3 governance propose` wrote, unchanged",
    )
}
