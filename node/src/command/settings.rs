//! Settings of a node beside those of its chain: sections `[serve]`, `[relay]` and `[log]` of
//! `<home>/config/node.toml`, variables `DB3_SERVE_<NAME>`, `DB3_RELAY_<NAME>` and `DB3_LOG_<NAME>`, flags. Precedence:
//! flag, environment, file, default.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use db3_chain::config::load_section;
use db3_chain::telemetry::LogFormat;
use db3_network::PORT_GRPC;
use db3_primitives::ChainId;
use db3_primitives::name::ChainRole;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::relay_section::RelaySection;
use super::serve_section::ServeSection;
use crate::settings::ServeConfig;

/// Flags of `start`.
#[derive(Debug, Default, Args)]
pub struct StartArgs {
    /// Address of gRPC and gRPC-Web [default: 127.0.0.1, with port 7300 for the settlement chain, 7301 for shard 0 …]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// Address of the metrics, which are off without it
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    pub metrics: Option<SocketAddr>,
    /// Web pages that may call: none, localhost, or an origin such as `https://app.example` (may be repeated)
    #[arg(long, value_name = "ORIGIN")]
    pub cors: Vec<String>,
    /// The network's file, from which the shard map's endpoints are told
    #[arg(long, value_name = "FILE")]
    pub network_file: Option<PathBuf>,
    /// Carry nothing between chains; others must then
    #[arg(long)]
    pub no_relay: bool,
    /// A block with mutations is made at most every so many milliseconds
    #[arg(long, value_name = "MS")]
    pub block_ms: Option<u64>,
    /// What is logged, as in `RUST_LOG`
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// How it is logged: text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

/// Section `[log]`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// What is logged, as in `RUST_LOG`.
    pub filter: String,
    /// How it is logged.
    pub format: LogFormat,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

impl StartArgs {
    /// Flags of the `[chain]` section.
    pub fn chain_flags(&self) -> Table {
        let mut flags = Table::new();
        if let Some(block_ms) = self.block_ms {
            flags.insert("block_ms".to_owned(), Value::Integer(i64::try_from(block_ms).unwrap_or(i64::MAX)));
        }
        flags
    }

    fn serve_flags(&self) -> Table {
        let mut flags = Table::new();
        let texts = [
            ("listen", self.listen.map(|address| address.to_string())),
            ("metrics", self.metrics.map(|address| address.to_string())),
            ("network_file", self.network_file.as_ref().map(|path| here(path).display().to_string())),
        ];
        for (name, text) in texts {
            flags.extend(text.map(|text| (name.to_owned(), Value::String(text))));
        }
        if !self.cors.is_empty() {
            let origins = self.cors.iter().cloned().map(Value::String).collect();
            flags.insert("cors".to_owned(), Value::Array(origins));
        }
        flags
    }

    fn log_flags(&self) -> Table {
        let texts = [("filter", &self.log), ("format", &self.log_format)];
        texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::String(text.clone()?)))).collect()
    }

    /// Section `[log]`.
    pub fn log(&self, home: &Path) -> Result<LogSection> {
        Ok(load_section(home, "log", "DB3_LOG_", self.log_flags())?)
    }

    /// Section `[relay]`.
    pub fn relay(&self, home: &Path) -> Result<RelaySection> {
        let mut flags = Table::new();
        if self.no_relay {
            flags.insert("enabled".to_owned(), Value::Boolean(false));
        }
        Ok(load_section(home, "relay", "DB3_RELAY_", flags)?)
    }

    /// Section `[serve]`, made into settings of a server that listens at `default` where nothing else is said.
    pub fn serve(&self, home: &Path, default: SocketAddr) -> Result<ServeConfig> {
        let section: ServeSection = load_section(home, "serve", "DB3_SERVE_", self.serve_flags())?;
        section.config(home, default)
    }
}

