//! A reader's place among the newest changes.

use std::{sync::Arc, time::Duration};

use serin_proto::unit::Revision;
use tokio::{sync::watch, time::timeout};

use super::{Batch, Dropped, Heard, View};
use crate::change::Refusal;

/// Where a reader goes on.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// Everything up to here was read.
    after: Revision,
    /// The listing that its history belongs to.
    listings: u64,
    heard: watch::Receiver<Heard>,
}

impl View {
    /// A reader of what comes after a revision; of what comes from now on without one.
    ///
    /// # Errors
    /// [`Refusal::Compacted`]: what came after it is not kept any more, or the revision is one that
    /// the store does not reach within [`super::CATCH_UP_MAX`];
    /// [`Refusal::StoreUnavailable`]: no documents were seen yet.
    pub(crate) async fn cursor(&self, after: Option<Revision>) -> Result<Cursor, Refusal> {
        self.came_to(Revision::default()).await?;
        if let Some(after) = after {
            let reached = self.came_to(after).await;
            reached.map_err(|_| Refusal::Compacted)?;
        }
        let heard = self.heard.subscribe();
        let now = *heard.borrow();
        let cursor = Cursor {
            after: after.unwrap_or(now.revision),
            listings: now.listings,
            heard,
        };
        self.after(cursor.after)?;
        Ok(cursor)
    }

    fn after(&self, revision: Revision) -> Result<Option<Arc<Batch>>, Refusal> {
        let state = self.read();
        state
            .ring
            .after(revision)
            .map_err(|Dropped| Refusal::Compacted)
    }
}

impl Cursor {
    /// The next revision's changes; `None`: there were none for so long.
    ///
    /// # Errors
    /// [`Refusal::Compacted`]: the reader was too slow, or the documents were listed anew.
    pub(crate) async fn next(
        &mut self,
        view: &View,
        within: Duration,
    ) -> Result<Option<Arc<Batch>>, Refusal> {
        let next = async {
            loop {
                self.heard.mark_unchanged();
                let batch = view.after(self.after)?;
                // Looked at after the batch, which could be of a newer listing.
                if self.heard.borrow().listings != self.listings {
                    return Err(Refusal::Compacted);
                }
                if let Some(batch) = batch {
                    self.after = batch.revision;
                    return Ok(batch);
                }
                if self.heard.changed().await.is_err() {
                    return Err(Refusal::Compacted);
                }
            }
        };
        timeout(within, next)
            .await
            .map_or(Ok(None), |next| next.map(Some))
    }
}
