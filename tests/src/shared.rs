//! One value for all scenarios of a binary: it begins with the first that asks for it and ends with
//! the last that holds it.

use std::sync::{Arc, OnceLock, Weak};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// What is shared, while somebody holds it.
#[derive(Debug)]
pub struct Shared<T> {
    held: Mutex<Weak<T>>,
    /// What its own tasks run on: it outlives every scenario.
    runtime: OnceLock<Runtime>,
}

impl<T: Send + Sync + 'static> Shared<T> {
    #[expect(clippy::new_without_default, reason = "it is made for a static")]
    pub const fn new() -> Self {
        Self {
            held: Mutex::const_new(Weak::new()),
            runtime: OnceLock::new(),
        }
    }

    /// The one that is held, or one that begins.
    ///
    /// # Panics
    /// When it cannot begin.
    pub async fn get<F>(&'static self, begin: impl FnOnce() -> F + Send + 'static) -> Arc<T>
    where
        F: Future<Output = T>,
    {
        let mut held = self.held.lock().await;
        if let Some(value) = held.upgrade() {
            return value;
        }
        let runtime = self.runtime.get_or_init(|| {
            let runtime = Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build();
            runtime.expect("a runtime can be built")
        });
        let beginning = spawn_blocking(move || runtime.block_on(begin()));
        let value = Arc::new(beginning.await.expect("it begins"));
        *held = Arc::downgrade(&value);
        value
    }
}
