//! `db3 transfer` and `db3 credit deposit|withdraw|allocate|pay`: money, on the settlement chain.

use std::collections::BTreeMap;

use db3_primitives::{Address, Namespace, ShardId, Tai, TransactionOperation};

use super::args::{AllocateArgs, CreditCommand, DepositArgs, SendingArgs, TransferArgs};
use super::credit;
use super::failure::{Exit, Failure};
use super::send::{Sent, send_order};
use super::session::{ChosenNetwork, Session};
use super::{history, line_use, receipt};
use crate::{Client, Money, Unanswered};

/// Numbers of the rejections of an account that has too little.
const BALANCE_TOO_LOW_FOR_FEE: u32 = 223;
const BALANCE_TOO_LOW: u32 = 307;

/// `db3 transfer`
pub async fn transfer(session: &Session, args: &TransferArgs) -> Result<(), Failure> {
    let network = session.network()?;
    let to = session.account_named(&args.to, Some(&network))?.address;
    let operations = |_: &Client, own: Address| {
        if own == to {
            return Err(Failure::input(
                format!("{own} would transfer to itself, which moves nothing and costs a fee"),
                "name another account: `db3 account list`",
            ));
        }
        Ok(vec![TransactionOperation::Transfer { to, amount: args.amount }])
    };
    send(session, network, operations, &args.sending).await
}

/// `db3 credit`
pub async fn credit(session: &Session, command: &CreditCommand) -> Result<(), Failure> {
    let network = session.network()?;
    match command {
        CreditCommand::Show => credit::show(session, network).await,
        CreditCommand::Deposit(args) => deposit(session, network, args).await,
        CreditCommand::Withdraw(args) => {
            let amount = args.amount;
            send(session, network, |_, _| Ok(vec![TransactionOperation::Withdraw { amount }]), &args.sending).await
        }
        CreditCommand::Allocate(args) => allocate(session, network, args).await,
        CreditCommand::History(args) => history::history(session, network, args).await,
        CreditCommand::Pay(args) => {
            let amount = args.amount.unwrap_or(Tai::ZERO);
            send(session, network, |_, _| Ok(vec![TransactionOperation::Pay { amount }]), &args.sending).await
        }
    }
}

/// Signs and sends operations; they may depend on the network and the account.
async fn send(
    session: &Session,
    network: ChosenNetwork,
    operations: impl FnOnce(&Client, Address) -> Result<Vec<TransactionOperation>, Failure>,
    sending: &SendingArgs,
) -> Result<(), Failure> {
    let signer = session.signer(&network)?;
    let client = session.client_of(network.file).await?;
    let operations = operations(&client, signer.address())?;
    let pays = operations.iter().any(|operation| matches!(operation, TransactionOperation::Pay { .. }));
    match send_order(session, client.transaction().operations(operations).sign(&signer), sending).await {
        Ok(Sent::Priced) => Ok(()),
        Ok(Sent::Receipt(found)) => receipt::print(session, &found),
        Err(failure) => Err(explain(&client, signer.address(), pays, failure).await),
    }
}

/// Adds to a refusal for want of balance what helps here: how much can be paid, or what is owed besides the fee.
async fn explain(client: &Client, account: Address, pays: bool, failure: Failure) -> Failure {
    let available = failure.available().filter(|available| !available.is_zero());
    match (failure.code(), available) {
        (Some(BALANCE_TOO_LOW), _) if !pays => failure.explained(
            "",
            "use an amount of at most that balance, or let somebody transfer to the account first (`db3 credit show`)",
        ),
        (Some(BALANCE_TOO_LOW), Some(available)) if pays => {
            let most = available.to_db3_string();
            failure.explained("", format!("at most {most} DB3 can be paid now: `db3 credit pay {most}db3`, or somebody transfers to the account first"))
        }
        (Some(BALANCE_TOO_LOW_FOR_FEE), _) => match client.account(account).money().await {
            Ok(money) if !money.value.outstanding().is_zero() => {
                let owed = money.value.outstanding().to_db3_string();
                failure.explained(
                    &format!("and {owed} DB3 are outstanding"),
                    "somebody must transfer to the account first; the next round takes what is outstanding from its balance, later rounds from its collateral (`db3 credit show`)",
                )
            }
            Ok(_) | Err(_) => failure,
        },
        _ => failure,
    }
}

/// Asks for a line, and says how much of it is granted.
async fn allocate(session: &Session, network: ChosenNetwork, args: &AllocateArgs) -> Result<(), Failure> {
    let signer = session.signer(&network)?;
    let client = session.client_of(network.file).await?;
    let account = signer.address();
    let shard = shard_of(&client, account, args)?;
    let operations = [TransactionOperation::Allocate { shard: ShardId::new(shard), want: args.amount }];
    match send_order(session, client.transaction().operations(operations).sign(&signer), &args.sending).await {
        Ok(Sent::Priced) => Ok(()),
        Ok(Sent::Receipt(found)) => line_use::print_grant(session, &client, account, shard, &found).await,
        Err(failure) => Err(explain(&client, account, false, failure).await),
    }
}

