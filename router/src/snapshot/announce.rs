//! `routers/<id>`: what this router serves, told to whoever looks, under a lease of 30 s.
//!
//! Written at once after a quiet second, then at most once a second and only when it says something
//! new: a thousand changes a second are one write a second, and an idle fleet writes nothing. A key
//! that another living router holds is left to it: six characters of our own are added to the id. A
//! missing key means "no word", never "not serving".

use std::{future, net::SocketAddr, time::Duration};

use bytes::Bytes;
use serin_proto::fleet::RouterReport;
use serin_store::{Announcer, Entry, Error, Held, Lease, Outcome};
use tokio::{
    sync::watch,
    time::{sleep_until, timeout},
};

use super::Standing;
use crate::{
    clock::{self, Draws},
    settings::Settings,
};

/// How long the report outlives a router that is gone.
const LEASE: Duration = Duration::from_secs(30);
/// Shortest time between two writes.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Longest time between two attempts while the store takes nothing.
const RETRY_WITHIN: Duration = Duration::from_secs(10);
/// Longest wait for the end of the lease.
const REVOKE_WITHIN: Duration = Duration::from_secs(2);
/// Conflicts that one attempt settles.
const CONFLICTS_MAX: usize = 4;
/// Characters of the boot id that tell two routers of one name apart.
const OWN_CHARACTERS: usize = 6;
/// Longest id, in bytes.
const ID_BYTES_MAX: usize = 200;

/// What stays the same in every report of this process.
#[derive(Clone, Debug)]
pub(super) struct About {
    id: String,
    report: RouterReport,
}

impl About {
    pub(super) fn this_process(settings: &Settings, admin: SocketAddr) -> Self {
        let draws = Draws::new();
        Self {
            id: fitting(&settings.id),
            report: RouterReport {
                version: settings.version.to_owned(),
                boot_id: format!("{:016x}{:016x}", draws.next(), draws.next()),
                started_at: clock::rfc3339(clock::unix()),
                admin_address: admin.to_string(),
                ..RouterReport::default()
            },
        }
    }

    fn report(&self, standing: &Standing) -> Bytes {
        let report = RouterReport {
            applied_revision: standing.applied.unwrap_or_default().0,
            source: standing.source,
            hold: standing.hold,
            rejected_count: standing.rejected.count,
            rejected: standing.rejected.listed.to_vec(),
            ..self.report.clone()
        };
        serde_json::to_vec(&report).unwrap_or_default().into()
    }
}

/// An id that can be the end of a key.
fn fitting(id: &str) -> String {
    let mut id = id.replace('/', "-");
    id.truncate(id.floor_char_boundary(ID_BYTES_MAX));
    if id.is_empty() {
        id.push_str("router");
    }
    id
}

/// Tells until `stopping`; then the report is taken back.
pub(super) async fn announce(
    announcer: Announcer,
    about: About,
    mut standing: watch::Receiver<Standing>,
    mut stopping: watch::Receiver<bool>,
) {
    let draws = Draws::new();
    let mut teller = Teller {
        id: about.id.clone(),
        announcer,
        about,
        lease: None,
        found: Found::Unread,
        told: None,
        failures: 0,
    };
    let mut next = clock::now();
    loop {
        let due = teller.is_due(&standing.borrow());
        tokio::select! {
            biased;
            _ = stopping.changed() => break,
            () = sleep_until(next.into()), if due => {}
            changed = standing.changed(), if !due => match changed {
                Ok(()) => continue,
                Err(_) => break,
            },
            () = gone(&mut teller.lease) => {
                teller.lease = None;
                continue;
            }
        }
        let now = standing.borrow_and_update().clone();
        let wait = tokio::select! {
            biased;
            _ = stopping.changed() => break,
            told = teller.tell(now) => teller.wait_after(told, draws.next()),
        };
        next = clock::now() + wait;
    }
    if let Some(lease) = teller.lease {
        // Where it cannot be revoked now, it ends by itself.
        let _ = timeout(REVOKE_WITHIN, lease.revoke()).await;
    }
}

async fn gone(lease: &mut Option<Lease>) {
    match lease {
        Some(lease) => lease.gone().await,
        None => future::pending().await,
    }
}

/// What lies under our key, as far as is known.
#[derive(Debug)]
enum Found {
    Unread,
    Absent,
    There(Entry),
}

