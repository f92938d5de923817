//! `CometBFT`'s log: lines of JSON with `level`, `_msg` and fields; plain text where it panics or ends. It goes into ours
//! one level lower (its INFO has several lines a block): info as debug, error as warning. What says that consensus is
//! dead, or that the others have another root, is found here: the process lives on after saying it.
//!
//! Anybody who reaches the p2p port can have words of their own written into a field of some error (`Stopping peer for
//! error`, `Error dialing peer`). So a line is judged only where module and message are those of the one place of
//! `CometBFT`'s source that tells it, and by how its error begins; a word in the middle of a text means nothing.

use serde_json::{Map, Value};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use super::signer;
use crate::limits::LOG_LINE_BYTES_MAX;

/// `consensus/state.go`: what the routine of consensus panicked with. It ends; the process stays.
const FAILURE: (&str, &str) = ("consensus", "CONSENSUS FAILURE!!!");
/// `blocksync/reactor.go`: a block that others gave, after the signatures on it were checked.
const SYNCED: (&str, &str) = ("blocksync", "Error in validation");
/// `consensus/state.go`, before the error of a block that more than two thirds voted for.
const VOTED: [&str; 2] = ["+2/3 committed an invalid block: ", "precommit step; +2/3 prevoted for an invalid block: "];
/// `state/validation.go`: its header names another root than this node has, or other results.
const WRONG: [&str; 2] = ["wrong Block.Header.AppHash.", "wrong Block.Header.LastResultsHash."];
/// `evidence/verify.go`: a block holds evidence of a height whose header is not here.
const NO_HEADER: &str = "don't have header #";

/// What a line means for the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing.
    Ordinary,
    /// No signer elsewhere is connected.
    Unsigned(String),
    /// Consensus has stopped for good in this process.
    Dead(String),
    /// More than two thirds signed what this node takes for false.
    Diverged(String),
    /// More than two thirds signed a block with evidence of this height, whose header this node does not have.
    Unjudged(u64),
    /// No line of its log: what it says when it ends, which means something only then.
    Plain(String),
}

/// The next line, cut where it is too long; none at the end.
pub(super) async fn next_line(from: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    let mut limited = (&mut *from).take(LOG_LINE_BYTES_MAX as u64);
    let read = limited.read_until(b'\n', &mut line).await.ok()?;
    if read == 0 {
        return None;
    }
    let mut rest = Vec::new();
    while line.last() != Some(&b'\n') && rest.last() != Some(&b'\n') {
        rest.clear();
        let mut limited = (&mut *from).take(LOG_LINE_BYTES_MAX as u64);
        if limited.read_until(b'\n', &mut rest).await.ok()? == 0 {
            break;
        }
    }
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// Hands a line on to our log, and says what it means.
pub(super) fn forward(line: &str) -> Said {
    let Ok(fields) = serde_json::from_str::<Map<String, Value>>(line) else {
        if signer::is_missing(line) {
            tracing::debug!(target: "cometbft", text = line, "cometbft.output");
        } else {
            tracing::warn!(target: "cometbft", text = line, "cometbft.output");
        }
        return Said::Plain(line.to_owned());
    };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let (message, module) = (text("_msg"), text("module"));
    let detail = || rest(&fields);
    match text("level") {
        // Whoever handed the transaction over is told as well; mostly that it came from a peer before.
        "error" if message == "Error on broadcastTxCommit" => {
            tracing::debug!(target: "cometbft", module, detail = detail(), "{message}");
        }
        // It is told once, not every three seconds.
        "error" if signer::is_complaint(module, message) => {
            tracing::debug!(target: "cometbft", module, detail = detail(), "{message}");
            return Said::Unsigned(format!("{message} {}", text("err")).trim_end().to_owned());
        }
        "error" => {
            tracing::warn!(target: "cometbft", module, detail = detail(), "{message}");
            return judge((module, message), text("err"));
        }
        "debug" => tracing::trace!(target: "cometbft", module, detail = detail(), "{message}"),
        _ => tracing::debug!(target: "cometbft", module, detail = detail(), "{message}"),
    }
    Said::Ordinary
}

fn rest(fields: &Map<String, Value>) -> String {
    let named = ["level", "_msg", "module", "ts", "stack"];
    let mut text = String::new();
    for (name, value) in fields.iter().filter(|(name, _)| !named.contains(&name.as_str())) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let separator = if text.is_empty() { "" } else { " " };
        text = format!("{text}{separator}{name}={value}");
    }
    text
}

