//! How soon does a change reach the requests?
//!
//! `make bench` starts etcd, a control plane and two routers with a thousand routes and answers two
//! questions. *One change a second*: from the moment a change is acknowledged to the first request
//! that is routed by it, on each router (50th and 99th percentile, maximum). *A storm*: a thousand
//! writes a second straight to etcd; how long after the last one it is live, and whether any request
//! failed meanwhile.
//!
//! A request says by `x-serin-revision` which snapshot routed it. Latencies are of this machine, on
//! which all of the programs share its processors.

mod args;
mod stage;
mod steady;
mod storm;

use std::process::ExitCode;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let args = match args::Args::read(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            println!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("{why}\n{}", args::HELP);
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let done = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(bench(&args)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(args: &args::Args) -> Outcome<()> {
    let stage = stage::Stage::open(args).await?;
    steady::run(&stage, args).await?;
    storm::run(&stage, args).await
}
