//! Compiles `db3/v1/*.proto` without `protoc` and writes the file descriptor set beside the generated code.

use std::path::PathBuf;

use prost::Message as _;

const FILES: [&str; 5] = [
    "db3/v1/types.proto",
    "db3/v1/errors.proto",
    "db3/v1/chain.proto",
    "db3/v1/shard.proto",
    "db3/v1/settlement.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=db3");
    println!("cargo:rerun-if-changed=build.rs");
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let descriptors = protox::Compiler::new([&root])?
        .include_source_info(true)
        .include_imports(true)
        .open_files(FILES)?
        .file_descriptor_set();
    std::fs::write(out.join("db3.v1.binpb"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
