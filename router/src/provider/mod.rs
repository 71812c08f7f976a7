//! Talking to a provider.
//!
//! [`client`] is the only file that knows the HTTP client, [`address`] decides which hosts it may
//! reach, [`credential`] holds what proves who we are. The rest is pure: cutting streams into
//! events, reading usage, splicing our model name into a caller's bytes.

pub(crate) mod address;
pub(crate) mod client;
pub(crate) mod content;
pub(crate) mod credential;
pub(crate) mod failure;
pub(crate) mod nesting;
pub(crate) mod splice;
pub(crate) mod sse;
pub(crate) mod usage;

use std::{sync::Arc, time::Duration};

use actix_web::http::{
    Uri,
    header::{HeaderName, HeaderValue},
    uri::{Authority, PathAndQuery, Scheme},
};
use serin_proto::document::Document;

use credential::Credential;

/// A provider as a snapshot holds it: parsed once, shared by its targets.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    /// What it was compiled from: the same document means the same provider.
    pub(crate) source: Arc<Document>,
    /// As written; part of what makes a target the same target.
    pub(crate) base_url: String,
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
    /// The base URL's path without a slash at its end: `/v1`, or empty.
    pub(crate) base_path: String,
    /// What the `host` header says: the port only where it is not the scheme's own.
    pub(crate) host: HeaderValue,
    /// The addresses most calls go to, put together once.
    pub(crate) common: Vec<(&'static str, Uri)>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) credential: Arc<Credential>,
    pub(crate) connect: Duration,
    pub(crate) usage_in_stream: bool,
}

impl Provider {
    /// Where a call goes: `rest` is what followed `/v1` in the caller's path, with its query.
    pub(crate) fn uri(&self, rest: &str) -> Option<Uri> {
        match self.common.iter().find(|(common, _)| *common == rest) {
            Some((_, uri)) => Some(uri.clone()),
            None => self.put_together(rest),
        }
    }

    /// Fills `common`; called once, when the provider is compiled.
    pub(crate) fn with_common(mut self) -> Self {
        const COMMON: [&str; 3] = ["/chat/completions", "/completions", "/embeddings"];
        let uri = |rest| Some((rest, self.put_together(rest)?));
        self.common = COMMON.into_iter().filter_map(uri).collect();
        self
    }

    fn put_together(&self, rest: &str) -> Option<Uri> {
        let path = PathAndQuery::try_from(format!("{}{rest}", self.base_path)).ok()?;
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .ok()
    }
}
