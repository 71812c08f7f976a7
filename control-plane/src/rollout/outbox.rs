//! What others are to be told, until they took it.
//!
//! A letter is written in the transaction of the step it tells of, so it exists exactly if the step
//! does. The leader delivers; the next leader goes on with the same keys, so a receiver may hear
//! one twice and can tell. Nothing waits for a letter, and one that nobody takes for an hour is
//! dropped.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serin_proto::key::StoreKey;
use serin_store::{Compare, Entry, Key, Op, Txn};
use tokio::{task::JoinSet, time::sleep};

use super::{
    alert,
    event::{Message, Receiver},
    plan::{AlertFormat, AlertUrl, AnalysisPlan, HookKind, Severity},
    view::Pending,
    webhook,
};
use crate::{
    clock, failpoint,
    http::{Answer, Failed, Http},
    leader::{Fence, Leadership},
    plane::Plane,
};

/// A letter that nobody takes is kept so long.
const KEPT_MAX: Duration = Duration::from_secs(3600);
/// Pause after the first try; it doubles.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// Letters on their way at once.
const PARALLEL_MAX: usize = 16;
/// How long an alert may take: a plan does not say.
const ALERT_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest time between two looks, for what is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is kept under `rollouts/<route>/outbox/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Letter {
    to: Address,
    message: Message,
    /// Unix seconds, when it was written.
    at: u64,
}

/// Where it goes, as the plan had it when it was written: a later plan changes nothing about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
enum Address {
    Webhook {
        url: String,
        timeout_ms: u64,
        #[serde(rename = "type")]
        of: String,
        metadata: BTreeMap<String, String>,
    },
    Alert {
        is_slack: bool,
        url: Place,
    },
}

/// Where an alert's address is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Place {
    Written(String),
    Env(String),
    File(String),
}

impl Letter {
    /// The letter of a message; `None`: the plan has no such receiver.
    pub(crate) fn of(message: Message, plan: &AnalysisPlan, at: u64) -> Option<Self> {
        let to = match message.to {
            Receiver::Webhook => {
                let mut hooks = plan.webhooks.iter();
                let hook = hooks.find(|hook| hook.name == message.name)?;
                Address::Webhook {
                    url: hook.url.clone(),
                    timeout_ms: hook.timeout_ms,
                    of: hook.kind.as_str().to_owned(),
                    metadata: hook.metadata.clone(),
                }
            }
            Receiver::Alert => {
                let mut alerts = plan.alerts.iter();
                let alert = alerts.find(|alert| alert.name == message.name)?;
                Address::Alert {
                    is_slack: alert.format == AlertFormat::Slack,
                    url: Place::of(&alert.url),
                }
            }
        };
        Some(Self { to, message, at })
    }

    /// As it is stored.
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes::from(serde_json::to_vec(self).unwrap_or_default())
    }

    async fn deliver(&self, http: &Http, pending: &Pending) -> Result<Answer, Failed> {
        let key = webhook::key(&self.message.at, pending.n);
        let request = match &self.to {
            Address::Webhook {
                url,
                timeout_ms,
                of,
                metadata,
            } => {
                let metadata = self.metadata(of, metadata);
                let (route, message) = (&pending.route, &self.message);
                let body = webhook::payload(route, &message.phase, &message.at, &metadata);
                webhook::request(url, key, body, Duration::from_millis(*timeout_ms))
            }
            Address::Alert { is_slack, url } => {
                let format = if *is_slack {
                    AlertFormat::Slack
                } else {
                    AlertFormat::Generic
                };
                let url = alert::url(&url.as_plan()).map_err(|why| {
                    tracing::warn!(
                        route = pending.route,
                        alert = self.message.name,
                        why,
                        "an alert's address could not be read"
                    );
                    Failed::Unsendable("its address could not be read")
                })?;
                let body = alert::body(format, &pending.route, &self.message);
                webhook::request(&url, key, body, ALERT_TIME_MAX)
            }
        };
        http.send(request).await
    }

    /// Flagger's `event` has three words more.
    fn metadata(&self, of: &str, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut metadata = own.clone();
        if of == HookKind::Event.as_str() {
            let kind = match self.message.severity {
                Severity::Info => "Normal",
                Severity::Warn | Severity::Error => "Warning",
            };
            let more = [
                ("eventMessage", self.message.text.clone()),
                ("eventType", kind.to_owned()),
                ("timestamp", (self.at * 1_000).to_string()),
            ];
            metadata.extend(more.map(|(name, value)| (name.to_owned(), value)));
        }
        metadata
    }
}

impl Place {
    fn of(url: &AlertUrl) -> Self {
        match url {
            AlertUrl::Written(url) => Self::Written(url.clone()),
            AlertUrl::Env(name) => Self::Env(name.clone()),
            AlertUrl::File(path) => Self::File(path.clone()),
        }
    }

    fn as_plan(&self) -> AlertUrl {
        match self {
            Self::Written(url) => AlertUrl::Written(url.clone()),
            Self::Env(name) => AlertUrl::Env(name.clone()),
            Self::File(path) => AlertUrl::File(path.clone()),
        }
    }
}

/// Delivers while this process leads, until the plane is stopped.
pub(crate) async fn run(plane: Arc<Plane>) {
    let stopped = plane.stopped();
    tokio::select! {
        () = stopped => {}
        () = work(&plane) => {}
    }
}

async fn work(plane: &Arc<Plane>) {
    let mut leadership = plane.leadership.subscribe();
    let mut heard = plane.rollouts.subscribe();
    let mut post = Post::default();
    loop {
        let Leadership { leading } = *leadership.borrow_and_update();
        plane.metrics.outbox(plane.rollouts.outbox().len());
        match leading {
            Some(fence) => post.send_due(plane, fence),
            None => post = Post::default(),
        }
        heard.mark_unchanged();
        tokio::select! {
            changed = leadership.changed() => if changed.is_err() {
                return;
            },
            // It does not end before the plane does.
            _ = heard.changed() => {}
            Some(done) = post.on_the_way.join_next() => post.came_back(done.ok()),
            () = sleep(LOOK_EVERY) => {}
        }
    }
}

/// Letters on their way, and when the others are due.
#[derive(Default)]
struct Post {
    on_the_way: JoinSet<Back>,
    /// Those that were tried or are on their way.
    tried: HashMap<Pending, Tried>,
}

#[derive(Clone, Copy, Debug)]
struct Tried {
    times: u32,
    /// `None`: it is on its way.
    due: Option<Instant>,
}

/// A letter's messenger.
struct Back {
    pending: Pending,
    /// It was taken, or dropped, and is not in the store any more.
    is_gone: bool,
}

impl Post {
    fn send_due(&mut self, plane: &Arc<Plane>, fence: Fence) {
        let now = clock::now();
        let waiting = plane.rollouts.outbox();
        self.tried
            .retain(|pending, tried| tried.due.is_none() || waiting.binary_search(pending).is_ok());
        for pending in waiting {
            if self.on_the_way.len() >= PARALLEL_MAX {
                return;
            }
            let known = self.tried.get(&pending).copied();
            let is_due = known.is_none_or(|tried| tried.due.is_some_and(|due| due <= now));
            if is_due {
                let tried = Tried {
                    times: known.map_or(0, |tried| tried.times),
                    due: None,
                };
                self.tried.insert(pending.clone(), tried);
                self.on_the_way
                    .spawn(carry(Arc::clone(plane), fence, pending));
            }
        }
    }

    fn came_back(&mut self, back: Option<Back>) {
        let Some(back) = back else {
            // One panicked, and nobody knows which: whatever is on its way is tried again, with the
            // same key.
            self.tried.retain(|_, tried| tried.due.is_some());
            return;
        };
        let Some(tried) = self.tried.get_mut(&back.pending) else {
            return;
        };
        let doubled = PAUSE_MIN * 2_u32.saturating_pow(tried.times.min(16));
        tried.times = tried.times.saturating_add(1);
        // What is gone stays known until the view has heard of it, too.
        let pause = if back.is_gone { PAUSE_MAX } else { doubled };
        tried.due = Some(clock::now() + pause.min(PAUSE_MAX));
    }
}

/// One try with one letter.
async fn carry(plane: Arc<Plane>, fence: Fence, pending: Pending) -> Back {
    let is_gone = match try_one(&plane, fence, &pending).await {
        Ok(is_gone) => is_gone,
        Err(error) => {
            tracing::warn!(route = pending.route, seq = pending.seq, n = pending.n, %error, "the outbox could not be used");
            false
        }
    };
    Back { pending, is_gone }
}

async fn try_one(
    plane: &Plane,
    fence: Fence,
    pending: &Pending,
) -> Result<bool, serin_store::Error> {
    let key = key(pending);
    let (Some(entry), _) = plane.store.get(&key).await? else {
        return Ok(true);
    };
    let (route, seq, n) = (&pending.route, pending.seq, pending.n);
    let Ok(letter) = serde_json::from_slice::<Letter>(&entry.value) else {
        tracing::error!(route, seq, n, "a letter that cannot be read was dropped");
        return delete(plane, fence, &entry).await;
    };
    if !plane.rollouts.has(route) {
        // Its route was deleted, and whatever was to be told of it.
        return delete(plane, fence, &entry).await;
    }
    failpoint::reach("outbox", "before");
    let begun = clock::now();
    let answered = letter.deliver(&plane.webhooks, pending).await;
    let took = clock::now().saturating_duration_since(begun);
    failpoint::reach("outbox", "after");
    count(plane, &letter, &answered, took);
    if answered
        .as_ref()
        .is_ok_and(|answer| answer.status / 100 == 2)
    {
        return delete(plane, fence, &entry).await;
    }
    let why = match answered {
        Ok(answer) => format!("HTTP {}", answer.status),
        Err(failed) => failed.to_string(),
    };
    let age = clock::unix().as_secs().saturating_sub(letter.at);
    let name = &letter.message.name;
    if age < KEPT_MAX.as_secs() {
        tracing::warn!(route, name, seq, n, why, "nobody took a letter");
        return Ok(false);
    }
    tracing::error!(
        route,
        name,
        seq,
        n,
        why,
        "a letter that nobody took was dropped"
    );
    delete(plane, fence, &entry).await
}

fn count(plane: &Plane, letter: &Letter, answered: &Result<Answer, Failed>, took: Duration) {
    use serin_proto::metric::control_plane::rollout::WebhookResult;
    let result = match answered {
        Ok(answer) if answer.status / 100 == 2 => WebhookResult::Ok,
        Err(Failed::Timeout(_)) => WebhookResult::Timeout,
        _ => WebhookResult::Error,
    };
    let kind = match &letter.to {
        Address::Webhook { of, .. } if of == HookKind::PostRollout.as_str() => {
            HookKind::PostRollout.as_str()
        }
        Address::Webhook { .. } => HookKind::Event.as_str(),
        Address::Alert { .. } => "alert",
    };
    plane.metrics.webhook(kind, result, took);
}

/// Whether it is gone: who leads no more deletes nothing.
async fn delete(plane: &Plane, fence: Fence, entry: &Entry) -> Result<bool, serin_store::Error> {
    let txn = Txn {
        compares: vec![
            fence.compare(),
            Compare::ModRevision(entry.key.clone(), entry.mod_revision),
        ],
        ops: vec![Op::Delete(entry.key.clone())],
        receipt: None,
    };
    // Not deleted: it is delivered again, with the same key.
    let outcome = plane.store.txn(txn).await?;
    Ok(matches!(outcome, serin_store::Outcome::Committed(_)))
}

fn key(pending: &Pending) -> Key {
    Key::from(&StoreKey::RolloutOutbox {
        route: pending.route.clone(),
        seq: pending.seq,
        n: pending.n,
    })
}
