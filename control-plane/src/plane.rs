//! What all parts of a control plane share, and what each of them is told when it must end.

use std::{future::Future, io, net::IpAddr, sync::Arc, time::Duration};

use serin_store::Store;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
    time::timeout,
};

use crate::{
    analysis::reader::{self, SampleReader},
    auth::{Actor, Denied, Right, Tokens, Via},
    change::Refusal,
    clock::Ulids,
    fleet::Fleet,
    http::Http,
    leader::Leadership,
    metrics::{Measured, Metrics, Questioned},
    rollout::{room::Room, view::Rollouts},
    settings::Settings,
    view::View,
};

/// Changes that are worked on at once; more wait.
const CHANGES_MAX: u32 = 64;
/// Longest wait for begun changes at the end.
const FINISH_MAX: Duration = Duration::from_secs(15);

/// One control plane.
#[derive(Debug)]
pub(crate) struct Plane {
    pub(crate) settings: Settings,
    /// Made anew with each start of the process.
    pub(crate) boot_id: String,
    pub(crate) store: Arc<dyn Store>,
    /// Every document as this process last heard of it: for judging changes and for `/watch`.
    pub(crate) view: View,
    /// The rollouts of all routes as this process last heard of them.
    pub(crate) rollouts: Rollouts,
    /// Of the store, for the steps of rollouts.
    pub(crate) room: Room,
    pub(crate) tokens: Tokens,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) metrics: Arc<Metrics>,
    /// For webhooks and alerts alone: none that hangs delays the source.
    pub(crate) webhooks: Http,
    /// Who counted what routers did; `None`: no rollout can start.
    pub(crate) source: Option<Arc<dyn SampleReader>>,
    pub(crate) leadership: watch::Sender<Leadership>,
    pub(crate) ulids: Ulids,
    changes: Arc<Semaphore>,
    /// Where work goes on that was begun for somebody who may have hung up.
    tasks: Handle,
    stopping: watch::Sender<bool>,
}

impl Plane {
    /// A control plane that does nothing yet. What it does goes on at `tasks`.
    pub(crate) fn new(settings: Settings, store: Arc<dyn Store>, tasks: Handle) -> Arc<Self> {
        let metrics = Metrics::new(settings.version, settings.commit);
        let ulids = Ulids::new();
        let source = reader::source(&settings.metrics_source, &Http::default(), &tasks);
        let source = source.map(|source| Questioned::wrap(source, Arc::clone(&metrics)));
        Arc::new(Self {
            boot_id: ulids.next(),
            store: Measured::wrap(store, Arc::clone(&metrics)),
            view: View::new(settings.allowed_networks.clone()),
            tokens: Tokens::new(&settings.tokens),
            fleet: Fleet::new(Arc::clone(&metrics)),
            metrics,
            source,
            webhooks: Http::default(),
            rollouts: Rollouts::default(),
            room: Room::default(),
            leadership: watch::Sender::default(),
            ulids,
            changes: Arc::new(Semaphore::new(CHANGES_MAX as usize)),
            tasks,
            stopping: watch::Sender::new(false),
            settings,
        })
    }

    /// Who it is, by the value of the `Authorization` header. `peer` is whose failures are counted.
    ///
    /// # Errors
    /// Nobody, for one of the reasons there are; it was counted and logged.
    pub(crate) fn identify(
        &self,
        authorization: Option<&[u8]>,
        peer: IpAddr,
        via: Via,
    ) -> Result<Actor, Denied> {
        let identified = self.tokens.identify(authorization, peer, via);
        identified.inspect_err(|denied| self.refused(*denied, peer, via))
    }

    /// Who it is now that was identified before: a stream asks again, as its token may have ended
    /// or changed its role. It is no try of `peer`.
    ///
    /// # Errors
    /// Nobody any more; it was counted and logged.
    pub(crate) fn identify_again(
        &self,
        authorization: Option<&[u8]>,
        peer: IpAddr,
        via: Via,
    ) -> Result<Actor, Denied> {
        let known = self.tokens.known(authorization, via);
        known.inspect_err(|denied| self.refused(*denied, peer, via))
    }

