//! What governance changes on the settlement chain: prices, limits, the treasury, trust, payouts, and the channels from
//! the shards.
//!
//! It happens before anything else in a block, so one block works under one set of rules. Who shares the chain's own fees
//! follows its validators by itself.

use std::collections::BTreeMap;

use db3_carry::Channel;
use db3_governance::{
    Accepted, Action, CatchUp, Misbehaviour, Proposal, Replacement, Report, Session, SignedProposal, Subject,
    check_prices, replace_channel, set_settlement_parameter,
};
use db3_merkle_log::Frontier;
use db3_primitives::fatal::{damaged, fatal};
use db3_primitives::leaf::settlement::FEE_POOL;
use db3_primitives::limits::CEILING_TAI_MAX;
use db3_primitives::{
    Address, BalanceLeaf, ChainId, Fault, Height, LineLeaf, PassedLeaf, PayoutLeaf, Rejection, SettlementLeaf,
    ShardFault, ShardId, ShardLeaf, Tai, key,
};
use db3_state_tree::Tree;

use crate::delivery;
use crate::ledger::Ledger;
use crate::sweep;

/// The settlement chain as far as governance may change it.
#[derive(Clone)]
struct Changeable<'l> {
    ledger: &'l Ledger,
    changes: Changes,
}

/// What governance changed.
#[derive(Clone)]
struct Changes {
    chain: SettlementLeaf,
    trust: BTreeMap<Address, Tai>,
    payouts: BTreeMap<ShardId, PayoutLeaf>,
    channels: BTreeMap<ShardId, Channel>,
    shards: BTreeMap<ShardId, ShardLeaf>,
    lines: BTreeMap<(Address, ShardId), LineLeaf>,
    passed: BTreeMap<ShardId, PassedLeaf>,
    /// Logs that go on from here, whatever was read of them before.
    begun: BTreeMap<ShardId, Frontier>,
}

impl<'l> Changeable<'l> {
    fn of(ledger: &'l Ledger) -> Self {
        let chain = (*ledger.chain).clone();
        let changes = Changes {
            chain,
            trust: BTreeMap::new(),
            payouts: BTreeMap::new(),
            channels: BTreeMap::new(),
            shards: BTreeMap::new(),
            lines: BTreeMap::new(),
            passed: BTreeMap::new(),
            begun: BTreeMap::new(),
        };
        Self { ledger, changes }
    }

    fn set_trust(&mut self, account: Address, trust: Tai) -> Result<(), String> {
        if trust > CEILING_TAI_MAX {
            return Err(format!("{trust} tai of trust: at most {CEILING_TAI_MAX} are possible"));
        }
        if self.ledger.balance(account).is_none() {
            return Err(format!("{account} never had any money here: let somebody transfer to it first"));
        }
        self.changes.trust.insert(account, trust);
        Ok(())
    }

    fn set_payouts(&mut self, shard: ShardId, recipients: &[(Address, u64)]) -> Result<(), String> {
        self.known(shard)?;
        let leaf = PayoutLeaf::new(recipients).map_err(|error| error.to_string())?;
        self.changes.payouts.insert(shard, leaf);
        Ok(())
    }

    fn known(&self, shard: ShardId) -> Result<(), String> {
        let shards = self.changes.chain.shard_map.shards();
        if shard.get() < shards {
            Ok(())
        } else {
            Err(format!("there is no shard {shard}, the network has {shards}, numbered from 0"))
        }
    }

