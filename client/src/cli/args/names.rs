//! Arguments of `db3 network|account|namespace|table`.

use std::path::PathBuf;

use clap::Subcommand;

use super::records::SendingArgs;

/// `db3 network`
#[derive(Debug, Subcommand)]
pub enum NetworkCommand {
    /// List the networks
    List,
    /// Make a network the current one
    Use {
        /// Its name
        name: String,
    },
    /// Add a network from its file
    Add {
        /// The file, which must come by a way that you trust
        file: PathBuf,
    },
    /// Show a network's chains, endpoints and trust roots
    Show {
        /// Its name [default: the current one]
        name: Option<String>,
    },
}

/// `db3 account`
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Make a new key
    New {
        /// Name for it
        name: String,
    },
    /// List the accounts
    List,
    /// Show an account
    Show {
        /// Its name or address [default: the one in use]
        #[arg(value_name = "ACCOUNT")]
        name: Option<String>,
    },
    /// Make an account the default one
    Use {
        /// Its name or address
        #[arg(value_name = "ACCOUNT")]
        name: String,
    },
    /// Take in a key: a keystore file, or a file with 64 hexadecimal digits
    Import {
        /// Name for it
        name: String,
        /// The file
        file: PathBuf,
    },
    /// Print an account's keystore file, which geth reads
    Export {
        /// Its name or address
        #[arg(value_name = "ACCOUNT")]
        name: String,
        /// Where to write it instead of printing it
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// `db3 namespace`
#[derive(Debug, Subcommand)]
pub enum NamespaceCommand {
    /// Register a name for the account
    Create {
        /// 1 to 64 of a-z 0-9 . _ -
        name: String,
        /// How to send it
        #[command(flatten)]
        sending: SendingArgs,
    },
    /// Show a namespace
    Show {
        /// Its name
        name: String,
    },
    /// List the account's namespaces
    List,
}

/// `db3 table`
#[derive(Debug, Subcommand)]
pub enum TableCommand {
    /// Create a table; in one's own namespace the first write does that
    Create {
        /// TABLE, or NAMESPACE/TABLE
        table: String,
        /// How to send it
        #[command(flatten)]
        sending: SendingArgs,
    },
    /// Show a table
    Show {
        /// TABLE, or NAMESPACE/TABLE
        table: String,
    },
    /// List the tables of a namespace
    List {
        /// The namespace [default: the account's own]
        namespace: Option<String>,
    },
}
