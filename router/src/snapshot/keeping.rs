//! When what is held goes to the snapshot file.
//!
//! After each change, as often as the writer takes it; and now and then without one, because the
//! time of the last contact stands in the file: an adoption dated before it adopts nothing.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{disk::Writer, documents::Documents};
use crate::{clock, record::metrics::Metrics};

/// How old the last contact may be in the file, in milliseconds, while there is contact.
const CONTACT_AGE_MS_MAX: u64 = 60_000;

/// The snapshot file of one router. Without a folder nothing is kept.
#[derive(Debug)]
pub(super) struct Keeping {
    folder: Option<PathBuf>,
    writer: Option<Writer>,
    /// Something changed since it was given to the writer, or that failed.
    unsaved: bool,
    saved_contact_unix_ms: u64,
}

impl Keeping {
    pub(super) fn start(folder: Option<PathBuf>, metrics: &Arc<Metrics>) -> Self {
        let writer = folder.clone().and_then(|folder| {
            let started = Writer::start(folder, Arc::clone(metrics));
            let failed = |why| {
                metrics
                    .process
                    .snapshot_write_failures
                    .fetch_add(1, Relaxed);
                tracing::error!(%why, "no thread for the snapshot file: it is not written");
            };
            started.map_err(failed).ok()
        });
        Self {
            folder,
            writer,
            unsaved: false,
            saved_contact_unix_ms: 0,
        }
    }

    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// What is held was read from the file.
    pub(super) fn restored(&mut self, documents: &Documents) {
        self.saved_contact_unix_ms = documents.last_contact_unix_ms();
    }

    /// There is something new to save.
    pub(super) fn changed(&mut self) {
        self.unsaved = true;
    }

    pub(super) fn save_if_due(&mut self, documents: &Documents) {
        let contact = documents.last_contact_unix_ms();
        let aged = contact.saturating_sub(self.saved_contact_unix_ms) >= CONTACT_AGE_MS_MAX;
        let Some(writer) = self.writer.as_mut().filter(|writer| writer.is_free()) else {
            return;
        };
        if (self.unsaved || aged)
            && let Some(saved) = documents.saved(clock::unix_ms(clock::unix()))
        {
            self.unsaved = false;
            self.saved_contact_unix_ms = contact;
            writer.give(saved);
        }
    }

    /// Resolves when the writer can take the next one.
    pub(super) async fn freed(&mut self) {
        match &mut self.writer {
            Some(writer) => self.unsaved |= !writer.freed().await,
            None => std::future::pending().await,
        }
    }

    /// Saves what is left to save.
    pub(super) async fn finish(&mut self, documents: &Documents) {
        if let Some(writer) = self.writer.take() {
            let last = documents.saved(clock::unix_ms(clock::unix()));
            let has_news =
                self.unsaved || documents.last_contact_unix_ms() > self.saved_contact_unix_ms;
            writer.finish(last.filter(|_| has_news)).await;
        }
    }
}
