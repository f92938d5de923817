//! `shard-node`: runs one shard chain of a network, for who validates it.

use std::process::ExitCode;

use db3_shard_node::ShardKind;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    db3_node::command::main::<ShardKind>()
}
