//! Accepting connections: a bounded number of them, without delay of small writes.
//!
//! A connection over the maximum is closed at once. It must never wait unseen in a queue of ours. One that does not
//! say in time which protocol it speaks, with the whole preface of HTTP/2 or the whole head of a request of HTTP/1, is
//! closed as well: else as many silent ones as there are places would lock everybody out.
//!
//! Where there is a certificate everything is encrypted, except what this machine says to itself: its other nodes' relays and
//! `status`, which no certificate names. Who begins with a handshake gets one, from wherever they come.

use std::future::Future as _;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use futures::{FutureExt as _, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// What a connection of HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What a connection of TLS begins with: a record of a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;
/// How a head of HTTP/1 ends.
const HEAD_END: &[u8] = b"\r\n\r\n";
/// How long accepting rests after the operating system refused it (no more file descriptors, most often).
const REST_AFTER_ERROR: Duration = Duration::from_millis(50);

/// The stream of accepted connections, each with a place of `places` as long as it is open, and `opening_time_max` to
/// begin; encrypted where there is an acceptor.
pub fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    opening_time_max: Duration,
) -> impl Stream<Item = io::Result<Connection>> + Send {
    async_stream::stream! {
        // At most one for every place.
        let mut handshakes = FuturesUnordered::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(opened) = handshakes.next(), if !handshakes.is_empty() => {
                    if let Some(connection) = opened {
                        yield Ok(connection);
                    }
                    continue;
                }
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                        tracing::warn!(%peer, "connection refused: too many are open");
                        continue;
                    };
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "no TCP_NODELAY");
                    }
                    let opening = Opening::new(opening_time_max);
                    match &tls {
                        None => yield Ok(Connection { stream: Wire::Plain(stream), opening: Some(opening), _place: place }),
                        Some(tls) => handshakes.push(handshake(tls.clone(), stream, opening, place).boxed()),
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(REST_AFTER_ERROR).await;
                }
            }
        }
    }
}

/// Encrypts a connection; none where the peer does not manage that in time.
async fn handshake(
    tls: TlsAcceptor,
    stream: TcpStream,
    mut opening: Opening,
    place: OwnedSemaphorePermit,
) -> Option<Connection> {
    tokio::select! {
        plain = is_plain(&stream) => if plain {
            return Some(Connection { stream: Wire::Plain(stream), opening: Some(opening), _place: place });
        },
        () = opening.until.as_mut() => return None,
    }
    tokio::select! {
        shaken = tls.accept(stream) => match shaken {
            Ok(stream) => Some(Connection { stream: Wire::Tls(Box::new(stream)), opening: Some(opening), _place: place }),
            Err(error) => {
                tracing::debug!(%error, "no TLS with a peer");
                None
            }
        },
        () = opening.until.as_mut() => None,
    }
}

/// Whether this machine talks to itself, and begins with something else than a handshake of TLS.
async fn is_plain(stream: &TcpStream) -> bool {
    let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return false };
    if !is_own(peer.ip(), local.ip()) {
        return false;
    }
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1) if first != [HANDSHAKE])
}

/// Whether a peer is this machine: at its loopback address, or at the very address that it connected to. (The system lets no
/// packet in that comes from elsewhere and bears one of its own addresses.)
fn is_own(peer: IpAddr, local: IpAddr) -> bool {
    let (peer, local) = (peer.to_canonical(), local.to_canonical());
    peer.is_loopback() || peer == local
}

/// One connection; its place is free again when it is dropped.
#[derive(Debug)]
pub struct Connection {
    stream: Wire,
    /// None when it has begun.
    opening: Option<Opening>,
    _place: OwnedSemaphorePermit,
}

/// What carries a connection's bytes.
#[derive(Debug)]
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    fn write(&mut self) -> Pin<&mut (dyn AsyncWrite + Send)> {
        match self {
            Self::Plain(stream) => Pin::<&mut TcpStream>::new(stream),
            Self::Tls(stream) => Pin::<&mut TlsStream<_>>::new(stream.as_mut()),
        }
    }

    fn read(&mut self) -> Pin<&mut (dyn AsyncRead + Send)> {
        match self {
            Self::Plain(stream) => Pin::<&mut TcpStream>::new(stream),
            Self::Tls(stream) => Pin::<&mut TlsStream<_>>::new(stream.as_mut()),
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

/// The beginning of a connection.
#[derive(Debug)]
struct Opening {
    until: Pin<Box<Sleep>>,
    /// Bytes of the preface that have come; none where something else came.
    preface: Option<usize>,
    /// Bytes of the end of a head that have come.
    head_end: usize,
}

impl Opening {
    fn new(time_max: Duration) -> Self {
        Self { until: Box::pin(tokio::time::sleep(time_max)), preface: Some(0), head_end: 0 }
    }

    /// Whether the beginning is complete with these bytes.
    fn ends_with(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| self.ends_at(*byte))
    }

    fn ends_at(&mut self, byte: u8) -> bool {
        self.head_end = match HEAD_END.get(self.head_end) {
            Some(expected) if *expected == byte => self.head_end.saturating_add(1),
            _ => usize::from(byte == b'\r'),
        };
        self.preface = self.preface.filter(|seen| PREFACE.get(*seen) == Some(&byte)).map(|seen| seen.saturating_add(1));
        self.preface.map_or(self.head_end == HEAD_END.len(), |seen| seen == PREFACE.len())
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.tcp().connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let connection = &mut *self;
        let Some(opening) = &mut connection.opening else {
            return connection.stream.read().poll_read(cx, buffer);
        };
        if opening.until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let read = connection.stream.read().poll_read(cx, buffer);
        if opening.ends_with(buffer.filled().get(before..).unwrap_or_default()) {
            connection.opening = None;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.write().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.write().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.write().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.write().poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Wire::Plain(stream) => stream.is_write_vectored(),
            Wire::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn opening() -> Opening {
        Opening::new(Duration::from_secs(1))
    }

    #[test]
    fn without_encryption_a_machine_talks_to_itself_alone() {
        let is_own = |peer: &str, local: &str| {
            super::is_own(
                peer.parse().unwrap_or_else(|_| unreachable!()),
                local.parse().unwrap_or_else(|_| unreachable!()),
            )
        };
        assert!(
            is_own("127.0.0.1", "127.0.0.1") && is_own("::1", "::1") && is_own("::ffff:127.0.0.1", "::ffff:127.0.0.1")
        );
        assert!(is_own("192.0.2.7", "192.0.2.7"), "its address in the network");
        assert!(!is_own("192.0.2.8", "192.0.2.7") && !is_own("::ffff:192.0.2.8", "::ffff:192.0.2.7"));
        assert!(!is_own("10.0.0.1", "10.0.0.2"), "a private network is not this machine");
    }

    #[tokio::test]
    async fn a_connection_has_begun_with_a_whole_preface_or_a_whole_head() {
        for begun in [PREFACE, b"GET / HTTP/1.1\r\n\r\n", b"PRI / HTTP/1.1\r\nhost: a\r\n\r\n"] {
            for cut in 0..begun.len() {
                let mut opening = opening();
                assert!(!opening.ends_with(&begun[..cut]), "{cut} bytes");
                assert!(opening.ends_with(&begun[cut..]), "after {cut} bytes");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_beginning_is_none() {
        for text in ["", "\r\n", "\r\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n", "GET / HTTP/1.1\r\nhost: a\r\n"] {
            assert!(!opening().ends_with(text.as_bytes()), "{text:?}");
        }
    }
}
