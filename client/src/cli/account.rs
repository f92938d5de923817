//! `db3 account`: keys in Web3 Secret Storage files, and which one is used.

use std::path::Path;

use db3_genesis::NetworkKind;
use zeroize::Zeroizing;

use super::args::AccountCommand;
use super::failure::Failure;
use super::session::{ChosenNetwork, Session, read_key_file};
use super::value::Object;
use crate::keystore::{Folder, KeyFile, ScryptCost, open, seal};

/// `db3 account`
pub fn account(session: &Session, command: &AccountCommand) -> Result<(), Failure> {
    // Keys can be handled without any network.
    let network = session.network().ok();
    match command {
        AccountCommand::New { name } => new(session, name),
        AccountCommand::List => list(session, network.as_ref()),
        AccountCommand::Show { name } => show(session, name.as_deref(), network.as_ref()),
        AccountCommand::Use { name } => choose(session, name, network.as_ref()),
        AccountCommand::Import { name, file } => import(session, name, file),
        AccountCommand::Export { name, file } => export(session, name, file.as_deref(), network.as_ref()),
    }
}

fn new(session: &Session, name: &str) -> Result<(), Failure> {
    // Nobody thinks up a password for nothing.
    Folder::new(session.home.keystore()).check_new(name)?;
    let mut secret = Zeroizing::new([0u8; 32]);
    loop {
        getrandom::fill(secret.as_mut_slice()).map_err(|error| {
            Failure::input(format!("the operating system gave no random bytes: {error}"), "try again")
        })?;
        // All but one of 2^127 draws are keys.
        if db3_primitives::SecretKey::from_bytes(*secret).is_ok() {
            break;
        }
    }
    let password = session.new_password()?;
    add(session, name, &seal(&secret, &password, ScryptCost::STANDARD)?)
}

fn add(session: &Session, name: &str, file: &KeyFile) -> Result<(), Failure> {
    let path = Folder::new(session.home.keystore()).add(name, file)?;
    let address = session.account_named(name, None)?.address;
    session.output.object(
        &Object::new().with("name", name).with("address", address.to_string()).with("file", path.display().to_string()),
    )
}

fn list(session: &Session, network: Option<&ChosenNetwork>) -> Result<(), Failure> {
    let current = current(session, network);
    let mut list = session.output.list(&["name", "address", "current", "file"]);
    for folder in session.keystores(network) {
        for account in folder.list()? {
            let is_current = current.as_ref() == Some(&account.address);
            list.push(
                &Object::new()
                    .with("name", account.name.as_str())
                    .with("address", account.address.to_string())
                    .with("current", is_current)
                    .with("file", account.path.display().to_string()),
            )?;
        }
    }
    list.finish("no accounts; make one with `db3 account new NAME`")
}

fn current(session: &Session, network: Option<&ChosenNetwork>) -> Option<db3_primitives::Address> {
    let network = network?;
    session.account(network).ok().map(|account| account.address)
}

fn show(session: &Session, account: Option<&str>, network: Option<&ChosenNetwork>) -> Result<(), Failure> {
    let chosen = match (account, network) {
        (Some(name), network) => session.account_named(name, network)?,
        (None, Some(network)) => session.account(network)?,
        (None, None) => {
            return Err(Failure::input("no account is named, and no network chosen", "give the account's name"));
        }
    };
    let namespace = db3_primitives::Namespace::own(&chosen.address);
    let object = Object::new()
        .with_some("name", chosen.stored.as_ref().map(|stored| stored.name.clone()))
        .with("address", chosen.address.to_string())
        .with("namespace", namespace.as_str())
        .with("slot", u32::from(namespace.slot().get()))
        .with("has_key", chosen.stored.is_some())
        .with_some("file", chosen.stored.map(|stored| stored.path.display().to_string()));
    session.output.object(&object)
}

fn choose(session: &Session, name: &str, network: Option<&ChosenNetwork>) -> Result<(), Failure> {
    let chosen = session.account_named(name, network)?;
    session.home.set_config("account", name)?;
    session.output.say(&format!("the account is {name} ({})", chosen.address));
    Ok(())
}

/// A keystore file is taken as it is, once its password has opened it; a bare key is sealed.
fn import(session: &Session, name: &str, path: &Path) -> Result<(), Failure> {
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?);
    let digits = text.trim();
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    let mut secret = Zeroizing::new([0u8; 32]);
    if hex::decode_to_slice(digits, secret.as_mut_slice()).is_ok() {
        let password = session.new_password()?;
        return add(session, name, &seal(&secret, &password, ScryptCost::STANDARD)?);
    }
    if !text.trim_start().starts_with('{') {
        // What is said never shows any of it: it may be most of a secret.
        return Err(Failure::input(
            format!(
                "{} holds neither a keystore file nor a key: {} characters, where a key has 64 hexadecimal digits",
                path.display(),
                digits.chars().count()
            ),
            "give a Web3 Secret Storage V3 file, or a file with the 64 digits and nothing else",
        ));
    }
    let file = read_key_file(path)?;
    let password = session.password(&format!("Password of {}: ", path.display()))?;
    let opened = open(&file, &password)?;
    // A file that names no address could not be found again.
    let file = if file.address_hex().is_some() { file } else { seal(&opened, &password, ScryptCost::STANDARD)? };
    add(session, name, &file)
}

fn export(
    session: &Session,
    name: &str,
    target: Option<&Path>,
    network: Option<&ChosenNetwork>,
) -> Result<(), Failure> {
    let chosen = session.account_named(name, network)?;
    let Some(stored) = chosen.stored else {
        return Err(Failure::input(
            format!("the key of {name} is not on this machine"),
            "`db3 account list` names those that are",
        ));
    };
    let text = stored.key_file()?.to_json();
    match target {
        None => session.output.raw(text.as_bytes()),
        Some(path) if path.exists() => {
            Err(Failure::input(format!("{} exists already", path.display()), "choose another file"))
        }
        Some(path) => {
            db3_genesis::write_secret(path, text.as_bytes()).map_err(|error| Failure::file("write", path, &error))
        }
    }
}

/// What everybody can sign with on a network: nobody but a devnet gives its keys away.
pub fn keys_of_network(
    session: &Session,
    network: &ChosenNetwork,
    count: usize,
) -> Result<Vec<db3_primitives::SecretKey>, Failure> {
    let folder = network.file.keystore_folder(&network.path).filter(|_| network.file.kind == NetworkKind::Devnet);
    let Some(folder) = folder else { return Ok(vec![session.signer(network)?]) };
    let mut keys = Vec::new();
    for account in Folder::new(folder).list()?.into_iter().take(count) {
        let secret = open(&account.key_file()?, crate::devnet_args::DEV_PASSWORD)?;
        keys.extend(db3_primitives::SecretKey::from_bytes(*secret).ok());
    }
    if keys.is_empty() { Ok(vec![session.signer(network)?]) } else { Ok(keys) }
}
