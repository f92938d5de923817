//! `db3 devnet`: hands over to `db3-devnet`, which stands beside this program, in the words that it knows: addresses
//! instead of the names of accounts, a folder instead of a network's name or file.

use std::path::{Path, PathBuf};
use std::process::Command;

use db3_primitives::Address;

use super::args::Global;
use super::failure::Failure;
use super::home::is_path;
use super::session::Session;
use crate::devnet_args::{ConsoleArgs, DevnetArgs, DevnetCommand};

/// The file of a devnet's folder that says what it was made with, and the one that is its network file.
const MADE: &str = "devnet.json";
const NETWORK: &str = "network.toml";

/// `db3 devnet`
pub fn devnet(global: &Global, args: &DevnetArgs) -> Result<(), Failure> {
    let program = program()?;
    let session = Session::new(global.clone())?;
    let mut args = args.clone();
    args.start.port = args.start.port.or(session.config.devnet_port);
    if args.home.is_none() && args.start_args().is_none() {
        args.home = folder_of_network(&session)?;
    }
    if let Some(DevnetCommand::Fund { account, .. }) = &mut args.command {
        *account = address_of(&session, args.home.as_deref(), account)?;
    }
    let console = ConsoleArgs {
        output: session.output.format,
        color: session.output.color,
        yes: session.global.yes,
        no_input: session.global.no_input,
        quiet: session.global.quiet,
    };
    let mut command = Command::new(&program);
    command.args(console.to_arguments()).args(args.to_arguments());
    hand_over(command, &program)
}

/// The folder of the local network that `--network` names; none where it names another kind of network, so that the one
/// in `$DB3_HOME` is meant.
fn folder_of_network(session: &Session) -> Result<Option<PathBuf>, Failure> {
    let Some(named) = session.global.network.as_deref() else { return Ok(None) };
    let network = match session.network_named(named) {
        Ok(network) => network,
        // A name that nobody knows is one that the devnet is about to get, or of a network that is no devnet.
        Err(_) if !is_path(named) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let folder = network.file.keystore_folder(&network.path).and_then(|keys| keys.parent().map(Path::to_path_buf));
    match folder.filter(|folder| folder.join(MADE).is_file()) {
        // Its own program knows that one without being told.
        Some(folder) if is_same(&folder, &session.home.devnet()) => Ok(None),
        Some(folder) => Ok(Some(folder)),
        None if is_path(named) => Err(Failure::input(
            format!("{named} is the file of no local network in whose folder it stands"),
            "give --network the network.toml of a devnet's folder, or --home the folder",
        )),
        None => Ok(None),
    }
}

fn is_same(left: &Path, right: &Path) -> bool {
    let of = |path: &Path| std::fs::canonicalize(path).ok();
    of(left).is_some_and(|left| of(right) == Some(left))
}

/// The address of an account that is named: of the user's own keys, or those of the devnet.
fn address_of(session: &Session, home: Option<&Path>, name: &str) -> Result<String, Failure> {
    if name.parse::<Address>().is_ok() {
        return Ok(name.to_owned());
    }
    let file = home.map(|home| home.join(NETWORK).display().to_string());
    // Without a devnet only the user's own accounts have names; that none runs is for the devnet's program to say.
    let network = session.network_named(file.as_deref().unwrap_or("devnet")).ok();
    Ok(session.account_named(name, network.as_ref())?.address.to_string())
}

fn program() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().and_then(std::fs::canonicalize);
    let own =
        own.map_err(|error| Failure::input(format!("cannot find this program: {error}"), "run db3-devnet itself"))?;
    let beside = own.with_file_name(format!("db3-devnet{}", std::env::consts::EXE_SUFFIX));
    if beside.exists() {
        return Ok(beside);
    }
    Err(Failure::input(
        format!("there is no {}", beside.display()),
        "build it with `cargo build -p db3-devnet`, or install it beside db3 with scripts/install",
    ))
}

/// Becomes the other program, so that signals and exit code are its own.
#[cfg(unix)]
fn hand_over(mut command: Command, program: &std::path::Path) -> Result<(), Failure> {
    use std::os::unix::process::CommandExt as _;
    // It returns only if it fails.
    let error = command.exec();
    Err(Failure::file("run", program, &error))
}

/// Runs the other program and ends as it does.
#[cfg(not(unix))]
fn hand_over(mut command: Command, program: &std::path::Path) -> Result<(), Failure> {
    let status = command.status().map_err(|error| Failure::file("run", program, &error))?;
    std::process::exit(status.code().unwrap_or(1))
}
