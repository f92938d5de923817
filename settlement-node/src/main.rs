//! `settlement-node`: runs the settlement chain of a network, for who validates it.

use std::process::ExitCode;

use db3_settlement_node::SettlementKind;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    db3_node::command::main::<SettlementKind>()
}
