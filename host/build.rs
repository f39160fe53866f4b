//! Makes Rust of the protocol in `proto/`, without a compiler that would have to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = protox::compile(["vector.proto", "event.proto"], ["proto"])?;
    tonic_prost_build::configure().bytes(".").btree_map(".").compile_fds(files)?;
    println!("cargo:rerun-if-changed=proto");
    Ok(())
}
