//! Which logs to carry, and how eagerly.

use std::time::Duration;

use db3_primitives::ChainId;

/// A chain and where it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainEndpoints {
    /// Its id; an endpoint that answers for another chain is not listened to.
    pub chain_id: ChainId,
    /// URLs of gRPC endpoints, such as `http://127.0.0.1:7300`; the next one is taken when one fails.
    pub urls: Vec<String>,
}

/// One log: who writes it and who reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direction {
    /// The writer.
    pub from: ChainEndpoints,
    /// The reader.
    pub to: ChainEndpoints,
}

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The logs to carry.
    pub directions: Vec<Direction>,
    /// How often to look where nothing wakes the relay.
    pub poll: Duration,
    /// Longest wait between seeing entries and carrying them; the wait is random, so that of many relays one does the work.
    pub jitter: Duration,
    /// How long one call may take.
    pub timeout: Duration,
    /// Longest wait after failures, and the wait where a reader takes no deliveries any more.
    pub retry_max: Duration,
}

impl Config {
    /// Both directions between the settlement chain and every shard, for a network whose nodes all relay.
    #[must_use]
    pub fn of_network(settlement: &ChainEndpoints, shards: &[ChainEndpoints]) -> Self {
        let both = |shard: &ChainEndpoints| {
            [
                Direction { from: shard.clone(), to: settlement.clone() },
                Direction { from: settlement.clone(), to: shard.clone() },
            ]
        };
        Self {
            directions: shards.iter().flat_map(both).collect(),
            poll: Duration::from_secs(2),
            jitter: Duration::from_millis(1_500),
            timeout: Duration::from_secs(15),
            retry_max: Duration::from_secs(30),
        }
    }
}
