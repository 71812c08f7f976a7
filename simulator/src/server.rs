//! Connections in, answers out.
//!
//! One task per connection: read a request, decide, carry out the plan, again. All decisions are
//! `answer`'s; what is here is the URL table, the key, and the notes for the journal.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::answer::{self, Plan, Refusal};
use crate::ask::{Ask, Operation};
use crate::http::{self, Head, Incoming};
use crate::journal::{Ended, Journal, Outcome, Phase};
use crate::script::{Recording, Script};
use crate::stage::Stage;
use crate::wire::{Ending, Gone, Link, Sent};
use crate::{BadScript, control, models};

/// Rest after a failed accept: without descriptors the next one fails as well.
const ACCEPT_REST: Duration = Duration::from_millis(10);

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    stage: RwLock<Arc<Stage>>,
    pub(crate) journal: Journal,
    connections: AtomicU64,
}

impl Shared {
    pub(crate) fn new(script: Script) -> Result<Self, BadScript> {
        script.check()?;
        Ok(Self {
            stage: RwLock::new(Arc::new(Stage::new(script))),
            journal: Journal::default(),
            connections: AtomicU64::new(0),
        })
    }

    pub(crate) fn stage(&self) -> Arc<Stage> {
        Arc::clone(&self.stage.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_script(&self, script: Script) -> Result<(), BadScript> {
        script.check()?;
        let stage = Arc::new(Stage::new(script));
        *self.stage.write().unwrap_or_else(PoisonError::into_inner) = stage;
        Ok(())
    }
}

/// Serves until `shutdown`; then every connection is dropped, whatever it does.
pub(crate) async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    shutdown: impl Future<Output = ()>,
) {
    let mut running = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            Some(_) = running.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    running.spawn(converse(stream, Arc::clone(&shared)));
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            },
        }
    }
}

/// A request whose body is whole.
struct Request {
    head: Head,
    body: Bytes,
}

/// Why there is no request.
enum Unheard {
    /// The caller closed between two requests, or within a head.
    Nothing,
    LeftInUpload(Head, Bytes),
    Refused(Refusal, Option<Head>),
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    let connection = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
    let mut link = Link::new(stream);
    loop {
        let heard = hear(&mut link, &shared).await;
        let since = Instant::now();
        let refused = matches!(heard, Err(Unheard::Refused(..)));
        let (plan, head, body, model) = match heard {
            Ok(request) => {
                let (plan, model) = decide(&shared, &request);
                (plan, request.head, request.body, model)
            }
            Err(Unheard::Nothing) => return,
            Err(Unheard::LeftInUpload(head, body)) => {
                return note_aborted_upload(&shared, connection, head, &body);
            }
            Err(Unheard::Refused(refusal, head)) => {
                // An unreadable head is noted too, with nothing in it: tests count these.
                let plan = answer::refuse(refusal).then_close();
                (plan, head.unwrap_or_default(), Bytes::new(), None)
            }
        };
        let closes = head.closes;
        let number = recorded(&shared, &head)
            .then(|| shared.journal.begin(connection, head, &body, model.clone()));
        let sent = link.perform(&plan, since).await;
        if let Some(number) = number {
            let mut outcome = outcome(&plan, sent, since);
            if refused {
                outcome.ended = Ended::Refused;
            }
            shared.journal.end(number, model, outcome);
        }
        match sent.ending {
            Ending::Whole if !closes => {}
            Ending::Whole | Ending::Closed => return link.close().await,
            Ending::Reset | Ending::ClientGone(_) => return,
        }
    }
}

