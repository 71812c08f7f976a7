//! The newest snapshot: loaded by every request, swapped by one writer.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::Snapshot;

/// Empty until the first snapshot was applied.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    current: ArcSwapOption<Snapshot>,
}

impl Cell {
    pub(crate) fn load(&self) -> Option<Arc<Snapshot>> {
        self.current.load_full()
    }

    /// Requests that already hold the old one, which is returned, keep it.
    pub(super) fn swap(&self, next: Arc<Snapshot>) -> Option<Arc<Snapshot>> {
        self.current.swap(Some(next))
    }
}
