//! The devnet's side of the control socket.
//!
//! A question that cannot be read is refused and changes nothing.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use db3_primitives::Tai;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use crate::control::{Answer, Funds, LINE_BYTES_MAX, Question, SOCKET_PATH_BYTES_MAX};
use crate::failure::Failure;
use crate::network::Network;

/// Binds the socket. The caller holds the folder's lock, so a socket that is there already is a dead one.
pub fn bind(path: &Path) -> Result<UnixListener> {
    if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        bail!(Failure::Wrong(format!(
            "the control socket's path {} has more than {SOCKET_PATH_BYTES_MAX} bytes; name a shorter folder with --home",
            path.display()
        )));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove the old {}", path.display()));
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).with_context(|| format!("cannot make {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot protect {}", path.display()))?;
    Ok(listener)
}

/// Answers until the network stops.
pub async fn serve(listener: UnixListener, network: Arc<Network>, stop: watch::Sender<bool>) {
    let mut stopped = stop.subscribe();
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (network, stop) = (Arc::clone(&network), stop.clone());
                    tokio::spawn(async move {
                        if let Err(error) = converse(stream, &network, &stop).await {
                            tracing::debug!(%error, "a control connection ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a control connection");
                    return;
                }
            },
        }
    }
}

async fn converse(stream: UnixStream, network: &Network, stop: &watch::Sender<bool>) -> Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reader.take(LINE_BYTES_MAX)).read_line(&mut line).await?;
    let question = serde_json::from_str::<Question>(&line);
    let answer = match &question {
        Ok(Question::Status) => {
            network.status().map_or_else(|error| refused(&error), |status| Answer::Status(Box::new(status)))
        }
        Ok(Question::Stop) => Answer::Stopping { pid: std::process::id() },
        Ok(Question::Advance { secs }) => match network.advance(*secs).await {
            Ok(chains) => Answer::Advanced { chains },
            Err(error) => refused(&error),
        },
        Ok(Question::Fund { address, amount_tai }) => match fund(network, address, amount_tai.as_deref()).await {
            Ok((funds, owed)) => Answer::Funded { funds: Box::new(funds), owed_tai: owed.map(|owed| owed.to_string()) },
            Err(error) => refused(&error),
        },
        Err(error) => Answer::Refused { message: format!("the question is not understood: {error}") },
    };
    let mut text = serde_json::to_string(&answer)?;
    text.push('\n');
    writer.write_all(text.as_bytes()).await?;
    writer.shutdown().await?;
    if matches!(question, Ok(Question::Stop)) {
        stop.send_replace(true);
    }
    Ok(())
}

async fn fund(network: &Network, address: &str, amount_tai: Option<&str>) -> Result<(Funds, Option<Tai>)> {
    let amount = amount_tai.map(str::parse).transpose().context("the amount")?;
    network.fund(address.parse().context("the address")?, amount).await
}

fn refused(error: &anyhow::Error) -> Answer {
    Answer::Refused { message: format!("{error:#}") }
}