/// Reads one request.
async fn hear(link: &mut Link, shared: &Shared) -> Result<Request, Unheard> {
    let head = loop {
        // Asked anew each time: the script may change while the connection is idle.
        let keep_headers = shared.stage().script.journal == Recording::On;
        match http::head(&link.input, keep_headers) {
            Ok(Some((head, length))) => {
                bytes::Buf::advance(&mut link.input, length);
                break head;
            }
            Ok(None) => link.fill(0).await.map_err(|Gone| Unheard::Nothing)?,
            Err(refusal) => return Err(Unheard::Refused(refusal, None)),
        }
    };
    let mut incoming = Incoming::new(head.framing);
    let bytes_per_second = shared.stage().script.read_bytes_per_second;
    let mut invited = !head.expects_continue;
    loop {
        match incoming.take(&mut link.input) {
            Ok(Some(body)) => return Ok(Request { head, body }),
            Ok(None) => {}
            Err(refusal) => return Err(Unheard::Refused(refusal, Some(head))),
        }
        let more = if invited {
            link.fill(bytes_per_second).await
        } else {
            invited = true;
            link.interject(b"HTTP/1.1 100 Continue\r\n\r\n").await
        };
        if more.is_err() {
            let body = incoming.partial(&mut link.input);
            return Err(Unheard::LeftInUpload(head, body));
        }
    }
}

/// What to answer, and the model that was asked for.
fn decide(shared: &Shared, request: &Request) -> (Plan, Option<String>) {
    let (method, path) = (request.head.method.as_str(), request.head.path.as_str());
    if path.starts_with("/__") {
        return (control::answer(shared, method, path, &request.body), None);
    }
    let stage = shared.stage();
    if (method, path) == ("GET", "/health") {
        return (answer::json(200, r#"{"status":"ok"}"#), None);
    }
    if !path.starts_with("/v1/") {
        return (answer::refuse(Refusal::UnknownPath), None);
    }
    if let Err(refusal) = admit(&stage, &request.head) {
        return (answer::refuse(refusal), None);
    }
    if method == "GET" && (path == "/v1/models" || path.starts_with("/v1/models/")) {
        return (models::answer(&stage, path), None);
    }
    if method != "POST" {
        return (answer::refuse(Refusal::WrongMethod), None);
    }
    match Ask::read(Operation::of(path), &request.body) {
        Err(refusal) => (answer::refuse(refusal), None),
        Ok(ask) => {
            let plan = match stage.next(&ask.model) {
                Some((act, number)) => act.plan(&ask, number),
                None => answer::refuse(Refusal::UnknownModel),
            };
            (plan, Some(ask.model))
        }
    }
}

fn admit(stage: &Stage, head: &Head) -> Result<(), Refusal> {
    match (&stage.script.require_key, &head.key) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(Refusal::NoKey),
        (Some(required), Some(given)) if required == given => Ok(()),
        (Some(_), Some(_)) => Err(Refusal::WrongKey),
    }
}

fn recorded(shared: &Shared, head: &Head) -> bool {
    !head.path.starts_with("/__") && shared.stage().script.journal == Recording::On
}

fn outcome(plan: &Plan, sent: Sent, since: Instant) -> Outcome {
    let (ended, phase) = match sent.ending {
        Ending::Whole => (Ended::Answered, None),
        Ending::Closed | Ending::Reset => (Ended::Cut, None),
        Ending::ClientGone(phase) => (Ended::ClientGone, Some(phase)),
    };
    Outcome {
        status: (sent.bytes > 0 && plan.status > 0).then_some(plan.status),
        ended,
        phase,
        elapsed_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
        bytes_sent: sent.bytes,
        events_sent: plan.marks.iter().filter(|end| **end <= sent.bytes).count(),
    }
}

fn note_aborted_upload(shared: &Shared, connection: u64, head: Head, body: &Bytes) {
    if recorded(shared, &head) {
        let number = shared.journal.begin(connection, head, body, None);
        let outcome = Outcome {
            status: None,
            ended: Ended::ClientGone,
            phase: Some(Phase::Reading),
            elapsed_ms: 0,
            bytes_sent: 0,
            events_sent: 0,
        };
        shared.journal.end(number, None, outcome);
    }
}
