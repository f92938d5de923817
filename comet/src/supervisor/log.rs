//! `CometBFT`'s log: lines of JSON with `level`, `_msg` and fields; plain text where it panics. It goes into ours one level
//! lower (its INFO has several lines a block): info as debug, error as warning. What says that consensus is dead, or
//! that the others have another root, is found here: the process lives on after saying it.

use serde_json::{Map, Value};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use crate::limits::LOG_LINE_BYTES_MAX;

/// What a line means for the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Ordinary,
    /// Consensus has stopped for good in this process.
    Dead(String),
    /// More than two thirds signed what this node takes for false.
    Diverged(String),
    /// State sync was ended on its way, and left a state without blocks.
    Unfinished(String),
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
pub(super) fn forward(line: &str) -> Verdict {
    let parsed = serde_json::from_str::<Value>(line);
    let Ok(Value::Object(fields)) = parsed else {
        tracing::warn!(target: "cometbft", text = line, "cometbft.output");
        return verdict(line);
    };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let (message, module) = (text("_msg"), text("module"));
    let detail = || rest(&fields);
    match text("level") {
        // Whoever handed the transaction over is told as well; mostly that it came from a peer before.
        "error" if message == "Error on broadcastTxCommit" => {
            tracing::debug!(target: "cometbft", module, detail = detail(), "{message}");
            Verdict::Ordinary
        }
        "error" => {
            tracing::warn!(target: "cometbft", module, detail = detail(), "{message}");
            verdict(&format!("{message} {}", text("err")))
        }
        "debug" => {
            tracing::trace!(target: "cometbft", module, detail = detail(), "{message}");
            Verdict::Ordinary
        }
        _ => {
            tracing::debug!(target: "cometbft", module, detail = detail(), "{message}");
            Verdict::Ordinary
        }
    }
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

/// What an error means. The words are those of v0.38.26: `state/validation.go` (a block whose header names another
/// root or other results), reached only after the signatures were checked when more than two thirds are named or blocks
/// are synced, and `consensus/replay.go`.
fn verdict(text: &str) -> Verdict {
    let wrong = text.contains("wrong Block.Header.AppHash") || text.contains("wrong Block.Header.LastResultsHash");
    let agreed = text.contains("+2/3") || text.contains("Error in validation");
    let replayed = text.contains("AppHash does not match AppHash after replay");
    if (wrong && agreed) || replayed {
        return Verdict::Diverged(text.trim().to_owned());
    }
    if super::unfinished::is_told(text) {
        return Verdict::Unfinished(text.trim().to_owned());
    }
    if text.contains("CONSENSUS FAILURE") {
        return Verdict::Dead(text.trim().to_owned());
    }
    Verdict::Ordinary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_dead_consensus_and_another_root_from_ordinary_errors() {
        let line = |message: &str, error: &str| {
            forward(&format!(r#"{{"level":"error","module":"consensus","_msg":"{message}","err":"{error}"}}"#))
        };
        let wrong = "wrong Block.Header.AppHash.  Expected AA, got BB";
        assert_eq!(line("dialing failed", "connection refused"), Verdict::Ordinary);
        // One false proposal says nothing about the others.
        assert_eq!(line("prevote step: consensus deems this block invalid; prevoting nil", wrong), Verdict::Ordinary);
        assert!(matches!(line("CONSENSUS FAILURE!!!", "failed to apply block"), Verdict::Dead(_)));
        let signed = format!("+2/3 committed an invalid block: {wrong}");
        assert!(matches!(line("CONSENSUS FAILURE!!!", &signed), Verdict::Diverged(_)));
        assert!(matches!(line("Error in validation", wrong), Verdict::Diverged(_)));
        let replay = "panic: state.AppHash does not match AppHash after replay. Got 00, expected 01.";
        assert!(matches!(forward(replay), Verdict::Diverged(_)));
        let unfinished = "panic: state (40) and store (0) height mismatch, stores were left in an inconsistent state";
        assert!(matches!(forward(unfinished), Verdict::Unfinished(_)));
        assert_eq!(forward(r#"{"level":"info","_msg":"executed block","height":5}"#), Verdict::Ordinary);
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