    fn refused(&self, denied: Denied, peer: IpAddr, via: Via) {
        if denied == Denied::NotYet {
            return;
        }
        self.metrics.auth_failed(denied.reason());
        tracing::info!(%peer, %via, reason = denied.reason(), "token refused");
    }

    /// Whether the actor has the right.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when the role does not reach so far; it was counted and logged.
    pub(crate) fn require(&self, actor: &Actor, right: Right) -> Result<(), Refusal> {
        let least = right.least_role();
        if actor.role.reaches(least) {
            return Ok(());
        }
        self.metrics.auth_failed("role");
        tracing::info!(actor = actor.name, role = %actor.role, needed = %least, "role refused");
        Err(Refusal::Forbidden { least })
    }

    /// Runs a change to its end, whether or not somebody waits for it.
    pub(crate) async fn finish<T, F>(
        self: &Arc<Self>,
        change: impl FnOnce(Arc<Self>) -> F + Send + 'static,
    ) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Refusal>> + Send + 'static,
    {
        let closed = || Refusal::StoreUnavailable("the control plane is stopping".to_owned());
        let permit = Arc::clone(&self.changes).acquire_owned().await;
        let permit = permit.map_err(|_| closed())?;
        let work = change(Arc::clone(self));
        let held = async move {
            let done = work.await;
            drop(permit);
            done
        };
        let done = self.tasks.spawn(held).await;
        done.unwrap_or_else(|ended| Err(Refusal::Internal(ended.to_string())))
    }

    /// Tells every part that it must end.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Resolves once [`Self::stop`] was called. Streams that have no end of their own end then.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.subscribe();
        async move {
            // An error means that nobody can say it any more, which says it.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    /// Takes no change any more and waits for those begun, for as long as [`FINISH_MAX`].
    ///
    /// # Errors
    /// Some have not ended in time.
    pub(crate) async fn finished(&self) -> io::Result<()> {
        let all = timeout(FINISH_MAX, self.changes.acquire_many(CHANGES_MAX)).await;
        self.changes.close();
        all.map(drop).map_err(io::Error::from)
    }

    /// Whether it can do its work: documents and tokens were seen once. A store that is away later
    /// changes nothing of that.
    pub(crate) fn is_ready(&self) -> bool {
        self.view.is_ready() && self.tokens.are_ready()
    }

    /// Waits until [`Self::is_ready`].
    pub(crate) async fn ready(&self) {
        self.view.ready().await;
        self.tokens.ready().await;
    }
}

#[cfg(test)]
mod tests {
    use serin_store::MemoryStore;
    use tokio::sync::oneshot;

    use super::*;
    use crate::stage::{Stage, eventually};

    #[tokio::test]
    async fn the_end_waits_for_changes_that_were_begun_and_takes_no_more() {
        let plane = Arc::clone(&Stage::unheard(&MemoryStore::new()).plane);
        let (go_on, wait) = oneshot::channel();
        let begun = tokio::spawn({
            let plane = Arc::clone(&plane);
            async move { plane.finish(|_| async { Ok(wait.await.is_ok()) }).await }
        });
        let free = || async { plane.changes.available_permits() };
        eventually(free, |free| *free < CHANGES_MAX as usize).await;
        let ending = tokio::spawn({
            let plane = Arc::clone(&plane);
            async move { plane.finished().await }
        });
        // The end has taken all that is free and waits for the rest.
        eventually(free, |free| *free == 0).await;
        assert!(!ending.is_finished());
        go_on.send(()).unwrap();
        assert!(begun.await.unwrap().unwrap());
        ending.await.unwrap().unwrap();
        let late = plane.finish(|_| async { Ok(()) }).await;
        assert_eq!(late.unwrap_err().code(), "store_unavailable");
    }
}
