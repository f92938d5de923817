//! What spans crates: the rules of the repository (`tests/dependencies.rs`), whole networks (`story.py`,
//! `settlement.py`, `localnet.py`), faults (`faults.py`), and histories of what clients were told (`history/`).
