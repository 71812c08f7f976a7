//! The one who applies changes: the follower's stream in, snapshots out.
//!
//! Always: what waits is applied together, one batch, one snapshot, one swap. What is refused
//! changes nothing: the last good form of each document goes on serving. A store that cannot be
//! read, or that is another one than before, changes nothing either. All of it happens on one thread
//! of its own, so that ten thousand routes compile without a request noticing.

use std::{
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use actix::{Arbiter, ArbiterHandle};
use serin_proto::{
    Fault,
    fleet::Source,
    metric::{Applied, PanicPlace},
    unit::Revision,
};
use serin_store::{
    Follower, Watch,
    watch::{Event, Reason},
};
use tokio::{
    sync::{oneshot, watch},
    time::{sleep, sleep_until, timeout},
};

use super::{
    announce::{About, announce},
    build::build,
    contact::Exposures,
    disk,
    documents::{Documents, Heard},
    keeping::Keeping,
    news::{self, Batch, Refusals, Snapshots},
    publish::Publisher,
    standing::Rejected,
};
use crate::{clock, record::metrics::ProcessMetrics, worker::Shared};

/// Events that are applied together at most.
const EVENTS_AT_ONCE_MAX: usize = 256;
/// Time between two looks whether replaced snapshots may be freed.
const FREE_EVERY: Duration = Duration::from_secs(1);
/// Longest wait at the end, for the last snapshot file and the report's end.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// A watcher that runs.
pub(crate) struct Watching {
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<()>,
    arbiter: Arbiter,
}

impl Watching {
    /// Follows until it is stopped. Targets live on `targets`; `admin` is told in the report.
    pub(crate) fn start(
        follower: Follower,
        shared: &Arc<Shared>,
        targets: ArbiterHandle,
        admin: SocketAddr,
    ) -> Self {
        let (stop, stopping) = watch::channel(false);
        let (end, ended) = oneshot::channel();
        let arbiter = Arbiter::new();
        let shared = Arc::clone(shared);
        arbiter.spawn_fn(move || {
            let about = About::this_process(&shared.settings, admin);
            let watcher = Watcher::new(shared, targets, follower.is_store());
            actix_rt::spawn(async move {
                watcher.run(follower, about, stopping).await;
                let _ = end.send(());
            });
        });
        Self {
            stop,
            ended,
            arbiter,
        }
    }

    /// Saves what is new and ends the report. Neither holds up the end of the process for long.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(true);
        if timeout(STOP_WITHIN, self.ended).await.is_err() {
            tracing::warn!("the report or the snapshot file could not be ended in time");
        }
        self.arbiter.stop();
    }
}

struct Watcher {
    shared: Arc<Shared>,
    documents: Documents,
    publisher: Publisher,
    keeping: Keeping,
    snapshots: Snapshots,
    refusals: Refusals,
    exposures: Exposures,
    /// Documents of a file that was refused as a whole.
    refused_whole: Option<u64>,
    /// Why the source cannot be read, as it was told.
    down: Option<Reason>,
}

impl Watcher {
    fn new(shared: Arc<Shared>, targets: ArbiterHandle, is_store: bool) -> Self {
        let settings = &shared.settings;
        let folder = settings.state_dir.clone().filter(|_| is_store);
        Self {
            documents: Documents::new(settings.allowed_networks.clone(), is_store),
            keeping: Keeping::start(folder, &shared.metrics),
            publisher: Publisher::new(Arc::clone(&shared), targets),
            snapshots: Snapshots::default(),
            refusals: Refusals::default(),
            exposures: Exposures::default(),
            refused_whole: None,
            down: None,
            shared,
        }
    }

    async fn run(mut self, follower: Follower, about: About, mut stopping: watch::Receiver<bool>) {
        self.restore();
        // A whole listing first, be it of the store that was followed before: only a listing can be
        // compared with what was kept, and a store that was built anew must not be gone on with.
        let (events, announcer) = follower.follow();
        let report = announcer.map(|announcer| {
            let standing = self.shared.standing.subscribe();
            actix_rt::spawn(announce(announcer, about, standing, stopping.clone()))
        });
        self.follow(events, &mut stopping).await;
        self.keeping.finish(&self.documents).await;
        if let Some(report) = report {
            let _ = report.await;
        }
    }

