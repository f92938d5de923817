//! Giving money on a running devnet: from the faucet to a balance, and the same again into collateral, in one
//! transaction like anybody's. The deposit opens a line where the account's own namespace is.
//!
//! Collateral of an account that owes is refused until it has paid; it is given money to pay with, and no collateral.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use db3_chain::ReceiptState;
use db3_primitives::{Address, Scheme, Tai, Transaction, TransactionOperation, sign};
use db3_proto::{encode_envelope, encode_transaction_body};
use tokio::time::Instant;

use crate::control::Funds;
use crate::make::{db3, network_name};
use crate::network::{Network, funds_of, settled};

/// What an account is given unless told otherwise, DB3: to pay with, and again as collateral.
const GIFT_DB3: u64 = 1_000;
/// How long the faucet's transaction stays valid.
const EXPIRE_SECS: u64 = 600;
/// How long a block with it may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a gift may cost at most, DB3.
const FEE_MAX_DB3: u64 = 1;

impl Network {
    /// Funds an account, and returns when its lines stand on the shards. What it has then; and where it owed, what:
    /// then it got no collateral.
    pub async fn fund(&self, to: Address, amount: Option<Tai>) -> Result<(Funds, Option<Tai>)> {
        let amount = amount.map_or_else(|| db3(GIFT_DB3), Ok)?;
        let owed = self.give(to, amount).await?;
        self.chains.until_credit_stands().await?;
        self.keep_funded(to)?;
        Ok((funds_of(&settled(&self.chains).state, "--fund", to), owed))
    }

    /// What the account owed, if it did.
    async fn give(&self, to: Address, amount: Tai) -> Result<Option<Tai>> {
        let faucet = self.faucet.lock().await;
        let settlement = &self.chains.settlement;
        let account = faucet.address();
        let owed = Some(settlement.committed().state.account(&to).outstanding).filter(|owed| !owed.is_zero());
        let mut operations = vec![TransactionOperation::Transfer { to, amount }];
        if owed.is_none() {
            operations.push(TransactionOperation::Deposit { to, amount });
        }
        let transaction = Transaction {
            network: network_name()?,
            account,
            nonce: settlement.committed().state.window(&account).next(),
            expire_unix_secs: settlement.now().secs.saturating_add(EXPIRE_SECS),
            max_fee: db3(FEE_MAX_DB3)?,
            operations,
        };
        let body = encode_transaction_body(&transaction);
        let envelope = encode_envelope(&sign(&faucet, &transaction, body, Scheme::Raw));
        let submitted = settlement.submit(envelope.into()).await.map_err(|error| refused(to, &error.rejection()))?;
        let deadline = Instant::now().checked_add(PATIENCE).context("the clock's end")?;
        let mut receipt = submitted.receipt;
        match receipt.provable(deadline).await {
            ReceiptState::Done(receipt) => match &receipt.rejection {
                None => Ok(owed),
                Some(rejection) => bail!("{to} cannot be funded: {}; {}", rejection.message, rejection.remedy),
            },
            ReceiptState::Rejected(rejection) => Err(refused(to, &rejection)),
            state @ (ReceiptState::Unknown | ReceiptState::Pending | ReceiptState::Expired) => {
                bail!("no block holds the faucet's transaction {} ({state:?}); ask again", submitted.id)
            }
        }
    }

    /// Remembers that an account was funded, for `status`.
    fn keep_funded(&self, address: Address) -> Result<()> {
        let mut made = crate::lock(&self.made);
        let address = address.to_string();
        if !made.funded.contains(&address) && self.ready.accounts.iter().all(|account| account.address != address) {
            made.funded.push(address);
            self.home.keep_made(&made)?;
        }
        Ok(())
    }
}

fn refused(to: Address, rejection: &db3_primitives::Rejection) -> anyhow::Error {
    anyhow::anyhow!("{to} cannot be funded: {rejection}; {}", rejection.remedy())
}
