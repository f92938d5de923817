//! Proofs of the state tree as `cosmos.ics23.v1.CommitmentProof` (ICS-23, `tendermint` proof spec), so that a library in any
//! language checks them.
//!
//! A proof has few variable parts, so both directions are written by hand: one pass, no message objects, one allocation to
//! encode. The tests hold the bytes against the `ics23` crate. The bytes, `varint` being the shortest:
//!
//! ```text
//! CommitmentProof   0a varint ExistenceProof  |  12 varint NonExistenceProof
//! ExistenceProof    0a varint key  12 varint value  1a 09 LeafOp  { 22 25|27 InnerOp }
//! NonExistenceProof 0a varint key  [ 12 varint ExistenceProof ]  [ 1a varint ExistenceProof ]
//! LeafOp            08 01  18 01  20 01  2a 01 00            SHA-256, SHA-256 of the value, varint lengths, prefix 00
//! InnerOp           08 01  12 21 01 hash                     sibling on the left
//! InnerOp           08 01  12 01 01  1a 20 hash              sibling on the right
//! ```
//!
//! Only this encoding is read. Absence in the empty tree has neither neighbour; ICS-23 cannot express it, and our own
//! verification takes it for the empty root alone.

use db3_state_tree::{AbsenceProof, ExistenceProof, KEY_BYTES_MAX, PATH_STEPS_MAX, PathStep, Proof, Side};
use prost::encoding::encode_varint;

use crate::wire::varint_bytes;

const EXIST: u8 = 0x0a;
const NONEXIST: u8 = 0x12;
const KEY: u8 = 0x0a;
const VALUE: u8 = 0x12;
const LEFT: u8 = 0x12;
const RIGHT: u8 = 0x1a;
/// `ExistenceProof.leaf` with its tag and length.
const LEAF_OP: [u8; 11] = [0x1a, 9, 8, 1, 0x18, 1, 0x20, 1, 0x2a, 1, 0];
/// `ExistenceProof.path` with its tag and length, up to the sibling's hash.
const STEP_LEFT: [u8; 7] = [0x22, 0x25, 8, 1, 0x12, 0x21, 1];
const STEP_RIGHT: [u8; 9] = [0x22, 0x27, 8, 1, 0x12, 1, 1, 0x1a, 0x20];

/// Longest encoded proof that is read. The longest path of all is [`PATH_STEPS_MAX`] steps, twice in a proof of absence, with
/// a value of any stored length.
pub const PROOF_BYTES_MAX: usize = 1_048_576;
const _: () = assert!(2 * (PATH_STEPS_MAX * 41 + KEY_BYTES_MAX) < PROOF_BYTES_MAX);

/// Why bytes are not a proof in the encoding above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ics23Error {
    /// Longer than [`PROOF_BYTES_MAX`].
    #[error("the proof has {bytes} bytes, at most {PROOF_BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not a proof of existence or absence by the `tendermint` spec in its canonical encoding.
    #[error("the proof is not a canonical ICS-23 proof of the tendermint spec: {what} is malformed")]
    Malformed {
        /// Which part.
        what: &'static str,
    },
    /// The path is longer than any tree is deep.
    #[error("the proof's path has more than {PATH_STEPS_MAX} steps")]
    PathTooLong,
}

/// Encodes a proof.
#[must_use]
pub fn to_bytes(proof: &Proof) -> Vec<u8> {
    match proof {
        Proof::Exists(existence) => {
            let length = existence_bytes(existence);
            let mut bytes = Vec::with_capacity(part_bytes(length));
            put_existence(EXIST, existence, &mut bytes);
            bytes
        }
        Proof::Absent(absence) => {
            let length = absence_bytes(absence);
            let mut bytes = Vec::with_capacity(part_bytes(length));
            bytes.push(NONEXIST);
            encode_varint(length as u64, &mut bytes);
            put_part(KEY, &absence.key, &mut bytes);
            for (tag, neighbour) in [(LEFT, &absence.left), (RIGHT, &absence.right)] {
                if let Some(existence) = neighbour {
                    put_existence(tag, existence, &mut bytes);
                }
            }
            bytes
        }
    }
}

/// Reads a proof. Whether it holds is for `db3_state_tree::verify_existence` and `verify_absence` to say.
pub fn from_bytes(bytes: &[u8]) -> Result<Proof, Ics23Error> {
    if bytes.len() > PROOF_BYTES_MAX {
        return Err(Ics23Error::TooLong { bytes: bytes.len() });
    }
    let mut reader = Reader { rest: bytes };
    let proof = if let Some(exist) = reader.optional_part(EXIST, "the existence proof")? {
        Proof::Exists(read_existence(exist)?)
    } else {
        Proof::Absent(read_absence(reader.part(NONEXIST, "the proof")?)?)
    };
    reader.end("what follows the proof")?;
    Ok(proof)
}

fn part_bytes(length: usize) -> usize {
    length.saturating_add(varint_bytes(length as u64)).saturating_add(1)
}

