//! Asks a metrics source: exact increments between two moments, its own time, a query's value.
//!
//! One trait, two sources: a Prometheus server, and, where everything runs in one process, the
//! router's own `/metrics`. What they cannot tell is an [`Untold`], never a zero.

mod answer;
mod counting;
mod embedded;
mod exposition;
#[cfg(test)]
mod made_up;
mod prometheus;
pub mod reading;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

pub use super::want::{Family, Want};

use super::{
    raw::Raw,
    sample::{Answered, Millis, Trouble, Untold},
};
use crate::{
    http::{Failed, Http},
    settings::MetricsSource,
};
use embedded::Embedded;
use prometheus::Prometheus;

/// What a question gives.
pub type Asked<'a, T> = BoxFuture<'a, Result<T, Untold>>;

/// A source of samples.
pub trait SampleReader: std::fmt::Debug + Send + Sync {
    /// The source's own time.
    fn now(&self) -> Asked<'_, Millis>;

    /// The newest moment whose samples can be complete: its time less two scrapes, at least 5 s.
    fn horizon<'a>(&'a self, want: &'a Want) -> Asked<'a, Horizon>;

    /// Increments of the wanted series in `(after, upto]`, and gauges at `upto`, which is at most
    /// what [`Self::horizon`] has said. With `after` at or behind `upto`: gauges alone.
    fn counts<'a>(&'a self, want: &'a Want, after: Millis, upto: Horizon) -> Asked<'a, Raw>;

    /// An instant query of somebody's own.
    fn scalar<'a>(&'a self, promql: &'a str, at: Millis) -> BoxFuture<'a, Answered>;

    /// Whether custom queries can be asked at all.
    fn takes_queries(&self) -> bool;
}

/// Up to when a source can tell, and how often it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    pub until: Millis,
    pub scrape_ms: u64,
}

/// The source that the settings name. The embedded one works at `on` until it is dropped.
pub(crate) fn source(
    settings: &MetricsSource,
    http: &Http,
    on: &Handle,
) -> Option<Arc<dyn SampleReader>> {
    match settings {
        MetricsSource::None => None,
        MetricsSource::Prometheus { url } => Some(Arc::new(Prometheus::new(url, http.clone()))),
        MetricsSource::Router { metrics_url, every } => {
            Some(Embedded::start(metrics_url, *every, http.clone(), on))
        }
    }
}

/// Why nothing was answered.
fn unanswered(failed: &Failed) -> Untold {
    let trouble = match failed {
        Failed::Timeout(_) => Trouble::Timeout,
        Failed::TooLarge(_) | Failed::Broken(_) => Trouble::Http,
        Failed::Unsendable(_) | Failed::Connect(_) | Failed::Busy | Failed::Ended => {
            Trouble::Connect
        }
    };
    Untold {
        trouble,
        why: failed.to_string(),
    }
}
