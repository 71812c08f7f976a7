//! Generates the gRPC services of `proto/serin/v1/service.proto` and the messages that they alone
//! use. Documents are `serin_proto`'s types, not made twice. protox compiles, no `protoc` is needed;
//! the descriptors go to `OUT_DIR` for the reflection service.

use std::{collections::BTreeSet, env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const PROTO: &str = "../proto";
/// Files whose messages are made here; `serin_proto` makes those of all others.
const OWN: [&str; 4] = [
    "serin/v1/service.proto",
    "serin/v1/fleet.proto",
    "serin/v1/audit.proto",
    "serin/v1/rollout_state.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO}/serin");
    let descriptors = protox::compile(OWN, [PROTO])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(out.join("services.bin"), descriptors.encode_to_vec())?;

    let own: BTreeSet<&str> = OWN.into();
    let documents = descriptors
        .file
        .iter()
        .filter(|file| !own.contains(file.name()))
        .flat_map(|file| {
            file.message_type
                .iter()
                .map(|message| (file.package(), message.name()))
        });
    let mut builder = tonic_prost_build::configure().btree_map(".");
    for (package, message) in documents {
        let path = format!(".{package}.{message}");
        builder = builder.extern_path(path, format!("::serin_proto::v1::{message}"));
    }
    builder.compile_fds(descriptors.clone())?;
    Ok(())
}
