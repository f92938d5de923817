//! Where the application listens, and the streams that come from there.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Where the application listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AbciAddress {
    /// A socket in the file system, at most [`SOCKET_PATH_BYTES_MAX`](crate::limits::SOCKET_PATH_BYTES_MAX) bytes long.
    Unix(PathBuf),
    /// A TCP port of this machine; 0: any free one.
    Tcp(SocketAddr),
}

impl fmt::Display for AbciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// Removes the socket that a process left behind. Anything else at that place stays, and whoever binds says so.
pub(crate) fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[derive(Debug)]
pub(super) enum Listener {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener),
}

impl Listener {
    pub(super) fn bind(address: &AbciAddress) -> io::Result<Self> {
        match address {
            AbciAddress::Unix(path) => {
                remove_stale(path)?;
                Ok(Self::Unix(UnixListener::bind(path)?, path.clone()))
            }
            AbciAddress::Tcp(address) => Ok(Self::Tcp(TcpListener::bind(address)?)),
        }
    }

    /// Where it really listens.
    pub(super) fn address(&self) -> io::Result<AbciAddress> {
        match self {
            Self::Unix(_, path) => Ok(AbciAddress::Unix(path.clone())),
            Self::Tcp(listener) => Ok(AbciAddress::Tcp(listener.local_addr()?)),
        }
    }

    /// Has `accept` give an error from now on, also the one that waits. (A connection would not do: the socket's file may
    /// be gone.)
    pub(super) fn close(&self) {
        // It may be closed already.
        let _ = match self {
            Self::Unix(listener, _) => rustix::net::shutdown(listener, rustix::net::Shutdown::Both),
            Self::Tcp(listener) => rustix::net::shutdown(listener, rustix::net::Shutdown::Both),
        };
    }

    /// Removes its socket's file.
    pub(super) fn remove(&self) {
        if let Self::Unix(_, path) = self {
            // What stays behind is removed by the next start.
            let _ = std::fs::remove_file(path);
        }
    }

    pub(super) fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(listener, _) => Ok(Stream::Unix(listener.accept()?.0)),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
        }
    }

    /// Closes it for everybody who has a clone.
    pub(super) fn close(&self) {
        // It may be closed already.
        let _ = match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.flush(),
            Self::Tcp(stream) => stream.flush(),
        }
    }
}
