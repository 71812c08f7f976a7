//! The thread that saves snapshots: never more than one waits, and it is the newest.
//!
//! ```text
//!   watcher ──give──▶ write, then rest ──free──▶ watcher gives the newest, if there is news
//! ```
//! A disk may hang or be full: nobody waits for it but at the very end, and then not for long. It
//! writes at most once a second and rests nineteen times as long as it wrote.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use tokio::sync::mpsc;

use super::{Saved, write};
use crate::{clock, record::metrics::Metrics};

/// Shortest time from one write to the next.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Rest after a write, in times of its duration: at most 5 % of the time is spent writing.
const REST_FACTOR: u32 = 19;

/// The watcher's end of the thread.
#[derive(Debug)]
pub(in crate::snapshot) struct Writer {
    jobs: Sender<Saved>,
    /// One answer for each job: whether it is on disk.
    done: mpsc::Receiver<bool>,
    busy: bool,
}

impl Writer {
    /// Starts the thread. Failures are counted in `metrics`.
    pub(in crate::snapshot) fn start(folder: PathBuf, metrics: Arc<Metrics>) -> io::Result<Self> {
        let (jobs, waiting) = channel();
        let (answers, done) = mpsc::channel(1);
        let work = Work {
            folder,
            metrics,
            failing: false,
        };
        thread::Builder::new()
            .name("serin-snapshot".to_owned())
            .spawn(move || work.run(&waiting, &answers))?;
        Ok(Self {
            jobs,
            done,
            busy: false,
        })
    }

    /// Whether it can take one now.
    pub(in crate::snapshot) fn is_free(&self) -> bool {
        !self.busy
    }

    /// Hands over what is to be saved.
    pub(in crate::snapshot) fn give(&mut self, saved: Saved) {
        self.busy = self.jobs.send(saved).is_ok();
    }

    /// Resolves when it has written and rested: whether what was given is on disk. Never resolves
    /// while nothing was given.
    pub(in crate::snapshot) async fn freed(&mut self) -> bool {
        if !self.busy {
            return std::future::pending().await;
        }
        let written = self.done.recv().await.unwrap_or(false);
        self.busy = false;
        written
    }

    /// Saves `last` without a rest before it, and waits until that is done or has failed.
    pub(in crate::snapshot) async fn finish(self, last: Option<Saved>) {
        let Self { jobs, mut done, .. } = self;
        if let Some(last) = last {
            let _ = jobs.send(last);
        }
        drop(jobs);
        // The thread ends, and with it the channel.
        while done.recv().await.is_some() {}
    }
}

struct Work {
    folder: PathBuf,
    metrics: Arc<Metrics>,
    /// The last attempt failed, and that was said.
    failing: bool,
}

impl Work {
    fn run(mut self, waiting: &Receiver<Saved>, done: &mpsc::Sender<bool>) {
        let mut next = waiting.recv().ok();
        while let Some(saved) = next {
            let began = clock::now();
            let written = write(&self.folder, &saved);
            drop(saved);
            let rest = (began.elapsed() * REST_FACTOR).max(WRITE_EVERY);
            let is_written = written.is_ok();
            self.tell(written);
            next = match waiting.recv_timeout(rest) {
                // Only the last one comes unasked.
                Ok(last) => Some(last),
                Err(RecvTimeoutError::Disconnected) => None,
                Err(RecvTimeoutError::Timeout) => done
                    .blocking_send(is_written)
                    .ok()
                    .and_then(|()| waiting.recv().ok()),
            };
        }
    }

    fn tell(&mut self, written: io::Result<()>) {
        let path = Path::display(&self.folder);
        match written {
            Ok(()) if self.failing => {
                tracing::info!(%path, "snapshot file written again");
                self.failing = false;
            }
            Ok(()) => {}
            Err(why) => {
                self.metrics
                    .process
                    .snapshot_write_failures
                    .fetch_add(1, Relaxed);
                if !self.failing {
                    tracing::warn!(%path, %why, "snapshot file not written: a restart would not know the newest documents");
                }
                self.failing = true;
            }
        }
    }
}
