//! The list of rejections. A number that was ever used stays with its meaning; new ones are added at the end of their
//! hundred.

use super::class::GrpcCode;
use super::declare::CodeRow;
use crate::hash::hex_text;
use crate::limits::CEILING_TAI_MAX;
use crate::time::BlockTime;
use crate::{Address, ChainId, Epoch, Hash32, Height, Namespace, NetworkName, Nonce, ShardId, Slot, TableName, Tai};

/// "operation 3: " where the operation is known.
fn at(operation: Option<u32>) -> String {
    operation.map_or_else(String::new, |index| format!("operation {index}: "))
}

/// An amount as people read it; every digit of it, so that it can be typed again.
fn db3(amount: Tai) -> String {
    format!("{} DB3", amount.to_db3_string())
}

/// A Unix second as RFC 3339.
fn moment(secs: u64) -> BlockTime {
    BlockTime::from_secs(secs)
}

rejections! {
    101 ENVELOPE_MALFORMED = EnvelopeMalformed { detail: String },
        InvalidArgument, Some("mutation"), "The bytes are no `SignedEnvelope`.",
        ("the signed envelope cannot be decoded: {detail}"),
        "Send an encoded `db3.v1.SignedEnvelope` with body, scheme and signature, and nothing else.";
    102 MUTATION_TOO_LARGE = MutationTooLarge { bytes: u64, max: u64 },
        InvalidArgument, Some("mutation"), "The encoded envelope is too long.",
        ("the signed envelope has {bytes} bytes, at most {max} are allowed"),
        "Split it into several.";
    103 BODY_MALFORMED = BodyMalformed { detail: String },
        InvalidArgument, Some("mutation.body"), "The signed body is none that this chain takes.",
        ("the signed body cannot be decoded: {detail}"),
        "Sign an encoded `db3.v1.MutationBody`, or for the settlement chain a `db3.v1.TransactionBody`.";
    104 BODY_NOT_CANONICAL = BodyNotCanonical,
        InvalidArgument, Some("mutation.body"), "The signed body does not re-encode to itself.",
        ("the signed body is not canonical: encoding what it says again gives other bytes"),
        "Encode fields in order, each once, without unknown fields or default values, own namespaces in lower case.";
    105 BODY_VERSION_UNKNOWN = BodyVersionUnknown { version: u32 },
        InvalidArgument, Some("mutation.body.version"), "The body has a version that this chain does not know.",
        ("the body's version is {version}, this chain knows 1"),
        "Set version to 1, or use a client that fits the chain.";
    106 OPERATION_UNKNOWN = OperationUnknown { index: u32 },
        InvalidArgument, Some("mutation.body.operations"), "An operation is of no known kind.",
        ("operation {index} is of no kind that this chain knows"),
        "Use put, insert, update, delete, create_namespace or create_table; on the settlement chain transfer, deposit, withdraw, allocate or pay.";
    107 BATCH_EMPTY = BatchEmpty,
        InvalidArgument, Some("mutation.body.operations"), "There is no operation.",
        ("there is no operation to do"),
        "Give at least one operation.";
    108 TOO_MANY_OPERATIONS = TooManyOperations { count: u64, max: u64 },
        InvalidArgument, Some("mutation.body.operations"), "There are too many operations.",
        ("there are {count} operations, at most {max} are allowed"),
        "Split it into several.";
    109 SCHEME_UNKNOWN = SchemeUnknown { scheme: i32 },
        InvalidArgument, Some("mutation.scheme"), "The signature scheme is unknown.",
        ("signature scheme {scheme} is unknown"),
        "Use 1 (raw) or 2 (EIP-191).";
    110 SIGNATURE_MALFORMED = SignatureMalformed { detail: String },
        InvalidArgument, Some("mutation.signature"), "The signature is none.",
        ("{detail}"),
        "Send r, s and v as 65 bytes with the low s and v 0 or 1; a wallet's v of 27 or 28 is turned into 0 or 1 first.";
    111 SIGNER_MISMATCH = SignerMismatch { account: Address, recovered: Address, digest: Hash32 },
        InvalidArgument, Some("mutation.signature"), "The signature is not the named account's.",
        ("the body names account {account}, but the signature over digest {} is by {recovered}", hex_text(.digest)),
        "Sign with the key of the account that the body names, and compare the digest with the one that was signed.";
    112 NETWORK_MISMATCH = NetworkMismatch { network: NetworkName, expected: NetworkName },
        InvalidArgument, Some("mutation.body.network"), "It was signed for another network.",
        ("it was signed for network {network}, this is {expected}"),
        "Send it to its own network, or sign it for this one.";
    113 NETWORK_NAME_INVALID = NetworkNameInvalid { name: String },
        InvalidArgument, Some("mutation.body.network"), "The network's name breaks the rules.",
        ("{name} is no network name"),
        "Use 1 to 32 of a-z, 0-9 and -.";
    114 ACCOUNT_INVALID = AccountInvalid { text: String },
        InvalidArgument, Some("mutation.body.account"), "The account is no address.",
        ("{text} is no account"),
        "Give the 20 bytes of an address; as text, 0x and 40 hexadecimal digits.";
    115 NAMESPACE_INVALID = NamespaceInvalid { name: String },
        InvalidArgument, Some("mutation.body.namespace"), "The namespace's name breaks the rules.",
        ("{name} is no namespace"),
        "Use 1 to 64 of a-z, 0-9, ., _ and -, starting with a letter or digit, or 0x and an account's 40 digits.";
    116 TABLE_INVALID = TableInvalid { operation: Option<u32>, name: String },
        InvalidArgument, Some("mutation.body.operations.table"), "The table's name breaks the rules.",
        ("{}{name} is no table name", at(*.operation)),
        "Use 1 to 64 of a-z, 0-9, ., _ and -, starting with a letter or digit.";
    117 KEY_INVALID = KeyInvalid { operation: Option<u32>, bytes: u64, max: u64 },
        InvalidArgument, Some("mutation.body.operations.key"), "The record key is empty or too long.",
        ("{}the key has {bytes} bytes, 1 to {max} are allowed", at(*.operation)),
        "Use a key of 1 to 256 bytes, such as a hash of the long one.";
    118 PAIR_TOO_LARGE = PairTooLarge { operation: u32, bytes: u64, max: u64 },
        InvalidArgument, Some("mutation.body.operations.value"), "Key and value together are too long.",
        ("operation {operation}: key and value have {bytes} bytes together, at most {max} are allowed"),
        "Split the value over several records.";
    119 FEE_LIMIT_INVALID = FeeLimitInvalid { text: String },
        InvalidArgument, Some("mutation.body.max_fee_tai"), "The fee limit is no amount.",
        ("the fee limit {text} is no number of tai"),
        "Write tai as decimal digits, without sign, unit or leading zeros, below 2^128.";
    120 NONCE_ZERO = NonceZero,
        InvalidArgument, Some("mutation.body.nonce"), "The nonce is 0.",
        ("the nonce is 0"),
        "Nonces start at 1; `GetNonceWindow`, or `GetAccount` on the settlement chain, names the next.";
    121 OPERATION_MISPLACED = OperationMisplaced { index: u32 },
        InvalidArgument, Some("mutation.body.operations"), "`create_namespace` is not the first operation.",
        ("operation {index} creates the namespace, which only the first operation may do"),
        "Put create_namespace first, and only once.";
    122 NAMESPACE_RESERVED = NamespaceReserved { name: Namespace },
        InvalidArgument, Some("mutation.body.namespace"), "The namespace is an account's own and cannot be created.",
        ("{name} is an account's own namespace, which exists without being created"),
        "Leave out create_namespace, or choose another name.";
    123 DELIVERY_MALFORMED = DeliveryMalformed { detail: String },
        InvalidArgument, Some("delivery"), "The bytes are no delivery, or one beyond the limits.",
        ("the delivery cannot be read: {detail}"),
        "Send an encoded `db3.v1.Delivery`, made from `ListOutbox` of its source, within the limits.";
    124 AMOUNT_INVALID = AmountInvalid { operation: u32, text: String },
        InvalidArgument, Some("transaction.body.operations"), "An amount is none that the operation takes.",
        ("operation {operation}: it takes no amount of {text} tai, the smallest is 1 tai ({}), the largest {CEILING_TAI_MAX} tai ({})",
            db3(Tai::new(1)), db3(CEILING_TAI_MAX)),
        "Give an amount between the two, in a message as decimal digits without sign, unit or leading zeros; only an allocation, which it ends, and a payment, which is then of all that is owed, may be 0.";
    125 GOVERNANCE_MALFORMED = GovernanceMalformed { detail: String },
        InvalidArgument, Some("governance"), "The bytes are no governance transaction, or one beyond the limits.",
        ("the governance transaction cannot be read: {detail}"),
        "Make it with `db3 governance propose`, sign it with `db3 governance sign`, and send it unchanged.";

    201 EXPIRED = Expired { expire: u64, block_time: u64 },
        FailedPrecondition, Some("mutation.body.expire_unix_secs"), "Its time is over.",
        ("it expired at {}, the block's time is {}", moment(*.expire), moment(*.block_time)),
        "Sign it again with a later expiry; its nonce is unused.";
    202 EXPIRY_TOO_FAR = ExpiryTooFar { expire: u64, latest: u64 },
        FailedPrecondition, Some("mutation.body.expire_unix_secs"), "The expiry is too far ahead.",
        ("it expires at {}, the latest now is {}", moment(*.expire), moment(*.latest)),
        "Sign it with an expiry at most an hour after the block's time.";
    203 WRONG_SHARD = WrongShard { namespace: Namespace, slot: Slot, chain_id: ChainId, map_version: u64 },
        FailedPrecondition, Some("mutation.body.namespace"), "The namespace lives on another shard.",
        ("namespace {namespace} (slot {slot}) lives on {chain_id} by shard map version {map_version}"),
        "Send the same bytes to the chain that is named.";
    204 NAMESPACE_NOT_FOUND = NamespaceNotFound { namespace: Namespace },
        FailedPrecondition, Some("mutation.body.namespace"), "The namespace does not exist.",
        ("namespace {namespace} does not exist"),
        "Create it first, or check its spelling.";
    205 NAMESPACE_TAKEN = NamespaceTaken { namespace: Namespace, owner: Address },
        AlreadyExists, Some("mutation.body.namespace"), "The namespace belongs to another account.",
        ("namespace {namespace} exists and belongs to {owner}"),
        "Choose another name.";
    206 NOT_PERMITTED = NotPermitted { namespace: Namespace, owner: Address, account: Address },
        PermissionDenied, Some("mutation.body.account"), "The account has no right in the namespace.",
        ("{account} may not write to namespace {namespace}, which belongs to {owner}"),
        "Sign as the owner, or use a namespace of your own.";
    207 NONCE_USED = NonceUsed { nonce: Nonce, next: Nonce },
        FailedPrecondition, Some("mutation.body.nonce"), "The nonce is used.",
        ("nonce {nonce} is used, the lowest unused one is {next}"),
        "Ask for the receipt of what used it, or sign with an unused nonce.";
    208 NONCE_TOO_FAR = NonceTooFar { nonce: Nonce, highest: Nonce },
        FailedPrecondition, Some("mutation.body.nonce"), "The nonce is beyond the window.",
        ("nonce {nonce} is too far ahead, the highest that may be used now is {highest}"),
        "Use lower nonces first; `GetNonceWindow`, or `GetAccount` on the settlement chain, names the next.";
    209 NONCE_ORDER = NonceOrder { nonce: Nonce, after: Nonce },
        FailedPrecondition, Some("mutation.body.nonce"), "The block does not hold the sender's nonces in order.",
        ("nonce {nonce} stands after {after} in the same block"),
        "Send it again; only a proposer can cause this.";
    210 FEE_OVER_LIMIT = FeeOverLimit { max_fee: Tai, bound: Tai },
        FailedPrecondition, Some("mutation.body.max_fee_tai"), "It may cost more than its fee limit.",
        ("it may cost up to {}, its fee limit is {}", db3(*.bound), db3(*.max_fee)),
        "Sign it with a higher fee limit; what is charged is what was used.";
    211 CREDIT_EXHAUSTED = CreditExhausted { shard: ShardId, ceiling: Tai, available: Tai, fee: Tai },
        FailedPrecondition, None, "The account's credit on this shard does not suffice.",
        ("the mutation may cost {}, of the account's credit on shard {shard}, {} are left", db3(*.fee), db3(*.available)),
        "See `db3 credit show`. What is outstanding comes first, because a delinquent account gets no credit back: `db3 credit pay`. Else the next round frees what it pays, and more is secured with `db3 credit deposit AMOUNT` and granted with `db3 credit allocate AMOUNT --shard N`.";
    212 LINE_MISSING = LineMissing { account: Address },
        FailedPrecondition, Some("mutation.body.account"), "The account has no credit line on this shard.",
        ("{account} has no credit line on this shard"),
        "Deposit collateral on the settlement chain and allocate credit here: `db3 credit deposit AMOUNT`, then `db3 credit allocate AMOUNT --shard N`; on a local network, `db3 devnet fund ADDRESS` does both.";
    213 LEASE_ENDED = LeaseEnded { epoch: Epoch, lease: Epoch },
        FailedPrecondition, None, "The shard has not heard from the settlement chain for too long.",
        ("epoch {epoch} is after the shard's lease, which ended with epoch {lease}"),
        "Wait until the shard hears from the settlement chain again.";
    214 BLOCK_FULL = BlockFull { what: &'static str },
        FailedPrecondition, None, "The block holds too much.",
        ("the block holds too many {what}"),
        "Send it again; only a proposer can cause this.";
    215 DELIVERY_SOURCE_UNKNOWN = DeliverySourceUnknown { chain_id: ChainId },
        FailedPrecondition, Some("delivery.source"), "This chain hears nothing from the delivery's source.",
        ("this chain takes no deliveries from {chain_id}"),
        "Deliver to the chain that the log is for; `GetInbox` lists whom a chain hears.";
    216 DELIVERY_GAP = DeliveryGap { cursor: u64, start: u64 },
        FailedPrecondition, Some("delivery.start_index"), "The delivery leaves out entries.",
        ("the delivery starts at entry {start}, the next one here is {cursor}"),
        "Deliver from the cursor that `GetInbox` names.";
    217 DELIVERY_STALE = DeliveryStale { cursor: u64 },
        AlreadyExists, Some("delivery"), "The delivery brings nothing new.",
        ("all that the delivery brings is here already, the next entry is {cursor}"),
        "Nothing needs doing; deliver from the cursor that `GetInbox` names when the log grows.";
    218 DELIVERY_FALSE = DeliveryFalse { detail: String },
        InvalidArgument, Some("delivery"), "The entries are not those of the proven log.",
        ("the delivery does not prove its entries: {detail}"),
        "Make the delivery again from an honest node of its source.";
    219 HEADER_REFUSED = HeaderRefused { detail: String },
        FailedPrecondition, Some("delivery.headers"), "A header of the delivery is not one to trust.",
        ("a header is refused: {detail}"),
        "Make the delivery again with headers from an honest node of its source, older ones first where validators changed.";
    220 HEADER_TOO_EARLY = HeaderTooEarly { detail: String },
        FailedPrecondition, Some("delivery.headers"), "A header's time is too far ahead of this chain's.",
        ("a header comes too early: {detail}"),
        "Send the same delivery again in a moment.";
    221 CHANNEL_FROZEN = ChannelFrozen { chain_id: ChainId, detail: String },
        FailedPrecondition, Some("delivery.source"), "This chain no longer trusts the delivery's source.",
        ("deliveries from {chain_id} are stopped: {detail}"),
        "Only governance opens this channel again: operators propose it with `db3 governance propose --replace-channel CHAIN_ID`.";
    222 HEADERS_NOT_DUE = HeadersNotDue { height: Height },
        FailedPrecondition, Some("delivery.headers"), "Headers alone are not needed yet.",
        ("the delivery holds headers alone, and the trusted header of height {height} is young enough"),
        "Deliver headers with entries; alone when the trusted one is a third of the trusting period old or validators changed too much since.";
    223 BALANCE_TOO_LOW_FOR_FEE = BalanceTooLowForFee { balance: Tai, fee: Tai },
        FailedPrecondition, Some("transaction.body.account"), "The account's balance does not cover the fee.",
        ("the transaction may cost {}, the balance is {}", db3(*.fee), db3(*.balance)),
        "Let somebody transfer to the account first. Where it owes (`db3 credit show`), more than that: the next round takes what is outstanding from the balance.";
    224 GOVERNANCE_UNAVAILABLE = GovernanceUnavailable { chain_id: ChainId },
        FailedPrecondition, Some("governance"), "The chain has no operators.",
        ("{chain_id} has no operators, so nobody can govern it"),
        "Name operators in the genesis of the network: only there they can be named first.";
    225 GOVERNANCE_OTHER_CHAIN = GovernanceOtherChain { chain_id: ChainId, expected: ChainId },
        FailedPrecondition, Some("governance.body.chain_id"), "It was signed for another chain.",
        ("it was signed for {chain_id}, this is {expected}"),
        "Send it to its own chain, or propose and sign it for this one.";
    226 GOVERNANCE_SEQUENCE = GovernanceSequence { sequence: u64, next: u64 },
        FailedPrecondition, Some("governance.body.sequence"), "Its number is not the chain's next.",
        ("its number is {sequence}, the next governance transaction of this chain has number {next}"),
        "If the number is below the next, it or another one of the same number was accepted: `db3 governance show`. Else propose it again.";
    227 GOVERNANCE_HEIGHT = GovernanceHeight { at_height: Height, earliest: Height, latest: Height },
        FailedPrecondition, Some("governance.body.at_height"), "It would take effect at a height that cannot be scheduled.",
        ("it takes effect at height {at_height}, heights {earliest} to {latest} can be scheduled"),
        "Propose it again for a later height, or for 0, the block after the one that holds it.";
    228 GOVERNANCE_SIGNER = GovernanceSigner { signer: Address },
        PermissionDenied, Some("governance.signatures"), "A signature is of nobody who operates a validator.",
        ("{signer} signed, which operates no validator of this chain"),
        "Take that signature out with `db3 governance unsign`; `db3 governance show` lists the operators. A wrong body gives a wrong signer as well.";
    229 GOVERNANCE_SIGNED_TWICE = GovernanceSignedTwice { signer: Address },
        InvalidArgument, Some("governance.signatures"), "An operator signed twice.",
        ("{signer} signed twice"),
        "Take its signatures out with `db3 governance unsign`, and let it sign once.";
    230 GOVERNANCE_POWER = GovernancePower { signed: u64, total: u64 },
        PermissionDenied, Some("governance.signatures"), "The signers do not hold more than two thirds of the power.",
        ("the signers operate {signed} of {total} power, more than two thirds are needed"),
        "Let more operators sign: `db3 governance sign`.";
    231 GOVERNANCE_ACTION = GovernanceAction { action: u32, detail: String },
        FailedPrecondition, Some("governance.body.actions"), "An action cannot be done, or all of them leave what cannot be.",
        ("action {action}: {detail}"),
        "Correct the action that is named, counted from 0, and let it be signed again.";
    232 GOVERNANCE_FULL = GovernanceFull { max: u64 },
        FailedPrecondition, Some("governance"), "Too many changes wait for their heights.",
        ("{max} changes wait for their heights, no more may"),
        "Wait until one has taken effect, or cancel one for an earlier height.";
    233 GOVERNANCE_ENGINE = GovernanceEngine,
        FailedPrecondition, Some("governance.body.actions"), "The embedded engine has one validator for ever.",
        ("this chain runs on the embedded engine, whose one validator cannot be changed"),
        "Move the network to CometBFT first; parameters and channels can be governed here.";

    301 RECORD_EXISTS = RecordExists { operation: u32, version: u64 },
        AlreadyExists, Some("mutation.body.operations.key"), "An insert found the record.",
        ("operation {operation}: the record exists, its version is {version}"),
        "Use update or put.";
    302 RECORD_NOT_FOUND = RecordNotFound { operation: u32 },
        FailedPrecondition, Some("mutation.body.operations.key"), "An update or delete found no record.",
        ("operation {operation}: the record does not exist"),
        "Use insert or put, or leave the delete out.";
    303 VERSION_MISMATCH = VersionMismatch { operation: u32, expected: u64, actual: u64 },
        Aborted, Some("mutation.body.operations.if_version"), "The record has another version.",
        ("operation {operation}: the record should have version {expected}, it has {actual} (0: absent)"),
        "Read the record again, decide again, and sign with its version.";
    304 TABLE_NOT_FOUND = TableNotFound { operation: u32, table: TableName },
        FailedPrecondition, Some("mutation.body.operations.table"), "The table does not exist.",
        ("operation {operation}: table {table} does not exist"),
        "Create the table first, or check its spelling.";
    305 TABLE_EXISTS = TableExists { operation: u32, table: TableName },
        AlreadyExists, Some("mutation.body.operations.table"), "The table exists.",
        ("operation {operation}: table {table} exists"),
        "Leave create_table out.";
    306 NAMESPACE_EXISTS = NamespaceExists { namespace: Namespace },
        AlreadyExists, Some("mutation.body.namespace"), "The account has the namespace already.",
        ("namespace {namespace} exists and is yours"),
        "Leave create_namespace out.";
    307 BALANCE_TOO_LOW = BalanceTooLow { operation: u32, balance: Tai, amount: Tai },
        FailedPrecondition, Some("transaction.body.operations.amount_tai"), "The balance does not cover the amount.",
        ("operation {operation}: it needs {}, the balance after the fee is {}", db3(*.amount), db3(*.balance)),
        "Use an amount of at most that balance, or let somebody transfer to the account first. `db3 credit pay` without an amount pays what the balance can.";
    308 DEBT_OUTSTANDING = DebtOutstanding { operation: u32, account: Address, outstanding: Tai },
        FailedPrecondition, Some("transaction.body.operations"), "The account that it is for owes what it could not pay.",
        ("operation {operation}: {account} owes {}, which must be paid first", db3(*.outstanding)),
        "The account that is named pays first, with `db3 credit pay`. Where its balance does not cover that, `db3 transfer` more than what it owes to it: the next round takes it from there.";
    309 COLLATERAL_TOO_LOW = CollateralTooLow { operation: u32, collateral: Tai, amount: Tai },
        FailedPrecondition, Some("transaction.body.operations.amount_tai"), "There is less collateral than that.",
        ("operation {operation}: it takes {} of collateral, there are {}", db3(*.amount), db3(*.collateral)),
        "Withdraw at most the collateral: `db3 credit show`.";
    310 CREDIT_IN_USE = CreditInUse { operation: u32, held: Tai, limit: Tai },
        FailedPrecondition, Some("transaction.body.operations.amount_tai"), "The collateral secures credit that is in use.",
        ("operation {operation}: lines hold {}, and the limit would be {}", db3(*.held), db3(*.limit)),
        "Allocate less to the shards with `db3 credit allocate`, wait until the shards confirm it, and withdraw then.";
    311 SHARD_UNKNOWN = ShardUnknown { operation: u32, shard: ShardId, shards: u32 },
        FailedPrecondition, Some("transaction.body.operations.shard"), "There is no such shard.",
        ("operation {operation}: there is no shard {shard}, the network has {shards}, numbered from 0"),
        "Name a shard of the network: `db3 status`.";
    312 NOTHING_OWED = NothingOwed { operation: u32 },
        FailedPrecondition, Some("transaction.body.operations"), "Nothing is outstanding.",
        ("operation {operation}: nothing is outstanding"),
        "Nothing needs doing; what is spent meanwhile is debited at the next round.";

    401 REQUEST_INVALID = RequestInvalid { field: String, detail: String },
        InvalidArgument, None, "A field of the request is wrong.",
        ("{field}: {detail}"),
        "Correct the field that is named.";
    402 HEIGHT_UNAVAILABLE = HeightUnavailable { height: Height, earliest: Height, latest: Height },
        OutOfRange, Some("read.height"), "The state of that height is not kept, or does not exist yet.",
        ("height {height} is not available, heights {earliest} to {latest} are"),
        "Ask for a height that is kept, or for 0, the newest.";
    403 PAGE_TOKEN_INVALID = PageTokenInvalid,
        InvalidArgument, Some("page_token"), "The page token is none of this list.",
        ("the page token is none that this list gave"),
        "Start again without a page token.";
    404 BILL_NOT_FOUND = BillNotFound { bill: String },
        NotFound, None, "There is no such bill.",
        ("there is no bill {bill} on this shard"),
        "Check shard, account and number, or ask the shard that wrote it.";
    405 EPOCH_NOT_FOUND = EpochNotFound { epoch: Epoch },
        NotFound, Some("epoch"), "There is no such epoch.",
        ("epoch {epoch} is neither open nor closed on this shard"),
        "List the epochs of the shard: `db3 epoch list --shard N`.";
    406 BLOCK_NOT_FOUND = BlockNotFound { height: Height },
        NotFound, Some("height"), "There is no such block.",
        ("there is no block of height {height} here"),
        "Ask for a height that the chain has reached and this node keeps.";
    407 TOO_MANY_ITEMS = TooManyItems { count: u64, max: u64 },
        InvalidArgument, None, "The request holds too many items.",
        ("the request holds {count} items, at most {max} are allowed"),
        "Split it into several requests.";
    408 STATEMENT_NOT_FOUND = StatementNotFound { statement: String },
        NotFound, None, "There is no such statement.",
        ("there is no statement {statement}"),
        "List the account's statements; an epoch without a bill has none, and one arrives after its epoch's close.";
    409 SETTLEMENT_NOT_FOUND = SettlementNotFound { settlement: String },
        NotFound, None, "There is no such posting.",
        ("there is no posting {settlement}"),
        "List the account's postings; a sum that is not settled yet has none.";
    410 CHAIN_UNKNOWN = ChainUnknown { chain_id: ChainId },
        NotFound, None, "This chain neither hears nor speaks to that chain.",
        ("{chain_id} is no chain that this one hears or speaks to"),
        "Name the settlement chain to a shard, or a shard of the network to the settlement chain.";

    501 OVERLOADED = Overloaded { what: &'static str },
        ResourceExhausted, None, "The node has more to do than it can.",
        ("the node is overloaded: {what}"),
        "Wait as long as the answer says and send the same bytes again.";
    502 NOT_READY = NotReady,
        Unavailable, None, "The node is not ready yet.",
        ("the node is still starting"),
        "Wait a moment and try again.";
    503 STOPPING = Stopping,
        Unavailable, None, "The node is stopping.",
        ("the node is stopping"),
        "Try again after its restart, or use another node.";
    504 HISTORY_MISSING = HistoryMissing { what: String, from: Height },
        OutOfRange, None, "It is older than this node's history, which begins with a snapshot.",
        ("this node's history begins at height {from}, and it does not have what is older: {what}"),
        "Ask a node that was there from the beginning, an archive for instance: `db3 --endpoint URL`.";
}
