//! The listener: accepts connections, gives each its threads, reports what goes wrong.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use tendermint_abci::Application;
use tokio::sync::watch;

use super::address::{AbciAddress, Listener, Stream};
use super::connection;
use super::dispatch::ConnectionKind;
use super::fault::{AbciFault, FaultKind};
use super::frame::FrameLimits;
use crate::limits::CONNECTIONS_MAX;
use crate::lock;

/// An application that listens. It stops when it is dropped.
#[derive(Debug)]
pub struct AbciServer {
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    listener: Listener,
    address: AbciAddress,
    limits: FrameLimits,
    /// Held during calls that change the state.
    writer: Arc<Mutex<()>>,
    open: Mutex<BTreeMap<u64, Connection>>,
    opened: AtomicU64,
    stopped: AtomicBool,
    faults: watch::Sender<Option<AbciFault>>,
    broken: watch::Sender<Option<AbciFault>>,
}

#[derive(Debug)]
struct Connection {
    stream: Stream,
    thread: Option<JoinHandle<()>>,
}

/// Serves an application at an address until the server is stopped. A socket that an earlier process left there is
/// removed first.
///
/// # Errors
/// The address cannot be listened at, or a thread cannot be started.
pub fn serve<A>(app: A, address: &AbciAddress, limits: FrameLimits) -> io::Result<AbciServer>
where
    A: Application + Sync,
{
    let listener = Listener::bind(address)?;
    let shared = Arc::new(Shared {
        address: listener.address()?,
        listener,
        limits,
        writer: Arc::default(),
        open: Mutex::default(),
        opened: AtomicU64::new(0),
        stopped: AtomicBool::new(false),
        faults: watch::Sender::new(None),
        broken: watch::Sender::new(None),
    });
    let accepts = Arc::clone(&shared);
    let accepting = thread::Builder::new().name("abci-accept".to_owned()).spawn(move || accept(&app, &accepts))?;
    Ok(AbciServer { shared, accepting: Some(accepting) })
}

impl AbciServer {
    /// Where it listens; for `CometBFT`'s `proxy_app`.
    #[must_use]
    pub fn address(&self) -> &AbciAddress {
        &self.shared.address
    }

    /// The newest fault; none yet. Their numbers tell whether one was missed.
    #[must_use]
    pub fn faults(&self) -> watch::Receiver<Option<AbciFault>> {
        self.shared.faults.subscribe()
    }

    /// The first fault after which the application is to be opened anew ([`AbciFault::is_breaking`]); none yet.
    #[must_use]
    pub fn broken(&self) -> watch::Receiver<Option<AbciFault>> {
        self.shared.broken.subscribe()
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.shared.open).len()
    }

    /// Closes every connection and the listener, and waits for the calls that run.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.listener.close();
        // It catches what panics.
        let _ = accepting.join();
        self.shared.listener.remove();
        let open = std::mem::take(&mut *lock(&self.shared.open));
        for connection in open.values() {
            connection.stream.close();
        }
        for connection in open.into_values() {
            // As above.
            let _ = connection.thread.map(JoinHandle::join);
        }
    }
}

impl Drop for AbciServer {
    fn drop(&mut self) {
        self.end();
    }
}

fn accept<A: Application + Sync>(app: &A, shared: &Arc<Shared>) {
    loop {
        let accepted = shared.listener.accept();
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let opened = accepted.and_then(|stream| open(stream, app.clone(), shared));
        if let Err(error) = opened {
            shared.report(ConnectionKind::Unnamed, FaultKind::Socket { detail: error.to_string() });
            // Out of descriptors or threads: trying again at once would only spin.
            thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

fn open<A: Application + Sync>(stream: Stream, app: A, shared: &Arc<Shared>) -> io::Result<()> {
    let number = shared.opened.fetch_add(1, Ordering::SeqCst);
    let mut connections = lock(&shared.open);
    if connections.len() >= CONNECTIONS_MAX {
        stream.close();
        return Err(io::Error::other(format!("{CONNECTIONS_MAX} connections are open, no more are taken")));
    }
    connections.insert(number, Connection { stream: stream.try_clone()?, thread: None });
    drop(connections);
    let of = Arc::clone(shared);
    let thread = thread::Builder::new().name(format!("abci-{number}")).spawn(move || {
        let (kind, fault) = connection::serve(&stream, &app, &of.writer, of.limits);
        lock(&of.open).remove(&number);
        if let Some(fault) = fault.filter(|_| !of.stopped.load(Ordering::SeqCst)) {
            of.report(kind, fault);
        } else {
            tracing::debug!(connection = %kind, "abci.closed");
        }
    });
    let mut connections = lock(&shared.open);
    match thread {
        Ok(thread) => {
            // It may have ended already.
            if let Some(connection) = connections.get_mut(&number) {
                connection.thread = Some(thread);
            }
            Ok(())
        }
        Err(error) => {
            connections.remove(&number);
            Err(error)
        }
    }
}

impl Shared {
    fn report(&self, connection: ConnectionKind, what: FaultKind) {
        self.faults.send_modify(|newest| {
            let number = newest.as_ref().map_or(1, |fault| fault.number.saturating_add(1));
            let fault = AbciFault { number, connection, what };
            tracing::error!(connection = %fault.connection, what = %fault.what, "abci.fault");
            if fault.is_breaking() {
                self.broken.send_if_modified(|first| first.is_none() && first.replace(fault.clone()).is_none());
            }
            *newest = Some(fault);
        });
    }
}
