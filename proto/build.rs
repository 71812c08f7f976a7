//! Compiles `serin/v1/*.proto` with protox (no system `protoc`), then generates prost types and
//! their proto3 JSON mapping into `OUT_DIR`. Nothing generated is committed.
//! The descriptors themselves go there too: the strict reading walks documents against them.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 6] = ["provider", "route", "key", "rollout", "settings", "token"];

fn main() -> Result<(), Box<dyn Error>> {
    let protos: Vec<String> = FILES
        .iter()
        .map(|f| format!("serin/v1/{f}.proto"))
        .collect();
    println!("cargo:rerun-if-changed=serin");
    let descriptors = protox::compile(&protos, ["."])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let encoded = descriptors.encode_to_vec();
    fs::write(out.join("descriptors.bin"), &encoded)?;

    // BTreeMap on both sides: a HashMap would reorder the stored form from run to run.
    prost_build::Config::new()
        .btree_map(["."])
        .compile_fds(descriptors)?;
    pbjson_build::Builder::new()
        .register_descriptors(&encoded)?
        .btree_map(["."])
        .ignore_unknown_fields()
        .build(&[".serin.v1"])?;
    Ok(())
}
