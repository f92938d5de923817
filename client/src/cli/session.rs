//! One run of the command: options, environment and settings brought together, and what they lead to: the network, the
//! account, its key.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use db3_genesis::{NetworkFile, NetworkKind, is_test_account};
use db3_primitives::{Address, Namespace, SecretKey, TableName};
use zeroize::Zeroizing;

use super::args::{Encoding, Global, parse_duration};
use super::failure::Failure;
use super::home::{Config, Home, is_path};
use super::output::Output;
use crate::console::{ColorChoice, OutputFormat};
use crate::devnet_args::DEV_PASSWORD;
use crate::keystore::{Folder, KeyFile, KeystoreError, StoredAccount, open};
use crate::{Client, Options};

/// See the module's text.
pub struct Session {
    /// Options of every command.
    pub global: Global,
    /// `config.toml`.
    pub config: Config,
    /// `$DB3_HOME`.
    pub home: Home,
    /// Where data goes.
    pub output: Output,
    /// How bytes are written as text.
    pub encoding: Encoding,
}

/// A network and where its file is.
pub struct ChosenNetwork {
    /// The file's path.
    pub path: PathBuf,
    /// What it says.
    pub file: NetworkFile,
}

/// An account, with its key if there is one.
#[derive(Clone, Debug)]
pub struct ChosenAccount {
    /// Its address.
    pub address: Address,
    /// Its keystore file; none for an address alone.
    pub stored: Option<StoredAccount>,
}

impl Session {
    /// Brings options and settings together.
    pub fn new(global: Global) -> Result<Self, Failure> {
        let home = Home::of_environment()?;
        let config = home.config()?;
        let global = config.complete(global);
        if global.quiet && global.verbose {
            return Err(Failure::input(
                "--quiet and --verbose contradict each other",
                "give one of them, and look for DB3_QUIET, DB3_VERBOSE and config.toml",
            ));
        }
        let format = setting("output", global.output, config.output.as_deref())?.unwrap_or_default();
        let color = setting("color", global.color, config.color.as_deref())?.unwrap_or_default();
        let encoding = setting("encoding", global.encoding, config.encoding.as_deref())?.unwrap_or_default();
        let output = Output { format, color, quiet: global.quiet, verbose: global.verbose };
        Ok(Self { global, config, home, output, encoding })
    }

    /// The format and colours of errors, even where the settings cannot be read.
    #[must_use]
    pub fn error_style(global: &Global) -> (OutputFormat, ColorChoice) {
        (global.output.unwrap_or_default(), global.color.unwrap_or_default())
    }

    /// The network in use.
    pub fn network(&self) -> Result<ChosenNetwork, Failure> {
        let named = self.global.network.as_deref().or(self.config.network.as_deref());
        self.network_named(named.unwrap_or("devnet"))
    }

    /// A network by its name or the path of its file.
    pub fn network_named(&self, name: &str) -> Result<ChosenNetwork, Failure> {
        let path = if is_path(name) { PathBuf::from(name) } else { self.home.network_file(name) };
        if !path.exists() {
            return Err(self.unknown_network(name, &path));
        }
        let file = NetworkFile::load(&path)?;
        Ok(ChosenNetwork { path, file })
    }

    fn unknown_network(&self, name: &str, path: &Path) -> Failure {
        let known: Vec<String> =
            self.home.list_networks().unwrap_or_default().into_iter().map(|(name, _)| name).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Failure::input(
            format!("the network {name} is not known: there is no {}", path.display()),
            format!("start one with `db3 devnet`, or add one with `db3 network add FILE` (known: {known})"),
        )
    }

    /// A client of the network in use.
    pub async fn client(&self) -> Result<Client, Failure> {
        let network = self.network()?;
        self.client_of(network.file).await
    }

    /// A client of a network.
    pub async fn client_of(&self, network: NetworkFile) -> Result<Client, Failure> {
        let default = Options::default();
        let timeout = self.timeout()?;
        let options = Options {
            timeout: timeout.unwrap_or(default.timeout),
            // Whoever names a time wants to wait, also for a network that is not there yet.
            connect_patience: timeout.unwrap_or(default.connect_patience),
            headers_folder: Some(self.home.headers()),
            unverified: self.global.unverified,
            endpoint: self.global.endpoint.clone().or_else(|| self.config.endpoint.clone()),
        };
        Ok(Client::connect(network, options).await?)
    }

    fn timeout(&self) -> Result<Option<Duration>, Failure> {
        match (&self.global.timeout, &self.config.timeout) {
            (Some(timeout), _) => Ok(Some(*timeout)),
            (None, Some(text)) => parse_duration(text).map(Some).map_err(|error| wrong_setting("timeout", &error)),
            (None, None) => Ok(None),
        }
    }

    /// The folders in which keys are looked for: the user's, and that of the network where it has one.
    pub fn keystores(&self, network: Option<&ChosenNetwork>) -> Vec<Folder> {
        let own = Folder::new(self.home.keystore());
        let of_network = network.and_then(|network| network.file.keystore_folder(&network.path)).map(Folder::new);
        std::iter::once(own).chain(of_network).collect()
    }

