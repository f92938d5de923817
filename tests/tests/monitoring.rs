//! The board and the alerts name measurements that nodes publish, and docs/operators.md explains every alert.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;

/// Where measurements are named, as first argument of a registration or first part of a table's row.
const SOURCES: &[(&str, &str)] = &[("chain/src/metrics.rs", "db3_"), ("node/src/relay.rs", "db3_relay_")];
/// What Prometheus' text format adds to a name.
const SUFFIXES: &[&str] = &["_total", "_seconds_bucket", "_bucket", "_sum", "_count", "_seconds"];

fn read(path: &str) -> String {
    let path = Path::new("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every word in quotes is taken for a name: what is asked is only whether a name that is used is among them.
fn published() -> BTreeSet<String> {
    let words = |(path, prefix): &(&str, &str)| {
        read(path).split('"').skip(1).step_by(2).map(|word| format!("{prefix}{word}")).collect::<Vec<_>>()
    };
    SOURCES.iter().flat_map(words).collect()
}

fn used(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_word(c)).filter(|word| word.starts_with("db3_")).map(str::to_owned).collect()
}

#[test]
fn the_board_and_the_alerts_name_what_nodes_publish() {
    let published = published();
    for file in ["monitoring/grafana.json", "monitoring/alerts.yml", "monitoring/alerts_test.yml"] {
        let used = used(&read(file));
        assert!(used.len() > 5, "{file} names few measurements: {used:?}");
        for name in used {
            let known = std::iter::once(name.as_str())
                .chain(SUFFIXES.iter().filter_map(|suffix| name.strip_suffix(suffix)))
                .any(|name| published.contains(name));
            assert!(known, "{file} names {name}, which no node publishes");
        }
    }
}

#[test]
fn every_alert_is_explained() {
    let explained = read("docs/operators.md");
    let alerts = read("monitoring/alerts.yml");
    let names: Vec<_> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 5);
    for name in names {
        assert!(explained.contains(&format!("`{name}`")), "docs/operators.md does not explain {name}");
    }
}

#[test]
fn the_board_is_json_with_a_query_in_every_panel() {
    let board: serde_json::Value = serde_json::from_str(&read("monitoring/grafana.json")).unwrap();
    for panel in board["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row") {
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{}", panel["title"]);
    }
}
