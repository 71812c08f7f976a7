//! What the provider saw: the third side of every test, beside the caller and the router's metrics.
//!
//! A request is noted when it has been read and noted again when its answer has ended, so those
//! under way are visible. The newest `REQUESTS_MAX` are kept whole; the counts go on for ever.
//! Authorisation headers are kept too: keys given to a simulator are made for it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::http::Head;

/// Requests kept whole.
const REQUESTS_MAX: usize = 2_000;
/// Bytes of bodies kept; older requests go first.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Rows of the counts; what has no row any more is counted under the model `…`.
const COUNTS_MAX: usize = 10_000;

/// A handle on what was received. Clones see the same.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    book: Arc<Mutex<Book>>,
}

/// One request and what became of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// Counted from 1 in the order of arrival.
    pub number: u64,
    /// Which connection, counted from 1.
    pub connection: u64,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    pub method: String,
    /// Without the query.
    pub path: String,
    /// In JSON `[[name, value], …]`: a map would lose twins and order.
    pub headers: Vec<(String, String)>,
    /// As it came, chunks put together. In JSON: `body`, or `bodyBase64` if it is not UTF-8.
    #[serde(flatten, serialize_with = "as_text")]
    pub body: Bytes,
    pub model: Option<String>,
    /// None where no head was sent.
    pub status: Option<u16>,
    pub ended: Ended,
    /// When `client_gone`: what we were doing.
    pub phase: Option<Phase>,
    /// From the request's last byte to the answer's end; 0 while it runs.
    pub elapsed_ms: u64,
    pub bytes_sent: usize,
    /// SSE events sent whole; 1 for a whole plain answer.
    pub events_sent: usize,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Not yet.
    Running,
    /// A whole answer, errors included.
    Answered,
    /// By us, before its end, as scripted.
    Cut,
    ClientGone,
    /// It was no HTTP.
    Refused,
}

/// What the simulator was doing when the caller left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The body had not arrived.
    Reading,
    /// Nothing of the answer was sent.
    Waiting,
    /// Some of it was.
    Streaming,
    /// Some of it was, and the script held the rest back.
    Stalled,
}

/// How many requests went the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    pub model: Option<String>,
    pub status: Option<u16>,
    pub ended: Ended,
    pub requests: u64,
}

/// How an answer went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<u16>,
    pub(crate) ended: Ended,
    pub(crate) phase: Option<Phase>,
    pub(crate) elapsed_ms: u64,
    pub(crate) bytes_sent: usize,
    pub(crate) events_sent: usize,
}

#[derive(Debug, Default)]
struct Book {
    requests: VecDeque<Received>,
    body_bytes: usize,
    /// Requests ever begun.
    begun: u64,
    counts: BTreeMap<(Option<String>, Option<u16>, Ended), u64>,
}

impl Journal {
    /// The newest requests, oldest first.
    pub fn requests(&self) -> Vec<Received> {
        self.book().requests.iter().cloned().collect()
    }

    /// How the ended requests ended. Those running are in no row.
    pub fn counts(&self) -> Vec<Count> {
        let book = self.book();
        let row = |((model, status, ended), requests): (&(Option<String>, _, _), &u64)| Count {
            model: model.clone(),
            status: *status,
            ended: *ended,
            requests: *requests,
        };
        book.counts.iter().map(row).collect()
    }

    /// Ended requests of this model, however they ended.
    pub fn count(&self, model: &str) -> u64 {
        self.counts()
            .iter()
            .filter(|count| count.model.as_deref() == Some(model))
            .map(|count| count.requests)
            .sum()
    }

    /// Requests that have begun and not ended, among those still kept.
    pub fn running(&self) -> usize {
        self.book()
            .requests
            .iter()
            .filter(|r| r.ended == Ended::Running)
            .count()
    }

    /// Forgets requests and counts. Numbers go on.
    pub fn clear(&self) {
        let mut book = self.book();
        book.requests.clear();
        book.counts.clear();
        book.body_bytes = 0;
    }

    /// A request has arrived. The number names it in `end`.
    pub(crate) fn begin(
        &self,
        connection: u64,
        head: Head,
        body: &Bytes,
        model: Option<String>,
    ) -> u64 {
        let mut book = self.book();
        book.begun += 1;
        let number = book.begun;
        book.body_bytes += body.len();
        book.requests.push_back(Received {
            number,
            connection,
            at_ms: crate::clock::unix_ms(),
            method: head.method,
            path: head.path,
            headers: head.headers,
            // Copied: a slice would keep the whole read buffer alive.
            body: Bytes::copy_from_slice(body),
            model,
            status: None,
            ended: Ended::Running,
            phase: None,
            elapsed_ms: 0,
            bytes_sent: 0,
            events_sent: 0,
        });
        book.forget_the_oldest();
        number
    }

    /// Its answer has ended.
    pub(crate) fn end(&self, number: u64, model: Option<String>, outcome: Outcome) {
        let mut book = self.book();
        if let Some(request) = book.find(number) {
            request.status = outcome.status;
            request.ended = outcome.ended;
            request.phase = outcome.phase;
            request.elapsed_ms = outcome.elapsed_ms;
            request.bytes_sent = outcome.bytes_sent;
            request.events_sent = outcome.events_sent;
        }
        let mut row = (model, outcome.status, outcome.ended);
        if book.counts.len() >= COUNTS_MAX && !book.counts.contains_key(&row) {
            row.0 = Some("…".to_owned());
        }
        *book.counts.entry(row).or_default() += 1;
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A test that panicked while it looked does not spoil what was noted.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn forget_the_oldest(&mut self) {
        while self.requests.len() > REQUESTS_MAX || self.body_bytes > BODY_BYTES_MAX {
            let Some(oldest) = self.requests.pop_front() else {
                return;
            };
            self.body_bytes -= oldest.body.len();
        }
    }

    fn find(&mut self, number: u64) -> Option<&mut Received> {
        let first = self.requests.front()?.number;
        let index = usize::try_from(number.checked_sub(first)?).ok()?;
        self.requests.get_mut(index)
    }
}

impl Received {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(named)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text, if it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }
}

fn as_text<S: Serializer>(body: &Bytes, out: S) -> Result<S::Ok, S::Error> {
    let mut map = out.serialize_map(Some(1))?;
    match std::str::from_utf8(body) {
        Ok(text) => map.serialize_entry("body", text)?,
        Err(_) => map.serialize_entry("bodyBase64", &STANDARD.encode(body))?,
    }
    map.end()
}
