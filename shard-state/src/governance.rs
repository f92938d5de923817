//! What governance changes on a shard: prices, limits, and the channel from the settlement chain.

use db3_carry::Channel;
use db3_governance::{
    Accepted, Action, Misbehaviour, Proposal, Report, Session, SignedProposal, Subject, check_prices, replace_channel,
    set_chain_parameter,
};
use db3_primitives::{BlockTime, ChainId, ChainLeaf, Height, Rejection, key};

use crate::inbound;
use crate::ledger::Ledger;

/// The shard as far as governance may change it.
#[derive(Clone)]
struct Changeable<'l> {
    ledger: &'l Ledger,
    time: BlockTime,
    chain: ChainLeaf,
    channel: Option<Channel>,
}

impl<'l> Changeable<'l> {
    fn of(ledger: &'l Ledger, time: BlockTime) -> Self {
        Self { ledger, time, chain: (*ledger.chain).clone(), channel: None }
    }
}

impl Subject for Changeable<'_> {
    fn change(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::SetPrices(prices) => {
                check_prices(&self.chain.prices, prices)?;
                self.chain.prices = *prices;
                Ok(())
            }
            Action::SetParameter { parameter, value } => set_chain_parameter(&mut self.chain, *parameter, *value),
            Action::ReplaceChannel(replacement) => {
                let source = replacement.peer.chain_id();
                if replacement.catch_up.is_some() {
                    return Err("a shard hears no statements, so there are none to catch up with".to_owned());
                }
                let known = self.channel.clone().or_else(|| {
                    let settlement = ChainId::settlement(&self.chain.network);
                    inbound::channel(|key| self.ledger.overlay.get(key), &settlement)
                });
                let known = known.filter(|known| known.source().as_str() == source);
                let known = known.ok_or_else(|| format!("this shard hears nothing from {source}"))?;
                self.channel = Some(replace_channel(&known, replacement, self.time)?);
                Ok(())
            }
            Action::SetTreasury { .. } | Action::SetTrust { .. } | Action::SetPayouts { .. } => {
                Err("only the settlement chain has this to change".to_owned())
            }
            Action::SetValidator(_) | Action::RemoveValidator { .. } | Action::Cancel { .. } => {
                Err("this is no change of a shard's parameters".to_owned())
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        self.chain.check().map_err(|field| format!("{field} would hold what no shard can have"))
    }
}

/// Does what is due at the beginning of a block.
pub(crate) fn begin(ledger: &mut Ledger, height: Height, time: BlockTime, misbehaviours: &[Misbehaviour]) -> Session {
    let mut session = Session::of(ledger.overlay.base());
    if session.leaf().is_none() {
        return session;
    }
    let Changeable { chain, channel, .. } = session.begin(height, misbehaviours, Changeable::of(ledger, time));
    if chain != *ledger.chain {
        ledger.overlay.put(key::chain(), chain.to_bytes());
        ledger.chain = chain.into();
    }
    for (key, leaf) in channel.iter().flat_map(Channel::leaves) {
        ledger.overlay.put(key, leaf);
    }
    ledger.overlay.keep();
    session
}

/// Accepts a transaction of the block.
pub(crate) fn accept(
    session: &mut Session,
    ledger: &Ledger,
    height: Height,
    time: BlockTime,
    signed: &SignedProposal,
) -> Result<Accepted, Rejection> {
    session.accept(&ledger.chain.chain_id(), height, time, signed, &Changeable::of(ledger, time))
}

/// Whether a block could accept it.
pub(crate) fn judge(
    ledger: &Ledger,
    height: Height,
    time: BlockTime,
    signed: &SignedProposal,
) -> Result<Accepted, Rejection> {
    let subject = Changeable::of(ledger, time);
    Session::of(ledger.overlay.base()).judge(&ledger.chain.chain_id(), height, time, signed, &subject)
}

/// Whether a block could accept it if enough operators had signed it.
pub(crate) fn rehearse(
    ledger: &Ledger,
    height: Height,
    time: BlockTime,
    proposal: &Proposal,
) -> Result<Height, Rejection> {
    let (own, subject) = (ledger.chain.chain_id(), Changeable::of(ledger, time));
    Session::of(ledger.overlay.base()).rehearsed(&own, height, time, proposal, &subject)
}

/// Writes what the block did.
pub(crate) fn finish(session: Session, ledger: &mut Ledger) -> Report {
    let (writes, report) = session.finish();
    for (key, leaf) in writes {
        match leaf {
            Some(leaf) => ledger.overlay.put(key, leaf),
            None => ledger.overlay.delete(key),
        }
    }
    ledger.overlay.keep();
    report
}
