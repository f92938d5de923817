//! Whom a proposal gives power or money to. The chain takes any account; here those are refused whose key everybody has,
//! or nobody, as a genesis refuses them. It must never stand in the way of taking something back.

use db3_genesis::{NetworkFile, NetworkKind, is_test_account};
use db3_governance::Action;
use db3_primitives::{Address, Tai};

use crate::cli::failure::Failure;

const NOBODY: Address = Address::new([0; 20]);

/// Refuses an action that favours an account without an owner. On a devnet the test mnemonic's are its users.
pub fn check(network: &NetworkFile, actions: &[Action]) -> Result<(), Failure> {
    if network.kind == NetworkKind::Devnet {
        return Ok(());
    }
    for (role, account) in actions.iter().flat_map(favoured) {
        let who = if account == NOBODY {
            "nobody has the key of"
        } else if is_test_account(&account) {
            "everybody has the key (the test mnemonic of wallets and anvil) of"
        } else {
            continue;
        };
        return Err(Failure::input(
            format!("{who} {account}, which is to be {role}"),
            format!("name an account that has one owner: {} is no development network", network.name),
        ));
    }
    Ok(())
}

/// Who gets something by an action, and as what.
fn favoured(action: &Action) -> Vec<(&'static str, Address)> {
    match action {
        Action::SetValidator(validator) => {
            vec![("a validator's operator", validator.operator), ("a validator's payout account", validator.payout)]
        }
        Action::SetTreasury { treasury } => vec![("the treasury", *treasury)],
        Action::SetTrust { account, trust } if *trust > Tai::new(0) => vec![("trusted without collateral", *account)],
        Action::SetPayouts { recipients, .. } => {
            recipients.iter().map(|(account, _)| ("paid what a shard earns", *account)).collect()
        }
        Action::SetTrust { .. }
        | Action::RemoveValidator { .. }
        | Action::SetPrices(_)
        | Action::SetParameter { .. }
        | Action::ReplaceChannel(_)
        | Action::Cancel { .. } => Vec::new(),
    }
}
