//! A machine takes part in a network: a home for every chain, with ports, peers, keys and units.
//!
//! Nothing begins here and nothing is asked of anybody. What is there already is not overwritten once its node has begun;
//! before that, joining again with other options is possible.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use db3_comet::{Binary, CometSettings};
use db3_genesis::write_atomic;
use db3_primitives::ChainId;

use crate::build::{NETWORK_FILE, document_file};
use crate::folder::GenesisFolder;
use crate::keys::public_file;
use crate::{Candidate, CandidateChain, HostPort, NetworkError, unit};

pub use crate::home::Home;

/// What a machine takes part with.
#[derive(Clone, Debug)]
pub struct JoinInput<'a> {
    /// The genesis folder, checked.
    pub folder: &'a GenesisFolder,
    /// Where the homes are made.
    pub homes: &'a Path,
    /// The validator that this machine is, and the folder of its keys, which `keys` made; none for a node that has no
    /// power.
    pub validator: Option<(&'a str, &'a Path)>,
    /// Where the signer that has the validator's keys connects for the settlement chain; for shard n to the port 1 + n after
    /// it. None where the keys are here.
    pub signer: Option<SocketAddr>,
    /// Where gRPC of the settlement chain is served; shard n on the port 1 + n after it.
    pub listen: SocketAddr,
    /// The first port for the peers of a node that is no validator.
    pub p2p_port: u16,
    /// Whether every block is kept, for those who come without a snapshot.
    pub archive: bool,
    /// The folder of the programs, for the units.
    pub programs: &'a Path,
    /// Where `CometBFT` is, which units of other users find nowhere else; none: each node looks for it when it starts.
    pub comet: Option<&'a Path>,
}

/// A machine's part of a network.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Of the settlement chain, and then of every shard in order.
    pub homes: Vec<Home>,
    /// What users of this machine need.
    pub network_file: PathBuf,
    /// Folder of the units.
    pub units: PathBuf,
}