/// What `init` writes of the sections `[serve]`, `[relay]` and `[log]`: every setting with its default, as comments, and
/// what is none: an address that follows from another first port, and the network's file, if there is one.
pub fn explained(chain_id: &ChainId, first_port: u16, network_file: Option<&Path>) -> Result<String> {
    let commented = |section: String| section.lines().fold(String::new(), |text, line| format!("{text}# {line}\n"));
    let listen = listen_after(first_port, chain_id);
    let serve = if listen == default_listen(chain_id) {
        commented(toml::to_string(&ServeSection { listen: Some(listen), ..ServeSection::default() })?)
    } else {
        format!("listen = \"{listen}\"\n{}", commented(toml::to_string(&ServeSection::default())?))
    };
    let relay = commented(toml::to_string(&RelaySection::default())?);
    let log = commented(toml::to_string(&LogSection::default())?);
    let network = match network_file {
        Some(file) => toml::to_string(&Table::from_iter([(
            "network_file".to_owned(),
            Value::String(file.display().to_string()),
        )]))?,
        None => "# network_file = \"mine.toml\"\n".to_owned(),
    };
    Ok(format!(
        "\n# What is commented out is the default. Variables DB3_SERVE_<NAME>, DB3_RELAY_<NAME> and\n# DB3_LOG_<NAME> go before what stands here.\n\
         [serve]\n{serve}\
         # `cors`: web pages that may call: \"localhost\" for those of this machine, or [\"https://app.example\"].\n\
         # With a certificate gRPC is served over TLS alone, but to this machine itself. Files that are renewed are read again within a minute.\n\
         # tls_cert = \"/etc/db3/fullchain.pem\"\n\
         # tls_key = \"/etc/db3/privkey.pem\"\n\
         # Where Prometheus reads; off unless it is set.\n\
         # metrics = \"127.0.0.1:7501\"\n\
         # Where the chains of the network are served: the shard map and the relay take the endpoints from it.\n\
         {network}\n[relay]\n{relay}\
         # endpoints = {{ mine-shard-0 = [\"http://127.0.0.1:7301\"] }}\n\n[log]\n{log}"
    ))
}

/// A path of the command line, which begins at the folder that one is in. (Those of the file begin at the home.)
fn here(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// An address with its port.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is no address with a port; write it as 127.0.0.1:7300"))
}

/// 127.0.0.1 and the chain's port.
pub fn default_listen(chain_id: &ChainId) -> SocketAddr {
    listen_after(PORT_GRPC, chain_id)
}

