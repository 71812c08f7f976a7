//! Where a control plane works besides answering: its own threads, beside those of its listeners.
//!
//! A change that is judged, or a long list that is taken in, holds up no other listener of the
//! process, and goes on when the connection it came by is gone.

use std::{future::Future, io, sync::Arc, time::Duration};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
    time::sleep,
};

use crate::plane::Plane;

/// Its threads.
const THREADS: usize = 2;
/// Pause before a part that has panicked begins anew.
const ANEW_AFTER: Duration = Duration::from_secs(1);

/// A runtime that may be dropped wherever its owner is.
#[derive(Debug)]
pub(crate) struct Background {
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Background {
    /// # Errors
    /// When its threads cannot be started.
    pub(crate) fn start() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(THREADS).thread_name("serin-control");
        let runtime = builder.enable_all().build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Waiting for threads is not allowed where its owner runs; what had to end has been awaited.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs a part of a control plane until it ends by itself. One that panics begins anew: it holds
/// nothing but what it hears of the store.
pub(crate) fn keep<F>(
    on: &Handle,
    plane: &Arc<Plane>,
    name: &'static str,
    part: impl Fn(Arc<Plane>) -> F + Send + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let plane = Arc::clone(plane);
    on.spawn(async move {
        // One that always panics goes on doing so once in `ANEW_AFTER`, and says so each time.
        while let Err(ended) = tokio::spawn(part(Arc::clone(&plane))).await {
            if ended.is_cancelled() {
                return;
            }
            tracing::error!(
                part = name,
                "a part of the control plane has panicked: it begins anew"
            );
            sleep(ANEW_AFTER).await;
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use serin_store::MemoryStore;

    use super::*;
    use crate::stage::Stage;

    #[tokio::test(start_paused = true)]
    async fn a_part_that_panics_begins_anew_and_one_that_ends_does_not() {
        let stage = Stage::unheard(&MemoryStore::new());
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let part = move |_| {
            let count = Arc::clone(&count);
            async move {
                assert!(count.fetch_add(1, SeqCst) == 2, "the first two panic");
            }
        };
        let kept = keep(&Handle::current(), &stage.plane, "test", part);
        kept.await.unwrap();
        assert_eq!(begun.load(SeqCst), 3);
    }
}
