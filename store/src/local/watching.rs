//! One watcher's task: what it holds is a revision, what it is told comes from the ledger.
//!
//! ```text
//!   at: none or behind the history ──▶ Reset      at: behind now ──▶ Changes (whole revisions)
//!   at: now ──▶ wait: something new · asked for progress · 10 s · nobody watches (the task ends)
//! ```

use std::{sync::Arc, time::Duration};

use serin_proto::unit::Revision;
use tokio::{
    sync::watch,
    time::{Interval, interval},
};

use super::{Mirror, State};
use crate::{
    Feed, Resume, Scope,
    ledger::Step,
    watch::{Event, Reason},
};

/// Time between two `Progress` events when a watcher has nothing else to be told, however much others write
/// beside its scope. A watcher counts as stale after 120 s, an exposure lease ends after 60 s.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Asked {
    pub(super) scope: Scope,
    pub(super) after: Option<Resume>,
}

/// Why a watcher that knows everything goes on.
enum Woken {
    News,
    ProgressDue,
    Nobody,
}

pub(super) async fn serve(
    mirror: Arc<Mirror>,
    mut state: watch::Receiver<State>,
    asked: Asked,
    feed: Feed,
) {
    let mut at = asked.after.and_then(|resume| mirror.read().resume(&resume));
    let mut cut_off = false;
    // Who resumes and missed nothing is told so at once: that is how it knows that it is up.
    let mut progress_due = at.is_some();
    // One clock over all waits: what is written beside the scope wakes this task and tells its watcher nothing.
    let mut quiet = interval(PROGRESS_EVERY);
    quiet.reset();
    loop {
        let reachable = state.borrow_and_update().reachable;
        let event = if !reachable {
            (!cut_off).then(|| Event::Down(Reason::Connect, "cut off".to_owned()))
        } else {
            next(&mirror, asked.scope, &mut at).or_else(|| {
                let owed = progress_due || cut_off;
                at.filter(|_| owed).map(Event::Progress)
            })
        };
        progress_due &= !matches!(event, Some(Event::Progress(_) | Event::Reset(_)));
        cut_off = !reachable;
        if let Some(event) = event {
            if !feed.send(event).await {
                return;
            }
            quiet.reset();
            continue;
        }
        match wait(&mut state, &feed, &mut quiet).await {
            Woken::News => {}
            Woken::ProgressDue => progress_due = true,
            Woken::Nobody => return,
        }
    }
}

/// The next event for a watcher at `at`, if there is any; moves `at`.
fn next(mirror: &Mirror, scope: Scope, at: &mut Option<Revision>) -> Option<Event> {
    match mirror.read().follow(scope, *at) {
        Step::Reset(listing) => {
            *at = Some(listing.revision);
            Some(Event::Reset(listing))
        }
        Step::Changes {
            batch,
            revision,
            at: told,
        } => {
            *at = Some(told);
            Some(Event::Changes { batch, revision })
        }
        Step::Quiet(told) => {
            *at = Some(told);
            None
        }
    }
}

async fn wait(state: &mut watch::Receiver<State>, feed: &Feed, quiet: &mut Interval) -> Woken {
    tokio::select! {
        biased;
        () = feed.closed() => Woken::Nobody,
        () = feed.asked() => Woken::ProgressDue,
        _ = quiet.tick() => Woken::ProgressDue,
        changed = state.changed() => if changed.is_ok() { Woken::News } else { Woken::Nobody },
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::{StoreIdentity, ledger::Ledger};

    #[tokio::test(start_paused = true)]
    async fn a_watcher_of_a_quiet_scope_is_told_so_however_much_others_write() {
        let mirror = Mirror::of(Ledger::new(StoreIdentity("one".to_owned())));
        let (feed, mut watch) = crate::watch::channel();
        let asked = Asked {
            scope: Scope::Documents,
            after: None,
        };
        let state = mirror.state.subscribe();
        let serving = tokio::spawn(serve(Arc::clone(&mirror), state, asked, feed));
        assert!(matches!(watch.next().await, Some(Event::Reset(_))));
        // A rollout writes its state each second, which is outside this scope.
        let others = async {
            let mut seconds = interval(Duration::from_secs(1));
            loop {
                seconds.tick().await;
                mirror.state.send_modify(|state| state.revision.0 += 1);
            }
        };
        let told = tokio::select! {
            told = timeout(PROGRESS_EVERY * 2, watch.next()) => told.expect("something in time"),
            () = others => None,
        };
        assert!(matches!(told, Some(Event::Progress(_))), "{told:?}");
        drop(watch);
        serving.await.expect("it ends with its watcher");
    }
}
