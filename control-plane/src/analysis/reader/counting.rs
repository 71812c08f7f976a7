//! From ranges of samples to increments, for whatever source can give ranges.
//!
//! A long window (the source was away for hours) is read in pieces, so that no answer is larger than
//! a piece's; what lies further back than all pieces is skipped, and said.

use super::{Asked, Horizon, Want};
use crate::analysis::{
    query::Select,
    raw::Raw,
    sample::{Millis, Trouble, Untold},
    series::Series,
    tally::{FRESH_SCRAPES, Routers, Tally, Watched, apart},
};

/// Longest piece of a window.
const PIECE_MS: u64 = 600_000;
/// Most pieces of a window: four hours.
const PIECES_MAX: u64 = 24;
/// Scrapes before the cursor among which the base of a series is looked for at first.
const BASE_SCRAPES: u64 = 2;
/// How far back it is looked for if it is not there: a router that was not reached for a while.
const BASE_BACK_MS: u64 = 900_000;

/// A source that gives samples as they were scraped.
pub(super) trait Ranges: Send + Sync {
    /// Samples in `(at - window_ms, at]`.
    fn range<'a>(
        &'a self,
        select: &'a Select,
        window_ms: u64,
        at: Millis,
    ) -> Asked<'a, Vec<Series>>;
}

/// As [`super::SampleReader::counts`].
pub(super) async fn counts(
    source: &dyn Ranges,
    want: &Want,
    after: Millis,
    upto: Horizon,
) -> Result<Raw, Untold> {
    let until = upto.until;
    let after = after.min(until);
    let from = after.max(until.saturating_sub(PIECE_MS * PIECES_MAX));
    let watched = watch(source, want, until - from, upto).await?;
    let jobs = jobs(&watched.revisions);
    let routers = Routers::seen(watched, until, upto.scrape_ms)?;
    let mut tally = Tally::after(from);
    let starts = Select::starts(jobs);
    let mut begin = from;
    while begin < until {
        let end = until.min(begin + PIECE_MS);
        let back = if begin == from {
            BASE_SCRAPES * upto.scrape_ms
        } else {
            0
        };
        let window_ms = end - begin + back;
        let piece = Piece {
            cursor: from,
            window_ms,
            end,
            starts: &starts,
        };
        piece.take(source, want, &mut tally).await?;
        begin = end;
    }
    let mut raw = tally.raw(want, until, &routers);
    if from > after {
        let why = format!(
            "{} s were too long ago to be counted",
            (from - after) / 1_000
        );
        let trouble = Trouble::Partial;
        raw.untold = Some(Untold { trouble, why });
        raw.from = after;
    }
    Ok(raw)
}

/// A part of a window, and what came before it.
struct Piece<'a> {
    cursor: Millis,
    window_ms: u64,
    end: Millis,
    starts: &'a Select,
}

impl Piece<'_> {
    async fn take(
        &self,
        source: &dyn Ranges,
        want: &Want,
        tally: &mut Tally,
    ) -> Result<(), Untold> {
        let starts = source.range(self.starts, self.window_ms, self.end).await?;
        tally.began(starts)?;
        for family in &want.families {
            let select = Select::family(*family, &want.route);
            let series = source.range(&select, self.window_ms, self.end).await?;
            let series = apart(*family, series)?;
            if tally.lacks_base(*family, &series) {
                let starts = source.range(self.starts, BASE_BACK_MS, self.cursor).await?;
                tally.began(starts)?;
                let before = source.range(&select, BASE_BACK_MS, self.cursor).await?;
                let known = self.cursor.saturating_sub(BASE_BACK_MS);
                tally.look_back(*family, &apart(*family, before)?, known);
            }
            tally.take(*family, &series);
        }
        Ok(())
    }
}

async fn watch(
    source: &dyn Ranges,
    want: &Want,
    window_ms: u64,
    upto: Horizon,
) -> Result<Watched, Untold> {
    let fresh = FRESH_SCRAPES * upto.scrape_ms;
    let routers = Select::routers();
    // As long as the window, for the jobs of routers that are gone by now.
    let seen = window_ms.min(PIECE_MS).max(fresh);
    let revisions = source.range(&routers, seen, upto.until).await?;
    let breaker = Select::breaker(&want.route, &want.candidate);
    let breakers = source.range(&breaker, fresh, upto.until).await?;
    let up = Select::up(&want.route, &want.candidate);
    let ups = source.range(&up, fresh, upto.until).await?;
    Ok(Watched {
        revisions,
        breakers,
        ups,
    })
}

fn jobs(revisions: &[Series]) -> Vec<String> {
    let mut jobs: Vec<String> = revisions.iter().map(|s| s.instance().job).collect();
    jobs.sort_unstable();
    jobs.dedup();
    jobs
}

#[cfg(test)]
mod tests;
