//! What a devnet prints once it serves: chains, accounts, and what to type next. Every line that it offers works as
//! pasted.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use db3_client::devnet_args::DEV_PASSWORD;

use crate::control::Status;
use crate::home::Home;
use crate::network::db3_text;

/// The text.
pub fn banner(status: &Status, home: &Home, detached: bool) -> String {
    let mut text = String::new();
    let made = &status.made;
    let shards = if made.shards == 1 { "1 shard".to_owned() } else { format!("{} shards", made.shards) };
    let seconds = Seconds(status.ready_millis);
    let _ = writeln!(
        text,
        "The devnet is ready after {seconds} s: a settlement chain and {shards}, epochs of {} s.\n",
        made.epoch_secs
    );
    let rows: Vec<Vec<String>> = status
        .ready
        .nodes
        .iter()
        .zip(&status.chains)
        .map(|(node, chain)| vec![node.chain_id.clone(), node.grpc.clone(), chain.height.to_string()])
        .collect();
    push_table(&mut text, &["CHAIN", "GRPC", "HEIGHT"], &rows);
    text.push('\n');
    let rows: Vec<Vec<String>> = status
        .funds
        .iter()
        .map(|funds| {
            vec![funds.name.clone(), funds.address.clone(), db3_text(&funds.balance_tai), db3_text(&funds.limit_tai)]
        })
        .collect();
    push_table(&mut text, &["ACCOUNT", "ADDRESS", "BALANCE", "CREDIT"], &rows);
    let db3 = Db3::find(status, home);
    let _ = writeln!(
        text,
        "\nEverybody knows the keys of these accounts (their password is `{DEV_PASSWORD}`): never use them elsewhere.\n\
         The state is kept in {} until `{} devnet reset{}`.\n",
        home.path().display(),
        db3.program,
        db3.home_option,
    );
    let _ = writeln!(text, "Type next{}:", if detached { "" } else { ", in another terminal" });
    for line in ["put notes hello world", "get notes hello", "bill list", "credit show"] {
        let _ = writeln!(text, "  {}{} {line}", db3.program, db3.network_option);
    }
    let stop = format!("{} devnet stop{}", db3.program, db3.home_option);
    let _ = if detached { writeln!(text, "  {stop}") } else { writeln!(text, "\nCtrl-C here, or `{stop}`, stops it.") };
    text
}

/// Milliseconds, written as seconds.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0.div_euclid(1_000), self.0.rem_euclid(1_000))
    }
}

/// How the user calls `db3`, and what must be said so that it finds this network.
struct Db3 {
    program: String,
    network_option: String,
    home_option: String,
}

impl Db3 {
    fn find(status: &Status, home: &Home) -> Self {
        let (network_option, home_option) = match home.client_home() {
            Some(client) if crate::publish::current_network(client).as_deref() == Some("devnet") => {
                (String::new(), String::new())
            }
            Some(_) => (" --network devnet".to_owned(), String::new()),
            None => (
                format!(" --network {}", quoted(&status.ready.network_file)),
                format!(" --home {}", quoted(&home.path().display().to_string())),
            ),
        };
        Self { program: quoted(&program()), network_option, home_option }
    }
}

/// `db3` if that is the one beside this program, else the path of that one.
fn program() -> String {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| own.canonicalize().ok())
        .and_then(|own| own.parent().map(|folder| folder.join("db3")))
        .filter(|path| path.exists());
    match (beside, on_path("db3")) {
        (Some(beside), Some(found)) if found.canonicalize().ok() == beside.canonicalize().ok() => "db3".to_owned(),
        (Some(beside), _) => shortest(&beside),
        (None, _) => "db3".to_owned(),
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Relative to the working folder where it lies below it.
fn shortest(path: &Path) -> String {
    std::env::current_dir()
        .ok()
        .and_then(|folder| path.strip_prefix(folder).ok())
        .map_or_else(|| path.display().to_string(), |below| format!("./{}", below.display()))
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:=@".contains(&byte));
    if plain && !word.is_empty() { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Aligned columns, indented by two.
pub fn push_table(text: &mut String, head: &[&str], rows: &[Vec<String>]) {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            std::iter::once(&head)
                .chain(rows)
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for row in std::iter::once(&head).chain(rows) {
        let line: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "  {}", line.join("  ").trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut text = String::new();
        push_table(&mut text, &["A", "LONG"], &[vec!["wide".to_owned(), "x".to_owned()]]);
        assert_eq!(text, "  A     LONG\n  wide  x\n");
    }

    #[test]
    fn what_a_shell_would_split_is_quoted() {
        assert_eq!(quoted("/tmp/a/network.toml"), "/tmp/a/network.toml");
        assert_eq!(quoted("/tmp/my net/it's"), r"'/tmp/my net/it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