/// What an error means, by where `CometBFT` tells it.
fn judge(place: (&str, &str), error: &str) -> Said {
    let wrong = |error: &str| WRONG.iter().any(|begin| error.starts_with(begin));
    let told = || format!("{}: {}", place.1, error.trim());
    if place == FAILURE {
        let voted = VOTED.iter().find_map(|begin| error.strip_prefix(begin));
        return if voted.is_some_and(wrong) { Said::Diverged(told()) } else { Said::Dead(told()) };
    }
    // In consensus such a block is first only voted for. The next start hears of the one that was decided here.
    let evidence = error.strip_prefix(NO_HEADER).and_then(|height| height.trim_end().parse().ok());
    match evidence {
        Some(height) if place == SYNCED => Said::Unjudged(height),
        None if place == SYNCED && wrong(error) => Said::Diverged(told()),
        _ => Said::Ordinary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(module: &str, message: &str, error: &str) -> Said {
        let line = serde_json::json!({"level": "error", "module": module, "_msg": message, "err": error});
        forward(&line.to_string())
    }

    #[test]
    fn tells_dead_consensus_and_another_root_from_ordinary_errors() {
        let consensus = |message: &str, text: &str| error("consensus", message, text);
        let wrong = "wrong Block.Header.AppHash.  Expected AA, got BB";
        assert_eq!(consensus("dialing failed", "connection refused"), Said::Ordinary);
        // One false proposal says nothing about the others.
        let prevoted = "prevote step: consensus deems this block invalid; prevoting nil";
        assert_eq!(consensus(prevoted, wrong), Said::Ordinary);
        assert!(matches!(consensus("CONSENSUS FAILURE!!!", "failed to apply block; error x"), Said::Dead(_)));
        for begin in VOTED {
            let signed = format!("{begin}{wrong}");
            assert!(matches!(consensus("CONSENSUS FAILURE!!!", &signed), Said::Diverged(_)));
        }
        let results = "wrong Block.Header.LastResultsHash.  Expected AA, got BB";
        assert!(matches!(error("blocksync", "Error in validation", results), Said::Diverged(_)));
        assert_eq!(forward(r#"{"level":"info","_msg":"executed block","height":5}"#), Said::Ordinary);
        let complaint = error("privval", "SignerListener: Ping timeout", "");
        assert_eq!(complaint, Said::Unsigned("SignerListener: Ping timeout".to_owned()));
        assert_eq!(error("p2p", "SignerListener: Ping timeout", ""), Said::Ordinary);
        let plain = "panic: something";
        assert_eq!(forward(plain), Said::Plain(plain.to_owned()));
    }

    #[test]
    fn evidence_that_cannot_be_judged_is_told_by_the_block_that_was_decided() {
        let lacks = "don't have header #60";
        assert_eq!(error("blocksync", "Error in validation", lacks), Said::Unjudged(60));
        for begin in VOTED {
            let voted = error("consensus", "CONSENSUS FAILURE!!!", &format!("{begin}{lacks}"));
            assert!(matches!(voted, Said::Dead(_)), "a start hears more: {voted:?}");
        }
        assert_eq!(error("evidence", "Error in validation", lacks), Said::Ordinary);
        assert_eq!(error("p2p", "Stopping peer for error", lacks), Said::Ordinary, "a peer sent it");
        for other in ["don't have header #", "don't have header #6x", "x don't have header #60"] {
            assert_eq!(error("blocksync", "Error in validation", other), Said::Ordinary, "{other}");
        }
    }

    #[test]
    fn what_a_peer_wrote_into_an_error_means_nothing() {
        let words = [
            "wrong Block.Header.AppHash +2/3",
            "CONSENSUS FAILURE!!!",
            "Error in validation: wrong Block.Header.AppHash.  Expected AA, got BB",
            "+2/3 committed an invalid block: wrong Block.Header.AppHash.  Expected AA, got BB",
            "panic: state.AppHash does not match AppHash after replay",
            "x and store (0) height mismatch, stores were left in an inconsistent state",
        ];
        for words in words {
            let address = format!("invalid IP address {words}");
            assert_eq!(error("p2p", "Stopping peer for error", &address), Said::Ordinary, "{words}");
            let chain = format!("incompatible: peer is on a different network. Got {words}, expected shard-0");
            assert_eq!(error("p2p", "Error dialing peer", &chain), Said::Ordinary, "{words}");
            assert_eq!(error("p2p", words, words), Said::Ordinary, "{words}");
            // Where a block carries them: a proposal's chain, as one false proposer wrote it.
            let header = format!("wrong Block.Header.ChainID. Expected shard-0, got {words}");
            assert_eq!(error("blocksync", "Error in validation", &header), Said::Ordinary, "{words}");
        }
    }

    #[tokio::test]
    async fn cuts_lines_that_are_too_long() {
        let text = format!("short\n{}\nlast", "x".repeat(3 * LOG_LINE_BYTES_MAX));
        let mut from = tokio::io::BufReader::new(text.as_bytes());
        assert_eq!(next_line(&mut from).await.as_deref(), Some("short"));
        assert_eq!(next_line(&mut from).await.map(|line| line.len()), Some(LOG_LINE_BYTES_MAX));
        assert_eq!(next_line(&mut from).await.as_deref(), Some("last"));
        assert_eq!(next_line(&mut from).await, None);
    }
}
