//! `serin`: one binary. Arguments in, one match, an exit code out.

// They panic when the reader has gone away; `output` does not.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod bundle;
mod client;
mod clock;
mod completion;
mod control_plane;
mod demo;
mod exit;
mod fit;
mod logging;
mod output;
mod router;
mod runtime;
mod secret;
mod settings;
mod signals;
mod simulate;
mod store_address;
mod traffic_words;
mod tree;
mod up;
mod validate;

use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser as _;

/// musl's allocator, and glibc's under bursts, are no match for a gateway's allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.command {
        Command::Up(up) => up::up(up),
        Command::Router(router) => router::router(router),
        Command::ControlPlane(plane) => control_plane::control_plane(plane),
        Command::Simulate(simulate) => simulate::simulate(simulate),
        Command::Validate(validate) => validate::validate(validate),
        Command::Demo(demo) => demo::demo(demo),
        Command::Remote(verb) => client::run(verb),
        Command::Completion(completion) => completion::completion(completion),
    };
    exit::code(done)
}
