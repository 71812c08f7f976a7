//! All that one tick reads, from a source that may be away.

use futures_util::future::join_all;

use super::{Family, Horizon, SampleReader, Want};
use crate::{
    analysis::{
        measure::{BoundsBy, measure, opening},
        raw::Raw,
        sample::{Answered, Millis, Trouble, Untold},
        tally::FRESH_SCRAPES,
    },
    rollout::{
        event::{Checked, Reading},
        machine::Wanted,
        plan::AnalysisPlan,
    },
};

/// What the stable arm's quantiles are taken of.
const RECENT_MS: u64 = 600_000;
/// What its smoothed rates begin with, the recent time included.
const BASELINE_MS: u64 = 3_600_000;

/// What a tick depends on.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    pub route: &'a str,
    pub candidate: &'a str,
    pub plan: &'a AnalysisPlan,
    pub wanted: &'a Wanted,
    /// All queries of the plan, with their variables filled in: looked at by [`Wanted::Check`].
    pub queries: &'a [(String, String)],
    /// Up to where everything was counted.
    pub cursor: Millis,
    /// As the exposure's opening has told them.
    pub bounds: &'a BoundsBy,
    /// Live routers.
    pub live: u32,
}

/// Reads what is wanted. What went wrong is [`Reading::Failed`]: nothing was consumed.
pub async fn read(source: &dyn SampleReader, asking: &Asking<'_>) -> Reading {
    let read = match asking.wanted {
        Wanted::Nothing => return Reading::None,
        Wanted::Check => check(source, asking).await,
        Wanted::Opening(families) => open(source, asking, families).await,
        Wanted::Window { families, queries } => window(source, asking, families, queries).await,
    };
    read.unwrap_or_else(Reading::Failed)
}

async fn check(source: &dyn SampleReader, asking: &Asking<'_>) -> Result<Reading, Untold> {
    let want = asking.want(&[Family::Samples]);
    let upto = source.horizon(&want).await?;
    let after = upto.until.saturating_sub(FRESH_SCRAPES * upto.scrape_ms);
    let raw = source.counts(&want, after, upto).await?;
    let answers = ask(source, asking.queries, upto.until).await;
    let faults = answers
        .into_iter()
        .filter_map(|(name, answer)| match answer {
            Answered::Error(why) => Some(format!("{name}: {why}")),
            Answered::Value(_) | Answered::Nothing => None,
        });
    Ok(Reading::Checked(Checked {
        canary_series_on: raw.canary_series_on,
        faults: faults.collect(),
        candidate_down: 2 * raw.canary_down_on >= raw.gauges.fresh,
        down_on: raw.canary_down_on,
        fresh: raw.gauges.fresh,
    }))
}

async fn open(
    source: &dyn SampleReader,
    asking: &Asking<'_>,
    families: &[Family],
) -> Result<Reading, Untold> {
    let mut families = families.to_vec();
    // The warm-up's length.
    families.push(Family::Duration);
    let want = asking.want(&families);
    let now = source.now().await?;
    let upto = source.horizon(&want).await?;
    let recent_from = upto.until.saturating_sub(RECENT_MS);
    let recent = source.counts(&want, recent_from, upto).await?;
    let before = Horizon {
        until: recent_from,
        ..upto
    };
    let hour_from = upto.until.saturating_sub(BASELINE_MS);
    let hour = match source.counts(&want, hour_from, before).await {
        // There is not always an hour to look back to.
        Err(untold) if matches!(untold.trouble, Trouble::Empty | Trouble::Stale) => Raw::default(),
        told => told?,
    };
    let opening = opening(asking.plan, now, &recent, &hour);
    Ok(Reading::Opening(Box::new(opening)))
}

async fn window(
    source: &dyn SampleReader,
    asking: &Asking<'_>,
    families: &[Family],
    queries: &[(String, String)],
) -> Result<Reading, Untold> {
    let want = asking.want(families);
    let upto = source.horizon(&want).await?;
    let mut raw = source.counts(&want, asking.cursor, upto).await?;
    if upto.until < asking.cursor {
        // The source is not there yet: only guards have something to look at.
        (raw.from, raw.to) = (asking.cursor, asking.cursor);
    }
    let mut measured = measure(asking.plan, &raw, asking.bounds);
    measured.queries = ask(source, queries, upto.until).await.into_iter().collect();
    Ok(Reading::Window(Box::new(measured)))
}

async fn ask(
    source: &dyn SampleReader,
    queries: &[(String, String)],
    at: Millis,
) -> Vec<(String, Answered)> {
    let asked = queries.iter().map(|(name, promql)| async move {
        let answer = source.scalar(promql, at).await;
        (name.clone(), answer)
    });
    join_all(asked).await
}

impl Asking<'_> {
    fn want(&self, families: &[Family]) -> Want {
        let mut families = families.to_vec();
        families.push(Family::Samples);
        families.sort_unstable();
        families.dedup();
        Want {
            route: self.route.to_owned(),
            candidate: self.candidate.to_owned(),
            families,
            live: self.live,
            scrape_interval_ms: self.plan.scrape_interval_ms,
        }
    }
}

#[cfg(test)]
mod tests;
