//! `db3 bench`: what the network does in a second, with this client on the same machine.

use super::args::BenchCommand;
use super::failure::Failure;
use super::session::Session;

mod latency;
mod reads;
mod writes;

/// `db3 bench`
pub async fn bench(session: &Session, command: &BenchCommand) -> Result<(), Failure> {
    match command {
        BenchCommand::Write(args) => writes::write(session, args).await,
        BenchCommand::Read(args) => reads::read(session, args).await,
    }
}
