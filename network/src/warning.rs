//! What is allowed in a network and yet worth a second look before it begins.

use db3_primitives::BlockTime;

use crate::address::HostPort;
use crate::{Plan, Roster};

/// A network that begins later than this is worth asking about, seconds.
const SOON_SECS: u64 = 30 * 86_400;

/// One sentence for each; `now` is the reader's clock.
#[must_use]
pub fn warnings(plan: &Plan, roster: &Roster, now: BlockTime) -> Vec<String> {
    let mut told = Vec::new();
    let wait_secs = plan.time.secs.saturating_sub(now.secs);
    if wait_secs > SOON_SECS {
        let (time, days) = (plan.time.rfc3339(), wait_secs / 86_400);
        told.push(format!("every chain begins at {time}, in {days} days: until then no node makes a block"));
    }
    let total = u128::from(roster.power());
    for validator in roster.validators() {
        let (name, power) = (&validator.candidate.name, u128::from(validator.power));
        if power.saturating_mul(3) > total.saturating_mul(2) {
            told.push(format!("{name} holds {power} of {total}, more than two thirds: it decides alone"));
        } else if power.saturating_mul(3) >= total {
            told.push(format!("{name} holds {power} of {total}, a third or more: every chain stops when it stops"));
        }
    }
    let is_loopback = HostPort::is_loopback;
    let hosts = || roster.validators().iter().flat_map(|validator| &validator.candidate.chains).map(|chain| &chain.p2p);
    if hosts().any(is_loopback) && !hosts().all(is_loopback) {
        let local = roster
            .validators()
            .iter()
            .filter(|validator| validator.candidate.chains.iter().any(|chain| chain.p2p.is_loopback()));
        let names: Vec<&str> = local.map(|validator| validator.candidate.name.as_str()).collect();
        told.push(format!("{}: no other machine reaches a peer at a loopback address", names.join(", ")));
    }
    for (at, chain_id) in plan.chains().enumerate() {
        let served = roster.validators().iter().filter_map(|validator| validator.candidate.chains.get(at));
        if served.into_iter().all(|chain| chain.endpoint.is_none()) {
            told.push(format!("{chain_id} has no endpoint: users of network.toml reach nobody (keys --endpoint)"));
        }
    }
    if plan.accounts.is_empty() {
        told.push("nobody begins with money, so that nobody can write: see [[accounts]] in plan.toml".to_owned());
    }
    if plan.treasury.is_none() {
        let first = roster.validators().first().map_or("", |validator| validator.candidate.name.as_str());
        told.push(format!("the plan names no treasury: what cannot be divided goes to the payout account of {first}"));
    }
    told
}