impl JoinInput<'_> {
    /// Makes the homes.
    pub fn join(&self) -> Result<Joined, NetworkError> {
        let homes_path = std::path::absolute(self.homes).map_err(NetworkError::file(self.homes))?;
        let own = self.own()?;
        let homes = self.homes(&homes_path, own.as_ref())?;
        for home in &homes {
            home.check_free(self.document(&home.chain_id)?)?;
        }
        self.check_keys(&homes, own.as_ref())?;
        check_ports(&homes)?;
        let network_name = format!("{}.toml", self.folder.plan.network);
        let network_file = homes_path.join(&network_name);
        let text = self.file(NETWORK_FILE)?;
        write_atomic(&network_file, text.as_bytes()).map_err(NetworkError::file(&network_file))?;
        let endpoints = endpoints(&homes);
        // As the home sees it, so that all of them together can move.
        let beside = format!("../{network_name}");
        let units = homes_path.join("units");
        for home in &homes {
            home.write(self.document(&home.chain_id)?, &beside, &endpoints)?;
            let path = units.join(unit::file(home));
            write_atomic(&path, unit::text(home, self.programs).as_bytes()).map_err(NetworkError::file(&path))?;
        }
        if let Some((_, keys)) = self.validator {
            homes.iter().try_for_each(|home| home.take_keys(keys))?;
        }
        Ok(Joined { homes, network_file, units })
    }

    fn file(&self, name: &str) -> Result<&str, NetworkError> {
        let missing = || NetworkError::Missing {
            path: self.folder.path.join(name),
            remedy: "take the genesis folder anew".to_owned(),
        };
        self.folder.built.files.get(name).map(String::as_str).ok_or_else(missing)
    }

    fn document(&self, chain_id: &ChainId) -> Result<&str, NetworkError> {
        self.file(&document_file(chain_id))
    }

    /// The validator that this machine is: one of the first, or one that comes later.
    fn own(&self) -> Result<Option<Candidate>, NetworkError> {
        let Some((name, keys)) = self.validator else { return Ok(None) };
        let roster = &self.folder.roster;
        if let Some(first) = roster.find(name) {
            return Ok(Some(first.candidate.clone()));
        }
        let file = public_file(keys);
        let names: Vec<&str> = roster.validators().iter().map(|one| one.candidate.name.as_str()).collect();
        let unknown = || {
            let expected = format!(
                "expected one of {}, or one that comes later: there is no {}, which `db3-genesis keys --genesis` makes with \
                 its keys",
                names.join(", "),
                file.display()
            );
            NetworkError::field("--validator", "name", name, expected)
        };
        if !file.exists() {
            return Err(unknown());
        }
        let later = Candidate::load(&file)?;
        let shown = file.display().to_string();
        if later.name != name {
            return Err(NetworkError::field(&shown, "name", later.name, format!("expected {name}, as asked for")));
        }
        roster.check_newcomer(&self.folder.plan, &later, &shown)?;
        Ok(Some(later))
    }

    fn homes(&self, folder: &Path, own: Option<&Candidate>) -> Result<Vec<Home>, NetworkError> {
        let candidates = || self.folder.roster.validators().iter().map(|validator| &validator.candidate);
        let private_network = candidates().chain(own).flat_map(|one| &one.chains).any(|chain| chain.p2p.is_private());
        let homes = self.folder.plan.chains().enumerate().zip(0u32..).map(|((at, chain_id), after)| {
            let others = candidates().filter(|other| Some(*other) != own);
            let peers = others.filter_map(|other| other.chains.get(at)).map(CandidateChain::peer).collect();
            let here = own.and_then(|own| own.chains.get(at)).map(|chain| chain.p2p.clone());
            let (p2p_listen, p2p_external) = match here {
                Some(p2p) => (listen_for(&p2p), p2p.to_string()),
                None => (self.p2p(private_network, after)?, String::new()),
            };
            Ok(Home {
                path: folder.join(chain_id.as_str()),
                chain_id,
                listen: SocketAddr::new(self.listen.ip(), after_port("--port", self.listen.port(), after)?),
                p2p_listen,
                p2p_external,
                peers,
                signer: self.signer(after)?,
                private_network,
                archive: self.archive,
                comet: self.comet.map(Path::to_owned),
            })
        });
        homes.collect()
    }

    /// Where the peers of a node that is no validator connect.
    fn p2p(&self, private_network: bool, after: u32) -> Result<String, NetworkError> {
        let ip = if private_network { self.listen.ip() } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        Ok(SocketAddr::new(ip, after_port("--p2p-port", self.p2p_port, after)?).to_string())
    }

    /// Where a signer connects for the chain at this place.
    fn signer(&self, after: u32) -> Result<Option<String>, NetworkError> {
        let Some(first) = self.signer.filter(|_| self.validator.is_some()) else { return Ok(None) };
        let address = SocketAddr::new(first.ip(), after_port("--signer", first.port(), after)?);
        Ok(Some(format!("tcp://{address}")))
    }

    /// That the keys are those of the validator on every chain.
    fn check_keys(&self, homes: &[Home], own: Option<&Candidate>) -> Result<(), NetworkError> {
        let (Some((name, keys)), Some(own)) = (self.validator, own) else {
            return homes.iter().try_for_each(Home::check_keyless);
        };
        for (home, chain) in homes.iter().zip(&own.chains) {
            let found = home.find_keys(keys, chain.pubkey)?.ok_or_else(|| NetworkError::Missing {
                path: keys.join(home.chain_id.as_str()),
                remedy: format!(
                    "the keys of {name} are where `db3-genesis keys` made them, or in the homes of an earlier join; name \
                     their folder with --keys, or, if a signer elsewhere signs, where it connects with --signer; a node \
                     without power wants --no-validator"
                ),
            })?;
            let (found, expected) = ((found.validator, found.node_id), (chain.pubkey, chain.node_id));
            if found != expected {
                let shown = |(key, id): ([u8; 32], [u8; 20])| format!("{}, {}", hex::encode(key), hex::encode(id));
                let field = format!("keys of {name} on {}", home.chain_id);
                let expected = format!("expected {}, as the genesis folder or the public file says", shown(expected));
                return Err(NetworkError::field(&keys.display().to_string(), field, shown(found), expected));
            }
        }
        Ok(())
    }
}

