//! The task behind a watch of etcd: keeps one stream open for as long as somebody reads.
//!
//! ```text
//!   connect ─▶ one linearizable read: may we go on? ──yes──▶ watch from there ─▶ messages ─▶ events
//!                 └ no, or nothing held: list, Reset ───────────┘                  │
//!      ▲                                                                           │
//!      ├── pause (jitter, doubling) ◀── Down(reason) ◀── end, silence, error ──────┤
//!      └── pause (0–2 s), forget ◀───── Down(canceled) ◀── compacted, unknown ─────┘
//! ```
//!
//! Always: a stream is dropped before the next is opened; `next` is the cursor's alone; listing and
//! watch use the same connection. A panic in here is caught and the task started again.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use tokio::time::{sleep, sleep_until};

use super::{
    Event, Feed, Reason,
    backoff::Backoff,
    cursor::{Cursor, Step},
    standing::Standing,
};
use crate::{
    Page, Resume, Scope,
    etcd::{
        Timing, clock,
        connection::{Connection, Connector},
        trouble::{Kind, Trouble, canceled_for},
        watch::{OpenWatches, Stream},
    },
};

/// A watch whose task panicked begins again within this.
const RESTART_MAX: Duration = Duration::from_secs(1);

/// Between two requests for progress that a consumer makes.
const ASK_GAP: Duration = Duration::from_millis(20);

/// A request for progress that the server left unanswered, as it does while a watch catches up, is
/// made again after this.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Watches `scope` until nobody reads any more. `open` counts the streams.
pub(crate) async fn supervise(
    connector: Arc<Connector>,
    open: OpenWatches,
    scope: Scope,
    after: Option<Resume>,
    feed: Feed,
) {
    let mut after = after;
    let start = || {
        // After a panic nothing of the old state is trusted: the next event is a `Reset`.
        let supervisor = Supervisor::new(&connector, &open, scope, after.take(), &feed);
        let feed = feed.clone();
        async move {
            tokio::select! {
                () = feed.closed() => {}
                () = supervisor.run() => {}
            }
        }
    };
    restarting(&feed, start).await;
}

/// Runs a task until it returns; begins another whenever it panics.
async fn restarting<F>(feed: &Feed, mut start: impl FnMut() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        match tokio::spawn(start()).await {
            Err(failed) if failed.is_panic() => {
                tracing::error!("the task of a watch panicked and was started again");
                let text = "the task of the watch panicked".to_owned();
                if !feed.send(Event::Down(Reason::Io, text)).await {
                    return;
                }
                sleep(RESTART_MAX.mul_f64(clock::draw())).await;
            }
            // Returned, or its runtime is ending.
            _ => return,
        }
    }
}

/// One watch.
struct Supervisor {
    connector: Arc<Connector>,
    open: OpenWatches,
    scope: Scope,
    feed: Feed,
    cursor: Cursor,
    backoff: Backoff,
    standing: Standing,
}

/// Why a session ended.
enum End {
    /// Nobody reads any more.
    Closed,
    /// Go on where we were, on another connection.
    Reopen(Trouble),
    /// List again: what is missing cannot be had from history, or it is another history.
    Relist(Reason, String),
}

impl From<Trouble> for End {
    fn from(trouble: Trouble) -> Self {
        match trouble.kind {
            // A batch too long to be read will not become shorter.
            Kind::Compacted | Kind::TooLong => Self::Relist(Reason::Canceled, trouble.text),
            _ => Self::Reopen(trouble),
        }
    }
}

impl Supervisor {
    fn new(
        connector: &Arc<Connector>,
        open: &OpenWatches,
        scope: Scope,
        after: Option<Resume>,
        feed: &Feed,
    ) -> Self {
        let timing = &connector.timing;
        Self {
            connector: Arc::clone(connector),
            open: open.clone(),
            scope,
            feed: feed.clone(),
            cursor: Cursor::new(after),
            backoff: Backoff::new(timing.pause_min, timing.pause_max, timing.healthy),
            standing: Standing::default(),
        }
    }

    async fn run(mut self) {
        loop {
            let connection = match self.connector.connection().await {
                Ok(connection) => connection,
                Err(trouble) => {
                    if !self.pause(trouble.reason(), trouble.text).await {
                        return;
                    }
                    continue;
                }
            };
            let go_on = match self.session(&connection).await {
                End::Closed => return,
                End::Reopen(trouble) => {
                    self.connector.discard(&connection).await;
                    self.pause(trouble.reason(), trouble.text).await
                }
                End::Relist(reason, text) => {
                    self.cursor.forget();
                    // What makes one watch list again makes all of a fleet.
                    let spread = self.connector.timing.relist_max.mul_f64(clock::draw());
                    self.pause_at_least(reason, text, spread).await
                }
            };
            if !go_on {
                return;
            }
        }
    }

    /// From a connection to the end of one stream.
    async fn session(&mut self, connection: &Connection) -> End {
        match self.stream(connection).await {
            Ok(stream) => {
                let ended = self.follow(stream, connection).await;
                ended.err().unwrap_or(End::Closed)
            }
            Err(end) => end,
        }
    }

    /// Lists if it must, and opens a stream from the next revision on.
    async fn stream(&mut self, connection: &Connection) -> Result<Stream, End> {
        let deadline = self.connector.timing.call;
        if self.cursor.stands_somewhere() {
            self.compare_history(connection).await?;
        } else {
            let listing = connection
                .list(self.scope, &Page::whole(), deadline)
                .await?;
            self.cursor.listed(&listing);
            self.deliver(Event::Reset(listing)).await?;
        }
        let start = self.cursor.start();
        self.cursor.asked();
        Ok(Stream::open(connection, self.scope, start, deadline, &self.open).await?)
    }