/// Why a report was not written.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error(transparent)]
    Store(#[from] Error),
    #[error("others keep writing the same key")]
    Contended,
}

struct Teller {
    announcer: Announcer,
    about: About,
    /// The one of the settings, or with characters of our own.
    id: String,
    lease: Option<Lease>,
    found: Found,
    told: Option<Standing>,
    /// Attempts that failed in a row.
    failures: u32,
}

impl Teller {
    /// Whether there is something to write. Nothing is before the first documents serve.
    fn is_due(&self, standing: &Standing) -> bool {
        let is_held = self
            .lease
            .as_ref()
            .is_some_and(|lease| lease.held() != Held::Gone);
        let is_told = is_held && self.told.as_ref() == Some(standing);
        standing.applied.is_some() && !is_told
    }

    async fn tell(&mut self, standing: Standing) -> Result<(), Untold> {
        let is_gone = |lease: &mut Lease| lease.held() == Held::Gone;
        drop(self.lease.take_if(is_gone));
        let lease = match self.lease.take() {
            Some(lease) => lease,
            None => self.announcer.lease(LEASE).await?,
        };
        let lease = &*self.lease.insert(lease);
        let report = self.about.report(&standing);
        for _ in 0..CONFLICTS_MAX {
            if let Found::Unread = self.found {
                self.found = found(self.announcer.read(&self.id).await?);
            }
            let expected = match &self.found {
                Found::There(entry) if is_anothers(entry, &self.about.report.boot_id) => {
                    let own = &self.about.report.boot_id[..OWN_CHARACTERS];
                    tracing::warn!(id = self.id, own, "another router has this id: adding ours");
                    self.id = format!("{}-{own}", self.about.id);
                    self.found = Found::Unread;
                    continue;
                }
                Found::There(entry) => Some(entry),
                Found::Absent | Found::Unread => None,
            };
            let id = &self.id;
            let written = self.announcer.write(id, report.clone(), lease, expected);
            match written.await {
                Ok(Outcome::Committed(revision)) => {
                    self.found = Found::There(written_at(id, report, revision));
                    self.told = Some(standing);
                    return Ok(());
                }
                Ok(Outcome::Conflict { now, .. }) => self.found = found(now.into_iter().next()),
                Err(error) => {
                    // It may have been written all the same.
                    self.found = Found::Unread;
                    return Err(error.into());
                }
            }
        }
        Err(Untold::Contended)
    }

    /// How long to wait before the next attempt: longer and longer while they fail, and not all
    /// routers at once.
    fn wait_after(&mut self, told: Result<(), Untold>, draw: u64) -> Duration {
        match told {
            Ok(()) => {
                if self.failures > 0 {
                    tracing::info!(id = self.id, "report written again");
                }
                self.failures = 0;
                WRITE_EVERY
            }
            Err(why) => {
                if self.failures == 0 {
                    tracing::warn!(id = self.id, %why, "report not written");
                }
                self.failures = self.failures.saturating_add(1);
                retry_after(self.failures, draw)
            }
        }
    }
}

/// Between one and two seconds, doubling with each failure, at most [`RETRY_WITHIN`].
fn retry_after(failures: u32, draw: u64) -> Duration {
    let doubled = WRITE_EVERY * 2_u32.saturating_pow(failures.saturating_sub(1).min(8));
    let jitter = doubled.mul_f64(draw as f64 / u64::MAX as f64);
    (doubled + jitter).min(RETRY_WITHIN)
}

fn found(entry: Option<Entry>) -> Found {
    entry.map_or(Found::Absent, Found::There)
}

/// What we wrote, as far as the next write must know it.
fn written_at(id: &str, value: Bytes, revision: serin_proto::unit::Revision) -> Entry {
    Entry {
        key: serin_store::Key::from(&serin_proto::key::StoreKey::Router(id.to_owned())),
        value,
        create_revision: revision,
        mod_revision: revision,
        version: 1,
    }
}

/// Whether a report was written by another process. What is no report is nobody's.
fn is_anothers(entry: &Entry, boot_id: &str) -> bool {
    let report = serde_json::from_slice::<RouterReport>(&entry.value);
    report.is_ok_and(|report| !report.boot_id.is_empty() && report.boot_id != boot_id)
}