/// Refuses two uses of one port of this machine.
fn check_ports(homes: &[Home]) -> Result<(), NetworkError> {
    let mut seen: Vec<(&ChainId, &str, SocketAddr)> = Vec::new();
    for home in homes {
        for (what, address) in home.binds() {
            let overlaps = |other: &SocketAddr| {
                let (one, two) = (address.ip(), other.ip());
                address.port() == other.port() && (one == two || one.is_unspecified() || two.is_unspecified())
            };
            if let Some((chain, used, _)) = seen.iter().find(|(_, _, other)| overlaps(other)) {
                let field = format!("{what} of {}", home.chain_id);
                let expected = format!("{chain} has that port for {used}; choose another first port");
                return Err(NetworkError::field("join", field, address, expected));
            }
            seen.push((&home.chain_id, what, address));
        }
    }
    Ok(())
}

fn after_port(option: &str, first: u16, after: u32) -> Result<u16, NetworkError> {
    let port = u32::from(first).checked_add(after).and_then(|port| u16::try_from(port).ok());
    port.ok_or_else(|| NetworkError::field(option, "port", first, "expected a lower port: each chain needs its own"))
}

/// All addresses of the machine, or the loopback one if peers are on this machine alone.
fn listen_for(p2p: &HostPort) -> String {
    let ip = match p2p.ip() {
        Some(ip) if ip.is_loopback() => ip,
        None if p2p.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        Some(IpAddr::V4(_)) | None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    SocketAddr::new(ip, p2p.port()).to_string()
}

/// Where the machine's own nodes serve the chains: its relay asks them and nobody else.
fn endpoints(homes: &[Home]) -> BTreeMap<String, Vec<String>> {
    let url = |home: &Home| {
        let ip = match home.listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, home.listen.port()))
    };
    homes.iter().map(|home| (home.chain_id.to_string(), vec![url(home)])).collect()
}

/// Where `CometBFT` is on this machine: what nodes are told that another user, or no environment, starts.
///
/// # Errors
/// What is missing, what to do, and where a node looks until that is done.
pub fn find_comet() -> Result<PathBuf, String> {
    let found = Binary::find(&CometSettings::default()).map_err(|error| error.to_string());
    let found = found.and_then(|binary| std::path::absolute(binary.path()).map_err(|error| error.to_string()));
    found.map_err(|why| {
        format!(
            "{why}. Then join again, or write where it is, as `binary` under [cometbft], into config/node.toml of each home; \
             until then a node finds it only in the PATH and in the ~/.cache/db3/bin of the user that its unit runs as"
        )
    })
}

/// The folder of keys that `keys` makes unless told otherwise: `<db3 home>/keys/<network>-<name>`.
#[must_use]
pub fn keys_folder(db3_home: &Path, network: &str, name: &str) -> PathBuf {
    db3_home.join("keys").join(format!("{network}-{name}"))
}

/// The validator that this machine is, and the folder of its keys: the one that is named, or else the only one of the
/// network whose keys are under `db3_home`, one of the first or one that comes later. None if nobody is named and no keys
/// are there.
///
/// # Errors
/// The keys of several are there and none is named.
pub fn validator_here(
    folder: &GenesisFolder,
    named: Option<&str>,
    db3_home: &Path,
) -> Result<Option<(String, PathBuf)>, NetworkError> {
    let with_keys = |name: &str| (name.to_owned(), keys_folder(db3_home, folder.plan.network.as_str(), name));
    if let Some(name) = named {
        return Ok(Some(with_keys(name)));
    }
    let all = folder.roster.validators().iter().map(|validator| with_keys(&validator.candidate.name));
    let mut here: Vec<(String, PathBuf)> = all.filter(|(_, keys)| keys.exists()).collect();
    here.extend(later_here(folder, db3_home));
    if here.len() > 1 {
        let several: Vec<String> = here.into_iter().map(|(name, _)| name).collect();
        let file = db3_home.join("keys").display().to_string();
        return Err(NetworkError::field(
            &file,
            "validators",
            several.join(", "),
            "expected one; name it with --validator, or be a node without power with --no-validator",
        ));
    }
    Ok(here.pop())
}

/// The validators that come later whose keys are under `db3_home`, by their public files.
fn later_here(folder: &GenesisFolder, db3_home: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(db3_home.join("keys")).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let keys = entry.path();
        let candidate = Candidate::load(&public_file(&keys)).ok()?;
        let is_later = candidate.network == folder.plan.network && folder.roster.find(&candidate.name).is_none();
        is_later.then_some((candidate.name, keys))
    });
    let mut later: Vec<_> = named.collect();
    later.sort();
    later
}
