//! What governance changes in a history: somebody's trust, or the factor.

use db3_governance::{Action, Parameter, Proposal, SignedProposal, Validator};
use db3_light_client::build::ValidatorKey;
use db3_primitives::{Address, Height, Scheme, SecretKey, Tai};

use super::chance::Chance;
use crate::SettlementState;

#[derive(Clone, Copy, Debug)]
pub(super) enum Decision {
    /// Of the account in this place.
    Trust(usize, u64),
    Factor(u64, u64),
}

impl Decision {
    pub(super) fn any(chance: &mut Chance, accounts: usize) -> Self {
        if chance.below(3) == 0 {
            let (num, den) = chance.pick(&[(1, 1), (1, 2), (2, 1), (3, 2)]);
            return Self::Factor(num, den);
        }
        let account = chance.below(accounts as u64) as usize;
        Self::Trust(account, chance.pick(&[0, 10, 40, 120]))
    }

    pub(super) fn signed(self, state: &SettlementState, addresses: &[Address], now: u64) -> SignedProposal {
        let set = |parameter, value| Action::SetParameter { parameter, value };
        let actions = match self {
            Self::Trust(account, trust) => {
                vec![Action::SetTrust { account: addresses[account], trust: Tai::new(trust.into()) }]
            }
            Self::Factor(num, den) => {
                vec![set(Parameter::FactorNumerator, num), set(Parameter::FactorDenominator, den)]
            }
        };
        let mut signed = SignedProposal::unsigned(Proposal {
            chain_id: state.chain().chain_id(),
            sequence: state.governance().leaf().unwrap().sequence() + 1,
            at_height: Height::new(0),
            expire_unix_secs: now + 100,
            actions,
        });
        signed.sign(&operator(), Scheme::Raw);
        signed
    }
}

fn operator() -> SecretKey {
    SecretKey::from_bytes([99; 32]).unwrap()
}

/// The one that decides alone.
pub(super) fn validator() -> Validator {
    let key = ValidatorKey::from_seed([99; 32]).public_key();
    Validator { key, power: 1, operator: operator().address(), payout: Address::new([0xdd; 20]) }
}
