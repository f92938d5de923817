//! The two examples that end each `--help`. They are data, so that a test can run every one of them, in this order, on a
//! devnet of two shards; `ID` stands for the identifier that the test knows by then.

use clap::Command;

/// Path of a command, and its examples.
pub const EXAMPLES: &[(&str, [&str; 2])] = &[
    ("", ["db3 devnet --shards 2 --detach", "db3 put notes hello world"]),
    (
        "devnet start",
        [
            "db3 devnet start --accounts 10 --detach",
            "db3 devnet start --epoch-secs 60 --ready-file ready.json --detach",
        ],
    ),
    ("devnet status", ["db3 devnet status", "db3 --output json devnet status"]),
    ("network list", ["db3 network list", "db3 network list --output json"]),
    ("network show", ["db3 network show", "db3 network show devnet --output json"]),
    ("network add", ["db3 network add network.toml", "db3 network add network.toml --yes"]),
    ("network use", ["db3 network use devnet", "db3 network use devnet --quiet"]),
    ("network", ["db3 network list", "db3 network use devnet"]),
    (
        "account new",
        [
            "db3 account new alice --password-file password.txt",
            "db3 account new bob --password-file password.txt --output json",
        ],
    ),
    ("account list", ["db3 account list", "db3 account list --output csv"]),
    ("account show", ["db3 account show", "db3 account show dev1"]),
    ("account export", ["db3 account export alice", "db3 account export alice --file alice.json"]),
    (
        "account import",
        [
            "db3 account import carol alice.json --password-file password.txt",
            "db3 account import dave secret.txt --password-file password.txt",
        ],
    ),
    ("account use", ["db3 account use dev1", "db3 account use dev0"]),
    ("account", ["db3 account list", "db3 account show dev0"]),
    ("put", ["db3 put notes hello world", "db3 put notes picture --value-file picture.png --max-fee 0.01db3"]),
    ("insert", ["db3 insert notes first 1", "db3 insert notes second 2 --wait committed"]),
    ("update", ["db3 update notes first one", "db3 update notes first uno --if-version 2"]),
    ("delete", ["db3 delete notes first", "db3 delete notes second --dry-run"]),
    ("mutate", ["db3 mutate operations.ndjson", "db3 mutate operations.ndjson --dry-run"]),
    ("get", ["db3 get notes hello", "db3 get notes hello --proof-file hello.proof"]),
    ("scan", ["db3 scan notes --prefix h", "db3 scan notes --from a --to m --limit 10 --output json"]),
    ("watch", ["db3 watch notes --for 1s", "db3 watch notes --prefix h --for 1s --output json"]),
    ("verify", ["db3 verify hello.proof", "db3 verify hello.proof --output json"]),
    (
        "import",
        [
            "db3 import countries countries.csv --key code",
            "db3 import characters characters.txt --delimiter ';' --columns code,name --key code",
        ],
    ),
    ("export", ["db3 export countries --format csv", "db3 export notes --pairs --file notes.ndjson"]),
    ("receipt", ["db3 receipt ID", "db3 receipt ID --wait"]),
    ("decode", ["db3 decode signed.bin", "db3 decode signed.bin --output json"]),
    ("namespace create", ["db3 namespace create library", "db3 namespace create shop --max-fee 0.01db3"]),
    ("namespace show", ["db3 namespace show library", "db3 namespace show library --output json"]),
    ("namespace list", ["db3 namespace list", "db3 namespace list --account dev1"]),
    ("namespace", ["db3 namespace list", "db3 namespace show library"]),
    ("table create", ["db3 table create library/books", "db3 table create library/readers --wait committed"]),
    ("table show", ["db3 table show library/books", "db3 table show notes"]),
    ("table list", ["db3 table list", "db3 table list library"]),
    ("table", ["db3 table list", "db3 table show notes"]),
    ("bill list", ["db3 bill list --epoch open", "db3 bill list --sum-by namespace --output csv"]),
    ("bill show", ["db3 bill show 1/0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266/1", "db3 bill show ID"]),
    ("bill verify", ["db3 bill verify 1/0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266/1", "db3 bill verify ID"]),
    ("bill", ["db3 bill list", "db3 bill show 1/0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266/1"]),
    ("transfer", ["db3 transfer dev1 0.5db3", "db3 transfer dev2 300tai --wait committed"]),
    ("credit show", ["db3 credit show", "db3 credit show --account dev1 --output json"]),
    ("credit deposit", ["db3 credit deposit 2db3", "db3 credit deposit 1db3 --no-lines"]),
    ("credit withdraw", ["db3 credit withdraw 0.1db3", "db3 credit withdraw 0.1db3 --dry-run"]),
    ("credit allocate", ["db3 credit allocate 900db3", "db3 credit allocate --shard 0 800db3 --wait committed"]),
    (
        "credit history",
        ["db3 credit history --limit 20", "db3 credit history --since 2026-01-01T00:00:00Z --output csv"],
    ),
    ("credit pay", ["db3 credit pay --dry-run", "db3 credit pay 0.1db3 --dry-run"]),
    ("credit", ["db3 credit show", "db3 credit allocate --shard 0 900db3"]),
    ("devnet fund", ["db3 devnet fund dev1", "db3 devnet fund 0x1111111111111111111111111111111111111111 5db3"]),
    ("devnet advance", ["db3 devnet advance 60", "db3 devnet advance 120"]),
    ("posting list", ["db3 posting list", "db3 posting list --kind round --limit 10 --output csv"]),
    ("posting show", ["db3 posting show 0", "db3 posting show 0 --output json"]),
    ("posting", ["db3 posting list", "db3 posting show 0"]),
    ("pool list", ["db3 pool list", "db3 pool list --output json"]),
    ("pool payouts", ["db3 pool payouts --limit 10", "db3 pool payouts --chain devnet-shard-1 --output csv"]),
    ("pool", ["db3 pool list", "db3 pool payouts"]),
    ("epoch list", ["db3 epoch list --limit 3", "db3 epoch list --shard 1 --output json"]),
    ("epoch show", ["db3 epoch show last", "db3 epoch show open --output json"]),
    ("epoch", ["db3 epoch list", "db3 epoch show last"]),
    ("statement list", ["db3 statement list", "db3 statement list --account dev0 --output json"]),
    ("statement show", ["db3 statement show last", "db3 statement show last --output json"]),
    ("statement export", ["db3 statement export", "db3 statement export last --charges --file statement.csv"]),
    ("statement", ["db3 statement list", "db3 statement show last"]),
    (
        "governance propose",
        [
            "db3 governance propose change.json --shard 0 --set expiry_max_secs=1800",
            "db3 governance propose prices.json --prices 2000,5,500,20,20 --expires-in 24h",
        ],
    ),
    ("governance sign", ["db3 governance sign change.json", "db3 governance sign prices.json --account dev0"]),
    ("governance show", ["db3 governance show", "db3 governance show change.json --output json"]),
    ("governance submit", ["db3 governance submit change.json", "db3 governance submit prices.json --output json"]),
    (
        "governance unsign",
        [
            "db3 governance unsign change.json dev0",
            "db3 governance unsign prices.json 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
        ],
    ),
    ("governance", ["db3 governance show", "db3 governance show --shard 0"]),
    ("status", ["db3 status", "db3 status --output json"]),
    ("relay", ["db3 relay --for 1s", "db3 relay --for 1s --jitter 10ms --output json"]),
    (
        "bench write",
        [
            "db3 bench write --pairs 1 --count 200 --batch 20",
            "db3 bench write --pairs 10 --count 100 --batch 10 --output json",
        ],
    ),
    (
        "bench read",
        [
            "db3 bench read --seconds 1s --records 200",
            "db3 bench read --seconds 1s --records 200 --plain --output json",
        ],
    ),
    ("bench", ["db3 bench write --count 100 --batch 10", "db3 bench read --seconds 1s --records 200"]),
    ("completions", ["db3 completions bash", "db3 completions zsh"]),
    ("devnet stop", ["db3 devnet stop", "db3 devnet stop --quiet"]),
    ("devnet reset", ["db3 devnet reset --yes", "db3 devnet reset --yes --quiet"]),
    ("devnet", ["db3 devnet --shards 2 --accounts 10 --detach", "db3 devnet stop"]),
];