    fn replace(&mut self, replacement: &Replacement) -> Result<(), String> {
        let unheard = || format!("this chain hears nothing from {}", replacement.peer.chain_id());
        let source = ChainId::parse(replacement.peer.chain_id()).map_err(|_| unheard())?;
        let shard = delivery::shard_of(self.ledger, &source).map_err(|_| unheard())?;
        let known = self.changes.channels.get(&shard).cloned();
        let known = known.or_else(|| delivery::channel(self.ledger, &source)).ok_or_else(unheard)?;
        let channel = replace_channel(&known, replacement, self.ledger.at.time)?;
        let leaf = self.changes.shards.get(&shard).copied().unwrap_or_else(|| self.ledger.shard(shard));
        self.pass_over(shard, leaf.fault, &known, &channel);
        let leaf = ShardLeaf { fault: None, ..leaf };
        let leaf = match &replacement.catch_up {
            Some(catch_up) => self.catch_up(shard, leaf, catch_up)?,
            None if channel.cursor() == known.cursor() => leaf,
            None => {
                return Err("entries are passed over, and nothing is told of what they stated and closed".to_owned());
            }
        };
        self.changes.shards.insert(shard, leaf);
        self.changes.channels.insert(shard, channel);
        Ok(())
    }

    /// Notes what counts for nothing of the log from now on: where it goes on from another frontier, all before it; else
    /// the one entry at fault, if one is to blame.
    fn pass_over(&mut self, shard: ShardId, fault: Option<Fault>, known: &Channel, channel: &Channel) {
        let before = self.changes.passed.get(&shard).cloned();
        let before = before.unwrap_or_else(|| passed(&self.ledger.base, shard));
        let frontier = channel.inbox().frontier();
        let after = if frontier == known.inbox().frontier() {
            let entry = fault.filter(|fault| fault.code != ShardFault::HeaderConflict);
            entry.map_or_else(|| before.clone(), |fault| before.clone().forgiving(fault.index))
        } else {
            PassedLeaf::beginning(frontier.size())
        };
        if after.begins() != before.begins() || frontier != known.inbox().frontier() {
            self.changes.begun.insert(shard, frontier.clone());
        }
        if after != before {
            self.changes.passed.insert(shard, after);
        }
    }

    /// Takes statements and a close on governance's word, under the bounds that the shard itself is under.
    fn catch_up(&mut self, shard: ShardId, leaf: ShardLeaf, catch_up: &CatchUp) -> Result<ShardLeaf, String> {
        let CatchUp { last, hash, statements } = catch_up;
        if leaf.last_close.is_some_and(|closed| *last < closed) {
            return Err(format!("epoch {last} was closed before"));
        }
        let end = last.next().and_then(|next| next.start_secs(self.changes.chain.epoch_secs));
        if end.is_none_or(|end| end > self.ledger.at.time.secs) {
            return Err(format!("epoch {last} has not ended"));
        }
        if !statements.is_sorted_by(|(left, _), (right, _)| left < right) {
            return Err("the statements are not in order of address, each account once".to_owned());
        }
        for (account, sum) in statements {
            let place = (*account, shard);
            let line = self.changes.lines.get(&place).copied().or_else(|| self.ledger.line(*account, shard));
            let line = line.ok_or_else(|| format!("{account} has no line on shard {shard}"))?;
            if !(line.reported..=line.held).contains(sum) {
                let LineLeaf { reported, held, .. } = line;
                return Err(format!("{account} has stated {reported} tai and may state up to {held}, not {sum}"));
            }
            self.changes.lines.insert(place, LineLeaf { reported: *sum, ..line });
        }
        let (last_close, close_hash) = (Some(*last), *hash);
        Ok(ShardLeaf { last_close, close_hash, statements: 0, total: Tai::ZERO, last_account: None, ..leaf })
    }
}

impl Subject for Changeable<'_> {
    fn change(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::SetPrices(prices) => {
                check_prices(&self.changes.chain.prices, prices)?;
                self.changes.chain.prices = *prices;
                Ok(())
            }
            Action::SetParameter { parameter, value } => {
                set_settlement_parameter(&mut self.changes.chain, *parameter, *value)
            }
            Action::SetTreasury { treasury } => {
                self.changes.chain.treasury = *treasury;
                Ok(())
            }
            Action::SetTrust { account, trust } => self.set_trust(*account, *trust),
            Action::SetPayouts { shard, recipients } => self.set_payouts(*shard, recipients),
            Action::ReplaceChannel(replacement) => self.replace(replacement),
            Action::SetValidator(_) | Action::RemoveValidator { .. } | Action::Cancel { .. } => {
                Err("this is no change of the settlement chain's parameters".to_owned())
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        self.changes.chain.check().map_err(|field| format!("{field} would hold what no settlement chain can have"))
    }
}

