//! Which nonces of an account are used: of its mutations on a namespace, or of its transactions.

use bytes::Bytes;
use db3_primitives::{Address, NonceWindow, key};
use db3_proto::convert::checked_window;
use db3_proto::v1;

use crate::chain::{At, Chain, StatePoint};
use crate::error::ClientError;
use crate::order::Lane;
use crate::prove;
use crate::wire::{settlement, shard, timed};

/// What a node says of a window, before anything is believed.
struct Told {
    window: NonceWindow,
    stored: Bytes,
    proof: Bytes,
    context: Option<v1::ReadContext>,
}

/// The window as a node tells it. A wrong one harms nobody: the chain refuses what does not fit.
pub(crate) async fn told(chain: &Chain, account: &Address, lane: &Lane) -> Result<NonceWindow, ClientError> {
    let asked = v1::ReadOptions { prove: false, ..chain.read_options(At::default()) };
    Ok(ask(chain, account, lane, asked).await?.window)
}

/// The window, proven under a verified state.
pub(crate) async fn proven(
    chain: &Chain,
    account: &Address,
    lane: &Lane,
) -> Result<(NonceWindow, StatePoint), ClientError> {
    let asked = chain.read_options(At::default());
    let told = ask(chain, account, lane, asked).await?;
    let point = chain.check(told.context.as_ref(), &asked).await?;
    let tree_key = match lane {
        Lane::Namespace(namespace) => key::window(account, namespace),
        Lane::Money => key::own_window(account),
    };
    let stored = Some(told.stored.as_ref()).filter(|stored| !stored.is_empty());
    prove::leaf(&point.root, &tree_key, stored, &told.proof).map_err(|flaw| ClientError::proof(&chain.id, flaw))?;
    Ok((told.window, point))
}

async fn ask(chain: &Chain, account: &Address, lane: &Lane, read: v1::ReadOptions) -> Result<Told, ClientError> {
    let owner = Bytes::copy_from_slice(account.as_bytes());
    let malformed = |detail: String| ClientError::malformed(&chain.id, detail);
    match lane {
        Lane::Namespace(namespace) => {
            let request = v1::GetNonceWindowRequest {
                account: owner,
                namespace: namespace.as_str().to_owned(),
                read: Some(read),
            };
            let answer = chain
                .call(|channel, limit| {
                    let request = timed(request.clone(), limit);
                    async move { shard(channel).get_nonce_window(request).await }
                })
                .await?;
            let window = checked_window(&answer, account, namespace).map_err(|error| malformed(error.to_string()))?;
            Ok(Told { window, stored: answer.stored, proof: answer.ics23_proof, context: answer.context })
        }
        Lane::Money => {
            let request = v1::GetAccountRequest { account: owner, read: Some(read) };
            let answer = chain
                .call(|channel, limit| {
                    let request = timed(request.clone(), limit);
                    async move { settlement(channel).get_account(request).await }
                })
                .await?;
            let stored = answer.account.map(|account| account.window_stored).unwrap_or_default();
            let window = if stored.is_empty() {
                NonceWindow::default()
            } else {
                NonceWindow::from_bytes(&stored).map_err(|error| malformed(error.to_string()))?
            };
            Ok(Told { window, stored, proof: answer.window_ics23_proof, context: answer.context })
        }
    }
}