    /// The account in use.
    pub fn account(&self, network: &ChosenNetwork) -> Result<ChosenAccount, Failure> {
        match self.global.account.as_deref().or(self.config.account.as_deref()) {
            Some(name) => self.account_named(name, Some(network)),
            None if network.file.kind == NetworkKind::Devnet => self.account_named("dev0", Some(network)),
            None => Err(Failure::input(
                "no account is chosen",
                "give --account NAME, or make one with `db3 account new NAME` and choose it with `db3 account use NAME`",
            )),
        }
    }

    /// An account by name or address.
    pub fn account_named(&self, name: &str, network: Option<&ChosenNetwork>) -> Result<ChosenAccount, Failure> {
        let mut known = Vec::new();
        for folder in self.keystores(network) {
            if let Some(stored) = folder.find(name)? {
                return Ok(ChosenAccount { address: stored.address, stored: Some(stored) });
            }
            known.extend(folder.list()?.into_iter().map(|account| account.name));
        }
        if name.starts_with("0x") {
            let address =
                name.parse::<Address>().map_err(|error| Failure::input(error.to_string(), "check the address"))?;
            return Ok(ChosenAccount { address, stored: None });
        }
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(Failure::input(
            format!("there is no account {name}"),
            format!("make it with `db3 account new {name}`, or give one of: {known}"),
        ))
    }

    /// The key of the account in use, to sign on this network.
    pub fn signer(&self, network: &ChosenNetwork) -> Result<SecretKey, Failure> {
        self.key_of(network, &self.account(network)?)
    }

    /// The key of an account, to sign on this network.
    pub fn key_of(&self, network: &ChosenNetwork, account: &ChosenAccount) -> Result<SecretKey, Failure> {
        let Some(stored) = &account.stored else {
            return Err(Failure::input(
                format!("the key of {} is not on this machine, so that it can read but not write", account.address),
                "import it with `db3 account import NAME FILE`, or give another --account",
            ));
        };
        let is_devnet = network.file.kind == NetworkKind::Devnet;
        if !is_devnet && is_test_account(&account.address) {
            return Err(Failure::input(
                format!(
                    "everybody has the key of {} ({}): it is for development networks only",
                    stored.name, account.address
                ),
                format!("use an account of your own on {}", network.file.name),
            ));
        }
        let file = stored.key_file()?;
        // A wrong guess costs a derivation, so that only keys that are everybody's are tried.
        if is_devnet && is_of_network(stored, network) {
            match open(&file, DEV_PASSWORD) {
                Ok(secret) => return secret_key(&secret),
                Err(KeystoreError::WrongPassword) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let password = self.password(&format!("Password of {}: ", stored.name))?;
        let secret = open(&file, &password)?;
        secret_key(&secret)
    }

    /// A password: from the file, the environment or the prompt, never from an argument.
    pub fn password(&self, prompt: &str) -> Result<Zeroizing<String>, Failure> {
        if let Some(password) = self.given_password()? {
            return Ok(password);
        }
        self.ask_hidden(prompt)
    }

    /// A new password: as [`password`](Self::password), and typed twice.
    pub fn new_password(&self) -> Result<Zeroizing<String>, Failure> {
        if let Some(password) = self.given_password()? {
            return Ok(password);
        }
        let first = self.ask_hidden("New password: ")?;
        let second = self.ask_hidden("Again: ")?;
        if *first == *second { Ok(first) } else { Err(Failure::input("the two passwords differ", "try again")) }
    }

    fn given_password(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        if let Some(path) = &self.global.password_file {
            let text = std::fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
            let text = Zeroizing::new(text);
            let password = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
            return not_empty(password, &format!("the password in {}", path.display())).map(Some);
        }
        match std::env::var("DB3_PASSWORD") {
            Ok(password) => not_empty(Zeroizing::new(password), "the password in DB3_PASSWORD").map(Some),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Failure::input("DB3_PASSWORD is no UTF-8 text", "set another, or give --password-file FILE"))
            }
        }
    }

    fn ask_hidden(&self, prompt: &str) -> Result<Zeroizing<String>, Failure> {
        if self.global.no_input || !std::io::stdin().is_terminal() {
            return Err(Failure::input(
                "a password is needed, and nobody can be asked for it",
                "give --password-file FILE, or set DB3_PASSWORD",
            ));
        }
        let _closed = write!(std::io::stderr().lock(), "{prompt}").and_then(|()| std::io::stderr().flush());
        let password = rpassword::read_password().map(Zeroizing::new).map_err(|error| {
            Failure::input(
                format!("cannot read the password: {error}"),
                "give --password-file FILE, or set DB3_PASSWORD",
            )
        })?;
        not_empty(password, "the password")
    }

    /// Whether a question has somebody to answer it, or is answered already.
    pub fn may_ask(&self) -> bool {
        self.global.yes || (!self.global.no_input && std::io::stdin().is_terminal())
    }

