//! Asking a control plane over REST, as a person with a token would with curl.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::client::{Answer, Request, ask};

/// An address and a token.
#[derive(Clone, Debug)]
pub struct Api {
    pub at: SocketAddr,
    token: String,
}

impl Api {
    pub fn new(at: SocketAddr, token: &str) -> Self {
        Self {
            at,
            token: token.to_owned(),
        }
    }

    /// The same address as somebody else.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self::new(self.at, token)
    }

    /// `GET /api/v1<path>`
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(&full(path))).await
    }

    /// `PUT /api/v1<path>`, with `If-Match` if one is given.
    pub async fn put(&self, path: &str, body: &Value, if_match: Option<&str>) -> Answer {
        let request = Request::new("PUT", &full(path))
            .header("content-type", "application/json")
            .body(body.to_string());
        self.send(matching(request, if_match)).await
    }

    /// `DELETE /api/v1<path>`, with `If-Match` if one is given.
    pub async fn delete(&self, path: &str, if_match: Option<&str>) -> Answer {
        self.send(matching(Request::new("DELETE", &full(path)), if_match))
            .await
    }

    /// `POST /api/v1<path>`
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Request::post(&full(path), body.to_string()))
            .await
    }

    /// Any request, with this one's token.
    pub async fn send(&self, request: Request) -> Answer {
        ask(self.at, &request.key(&self.token)).await
    }

    /// Writes a document whatever was there.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn set(&self, path: &str, body: &Value) -> Answer {
        let known = self.get(path).await;
        let etag = (known.status() == 200).then(|| known.header("etag").unwrap_or_default());
        let answer = self.put(path, body, etag).await;
        let done = matches!(answer.status(), 200 | 201);
        assert!(
            done,
            "PUT {path} {body}: {} {}",
            answer.status(),
            answer.text()
        );
        answer
    }
}

/// Several of them, asked one after the other.
#[derive(Clone, Debug)]
pub struct Apis {
    all: Vec<Api>,
    turn: Arc<AtomicUsize>,
}

impl Apis {
    /// At least one.
    pub fn new(all: Vec<Api>) -> Self {
        let turn = Arc::default();
        Self { all, turn }
    }

    /// The one whose turn it is.
    pub fn next(&self) -> &Api {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.all[turn % self.all.len()]
    }
}

impl From<Api> for Apis {
    fn from(api: Api) -> Self {
        Self::new(vec![api])
    }
}

fn full(path: &str) -> String {
    format!("/api/v1{path}")
}

fn matching(request: Request, if_match: Option<&str>) -> Request {
    match if_match {
        Some(etag) => request.header("if-match", etag),
        None => request,
    }
}
