//! `serin simulate`: the scripted provider as a program of its own.

use std::fs;

use serin_simulator::Script;

use crate::{args::Simulate, exit::Failed, logging, output, signals::Stop};

/// Runs until it is told to stop.
pub(crate) fn simulate(simulate: &Simulate) -> Result<(), Failed> {
    let script = match &simulate.script {
        None => Script::default(),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                Failed::because(format!("cannot read {}: {error}", path.display()))
            })?;
            Script::parse(&text)
                .map_err(|bad| Failed::because(format!("{}: {bad}", path.display())))?
        }
    };
    logging::quiet();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failed::because(error.to_string()))?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(simulate.listen)
            .await
            .map_err(|error| {
                Failed::because(format!(
                    "cannot listen on {}: {error} (choose another address with --listen)",
                    simulate.listen
                ))
            })?;
        let address = listener
            .local_addr()
            .map_err(|error| Failed::because(error.to_string()))?;
        output::note(format_args!(
            "simulator listening on http://{address}/v1, script at http://{address}/__script"
        ));
        let stop = Stop::listen().map_err(|error| Failed::because(error.to_string()))?;
        let served = serin_simulator::serve(listener, script, stop.wait()).await;
        served.map_err(|bad| Failed::because(bad.to_string()))
    })
}
