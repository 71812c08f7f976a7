//! The runtime behind the scenes: stores and gRPC run here, never on an actix worker.
//!
//! It is made first and ends last, so that whatever rests on it has ended by then.

use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::exit::Failed;

const THREADS: usize = 2;
/// Time for what still runs on it at the end.
const END_MAX: Duration = Duration::from_secs(2);

/// Two threads in the background.
#[derive(Debug)]
pub(crate) struct Background(Option<Runtime>);

impl Background {
    /// # Errors
    /// When threads cannot be started.
    pub(crate) fn start() -> Result<Self, Failed> {
        Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("serin-background")
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
            .map_err(|error| Failed::because(format!("cannot start threads: {error}")))
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.0
            .as_ref()
            .expect("it is there until it is dropped")
            .handle()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(END_MAX);
        }
    }
}