    /// Asks a question that is answered with yes or no.
    pub fn confirm(&self, question: &str) -> Result<bool, Failure> {
        if self.global.yes {
            return Ok(true);
        }
        if self.global.no_input || !std::io::stdin().is_terminal() {
            return Err(Failure::input(format!("this needs a yes: {question}"), "give --yes"));
        }
        let _closed = write!(std::io::stderr().lock(), "{question} [y/N] ").and_then(|()| std::io::stderr().flush());
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map_err(|error| Failure::input(error.to_string(), "give --yes"))?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// Writes a file of exported data; what is there already is replaced only after a yes.
    pub fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let exists = path.is_file();
        if exists && !self.confirm(&format!("{} exists already; replace it?", path.display()))? {
            return Err(Failure::input(
                format!("{} exists already", path.display()),
                "choose another file, or give --yes",
            ));
        }
        std::fs::write(path, bytes).map_err(|error| Failure::file("write", path, &error))
    }

    /// `TABLE` is a table of the account's own namespace, `NAMESPACE/TABLE` one of another's.
    pub fn table(&self, text: &str, network: &ChosenNetwork) -> Result<(Namespace, TableName), Failure> {
        match text.split_once('/') {
            Some((namespace, table)) => Ok((namespace.parse()?, table.parse()?)),
            None => Ok((Namespace::own(&self.account(network)?.address), text.parse()?)),
        }
    }

    /// Bytes that were written on the command line.
    pub fn decode(&self, what: &str, text: &str) -> Result<Vec<u8>, Failure> {
        decode(self.encoding, text).map_err(|error| {
            Failure::input(
                format!("the {what} `{text}` does not fit --encoding {}: {error}", name_of(&self.encoding)),
                "write it in that encoding, or give another",
            )
        })
    }

    /// Bytes as they are shown in tables.
    #[must_use]
    pub fn encode(&self, bytes: &[u8]) -> String {
        encode(self.encoding, bytes)
    }
}

/// No key is ever sealed under an empty password, so that one that is given is a slip.
fn not_empty(password: Zeroizing<String>, what: &str) -> Result<Zeroizing<String>, Failure> {
    if password.is_empty() {
        return Err(Failure::input(
            format!("{what} is empty"),
            "give the account's password in --password-file FILE or DB3_PASSWORD (unset, it is asked for)",
        ));
    }
    Ok(password)
}

/// Whether the key lies in the network's own folder: on a devnet, under the password that everybody knows.
fn is_of_network(stored: &StoredAccount, network: &ChosenNetwork) -> bool {
    network.file.keystore_folder(&network.path).is_some_and(|folder| stored.path.starts_with(folder))
}

fn secret_key(secret: &[u8; 32]) -> Result<SecretKey, Failure> {
    SecretKey::from_bytes(*secret).map_err(|_| KeystoreError::InvalidSecret.into())
}

/// Reads a keystore file of any place.
pub fn read_key_file(path: &Path) -> Result<KeyFile, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
    Ok(KeyFile::parse(&path.display().to_string(), &text)?)
}

fn decode(encoding: Encoding, text: &str) -> Result<Vec<u8>, String> {
    use base64::Engine as _;
    match encoding {
        Encoding::Text => Ok(text.as_bytes().to_vec()),
        Encoding::Hex => hex::decode(text.strip_prefix("0x").unwrap_or(text)).map_err(|error| error.to_string()),
        Encoding::Base64 => base64::engine::general_purpose::STANDARD.decode(text).map_err(|error| error.to_string()),
    }
}

fn encode(encoding: Encoding, bytes: &[u8]) -> String {
    use base64::Engine as _;
    match encoding {
        Encoding::Text => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => format!("0x{}", hex::encode(bytes)),
        },
        Encoding::Hex => format!("0x{}", hex::encode(bytes)),
        Encoding::Base64 => base64::engine::general_purpose::STANDARD.encode(bytes),
    }
}

fn name_of(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// An option, or the setting of that name.
fn setting<T: ValueEnum>(name: &str, option: Option<T>, configured: Option<&str>) -> Result<Option<T>, Failure> {
    match (option, configured) {
        (Some(value), _) => Ok(Some(value)),
        (None, Some(text)) => T::from_str(text, true).map(Some).map_err(|_| {
            let known: Vec<String> = T::value_variants().iter().map(name_of).collect();
            wrong_setting(name, &format!("`{text}` is none of {}", known.join(", ")))
        }),
        (None, None) => Ok(None),
    }
}

fn wrong_setting(name: &str, error: &str) -> Failure {
    Failure::input(
        format!("the setting `{name}` of config.toml is wrong: {error}"),
        "correct it there, or give the option",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn bytes_go_to_text_and_back_in_every_encoding() {
        for encoding in [Encoding::Text, Encoding::Hex, Encoding::Base64] {
            assert_eq!(decode(encoding, &encode(encoding, b"k/\xc3\xa9")).unwrap(), b"k/\xc3\xa9");
        }
        assert_eq!(encode(Encoding::Text, &[0xff, 0]), "0xff00");
        assert!(decode(Encoding::Hex, "xyz").is_err());
    }
}