    /// Serves from the snapshot file of an earlier run, if there is one.
    fn restore(&mut self) {
        let Some(saved) = self.keeping.folder().and_then(disk::read) else {
            return;
        };
        let restored = catch_unwind(AssertUnwindSafe(|| {
            self.documents.restore(&saved);
            self.keeping.restored(&self.documents);
            self.shared
                .standing
                .send_modify(|standing| standing.source = Source::Cache);
            self.apply(saved.revision);
        }));
        if restored.is_err() {
            return self.panicked();
        }
        tracing::info!(revision = %saved.revision, "serving from the snapshot file");
    }

    async fn follow(&mut self, mut events: Watch, stopping: &mut watch::Receiver<bool>) {
        let mut flows = true;
        loop {
            let now = clock::now();
            self.snapshots.tell(now);
            self.exposures.tell(&self.shared.contact, now);
            self.keeping.save_if_due(&self.documents);
            let ends = self.exposures.due(&self.shared.contact, now);
            let wake = self.snapshots.due(now).into_iter().chain(ends).min();
            let event = tokio::select! {
                biased;
                _ = stopping.changed() => return,
                () = sleep_until(wake.unwrap_or(now).into()), if wake.is_some() => continue,
                () = self.keeping.freed() => continue,
                event = events.next(), if flows => event,
                () = sleep(FREE_EVERY), if self.publisher.has_replaced() => {
                    self.publisher.free();
                    continue;
                }
            };
            flows = event.is_some();
            match event {
                Some(first) => self.take_waiting(first, &mut events),
                None => self.ended(),
            }
        }
    }

    fn take_waiting(&mut self, first: Event, events: &mut Watch) {
        let mut waiting = vec![first];
        while waiting.len() < EVENTS_AT_ONCE_MAX
            && let Some(event) = events.waiting()
        {
            waiting.push(event);
        }
        let taken = catch_unwind(AssertUnwindSafe(|| self.take(waiting)));
        if taken.is_err() {
            self.exposures.fail();
            self.panicked();
        }
    }

    /// One batch, one snapshot.
    fn take(&mut self, events: Vec<Event>) {
        let (mut newest, mut lines) = (None, Vec::new());
        let heard_at = clock::now();
        for event in events {
            let line = Batch::of(&event);
            let is_whole = matches!(event, Event::Reset(_) | Event::Progress(_));
            let heard = self.hear(event);
            self.exposures.hear(is_whole, heard);
            match heard {
                Some(Heard::Changed(revision)) => {
                    newest = Some(revision);
                    lines.extend(line);
                }
                Some(Heard::Adopted(revision)) => {
                    newest = Some(revision);
                    lines.extend(line.map(|_| Batch::adopted(revision, self.documents.stored())));
                }
                Some(Heard::Confirmed) => lines.extend(line),
                Some(Heard::Foreign) | None => {}
            }
        }
        match newest {
            Some(revision) => {
                self.apply(revision);
                self.keeping.changed();
            }
            None => self.show_rejected(),
        }
        self.exposures.settle(&self.shared.contact, heard_at);
        for line in lines {
            line.tell();
        }
    }

    fn hear(&mut self, event: Event) -> Option<Heard> {
        let now_ms = clock::unix_ms(clock::unix());
        let heard = match event {
            Event::Reset(listing) => {
                let is_first = self.documents.revision().is_none();
                let heard = self.documents.reset(listing, now_ms);
                let is_again = self.documents.has_history() && !is_first;
                if is_again && heard != Heard::Foreign {
                    self.metrics().applied(Applied::Resync);
                } else if heard != Heard::Foreign {
                    self.metrics().applied(Applied::Ok);
                }
                heard
            }
            Event::Changes { batch, revision } => {
                let heard = self.documents.changes(batch, revision, now_ms);
                if heard != Heard::Foreign {
                    self.metrics().applied(Applied::Ok);
                }
                heard
            }
            Event::Progress(revision) => self.documents.progress(revision, now_ms),
            Event::Refused(faults) => {
                self.refused(&faults);
                return None;
            }
            Event::Down(reason, why) => {
                self.went_down(reason, &why);
                return None;
            }
        };
        self.heard(heard, now_ms);
        Some(heard)
    }

