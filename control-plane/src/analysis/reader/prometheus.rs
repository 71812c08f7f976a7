//! A Prometheus server, or what speaks its query API.
//!
//! Its clock rules: windows end two scrapes before its `time()`, so that everything before their end
//! has been scraped and stored. It is not contacted before the first question. Whether it is there is
//! logged when it changes, not with every question.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use actix_web::http::Method;
use futures_util::{FutureExt as _, future::BoxFuture};

use super::{
    Asked, Horizon, SampleReader, Want,
    answer::{self, Data},
    counting::{self, Ranges},
    unanswered,
};
use crate::{
    analysis::{
        query::{Select, TIME, seconds},
        raw::Raw,
        sample::{Answered, Millis, Trouble, Untold},
        series::Series,
    },
    http::{Http, Request, shown},
};

/// Time for an answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// Largest answer: ten minutes of fifty routers, scraped every second.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How far behind its time a window ends: so many scrapes, and at least so long.
const BEHIND_SCRAPES: u64 = 2;
const BEHIND_MIN_MS: u64 = 5_000;
/// How far back one looks for the distance of scrapes: ten, at one a minute.
const SCRAPES_BACK_MS: u64 = 600_000;
/// Samples whose distances are looked at, and the least that tell one.
const SCRAPES_SEEN: usize = 10;
const SCRAPES_MIN: usize = 3;
/// What is assumed before that: longer than most, so that no window ends too early.
const SCRAPE_UNKNOWN_MS: u64 = 15_000;

const API: &str = "/api/v1/query";

pub(super) struct Prometheus {
    /// Of its query API, `user:password@` included.
    url: String,
    http: Http,
    /// The newest question for its time found nobody, or nobody who knows its API.
    is_away: AtomicBool,
}

/// No result.
enum Unheard {
    /// Nobody was there, or somebody who does not know the API.
    Away(Untold),
    /// The server says what is wrong.
    Refused(Untold),
}

impl Prometheus {
    pub(super) fn new(url: &str, http: Http) -> Self {
        Self {
            url: format!("{}{API}", url.trim_end_matches('/')),
            http,
            is_away: AtomicBool::new(false),
        }
    }

    async fn ask(&self, promql: &str, at: Option<Millis>) -> Result<Data, Untold> {
        let told = self.answered(promql, at).await;
        told.map_err(|unheard| self.named(unheard))
    }

    /// Its address, without credentials.
    fn shown(&self) -> String {
        let base = self.url.strip_suffix(API).unwrap_or(&self.url);
        shown(base)
    }

    /// What went wrong with whom, and the way out.
    fn named(&self, unheard: Unheard) -> Untold {
        let untold = match unheard {
            Unheard::Away(untold) => untold,
            Unheard::Refused(untold) => return untold,
        };
        let (at, why) = (self.shown(), &untold.why);
        let said = match untold.trouble {
            Trouble::Connect => "cannot be reached",
            Trouble::Timeout => "did not answer in time",
            _ => "is no Prometheus, or not well",
        };
        let advice = "see --prometheus; it goes on by itself when it answers";
        Untold {
            why: format!("Prometheus at {at} {said} ({why}): {advice}"),
            ..untold
        }
    }

    async fn answered(&self, promql: &str, at: Option<Millis>) -> Result<Data, Unheard> {
        let mut form = format!("query={}", encoded(promql));
        if let Some(at) = at {
            form.push_str("&time=");
            form.push_str(&seconds(at));
        }
        let request = Request {
            method: Method::POST,
            url: self.url.clone(),
            headers: vec![(
                "content-type",
                "application/x-www-form-urlencoded".to_owned(),
            )],
            body: form.into(),
            timeout: ANSWER_TIME_MAX,
            bytes_max: ANSWER_BYTES_MAX,
        };
        let answer = self.http.send(request).await;
        let answer = answer.map_err(|failed| Unheard::Away(unanswered(&failed)))?;
        let data = answer::data(answer.status, &answer.body);
        data.map_err(|untold| match answer::is_of_the_api(&answer.body) {
            true => Unheard::Refused(untold),
            false => Unheard::Away(untold),
        })
    }

    async fn horizon(&self, want: &Want) -> Result<Horizon, Untold> {
        let now = self.time().await?;
        let scrape_ms = match want.scrape_interval_ms {
            Some(ms) => ms,
            None => {
                let routers = Select::routers();
                scrape_interval(&self.range(&routers, SCRAPES_BACK_MS, now).await?)
            }
        };
        let behind = BEHIND_MIN_MS.max(BEHIND_SCRAPES * scrape_ms);
        let until = now.saturating_sub(behind);
        Ok(Horizon { until, scrape_ms })
    }

    /// Its time: the first question of each window, and the one that tells whether it is there. A query
    /// of somebody's that takes too long says nothing of the server.
    async fn time(&self) -> Result<Millis, Untold> {
        let told = self.answered(TIME, None).await;
        let is_away = matches!(told, Err(Unheard::Away(_)));
        if self.is_away.swap(is_away, Ordering::Relaxed) != is_away {
            let url = self.shown();
            match &told {
                Err(Unheard::Away(why)) => {
                    tracing::warn!(url, %why, "the metrics source went away");
                }
                _ => tracing::info!(url, "the metrics source is back"),
            }
        }
        answer::time(told.map_err(|unheard| self.named(unheard))?)
    }
}

impl Ranges for Prometheus {
    fn range<'a>(
        &'a self,
        select: &'a Select,
        window_ms: u64,
        at: Millis,
    ) -> Asked<'a, Vec<Series>> {
        let promql = select.promql(window_ms);
        async move { answer::series(self.ask(&promql, Some(at)).await?) }.boxed()
    }
}

impl SampleReader for Prometheus {
    fn now(&self) -> Asked<'_, Millis> {
        self.time().boxed()
    }

    fn horizon<'a>(&'a self, want: &'a Want) -> Asked<'a, Horizon> {
        Prometheus::horizon(self, want).boxed()
    }

    fn counts<'a>(&'a self, want: &'a Want, after: Millis, upto: Horizon) -> Asked<'a, Raw> {
        counting::counts(self, want, after, upto).boxed()
    }

    fn scalar<'a>(&'a self, promql: &'a str, at: Millis) -> BoxFuture<'a, Answered> {
        async move {
            match self.ask(promql, Some(at)).await {
                Ok(data) => answer::scalar(data),
                Err(untold) => Answered::Error(untold.to_string()),
            }
        }
        .boxed()
    }

    fn takes_queries(&self) -> bool {
        true
    }
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = shown(&self.url);
        f.debug_struct("Prometheus")
            .field("url", &url)
            .finish_non_exhaustive()
    }
}

/// The median distance of the last scrapes of each router; the largest of all.
fn scrape_interval(revisions: &[Series]) -> u64 {
    let of = |series: &Series| {
        let newest = series.samples.iter().rev().take(SCRAPES_SEEN);
        let times: Vec<Millis> = newest.map(|(at, _)| *at).collect();
        if times.len() < SCRAPES_MIN {
            return None;
        }
        let pairs = times.windows(2);
        let mut distances: Vec<u64> = pairs
            .filter_map(|pair| Some(pair.first()?.saturating_sub(*pair.last()?)))
            .collect();
        distances.sort_unstable();
        distances.get(distances.len() / 2).copied()
    };
    let known = revisions.iter().filter_map(of).max();
    known.unwrap_or(SCRAPE_UNKNOWN_MS).max(1)
}

/// A text within a form.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                out.push_str(&format!("{byte:02X}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
