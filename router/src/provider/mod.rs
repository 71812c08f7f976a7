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
pub(crate) mod splice;
pub(crate) mod sse;
pub(crate) mod usage;

use std::{sync::Arc, time::Duration};

use actix_web::http::{
    Uri,
    header::{HeaderName, HeaderValue},
    uri::{Authority, PathAndQuery, Scheme},
};

use credential::Credential;

/// A provider as a snapshot holds it: parsed once, shared by its targets.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    /// As written; part of what makes a target the same target.
    pub(crate) base_url: String,
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
    /// The base URL's path without a slash at its end: `/v1`, or empty.
    pub(crate) base_path: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) credential: Arc<Credential>,
    pub(crate) connect: Duration,
    pub(crate) usage_in_stream: bool,
}

impl Provider {
    /// Where a call goes: `rest` is what followed `/v1` in the caller's path, with its query.
    pub(crate) fn uri(&self, rest: &str) -> Option<Uri> {
        let path = PathAndQuery::try_from(format!("{}{rest}", self.base_path)).ok()?;
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .ok()
    }
}