    /// A revision of the future would be waited for in silence, another history would be mixed
    /// with ours: so the store is asked first.
    async fn compare_history(&self, connection: &Connection) -> Result<(), End> {
        let key = self.cursor.newest().map(|(key, _)| key.clone());
        let deadline = self.connector.timing.call;
        let seen = connection.look(self.scope, key.as_ref(), deadline).await?;
        if self.cursor.may_resume(&seen) {
            return Ok(());
        }
        let text = format!(
            "the store {} at revision {} is not as it was left",
            seen.identity.0, seen.revision
        );
        Err(End::Relist(Reason::Foreign, text))
    }

    /// Reads a stream until it ends. Only waiting is ever broken off: what was taken from the
    /// stream is delivered, or it would be lost.
    async fn follow(&mut self, mut stream: Stream, connection: &Connection) -> Result<(), End> {
        let connector = Arc::clone(&self.connector);
        let (ask_progress, silent) = (connector.timing.ask_progress, connector.timing.silent);
        let mut leader_lost = pin!(leader_lost(connection, self.scope, &connector.timing));
        let mut heard = clock::now();
        let mut asked = heard;
        let mut ask_at = heard + ask_progress;
        let mut waited_for = false;
        loop {
            let feed = self.feed.clone();
            tokio::select! {
                message = stream.message() => {
                    let step = self.cursor.take(message?);
                    if step == Step::Created {
                        self.up();
                        // Whoever was told that it is down learns that it is up.
                        (waited_for, ask_at) = (true, clock::now());
                    } else if matches!(step, Step::Deliver(Event::Progress(_))) {
                        waited_for = false;
                        ask_at = asked + ask_progress;
                    }
                    self.act(step).await?;
                    heard = clock::now();
                }
                () = feed.asked(), if !waited_for => {
                    waited_for = true;
                    ask_at = asked + ASK_GAP;
                }
                () = sleep_until(ask_at) => {
                    stream.ask_progress().await?;
                    asked = clock::now();
                    ask_at = asked + if waited_for { ASK_AGAIN } else { ask_progress };
                }
                trouble = &mut leader_lost => return Err(End::Reopen(trouble)),
                () = sleep_until(heard + silent) => {
                    let text = format!("nothing came for {silent:?}");
                    return Err(End::Reopen(Trouble::new(Kind::Silent, text)));
                }
            }
        }
    }

    async fn act(&mut self, step: Step) -> Result<(), End> {
        match step {
            Step::Wait | Step::Created => Ok(()),
            Step::Deliver(event) => self.deliver(event).await,
            Step::Relist(text) => Err(End::Relist(Reason::Canceled, text)),
            Step::Canceled(reason) => Err(match canceled_for(&reason) {
                kind @ (Kind::Token | Kind::Denied | Kind::Refused) => {
                    End::Reopen(Trouble::new(kind, reason))
                }
                _ => End::Relist(Reason::Canceled, reason),
            }),
        }
    }

    async fn deliver(&self, event: Event) -> Result<(), End> {
        if self.feed.send(event).await {
            Ok(())
        } else {
            Err(End::Closed)
        }
    }

    fn up(&mut self) {
        if self.standing.rise(clock::now().into_std()) {
            tracing::info!(scope = ?self.scope, "a watch is up again");
        }
    }

    async fn pause(&mut self, reason: Reason, text: String) -> bool {
        self.pause_at_least(reason, text, Duration::ZERO).await
    }

    /// Says that it is down, and why, when that is news; then waits. `false`: nobody reads.
    async fn pause_at_least(&mut self, reason: Reason, text: String, least: Duration) -> bool {
        let fall = self.standing.fall(reason, clock::now().into_std());
        let pause = self.backoff.after(fall.lived, clock::draw()).max(least);
        if fall.log {
            tracing::warn!(scope = ?self.scope, %reason, error = %text, "a watch is down");
        }
        if fall.is_news && !self.feed.send(Event::Down(reason, text)).await {
            return false;
        }
        sleep(pause).await;
        true
    }
}

/// Resolves when the member has lost its leader. etcd itself ends the streams of a member without
/// a leader only after three further election timeouts.
async fn leader_lost(connection: &Connection, scope: Scope, timing: &Timing) -> Trouble {
    loop {
        sleep(timing.ask_leader).await;
        // Any other failure says nothing about the stream: a slow disk or an old token end no watch.
        match connection.has_leader(scope, timing.call).await {
            Err(trouble) if trouble.kind == Kind::Refused => return trouble,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_caught_and_the_task_begins_again_within_a_second() {
        let (feed, mut watch) = crate::watch::channel();
        let starts = Arc::new(AtomicU32::new(0));
        let began = Instant::now();
        let counted = Arc::clone(&starts);
        restarting(&feed, move || {
            let start = counted.fetch_add(1, Ordering::Relaxed);
            async move { assert!(start > 0, "the first one fails") }
        })
        .await;
        assert_eq!(starts.load(Ordering::Relaxed), 2);
        assert!(began.elapsed() <= RESTART_MAX, "{:?}", began.elapsed());
        let event = watch.waiting();
        assert!(
            matches!(event, Some(Event::Down(Reason::Io, _))),
            "{event:?}"
        );
    }
}