    /// The store spoke: it is the one followed, or it is not.
    fn heard(&mut self, heard: Heard, now_ms: u64) {
        let hold = self.documents.hold();
        let follows = heard != Heard::Foreign;
        if follows {
            self.refused_whole = None;
            if self.down.take().is_some() {
                tracing::info!("documents can be read again");
            }
            self.metrics()
                .config_progress_unix_ms
                .store(now_ms, Relaxed);
        }
        self.metrics()
            .config_watch_up
            .store(u64::from(follows), Relaxed);
        let held = self.shared.standing.borrow().hold;
        match (held, hold) {
            (before, Some(hold)) if before != Some(hold) => tracing::error!(
                hold = hold.as_str(),
                "this is not the store that was followed: serving what was applied last, \
                 applying nothing (serin store adopt, or restart without the state directory)"
            ),
            (Some(hold), None) => {
                let adopted = matches!(heard, Heard::Adopted(_));
                tracing::warn!(hold = hold.as_str(), adopted, "hold ended");
            }
            _ => {}
        }
        self.shared.standing.send_if_modified(|standing| {
            let before = (standing.hold, standing.source);
            standing.hold = hold;
            if follows {
                standing.source = Source::Store;
            }
            before != (standing.hold, standing.source)
        });
    }

    /// Makes what is held what serves.
    fn apply(&mut self, revision: Revision) {
        let began = clock::now();
        let admitted = self.documents.admit();
        let before = self.shared.snapshot.load();
        let built = build(&admitted, revision, before.as_deref(), &self.shared.metrics);
        drop(before);
        let mut rejected = admitted.rejected;
        rejected.extend_from_slice(&built.rejected);
        let (routes, targets) = (built.snapshot.routes.routes().len(), built.targets.len());
        self.publisher.publish(built);
        if let Some(snapshot) = self.shared.snapshot.load() {
            self.exposures.applied(&snapshot);
        }
        let metrics = self.metrics();
        metrics.config_revision.store(revision.0, Relaxed);
        metrics
            .unknown_fields
            .store(self.documents.unknown_fields(), Relaxed);
        let new = self.refusals.take(&rejected);
        self.metrics().applies[Applied::Rejected as usize].fetch_add(new, Relaxed);
        self.shared.standing.send_modify(|standing| {
            standing.applied = Some(revision);
            standing.rejected = Rejected::of(&rejected);
        });
        self.show_rejected();
        self.snapshots.count(news::Applied {
            revision,
            routes,
            targets,
            took: began.elapsed(),
        });
    }

    fn show_rejected(&self) {
        let documents = self.shared.standing.borrow().rejected.count;
        self.metrics()
            .config_rejected
            .store(self.refused_whole.unwrap_or(documents), Relaxed);
    }

    fn refused(&mut self, faults: &[Fault]) {
        for fault in faults {
            tracing::error!(%fault, code = fault.code, "document fault");
        }
        self.metrics().applied(Applied::Rejected);
        self.refused_whole = Some(news::documents(faults));
        tracing::error!(
            faults = faults.len(),
            "documents refused: serving what was applied last"
        );
    }

    fn went_down(&mut self, reason: Reason, why: &str) {
        self.metrics().config_watch_up.store(0, Relaxed);
        if self.down.replace(reason) != Some(reason) {
            tracing::error!(
                %reason,
                why,
                "documents cannot be read: serving what was applied last"
            );
        }
    }

    fn ended(&self) {
        self.metrics().config_watch_up.store(0, Relaxed);
        tracing::error!("the source of documents has ended: serving what was applied last");
    }

    fn panicked(&self) {
        self.metrics().panicked(PanicPlace::Task);
        tracing::error!("applying documents panicked: serving what was applied last");
    }

    fn metrics(&self) -> &ProcessMetrics {
        &self.shared.metrics.process
    }
}