/// 127.0.0.1 and the chain's port where the settlement chain has `first`.
pub fn listen_after(first: u16, chain_id: &ChainId) -> SocketAddr {
    let after = match chain_id.parts() {
        Some((_, ChainRole::Shard(shard))) => shard.get().saturating_add(1),
        Some((_, ChainRole::Settlement)) | None => 0,
    };
    let port = u16::try_from(after).ok().and_then(|after| first.checked_add(after)).unwrap_or(first);
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::cors::Cors;
    use crate::settings::ServeLimits;

    fn chain(shard: u32) -> ChainId {
        ChainId::shard(&"test".parse().unwrap(), db3_primitives::ShardId::new(shard))
    }

    fn listen(shard: u32) -> SocketAddr {
        default_listen(&chain(shard))
    }

    #[test]
    fn another_first_port_stands_in_the_file() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("config")).unwrap();
        let text = explained(&chain(2), 9_000, None).unwrap();
        std::fs::write(home.path().join("config/node.toml"), text).unwrap();
        assert_eq!(StartArgs::default().serve(home.path(), listen(2)).unwrap().listen.port(), 9_003);
    }

    #[test]
    fn the_settlement_chain_has_the_port_before_the_shards() {
        let settlement = ChainId::settlement(&"test".parse().unwrap());
        assert_eq!(default_listen(&settlement).port(), 7_300);
        assert_eq!((listen(0).port(), listen(7).port()), (7_301, 7_308));
    }

    #[test]
    fn a_flag_stands_above_the_file() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("config")).unwrap();
        let file = home.path().join("config/node.toml");
        std::fs::write(&file, "[serve]\nlisten = \"127.0.0.1:9001\"\ncors = \"localhost\"\n[log]\nformat = \"json\"\n")
            .unwrap();
        let none = StartArgs::default();
        let config = none.serve(home.path(), listen(3)).unwrap();
        assert_eq!(config.listen.port(), 9_001);
        assert_eq!(config.cors, Cors::Localhost);
        assert_eq!(none.log(home.path()).unwrap().format, LogFormat::Json);
        let flag = StartArgs { listen: Some("127.0.0.1:9002".parse().unwrap()), ..StartArgs::default() };
        assert_eq!(flag.serve(home.path(), listen(3)).unwrap().listen.port(), 9_002);
    }

    #[test]
    fn files_are_looked_for_from_the_home_on_which_so_can_move() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("mine-shard-0");
        std::fs::create_dir_all(home.join("config")).unwrap();
        let text = "[serve]\nnetwork_file = \"../mine.toml\"\ntls_cert = \"a.pem\"\ntls_key = \"/b.pem\"\n";
        std::fs::write(home.join("config/node.toml"), text).unwrap();
        let told = format!("{:#}", StartArgs::default().serve(&home, listen(0)).unwrap_err());
        assert!(told.contains(&home.join("../mine.toml").display().to_string()), "{told}");
        std::fs::write(home.join("config/node.toml"), text.replace("network_file", "# ")).unwrap();
        let tls = StartArgs::default().serve(&home, listen(0)).unwrap().tls.unwrap();
        assert_eq!((tls.cert, tls.key), (home.join("a.pem"), PathBuf::from("/b.pem")));
    }

    #[test]
    fn the_defaults_listen_on_this_machine_alone() {
        let home = tempfile::tempdir().unwrap();
        let config = StartArgs::default().serve(home.path(), listen(2)).unwrap();
        assert_eq!(config.listen, "127.0.0.1:7303".parse().unwrap());
        assert_eq!((config.cors, config.metrics), (Cors::None, None));
    }

    #[test]
    fn what_init_writes_are_the_defaults_of_every_bound() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("config")).unwrap();
        let text = explained(&chain(2), PORT_GRPC, None).unwrap();
        let settings = text.lines().filter(|line| {
            line.contains(" = ")
                && !line.contains("metrics")
                && !line.contains("tls_")
                && !line.contains("network_file")
        });
        let text = settings.map(|line| line.trim_start_matches("# ")).collect::<Vec<_>>().join("\n");
        let serve = text.split("enabled = ").next().unwrap();
        std::fs::write(home.path().join("config/node.toml"), format!("[serve]\n{serve}")).unwrap();
        let written = StartArgs::default().serve(home.path(), listen(0)).unwrap();
        assert_eq!(written.limits, ServeLimits::default());
        assert_eq!(written.listen, listen(2));
    }

    #[test]
    fn a_bound_out_of_its_range_is_refused() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("config")).unwrap();
        for line in ["calls_max = 0", "heartbeat_secs = 16", "message_bytes_max = 1000", "call_secs_max = 0"] {
            std::fs::write(home.path().join("config/node.toml"), format!("[serve]\n{line}\n")).unwrap();
            let error = StartArgs::default().serve(home.path(), listen(0)).unwrap_err().to_string();
            assert!(error.contains(line.split(' ').next().unwrap()) && error.contains("expected"), "{error}");
        }
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("config")).unwrap();
        std::fs::write(home.path().join("config/node.toml"), "[serve]\nlissen = 1\n").unwrap();
        let error = StartArgs::default().serve(home.path(), listen(0)).unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains("lissen") && said.starts_with("section [serve] of ") && !said.contains('\n'), "{said}");
        assert!(said.contains("correct it there"), "{said}");
        std::fs::write(home.path().join("config/node.toml"), "").unwrap();
        let flag = StartArgs { log_format: Some("loud".to_owned()), ..StartArgs::default() };
        let said = format!("{:#}", flag.log(home.path()).unwrap_err());
        assert!(said.starts_with("the command line: ") && said.contains("loud"), "{said}");
        assert!(address("nonsense").unwrap_err().contains("127.0.0.1:7300"));
    }
}
