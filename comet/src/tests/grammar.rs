//! The call grammar of ABCI 2.0 (specification of v0.38, "`CometBFT`'s expected behavior"), as a checker of recorded calls.
//! (Tests of the chains use this file too.)

/// A call that was made, with the height that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Info,
    InitChain,
    Prepare(i64),
    Process(i64),
    Finalize(i64),
    Commit,
    Offer,
    Apply,
}

/// Looks whether calls, from a start without any blocks on, are as the specification says: state sync or `InitChain`
/// once, then per height proposals of that height alone, `FinalizeBlock`, `Commit`. After another Info (a restart)
/// the height whose `Commit` was not made may come again.
pub fn check(calls: &[Call]) -> Result<(), String> {
    let mut started = false;
    let mut synced = false;
    let mut decided = None;
    let mut committed: Option<i64> = None;
    for (index, call) in calls.iter().enumerate() {
        let wrong = |why: &str| Err(format!("call {index}, {call:?}: {why}"));
        let is_next = |height: i64| committed.is_none_or(|committed| height == committed + 1);
        match call {
            Call::Info => decided = None,
            Call::Offer if started => return wrong("a snapshot after the chain has begun"),
            Call::Offer => synced = true,
            Call::Apply if started || !synced => return wrong("a chunk without an offer"),
            Call::Apply => {}
            Call::InitChain if started || synced => return wrong("a second beginning"),
            Call::InitChain => started = true,
            _ if !started && !synced => return wrong("nothing has begun"),
            Call::Prepare(_) | Call::Process(_) if decided.is_some() => return wrong("a proposal before the commit"),
            Call::Prepare(height) | Call::Process(height) | Call::Finalize(height) if !is_next(*height) => {
                return wrong("not the next height");
            }
            Call::Prepare(_) | Call::Process(_) => started = true,
            Call::Finalize(_) if decided.is_some() => return wrong("a second decision"),
            Call::Finalize(height) => {
                started = true;
                decided = Some(*height);
            }
            Call::Commit => match decided.take() {
                Some(height) => committed = Some(height),
                None => return wrong("nothing was decided"),
            },
        }
    }
    Ok(())
}

#[test]
fn knows_right_calls_from_wrong_ones() {
    use Call::{Apply, Commit, Finalize, Info, InitChain, Offer, Prepare, Process};
    let right: [&[Call]; 4] = [
        &[Info, InitChain, Prepare(1), Process(1), Finalize(1), Commit, Process(2), Process(2), Finalize(2), Commit],
        &[Info, InitChain, Finalize(1), Commit, Finalize(2), Commit],
        &[Info, InitChain, Finalize(1), Info, Finalize(1), Commit, Info, Prepare(2), Finalize(2), Commit],
        &[Info, Offer, Apply, Offer, Apply, Apply, Finalize(8), Commit],
    ];
    for calls in right {
        assert_eq!(check(calls), Ok(()), "{calls:?}");
    }
    let wrong: [&[Call]; 8] = [
        &[Info, Finalize(1)],
        &[Info, InitChain, InitChain],
        &[Info, InitChain, Commit],
        &[Info, InitChain, Finalize(1), Finalize(1)],
        &[Info, InitChain, Finalize(1), Prepare(2)],
        &[Info, InitChain, Finalize(1), Commit, Finalize(3)],
        &[Info, InitChain, Finalize(1), Commit, Offer],
        &[Info, Apply],
    ];
    for calls in wrong {
        assert!(check(calls).is_err(), "{calls:?}");
    }
}
