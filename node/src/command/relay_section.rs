//! Section `[relay]` of a node's settings: whether it carries entries between its chain and the others, and how eagerly.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use db3_chain::config::ConfigError;
use db3_primitives::ChainId;
use serde::{Deserialize, Serialize};

use crate::relay::RelaySettings;
use crate::settings::ChainEndpoints;

/// Section `[relay]`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelaySection {
    /// Whether this node carries entries between its chain and the others.
    pub enabled: bool,
    /// Longest random wait between seeing entries and carrying them, milliseconds.
    pub jitter_millis: u64,
    /// Milliseconds between two looks where no block wakes it.
    pub poll_millis: u64,
    /// Seconds that one call may take.
    pub call_secs_max: u64,
    /// Where chains are served, by chain id; before what the network's file says.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, Vec<String>>,
}

impl Default for RelaySection {
    fn default() -> Self {
        Self { enabled: true, jitter_millis: 1_500, poll_millis: 2_000, call_secs_max: 15, endpoints: BTreeMap::new() }
    }
}

impl RelaySection {
    /// How eagerly it carries.
    pub fn settings(&self) -> Result<RelaySettings, ConfigError> {
        let ranges = [
            ("jitter_millis", self.jitter_millis, 0..=60_000, "0 to 60000"),
            ("poll_millis", self.poll_millis, 50..=600_000, "50 to 600000"),
            ("call_secs_max", self.call_secs_max, 1..=600, "1 to 600"),
        ];
        if let Some((name, value, _, expected)) = ranges.into_iter().find(|(_, value, range, _)| !range.contains(value))
        {
            return Err(ConfigError::Range { name, value, expected });
        }
        Ok(RelaySettings {
            jitter: Duration::from_millis(self.jitter_millis),
            poll: Duration::from_millis(self.poll_millis),
            timeout: Duration::from_secs(self.call_secs_max),
        })
    }

    /// Where the other chains are served.
    pub fn known(&self, network: &[ChainEndpoints]) -> Result<Vec<ChainEndpoints>> {
        let mut known: Vec<ChainEndpoints> = Vec::new();
        for (name, endpoints) in &self.endpoints {
            let chain_id = ChainId::parse(name).with_context(|| format!("[relay.endpoints]: {name}"))?;
            known.push(ChainEndpoints { chain_id, endpoints: endpoints.clone() });
        }
        let others = network.iter().filter(|chain| !self.endpoints.contains_key(chain.chain_id.as_str()));
        known.extend(others.cloned());
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn at(name: &str, url: &str) -> ChainEndpoints {
        ChainEndpoints { chain_id: ChainId::parse(name).unwrap(), endpoints: vec![url.to_owned()] }
    }

    #[test]
    fn endpoints_of_the_section_stand_above_the_network_file() {
        let endpoints = BTreeMap::from([("mine-shard-0".to_owned(), vec!["http://b".to_owned()])]);
        let section = RelaySection { endpoints, ..RelaySection::default() };
        let known = section.known(&[at("mine-settlement", "http://s"), at("mine-shard-0", "http://a")]).unwrap();
        assert_eq!(known, [at("mine-shard-0", "http://b"), at("mine-settlement", "http://s")]);
        let endpoints = BTreeMap::from([("no chain".to_owned(), Vec::new())]);
        let wrong = RelaySection { endpoints, ..RelaySection::default() };
        assert!(format!("{:#}", wrong.known(&[]).unwrap_err()).contains("no chain"));
    }

    #[test]
    fn a_wait_out_of_its_range_is_refused() {
        let section = RelaySection { poll_millis: 1, ..RelaySection::default() };
        let error = section.settings().unwrap_err().to_string();
        assert!(error.contains("poll_millis") && error.contains("expected"), "{error}");
        assert!(RelaySection::default().settings().is_ok());
    }
}
