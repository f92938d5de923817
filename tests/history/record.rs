//! Clients that read and write a few registers at the same time, each at one node until that fails, and write down every
//! call. They tell one another of the newest height. Others tell what they know and are told nothing; they mostly read, and
//! stay with their node whatever happens to it, also on the side of a network that is cut off.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::time::sleep;

use crate::call::{self, Arguments, Call, Kind, Outcome};
use crate::caller::{Caller, Node, Seen};

/// How much is recorded.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub clients: u32,
    /// Besides, clients that ask for nothing newer than they know.
    pub alone: u32,
    pub keys: u32,
    pub seconds: u64,
    pub pause_ms: u64,
    pub seed: u64,
}

/// The file, and the clock.
struct Recorder {
    file: Mutex<BufWriter<File>>,
    began: Instant,
}

impl Recorder {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn write(&self, call: &Call) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        call::write(&mut *file, call)?;
        // Whoever looks at the file sees whole lines.
        Ok(file.flush()?)
    }
}

/// Records until the time is over or a signal comes.
pub async fn record(caller: Caller, plan: Plan, out: &Path) -> Result<()> {
    let caller = Arc::new(caller);
    let nodes = caller.nodes()?;
    if nodes.is_empty() {
        bail!("the network file names no node of the account's shard");
    }
    let shared = Arc::new(Seen::default());
    prepare(&caller, &nodes, &shared).await?;
    let file = File::create(out).with_context(|| out.display().to_string())?;
    let recorder = Arc::new(Recorder { file: Mutex::new(BufWriter::new(file)), began: Instant::now() });
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..plan.clients.saturating_add(plan.alone))
        .map(|number| {
            let client = Client {
                number,
                alone: number >= plan.clients,
                plan,
                caller: Arc::clone(&caller),
                nodes: nodes.clone(),
                recorder: Arc::clone(&recorder),
                stop: Arc::clone(&stop),
                random: Random(plan.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(u64::from(number))),
                seen: if number < plan.clients { Arc::clone(&shared) } else { Arc::new(Seen::alone(&shared)) },
                known: vec![0; usize::try_from(plan.keys).unwrap_or(0)],
            };
            tokio::spawn(client.run())
        })
        .collect();
    let mut told = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        () = sleep(Duration::from_secs(plan.seconds)) => {}
        _ = told.recv() => {}
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await??;
    }
    Ok(())
}

/// Asks the nodes in turn until one answers.
async fn prepare(caller: &Caller, nodes: &[Node], seen: &Seen) -> Result<()> {
    let mut last = None;
    for node in nodes {
        match caller.prepare(node, seen).await {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    last.map_or(Ok(()), Err)
}

/// Numbers from a seed (`SplitMix64`; Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)).checked_rem(bound).unwrap_or(0)
    }
}

struct Client {
    number: u32,
    alone: bool,
    plan: Plan,
    caller: Arc<Caller>,
    nodes: Vec<Node>,
    recorder: Arc<Recorder>,
    stop: Arc<AtomicBool>,
    random: Random,
    /// What it and those that it talks to were told of.
    seen: Arc<Seen>,
    /// The version of each register that this client has seen last.
    known: Vec<u64>,
}

impl Client {
    async fn run(mut self) -> Result<()> {
        let first = if self.alone { self.number.saturating_sub(self.plan.clients) } else { self.number };
        let mut at = usize::try_from(first)?;
        let mut count = 0_u64;
        while !self.stop.load(Ordering::SeqCst) {
            count = count.saturating_add(1);
            let node = at.checked_rem(self.nodes.len()).and_then(|at| self.nodes.get(at)).cloned();
            let node = node.context("no node")?;
            let call = self.call(&node, count).await?;
            let failed = matches!(call.result, Outcome::None { .. } | Outcome::Info { .. });
            self.recorder.write(&call)?;
            if failed {
                // The next node, and not at once: nobody answers, or this one has no room.
                at = at.saturating_add(usize::from(!self.alone));
                sleep(Duration::from_millis(200)).await;
            }
            sleep(Duration::from_millis(self.random.below(self.plan.pause_ms.saturating_mul(2).saturating_add(1))))
                .await;
        }
        Ok(())
    }

    async fn call(&mut self, node: &Node, count: u64) -> Result<Call> {
        let register = usize::try_from(self.random.below(u64::from(self.plan.keys)))?;
        // Registers that no other recording has written.
        let key = format!("r{}-{register}", self.plan.seed);
        let known = self.known.get(register).copied().unwrap_or(0);
        let value = format!("{}-{}-{count}", self.plan.seed, self.number);
        // One that keeps to itself is there to be told of old states, and does not wait for what no block takes.
        let choice = if self.alone { self.random.below(14).saturating_sub(4) } else { self.random.below(10) };
        let (kind, arguments) = match choice {
            0..=4 => (Kind::Read, Arguments { key, ..Arguments::default() }),
            5 | 6 => (Kind::Put, Arguments { key, value: Some(value), if_version: None }),
            _ => (Kind::PutIf, Arguments { key, value: Some(value), if_version: Some(known) }),
        };
        let start = self.recorder.now();
        let result = match &arguments {
            Arguments { key, value: None, .. } => self.caller.read(node, key, &self.seen).await,
            Arguments { key, value: Some(value), if_version } => {
                self.caller.write(node, key, value, *if_version, &self.seen).await?
            }
        };
        let end = self.recorder.now();
        if let (Outcome::Ok { version, .. }, Some(known)) = (&result, self.known.get_mut(register)) {
            *known = *version;
        }
        let (client, alone, node) = (self.number, self.alone, node.url.clone());
        Ok(Call { client, alone, call: kind, arguments, result, start, end, node })
    }
}
