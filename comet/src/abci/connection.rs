//! The two threads of a connection: one reads and decodes, one answers and writes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::Request;

use super::address::Stream;
use super::dispatch::{ConnectionKind, answer};
use super::fault::FaultKind;
use super::frame::{FrameError, FrameLimits, append, next_request};
use super::queue::{Receiver, Sender, queue};
use crate::limits::{GATHERED_BYTES, READ_BYTES};

/// A reply waits no longer than this for others to be written with it.
const GATHER_TIME: Duration = Duration::from_millis(1);

/// Serves one connection until it ends. Gives what it was for, and the fault that ended it if one did.
pub(super) fn serve<A: Application>(
    stream: &Stream,
    app: &A,
    writer: &Arc<Mutex<()>>,
    limits: FrameLimits,
) -> (ConnectionKind, Option<FaultKind>) {
    let (sender, receiver) = queue(limits.waiting_bytes);
    let mut kind = ConnectionKind::Unnamed;
    let reading = stream.try_clone().and_then(|mut from| {
        let name = "abci-read".to_owned();
        thread::Builder::new().name(name).spawn(move || read(&mut from, &sender, limits))
    });
    let ended = match (reading, stream.try_clone()) {
        (Ok(reader), Ok(mut to)) => {
            let ended = work(&mut to, app, writer, &receiver, &mut kind);
            // The reader ends with the socket, or when nobody takes what it read.
            stream.close();
            drop(receiver);
            // Reading cannot panic, and what ended it was told through the queue.
            let _ = reader.join();
            ended
        }
        (Err(error), _) | (_, Err(error)) => {
            stream.close();
            Err(FaultKind::Socket { detail: error.to_string() })
        }
    };
    (kind, ended.err())
}

/// Memory of a request beside its bytes.
const REQUEST_BYTES: usize = size_of::<Request>();

/// Reads requests until the connection ends. An error is the last thing it sends.
fn read(from: &mut Stream, to: &Sender<Result<Request, FaultKind>>, limits: FrameLimits) {
    let mut window = vec![0; READ_BYTES];
    let mut buffer = BytesMut::new();
    loop {
        let read = match from.read(&mut window) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // The other process ended; what matters is said by its supervisor.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => {
                // Nobody may be left to hear it.
                let _ = to.send(Err(FaultKind::Socket { detail: error.to_string() }), 0);
                return;
            }
        };
        buffer.extend_from_slice(window.get(..read).unwrap_or_default());
        loop {
            let (next, bytes) = match next_request(&mut buffer, limits) {
                Ok(Some((request, bytes))) => (Ok(request), bytes),
                Ok(None) => break,
                Err(error) => (Err(FaultKind::Frame(error)), 0),
            };
            let last = next.is_err();
            if !to.send(next, bytes.saturating_add(REQUEST_BYTES)) || last {
                return;
            }
        }
    }
    if !buffer.is_empty() {
        // As above.
        let _ = to.send(Err(FaultKind::Frame(FrameError::Cut { bytes: buffer.len() })), 0);
    }
}

/// Answers requests until the connection ends.
fn work<A: Application>(
    to: &mut Stream,
    app: &A,
    writer: &Mutex<()>,
    from: &Receiver<Result<Request, FaultKind>>,
    kind: &mut ConnectionKind,
) -> Result<(), FaultKind> {
    let mut replies = Vec::new();
    while let Some(first) = from.recv() {
        let gathered_from = Instant::now();
        let mut next = first;
        loop {
            append(&answer(app, writer, kind, next?)?, &mut replies);
            if replies.len() >= GATHERED_BYTES || gathered_from.elapsed() >= GATHER_TIME {
                break;
            }
            let Some(more) = from.try_recv() else { break };
            next = more;
        }
        if to.write_all(&replies).is_err() {
            // The other process ended, as its supervisor says.
            return Ok(());
        }
        replies.clear();
        if replies.capacity() > GATHERED_BYTES.saturating_mul(4) {
            replies = Vec::new();
        }
    }
    Ok(())
}