fn existence_bytes(proof: &ExistenceProof) -> usize {
    let path: usize = proof
        .path
        .iter()
        .map(|step| match step.side {
            Side::Left => STEP_LEFT.len().saturating_add(32),
            Side::Right => STEP_RIGHT.len().saturating_add(32),
        })
        .sum();
    part_bytes(proof.key.len())
        .saturating_add(part_bytes(proof.value.len()))
        .saturating_add(LEAF_OP.len())
        .saturating_add(path)
}

fn absence_bytes(absence: &AbsenceProof) -> usize {
    [&absence.left, &absence.right].into_iter().flatten().fold(part_bytes(absence.key.len()), |sum, neighbour| {
        sum.saturating_add(part_bytes(existence_bytes(neighbour)))
    })
}

fn put_part(tag: u8, part: &[u8], bytes: &mut Vec<u8>) {
    bytes.push(tag);
    encode_varint(part.len() as u64, bytes);
    bytes.extend_from_slice(part);
}

fn put_existence(tag: u8, proof: &ExistenceProof, bytes: &mut Vec<u8>) {
    bytes.push(tag);
    encode_varint(existence_bytes(proof) as u64, bytes);
    put_part(KEY, &proof.key, bytes);
    put_part(VALUE, &proof.value, bytes);
    bytes.extend_from_slice(&LEAF_OP);
    for step in &proof.path {
        match step.side {
            Side::Left => bytes.extend_from_slice(&STEP_LEFT),
            Side::Right => bytes.extend_from_slice(&STEP_RIGHT),
        }
        bytes.extend_from_slice(&step.sibling);
    }
}

fn read_existence(bytes: &[u8]) -> Result<ExistenceProof, Ics23Error> {
    let mut reader = Reader { rest: bytes };
    let key = reader.part(KEY, "a key")?.to_vec();
    let value = reader.part(VALUE, "a value")?.to_vec();
    reader.literal(&LEAF_OP, "the leaf operation")?;
    let mut path = Vec::with_capacity(reader.rest.len().div_ceil(STEP_LEFT.len().saturating_add(32)));
    while !reader.rest.is_empty() {
        if path.len() >= PATH_STEPS_MAX {
            return Err(Ics23Error::PathTooLong);
        }
        path.push(reader.step()?);
    }
    Ok(ExistenceProof { key, value, path })
}

fn read_absence(bytes: &[u8]) -> Result<AbsenceProof, Ics23Error> {
    let mut reader = Reader { rest: bytes };
    let key = reader.part(KEY, "the absent key")?.to_vec();
    let left = reader.optional_part(LEFT, "the left neighbour")?;
    let right = reader.optional_part(RIGHT, "the right neighbour")?;
    reader.end("what follows the neighbours")?;
    Ok(AbsenceProof { key, left: left.map(read_existence).transpose()?, right: right.map(read_existence).transpose()? })
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn literal(&mut self, wanted: &[u8], what: &'static str) -> Result<(), Ics23Error> {
        self.rest = self.rest.strip_prefix(wanted).ok_or(Ics23Error::Malformed { what })?;
        Ok(())
    }

    fn end(&self, what: &'static str) -> Result<(), Ics23Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Ics23Error::Malformed { what }) }
    }

    /// A length-delimited field, if the next one has this tag.
    fn optional_part(&mut self, tag: u8, what: &'static str) -> Result<Option<&'a [u8]>, Ics23Error> {
        if self.rest.first() == Some(&tag) { self.part(tag, what).map(Some) } else { Ok(None) }
    }

    /// A length-delimited field with this tag.
    fn part(&mut self, tag: u8, what: &'static str) -> Result<&'a [u8], Ics23Error> {
        self.literal(&[tag], what)?;
        let malformed = Ics23Error::Malformed { what };
        let before = self.rest.len();
        let length = prost::encoding::decode_varint(&mut self.rest).map_err(|_| malformed)?;
        let used = before.saturating_sub(self.rest.len());
        if used != varint_bytes(length) {
            return Err(malformed);
        }
        let length = usize::try_from(length).map_err(|_| malformed)?;
        let (part, rest) = self.rest.split_at_checked(length).ok_or(malformed)?;
        self.rest = rest;
        Ok(part)
    }

    fn step(&mut self) -> Result<PathStep, Ics23Error> {
        let malformed = Ics23Error::Malformed { what: "a step of the path" };
        let (side, rest) = if let Some(rest) = self.rest.strip_prefix(&STEP_LEFT) {
            (Side::Left, rest)
        } else if let Some(rest) = self.rest.strip_prefix(&STEP_RIGHT) {
            (Side::Right, rest)
        } else {
            return Err(malformed);
        };
        let (sibling, rest) = rest.split_first_chunk::<32>().ok_or(malformed)?;
        self.rest = rest;
        Ok(PathStep { side, sibling: *sibling })
    }
}
