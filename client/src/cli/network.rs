//! `db3 network`: which networks this machine knows, and what it trusts of them.

use db3_genesis::{ChainKind, NetworkFile};

use super::args::NetworkCommand;
use super::failure::Failure;
use super::render::hex;
use super::session::{ChosenNetwork, Session};
use super::value::Object;
use crate::header_store::newest_known_height;

/// `db3 network`
pub fn network(session: &Session, command: &NetworkCommand) -> Result<(), Failure> {
    match command {
        NetworkCommand::List => list(session),
        NetworkCommand::Use { name } => choose(session, name),
        NetworkCommand::Add { file } => add(session, file),
        NetworkCommand::Show { name } => {
            let network = match name {
                Some(name) => session.network_named(name)?,
                None => session.network()?,
            };
            show(session, &network)
        }
    }
}

fn list(session: &Session) -> Result<(), Failure> {
    let current =
        session.global.network.as_deref().or(session.config.network.as_deref()).unwrap_or("devnet").to_owned();
    let mut list = session.output.list(&["name", "current", "kind", "shards", "epoch_secs", "problem"]);
    for (name, file) in session.home.list_networks()? {
        let object = Object::new().with("name", name.as_str()).with("current", name == current);
        let object = match file {
            Ok(file) => object
                .with("kind", format!("{:?}", file.kind).to_lowercase())
                .with("shards", u32::try_from(file.shards().count()).unwrap_or(u32::MAX))
                .with("epoch_secs", file.epoch_secs.get()),
            Err(failure) => object.with("problem", failure.to_string()),
        };
        list.push(&object)?;
    }
    list.finish("no networks; start one with `db3 devnet`, or add one with `db3 network add FILE`")
}

fn choose(session: &Session, name: &str) -> Result<(), Failure> {
    let network = session.network_named(name)?;
    session.home.set_config("network", name)?;
    session.output.say(&format!("the current network is {}", network.file.name));
    Ok(())
}

fn add(session: &Session, path: &std::path::Path) -> Result<(), Failure> {
    let mut file = NetworkFile::load(path)?;
    // The folder is relative to the file, which will stand elsewhere.
    if let Some(folder) = file.keystore_folder(path) {
        file.keystore = Some(std::path::absolute(&folder).map_err(|error| Failure::file("find", &folder, &error))?);
    }
    let target = session.home.network_file(file.name.as_str());
    if target.exists() {
        let known = NetworkFile::load(&target)?;
        let question = format!("the network {} is known already, with other trust roots; replace it?", file.name);
        if known.id()? != file.id()? && !session.confirm(&question)? {
            return Err(Failure::input(
                format!("the network {} is known already, with other trust roots", file.name),
                "give --yes to replace it",
            ));
        }
    }
    file.save(&target)?;
    session.output.say(&format!("added {}; `db3 network use {}` makes it the current one", file.name, file.name));
    Ok(())
}

fn show(session: &Session, network: &ChosenNetwork) -> Result<(), Failure> {
    let file = &network.file;
    let mut chains = Vec::new();
    for chain in &file.chains {
        let root = chain.trust_root()?;
        chains.push(
            Object::new()
                .with("chain_id", chain.chain_id.as_str())
                .with("kind", if chain.kind == ChainKind::Shard { "shard" } else { "settlement" })
                .with("index", chain.index)
                .with("endpoints", chain.endpoints.clone())
                .with("trust_root", hex(&root.id()))
                .with("trust_height", root.height())
                .with("validators", u32::try_from(chain.trust.validators.len()).unwrap_or(u32::MAX))
                .with("verified_height", newest_known_height(&session.home.headers(), &root)),
        );
    }
    let object = Object::new()
        .with("name", file.name.as_str())
        .with("kind", format!("{:?}", file.kind).to_lowercase())
        .with("epoch_secs", file.epoch_secs.get())
        .with("id", hex(&file.id()?))
        .with("file", network.path.display().to_string());
    if session.output.format != crate::console::OutputFormat::Table {
        return session.output.object(&object.with("chains", chains));
    }
    session.output.object(&object)?;
    session.output.raw(b"\n")?;
    let mut list = session.output.list(&["chain_id", "endpoints", "validators", "verified_height", "trust_root"]);
    chains.into_iter().try_for_each(|chain| list.push(&chain))?;
    list.finish("no chains")
}
