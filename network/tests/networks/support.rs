//! Plans, validators whose keys nobody has, and a network whose keys are made in a folder.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use db3_genesis::GenesisDocument;
use db3_network::folder::{self, GenesisFolder};
use db3_network::join::{JoinInput, Joined};
use db3_network::{
    Candidate, CandidateChain, Funded, HostPort, KeysInput, NetworkError, Plan, Roster, Validator, build,
};
use db3_primitives::{Address, BlockTime, ChainId, Tai};

pub const DEV0: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

pub fn plan(shards: u32) -> Plan {
    let time = BlockTime::parse_rfc3339("2026-01-31T09:30:00Z").unwrap();
    let mut plan = Plan::new("mine".parse().unwrap(), shards, NonZeroU64::new(600).unwrap(), time);
    let account = |number: u8| Funded {
        account: Address::new([number; 20]),
        balance: Tai::new(1_000),
        credit: Tai::new(u128::from(number)),
    };
    plan.accounts = vec![account(201), account(202)];
    plan
}

/// A validator whose keys nobody has: what stands in the files is all that building looks at.
pub fn validator(plan: &Plan, number: u8, power: u64) -> Validator {
    let chain = |(at, chain_id): (usize, ChainId)| {
        let at = u8::try_from(at).unwrap();
        let host = HostPort::parse(&format!("v{number}.example:{}", 26_656 + u16::from(at)), 1).unwrap();
        CandidateChain {
            chain_id,
            pubkey: *keyed(number, at).public_key().first_chunk().unwrap(),
            node_id: [number.wrapping_mul(16).wrapping_add(at); 20],
            p2p: host,
            endpoint: Some(format!("https://v{number}.example:{}", 7_300 + u16::from(at))),
        }
    };
    let candidate = Candidate {
        network: plan.network.clone(),
        shards: plan.shards,
        name: format!("v{number}"),
        operator: Address::new([number + 100; 20]),
        payout: Address::new([number / 2 + 150; 20]),
        chains: plan.chains().enumerate().map(chain).collect(),
    };
    Validator { power, candidate }
}

pub fn keyed(number: u8, at: u8) -> db3_light_client::build::ValidatorKey {
    db3_light_client::build::ValidatorKey::from_seed([number.wrapping_mul(16).wrapping_add(at); 32])
}

pub fn roster(plan: &Plan, numbers: &[u8]) -> Result<Roster, NetworkError> {
    Roster::new(plan, numbers.iter().map(|number| validator(plan, *number, u64::from(*number) + 9)).collect(), "test")
}

pub fn document(files: &std::collections::BTreeMap<String, String>, name: &str) -> GenesisDocument {
    GenesisDocument::from_json(files[name].as_bytes(), Path::new(name)).unwrap()
}

#[track_caller]
pub fn refused<T: std::fmt::Debug>(result: Result<T, NetworkError>) -> (String, String) {
    match result {
        Err(NetworkError::Field { field, expected, .. }) => (field, expected),
        other => panic!("{other:?}"),
    }
}

/// A network of two validators whose keys are made in a folder.
pub struct Network {
    pub folder: tempfile::TempDir,
    pub genesis: GenesisFolder,
}

impl Network {
    pub fn new() -> Self {
        Self::with_signer(&BTreeMap::new())
    }

    /// The same; alice's blocks are signed with these keys elsewhere.
    pub fn with_signer(signers: &BTreeMap<ChainId, [u8; 32]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (plan, nobody) = (plan(1), BTreeMap::new());
        let candidate = |name: &str, port: u16| {
            let input = KeysInput {
                plan: &plan,
                roster: None,
                name,
                p2p_address: &format!("127.0.0.1:{port}"),
                endpoint: Some("http://127.0.0.1"),
                operator: Address::new([101; 20]),
                payout: Address::new([102; 20]),
                keys: &folder.path().join(name),
                signers: if name == "alice" { signers } else { &nobody },
            };
            input.prepare().unwrap().write(&folder.path().join(format!("{name}.toml"))).unwrap()
        };
        let alice = candidate("alice", 26_656);
        let mut bob = candidate("bob", 26_756);
        bob.chains.iter_mut().for_each(|chain| chain.endpoint = None);
        let validators = [alice, bob].map(|candidate| Validator { power: 10, candidate });
        let roster = Roster::new(&plan, validators.to_vec(), "test").unwrap();
        let path = folder.path().join("genesis");
        folder::write(&path, &build(&plan, &roster).unwrap()).unwrap();
        Self { genesis: folder::check(&path).unwrap(), folder }
    }

    pub fn keys(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn join(&self, homes: &str, validator: Option<(&str, &Path)>) -> Result<Joined, NetworkError> {
        self.join_with(homes, validator, None)
    }

    /// The same; a signer connects there.
    pub fn join_with(
        &self,
        homes: &str,
        validator: Option<(&str, &Path)>,
        signer: Option<SocketAddr>,
    ) -> Result<Joined, NetworkError> {
        let homes = self.folder.path().join(homes);
        JoinInput { homes: &homes, ..self.input(validator, signer) }.join()
    }

    /// What a machine joins with, but for its folder.
    pub fn input<'a>(&'a self, validator: Option<(&'a str, &'a Path)>, signer: Option<SocketAddr>) -> JoinInput<'a> {
        JoinInput {
            folder: &self.genesis,
            homes: Path::new(""),
            validator,
            signer,
            listen: SocketAddr::from(([127, 0, 0, 1], 7_400)),
            p2p_port: 27_000,
            archive: false,
            programs: Path::new("/opt/db3"),
            comet: Some(Path::new("/opt/comet/cometbft")),
        }
    }
}
