//! The signals a server hears: SIGTERM and SIGINT end it gently, SIGHUP makes it read again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both ways to be told to stop.
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Listens from now on: a signal that comes later is not lost.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Resolves with the first of them. Whoever asks twice does not want to wait: the second ends the
    /// process as it is.
    pub(crate) async fn wait(mut self) {
        let signal = self.next().await;
        tracing::info!(signal, "stopping");
        tokio::spawn(async move {
            let signal = self.next().await;
            tracing::warn!(signal, "stopping at once: answers in flight are cut");
            std::process::exit(1);
        });
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Calls `reread` at each SIGHUP.
pub(crate) fn on_hangup(reread: impl Fn() + 'static) -> io::Result<()> {
    each_hangup(move || {
        tracing::info!(signal = "SIGHUP", "reading documents again");
        reread();
    })
}

/// For who has no file to read again: SIGHUP would end the process otherwise.
pub(crate) fn outlive_hangup() -> io::Result<()> {
    each_hangup(|| {
        tracing::info!(
            signal = "SIGHUP",
            "nothing to read again: documents come from the store"
        );
    })
}

fn each_hangup(then: impl Fn() + 'static) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    actix_rt::spawn(async move {
        while hangup.recv().await.is_some() {
            then();
        }
    });
    Ok(())
}
