//! The last words of a process: plain lines, not of its log, and what they mean once it has ended. Before its end they
//! mean nothing, and nothing that a peer wrote can begin such a line: the log is JSON, which knows no line break.

use super::health::Ending;
use super::{signer, unfinished};

/// How lines begin that tell why it ends; what follows such a line is a stack, or how the command is used.
const TELLING: [&str; 3] = ["panic: ", "fatal error: ", "ERROR: "];
/// `consensus/replay.go`: blocks were executed again, and gave another root than was signed.
const REPLAYED: [&str; 2] = [
    "panic: state.AppHash does not match AppHash after replay",
    "panic: block.AppHash does not match AppHash after replay",
];
/// `state/errors.go`: blocks are there, and the application's state is from before the oldest of them.
const TOO_LOW: &str = "ERROR: failed to create node: error during handshake: error on replay: app block height (";

/// What an operator has to change before a start can do better: words of the last line, by the modules that say them, and
/// the remedy.
const REMEDIES: [(&str, &str); 2] = [
    // `light/client.go`: the block that is trusted is another one.
    ("expected header's hash", "correct trust_height and trust_hash in [cometbft.state_sync] of config/node.toml"),
    (
        "bind: address already in use",
        "end the process that has this address, or give another: p2p_listen in [cometbft] of config/node.toml is where peers \
         connect",
    ),
];

/// What it said, as far as it is of use.
#[derive(Debug, Default)]
pub(super) struct Words {
    line: String,
    tells: bool,
}

impl Words {
    /// Takes a line. The first that tells why it ends stays; else the newest.
    pub(super) fn take(&mut self, line: String) {
        if self.tells || line.is_empty() {
            return;
        }
        self.tells = TELLING.iter().any(|begin| line.starts_with(begin));
        self.line = line;
    }

    /// The line.
    pub(super) fn line(self) -> String {
        if self.line.is_empty() { "it said nothing".to_owned() } else { self.line }
    }

    /// Why the process, which has ended, is to be started again, or must not be.
    pub(super) fn ending(self, how: &str) -> Ending {
        let Self { line, .. } = self;
        if REPLAYED.iter().any(|begin| line.starts_with(begin)) {
            return Ending::Fatal(line);
        }
        if line.starts_with(TOO_LOW) && line.contains("is too far below block store base") {
            return Ending::Fatal(format!(
                "{line}: CometBFT has blocks, and the state of this node is from before the oldest of them: {}",
                crate::SYNC_ANEW
            ));
        }
        if unfinished::is_told(&line) {
            return Ending::Unfinished(line);
        }
        if signer::is_missing(&line) {
            return Ending::Unsigned(line);
        }
        let remedy = REMEDIES.iter().find(|(words, _)| line.starts_with("ERROR: ") && line.contains(words));
        Ending::Again(match remedy {
            Some((_, remedy)) => format!("{how}: {line}; {remedy}"),
            None if line.is_empty() => how.to_owned(),
            None => format!("{how}: {line}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(lines: &[&str]) -> Ending {
        let mut words = Words::default();
        for line in lines {
            words.take((*line).to_owned());
        }
        words.ending("exit status: 2")
    }

    #[test]
    fn the_line_that_tells_why_it_ended_is_what_counts() {
        let stack = ["goroutine 1 [running]:", "main.main()"];
        let after = |line: &str| ending(&["cannot say more", line, stack[0], stack[1]]);
        let replayed = "panic: state.AppHash does not match AppHash after replay. Got 00, expected 01.";
        assert_eq!(after(replayed), Ending::Fatal(replayed.to_owned()));
        let unfinished = "panic: state (40) and store (0) height mismatch, stores were left in an inconsistent state";
        assert_eq!(after(unfinished), Ending::Unfinished(unfinished.to_owned()));
        let other = "panic: the disk is full";
        assert_eq!(after(other), Ending::Again(format!("exit status: 2: {other}")));
        assert_eq!(ending(&["one", "two"]), Ending::Again("exit status: 2: two".to_owned()));
        assert_eq!(ending(&[]), Ending::Again("exit status: 2".to_owned()));
    }

    #[test]
    fn a_state_from_before_the_oldest_block_is_told_with_the_remedy() {
        let line = "ERROR: failed to create node: error during handshake: error on replay: app block height (0) is too \
                    far below block store base (2001)";
        let Ending::Fatal(text) = ending(&[line]) else { unreachable!("it must not be started again") };
        assert!(text.starts_with(line) && text.contains("priv_validator_state.json"), "{text}");
    }

    #[test]
    fn a_signer_that_did_not_come_is_told_from_an_address_that_cannot_be_listened_at() {
        let begin = "ERROR: failed to create node: error with private validator socket client: ";
        let missing = format!("{begin}can't get pubkey: send: endpoint connection timed out");
        assert_eq!(ending(&[&missing]), Ending::Unsigned(missing));
        let taken =
            format!("{begin}failed to start private validator: listen tcp 127.0.0.1:1: bind: address already in use");
        assert!(matches!(ending(&[&taken]), Ending::Again(_)));
    }

    #[test]
    fn what_the_operator_has_to_change_is_told_with_what_it_said() {
        for (line, remedy) in [
            (
                "ERROR: failed to start node: failed to start state sync: failed to set up light client state provider: \
                 expected header's hash 0A, but got 0B",
                "correct trust_height and trust_hash",
            ),
            ("ERROR: failed to start node: listen tcp 127.0.0.1:26656: bind: address already in use", "p2p_listen"),
        ] {
            let Ending::Again(text) = ending(&[line]) else { unreachable!("{line}") };
            assert!(text.contains(line) && text.contains(remedy), "{text}");
        }
    }

    #[test]
    fn words_in_the_middle_of_a_line_mean_nothing() {
        for line in [
            "peer said: panic: state.AppHash does not match AppHash after replay",
            "panic: peer: state (40) and store (0) height mismatch, stores were left in an inconsistent state",
            "panic: state (x) and store (0) height mismatch, stores were left in an inconsistent state",
        ] {
            assert!(matches!(ending(&[line]), Ending::Again(_)), "{line}");
        }
    }
}
