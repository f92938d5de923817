//! What spans crates: the rules of the repository (`tests/dependencies.rs`) and whole networks (`story.py`, `settlement.py`).
