//! Transactions of the settlement chain: their one encoding, and from bytes to a transaction or to the number of what is wrong.
//!
//! The ladder of checks is that of [`crate::decode`], with these fields: network, account, fee limit; of each operation the
//! account that it names and its amount; then [`Transaction::validate`].

use bytes::Bytes;
use db3_primitives::limits::{TRANSACTION_BYTES_MAX, TRANSACTION_OPERATIONS_MAX};
use db3_primitives::quote::quoted;
use db3_primitives::{
    NetworkName, Nonce, Rejection, ShardId, SignedTransaction, Tai, Transaction, TransactionOperation,
};
use prost::Message as _;

use crate::encode::{BODY_VERSION, envelope_bytes};
use crate::signed::{Rules, account, check_size, fee_limit, open_envelope, read_body, read_envelope};
use crate::v1;
use crate::v1::transaction_operation::Kind;

const RULES: Rules = Rules {
    envelope_bytes_max: TRANSACTION_BYTES_MAX,
    operations_max: TRANSACTION_OPERATIONS_MAX,
    operations_field: 7,
    operation_kinds: &[1, 2, 3, 4, 5],
};

/// The canonical encoding of a transaction: the body that is signed.
#[must_use]
pub fn encode_transaction_body(transaction: &Transaction) -> Vec<u8> {
    let Transaction { network, account, nonce, expire_unix_secs, max_fee, operations } = transaction;
    let message = v1::TransactionBody {
        version: BODY_VERSION,
        network: network.as_str().to_owned(),
        account: Bytes::copy_from_slice(account.as_bytes()),
        nonce: nonce.get(),
        expire_unix_secs: *expire_unix_secs,
        max_fee_tai: max_fee.to_string(),
        operations: operations.iter().map(operation_message).collect(),
    };
    message.encode_to_vec()
}

/// Decodes an encoded `SignedEnvelope` of a transaction. The result's signature is not verified yet.
pub fn decode_transaction(envelope: &[u8]) -> Result<SignedTransaction, Rejection> {
    decode_transaction_envelope(read_envelope(envelope, &RULES)?)
}

/// The same for an envelope that came as part of a larger message.
pub fn decode_transaction_envelope(message: v1::SignedEnvelope) -> Result<SignedTransaction, Rejection> {
    open_envelope(message, &RULES, decode_shared_body)
}

/// Decodes the body of a transaction: exactly the bytes that [`encode_transaction_body`] gives for the result.
pub fn decode_transaction_body(body: &[u8]) -> Result<Transaction, Rejection> {
    check_size(envelope_bytes(body.len()), &RULES)?;
    decode_shared_body(&Bytes::copy_from_slice(body))
}

fn decode_shared_body(body: &Bytes) -> Result<Transaction, Rejection> {
    let message: v1::TransactionBody = read_body(body, &RULES)?;
    let transaction = Transaction {
        network: NetworkName::try_from(message.network)?,
        account: account(&message.account)?,
        nonce: Nonce::new(message.nonce),
        expire_unix_secs: message.expire_unix_secs,
        max_fee: fee_limit(&message.max_fee_tai)?,
        operations: (0..)
            .zip(message.operations)
            .map(|(index, message)| operation(index, message))
            .collect::<Result<_, _>>()?,
    };
    transaction.validate()?;
    Ok(transaction)
}

fn operation(index: u32, message: v1::TransactionOperation) -> Result<TransactionOperation, Rejection> {
    let amount =
        |text: &str| text.parse::<Tai>().map_err(|_| Rejection::AmountInvalid { operation: index, text: quoted(text) });
    Ok(match message.kind {
        Some(Kind::Transfer(v1::Transfer { to, amount_tai })) => {
            TransactionOperation::Transfer { to: account(&to)?, amount: amount(&amount_tai)? }
        }
        Some(Kind::Deposit(v1::Deposit { to, amount_tai })) => {
            TransactionOperation::Deposit { to: account(&to)?, amount: amount(&amount_tai)? }
        }
        Some(Kind::Withdraw(v1::Withdraw { amount_tai })) => {
            TransactionOperation::Withdraw { amount: amount(&amount_tai)? }
        }
        Some(Kind::Allocate(v1::Allocate { shard, want_tai })) => {
            TransactionOperation::Allocate { shard: ShardId::new(shard), want: amount(&want_tai)? }
        }
        Some(Kind::Pay(v1::Pay { amount_tai })) => TransactionOperation::Pay { amount: amount(&amount_tai)? },
        None => return Err(Rejection::OperationUnknown { index }),
    })
}

fn operation_message(operation: &TransactionOperation) -> v1::TransactionOperation {
    let kind = match operation {
        TransactionOperation::Transfer { to, amount } => {
            Kind::Transfer(v1::Transfer { to: Bytes::copy_from_slice(to.as_bytes()), amount_tai: amount.to_string() })
        }
        TransactionOperation::Deposit { to, amount } => {
            Kind::Deposit(v1::Deposit { to: Bytes::copy_from_slice(to.as_bytes()), amount_tai: amount.to_string() })
        }
        TransactionOperation::Withdraw { amount } => Kind::Withdraw(v1::Withdraw { amount_tai: amount.to_string() }),
        TransactionOperation::Allocate { shard, want } => {
            Kind::Allocate(v1::Allocate { shard: shard.get(), want_tai: want.to_string() })
        }
        TransactionOperation::Pay { amount } => Kind::Pay(v1::Pay { amount_tai: amount.to_string() }),
    };
    v1::TransactionOperation { kind: Some(kind) }
}
