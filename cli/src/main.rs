//! `serin`: one binary. Arguments in, one match, an exit code out.

mod args;
mod demo;
mod exit;
mod logging;
mod router;
mod settings;
mod signals;
mod simulate;
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
        Command::Up(up) => router::up(up),
        Command::Router(router) => router::router(router),
        Command::Simulate(simulate) => simulate::simulate(simulate),
        Command::Validate(validate) => validate::validate(validate),
        Command::Demo(demo) => demo::demo(demo),
    };
    exit::code(done)
}