/// Ends the help of every command with its examples.
#[must_use]
pub fn attach(command: Command) -> Command {
    attach_below(command, "")
}

fn attach_below(mut command: Command, path: &str) -> Command {
    if let Some((_, [first, second])) = EXAMPLES.iter().find(|(of, _)| *of == path) {
        command = command.after_help(format!("Examples:\n  {first}\n  {second}"));
    }
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        let below = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command = command.mut_subcommand(name, |sub| attach_below(sub, &below));
    }
    command
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use clap::CommandFactory;

    use super::*;
    use crate::cli::args::Cli;

    fn paths(command: &Command, path: &str, found: &mut Vec<String>) {
        found.push(path.to_owned());
        for sub in command.get_subcommands() {
            let below = if path.is_empty() { sub.get_name().to_owned() } else { format!("{path} {}", sub.get_name()) };
            paths(sub, &below, found);
        }
    }

    #[test]
    fn every_command_has_examples_and_every_example_a_command() {
        let mut all = Vec::new();
        paths(&Cli::command(), "", &mut all);
        for path in &all {
            let examples = EXAMPLES.iter().find(|(of, _)| of == path);
            let (_, examples) = examples.unwrap_or_else(|| unreachable!("no examples for `db3 {path}`"));
            for example in examples {
                // Those of `db3` itself show its commands.
                assert!(
                    example.starts_with("db3") && (path.is_empty() || words_in_order(example, path)),
                    "{path}: {example}"
                );
            }
        }
        for (path, _) in EXAMPLES {
            assert!(all.iter().any(|known| known == path), "there is no command `db3 {path}`");
        }
    }

    fn words_in_order(example: &str, path: &str) -> bool {
        let mut words = example.split(' ');
        path.split(' ').all(|wanted| words.any(|word| word == wanted))
    }

    #[test]
    fn the_help_ends_with_them() {
        let help = attach(Cli::command()).find_subcommand_mut("put").unwrap().render_help().to_string();
        let end = "Examples:\n  db3 put notes hello world\n  db3 put notes picture --value-file picture.png --max-fee 0.01db3";
        assert!(help.trim_end().ends_with(end), "{help}");
    }
}