/// What counts for nothing of a shard's log, as a version has it.
pub(crate) fn passed(tree: &Tree, shard: ShardId) -> PassedLeaf {
    let key = key::passed(shard);
    let leaf = tree.get(&key);
    leaf.map(|leaf| PassedLeaf::from_bytes(leaf).unwrap_or_else(|_| damaged(&key))).unwrap_or_default()
}

/// Does what is due at the beginning of a block.
pub(crate) fn begin(ledger: &mut Ledger, misbehaviours: &[Misbehaviour]) -> Session {
    let mut session = Session::of(&ledger.base);
    let Some(before) = session.leaf().cloned() else { return session };
    let Changes { chain, trust, payouts, channels, shards, lines, passed, begun } =
        session.begin(ledger.at.height, misbehaviours, Changeable::of(ledger)).changes;
    if (chain.factor_num, chain.factor_den) != (ledger.chain.factor_num, ledger.chain.factor_den) {
        sweep::begin(ledger);
    }
    if chain != *ledger.chain {
        ledger.governed.insert(key::chain(), Some(chain.to_bytes()));
        ledger.chain = chain.into();
    }
    for (account, trust) in trust {
        let leaf = ledger.balance(account).unwrap_or_default();
        ledger.set_balance(account, BalanceLeaf { trust, ..leaf });
        ledger.trusted.insert(account, trust);
        // What lies above the new limit is cut at the next round, or what it allows is given.
        ledger.mark_due(account);
    }
    for (shard, leaf) in payouts {
        ledger.governed.insert(key::payout(shard), Some(leaf.to_bytes()));
    }
    for (shard, leaf) in passed {
        ledger.governed.insert(key::passed(shard), Some(leaf.to_bytes()));
    }
    ledger.begun.extend(begun);
    for (shard, leaf) in shards {
        ledger.set_shard(shard, leaf);
    }
    for ((account, shard), leaf) in lines {
        ledger.set_line(account, shard, leaf);
        ledger.mark_due(account);
    }
    ledger.channels.extend(channels.values().flat_map(Channel::leaves));
    if let Some(now) = session.leaf().filter(|now| now.validators() != before.validators()) {
        let leaf = PayoutLeaf::new(&now.payouts())
            .unwrap_or_else(|error| fatal("the validators of a chain can share a pool", error));
        ledger.governed.insert(key::payout(FEE_POOL), Some(leaf.to_bytes()));
    }
    ledger.keep();
    session
}

/// Accepts a transaction of the block.
pub(crate) fn accept(session: &mut Session, ledger: &Ledger, signed: &SignedProposal) -> Result<Accepted, Rejection> {
    let own = ledger.chain.chain_id();
    session.accept(&own, ledger.at.height, ledger.at.time, signed, &Changeable::of(ledger))
}

/// Whether a block could accept it.
pub(crate) fn judge(ledger: &Ledger, signed: &SignedProposal) -> Result<Accepted, Rejection> {
    let (own, subject) = (ledger.chain.chain_id(), Changeable::of(ledger));
    Session::of(&ledger.base).judge(&own, ledger.at.height, ledger.at.time, signed, &subject)
}

/// Whether a block could accept it if enough operators had signed it.
pub(crate) fn rehearse(ledger: &Ledger, proposal: &Proposal) -> Result<Height, Rejection> {
    let (own, subject) = (ledger.chain.chain_id(), Changeable::of(ledger));
    Session::of(&ledger.base).rehearsed(&own, ledger.at.height, ledger.at.time, proposal, &subject)
}

/// Hands over what the block wrote.
pub(crate) fn finish(session: Session, ledger: &mut Ledger) -> Report {
    let (writes, report) = session.finish();
    ledger.governed.extend(writes);
    report
}