/// The shard that a line is for.
fn shard_of(client: &Client, account: Address, args: &AllocateArgs) -> Result<u32, Failure> {
    let namespace = match (args.shard, &args.namespace) {
        (Some(shard), _) => return super::on_shard::shards(client, Some(shard)).map(|_| shard),
        (None, Some(name)) => name.parse::<Namespace>()?,
        (None, None) => Namespace::own(&account),
    };
    Ok(client.shard_of(&namespace).get())
}

async fn deposit(session: &Session, network: ChosenNetwork, args: &DepositArgs) -> Result<(), Failure> {
    let to = args.to.as_deref().map(|name| session.account_named(name, Some(&network))).transpose()?;
    let signer = session.signer(&network)?;
    let client = session.client_of(network.file).await?;
    let own = signer.address();
    let to = to.map_or(own, |chosen| chosen.address);
    let mut operations = vec![TransactionOperation::Deposit { to, amount: args.amount }];
    if to == own && !args.no_lines {
        let money = client.account(own).money().await?.value;
        let mut shards = vec![client.shard_of(&Namespace::own(&own)).get()];
        let namespaces = client.account(own).namespaces().await.map_err(|error| match Unanswered::of(error) {
            Ok(missing) => Failure::new(
                Exit::Unreachable,
                format!("{}; so it is not known which namespaces the account has there", missing.detail),
                "--no-lines deposits without asking, and `db3 credit allocate` opens lines",
            ),
            Err(other) => other.into(),
        })?;
        shards.extend(namespaces.iter().map(|info| info.shard));
        operations.extend(lines(&money, args.amount, &shards));
    } else if to == own {
        let money = client.account(own).money().await?.value;
        operations.extend(as_before(&money, client.shard_of(&Namespace::own(&own))));
    }
    match send_order(session, client.transaction().operations(operations).sign(&signer), &args.sending).await {
        Ok(Sent::Priced) => Ok(()),
        Ok(Sent::Receipt(found)) if to == own => line_use::print_secured(session, &client, own, &found).await,
        Ok(Sent::Receipt(found)) => receipt::print(session, &found),
        Err(failure) => Err(explain(&client, own, false, failure).await),
    }
}

/// What a deposit makes of an account's lines: what it adds to the limit is shared out over the shards of the account's
/// namespaces, by the number of namespaces there, on top of what is wanted already; remainder to the lowest shard.
fn lines(money: &Money, deposit: Tai, shards: &[u32]) -> Vec<TransactionOperation> {
    let balance = money.balance();
    let after = money.params.limit(balance.collateral.checked_add(deposit).unwrap_or(Tai::MAX), balance.trust);
    let added = after.saturating_sub(money.limit());
    share_out(added, shards)
        .into_iter()
        .filter(|(_, share)| !share.is_zero())
        .map(|(shard, share)| {
            let want = money.line(shard).want.checked_add(share).unwrap_or(Tai::MAX);
            TransactionOperation::Allocate { shard: ShardId::new(shard), want }
        })
        .collect()
}

/// What keeps a deposit from opening or raising a line by itself: the chain does so where an account has no line yet, or
/// none but the one that was opened so, and does not say in the same transaction what it wants.
fn as_before(money: &Money, own: ShardId) -> Option<TransactionOperation> {
    let is_automatic = money.lines().iter().all(|(shard, _)| *shard == own);
    is_automatic.then(|| TransactionOperation::Allocate { shard: own, want: money.line(own.get()).want })
}

/// An amount by how often each shard is named.
fn share_out(amount: Tai, shards: &[u32]) -> BTreeMap<u32, Tai> {
    let mut counts: BTreeMap<u32, u128> = BTreeMap::new();
    for shard in shards {
        let count = counts.entry(*shard).or_default();
        *count = count.saturating_add(1);
    }
    let all = u128::try_from(shards.len()).unwrap_or(u128::MAX);
    let each = amount.get().checked_div(all).unwrap_or(0);
    let mut parts: BTreeMap<u32, Tai> =
        counts.into_iter().map(|(shard, count)| (shard, Tai::new(each.saturating_mul(count)))).collect();
    let given = parts.values().fold(0u128, |sum, part| sum.saturating_add(part.get()));
    if let Some(mut lowest) = parts.first_entry() {
        let rest = amount.get().saturating_sub(given);
        *lowest.get_mut() = Tai::new(lowest.get().get().saturating_add(rest));
    }
    parts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_deposit_is_shared_by_namespaces_and_the_rest_goes_to_the_lowest_shard() {
        let shares = share_out(Tai::new(10), &[2, 0, 2]);
        assert_eq!(shares.into_iter().collect::<Vec<_>>(), [(0, Tai::new(4)), (2, Tai::new(6))]);
        assert!(share_out(Tai::new(10), &[]).is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_made(amount in any::<u128>(), shards in proptest::collection::vec(0u32..8, 1..40)) {
            let sum: u128 = share_out(Tai::new(amount), &shards).values().map(|share| share.get()).sum();
            prop_assert_eq!(sum, amount);
        }
    }
}
