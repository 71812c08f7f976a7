//! What a model name means: a route, compiled once per snapshot.
//!
//! Everything a request needs of a route is here in the form it is used in: indexes instead of
//! names, header values instead of strings, units instead of texts. Nothing is looked up twice.

pub(crate) mod policy;
mod table;

use std::sync::Arc;

use actix_web::http::header::HeaderValue;
use bytes::Bytes;
use serin_proto::document::Document;

pub(crate) use policy::WhenAllOpen;
pub(crate) use table::Table;

use crate::{
    pick::{Fallback, Lease, Rule, Split},
    provider::Provider,
    record::{cost::Prices, metrics::RouteMetrics},
    request::deadline::Limits,
    retry::{Budget, Policy as RetryPolicy},
    target::Handle,
};

/// One target as this snapshot has it. What outlives the snapshot is in its [`Handle`].
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: Arc<str>,
    pub(crate) name_header: HeaderValue,
    pub(crate) provider: Arc<Provider>,
    /// The target's model as a JSON string, quotes included.
    pub(crate) model: Bytes,
    pub(crate) prices: Option<Prices>,
    /// Requests in flight per router process; `u32::MAX` = no limit.
    pub(crate) concurrency_max: u32,
    pub(crate) handle: Arc<Handle>,
}

impl Target {
    /// Whether it has as many requests in flight as it may.
    pub(crate) fn is_full(&self) -> bool {
        self.handle.in_flight() >= self.concurrency_max
    }
}

/// A route, ready to carry requests.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) name: Arc<str>,
    pub(crate) name_header: HeaderValue,
    /// Other names that callers may use.
    pub(crate) aliases: Vec<Box<str>>,
    /// What it was compiled from: the same document means the same route.
    pub(crate) source: Arc<Document>,
    /// Tells routes apart where a number serves better than a name.
    pub(crate) seed: u64,
    pub(crate) targets: Vec<Target>,
    pub(crate) split: Split,
    /// How long the canary's share lasts without word from the store; `None`: as long as it is written.
    pub(crate) lease: Option<Lease>,
    pub(crate) fallback: Fallback,
    pub(crate) affinity: Vec<Rule>,
    pub(crate) limits: Limits,
    pub(crate) retry: RetryPolicy,
    /// Retries that are left; carried from snapshot to snapshot.
    pub(crate) budget: Arc<Budget>,
    /// What each request adds to it, in percent of a retry.
    pub(crate) retry_deposit: f64,
    pub(crate) when_all_open: WhenAllOpen,
    pub(crate) metrics: Arc<RouteMetrics>,
}
