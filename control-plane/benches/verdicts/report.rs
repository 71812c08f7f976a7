//! The report in Markdown: two tables and what to think of them.

use std::fmt::Write as _;

use serin_control_plane::rollout::state::Phase;

use crate::{
    run::{Outcome, RULES, quantile},
    whole::{End, Ends},
};

const HEAD: &str = "\
# Verdicts, side by side

Written by `cargo bench -p serin-control-plane --bench verdicts -- --write`; seeded, so it comes out the
same again. Simulated time, simulated traffic. \"Serin\" is the code that the control plane runs
(`judge::open`, `judge::judge`, a compiled plan with the defaults); the others are their rules in a few
lines (`verdicts/rivals.rs`).

**Traffic.** 50 requests a second unless said, arriving independently, each failing with the chance of
its arm; durations log-normal with a median of 2 s (p95 4.6 s); 1 % of rejections and 1 % of callers
who leave, in both arms. Rollouts of one hour; shares 1, 5, 25, 50 %, a quarter of an hour each, or as
the row says. Serin reads windows of 10 s and is charged 10 s more for two scrapes; the others read at
once.

| judge | rule |
|---|---|
| Serin | e-processes on errors, rejections, abandoned, ttft and duration at α 1 % for all together, with warm-ups, cap and guards |
| Flagger | canary's success rate of each minute against 99 %; five failed checks in all |
| arbr | every 5 minutes over the last hour, from 30 samples on: errors more than 2 points up, or p95 more than 25 % up |
| Together | one comparison at the end of each step (by the limits of arbr, since its own are the user's) |
| z-test | errors of the step so far, two proportions, one-sided at 1 %, looked at every 10 s |
";

const MIDDLE: &str = "
## Harmful candidates: found in how many runs, seconds from the onset (median, 90 %)

Rollbacks before the onset are false and stand in brackets. `–`: fewer runs than that found it.
";

const WHOLE: &str = "
## Whole rollouts by the state machine

Serin alone: `machine::step` moves the share; steps of 1, 5, 25, 50 % for 10, 10, 10, 15 minutes at least,
the last two with a certificate, and a bake of 15 minutes at 99 %. Failed canary requests are answered
by the fallback: callers see none of them.

| scenario | runs | succeeded | failed | other | minutes to the end (median, most) | largest share in failed ones (median) | canary failures in failed ones (median) |
|---|---|---|---|---|---|---|---|
";

const TAIL: &str = "
## What to think of it

* **Who looks often at a test made for one look cries wolf.** The z-test's 1 % is for one look, and it
  looks hundreds of times. Where it is sooner than Serin, that is what the speed is bought with.
* **A bar near the usual error rate is a coin toss** under counting: at 1 % of errors every second minute
  is below 99 %, and a count that never falls reaches five. So where Flagger \"finds\" harm here, it would
  have rolled back a healthy candidate too; at 0.2 % of errors it is nearly quiet.
* **Wide limits on point estimates are quiet and blind below them**: arbr and Together do not see 1 → 2 %.
  A sliding hour also mixes shares: the canary's hour is mostly its newest, largest share, the stable
  arm's is not, so an incident of both looks like the canary's (that is arbr's row of the incident).
* **A comparison at the end of a step is late by design**: what is broken stays until the step ends.
* **What Serin pays.** It is later than the z-test wherever that looks at all (it knows no durations).
  1 → 2 % (the margin is half a point) takes it more than an hour at a share of 5 %. Where harm begins
  in the middle of a long step it is later than at the start of one, since it has seen much good by
  then: that credit is bounded, and a new step starts afresh. A warm-up takes its first windows; a
  guard needs none.
* **One key** that fails 500 times is one cause: capped, it is three samples; the others see 500
  errors. From fifty keys it is harm, and Serin sees 150 samples of it.
* Requests here are independent but for those rows. Real ones are not: clusters lengthen detection
  (tempering learns them from the stable arm, and is a heuristic), and a breaker that cuts the canary's
  traffic because of outcomes inside a window makes the guarantee approximate.
";

pub(crate) fn text(outcomes: &[Outcome], rollouts: &[Ends]) -> String {
    let mut text = HEAD.to_owned();
    let (harmful, healthy): (Vec<&Outcome>, Vec<&Outcome>) =
        outcomes.iter().partition(|o| o.scenario.onset_s.is_some());
    text += "\n## Healthy candidates: false rollbacks\n\n";
    table(&mut text, &healthy, |outcome, rule| {
        let (wrong, runs) = (outcome.taken_s[rule].len(), outcome.scenario.runs);
        format!("{wrong} ({:.1} %)", 100.0 * wrong as f64 / runs as f64)
    });
    text += MIDDLE;
    text += "\n";
    table(&mut text, &harmful, found);
    text += WHOLE;
    for ends in rollouts {
        let _ = writeln!(text, "{}", line(ends));
    }
    text + TAIL
}

fn found(outcome: &Outcome, rule: usize) -> String {
    let (delays, runs) = (outcome.delays(rule), outcome.scenario.runs);
    let quantile = |part| {
        let at = quantile(&delays, runs, part);
        at.map_or_else(|| "–".to_owned(), |at| at.to_string())
    };
    let early = match outcome.early(rule) {
        0 => String::new(),
        early => format!(" [{early}]"),
    };
    let found = delays.len();
    format!("{found}{early}: {}, {}", quantile(0.5), quantile(0.9))
}

fn table(text: &mut String, outcomes: &[&Outcome], cell: impl Fn(&Outcome, usize) -> String) {
    let _ = writeln!(text, "| scenario | runs | {} |", RULES.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "---|".repeat(RULES.len()));
    for outcome in outcomes {
        let cells: Vec<String> = (0..RULES.len()).map(|rule| cell(outcome, rule)).collect();
        let (name, runs) = (outcome.scenario.name, outcome.scenario.runs);
        let _ = writeln!(text, "| {name} | {runs} | {} |", cells.join(" | "));
    }
}

fn line(ends: &Ends) -> String {
    let of = |phase| ends.ends.iter().filter(move |end| end.phase == phase);
    let (succeeded, failed) = (of(Phase::Succeeded).count(), of(Phase::Failed).count());
    let others = ends.ends.len() - succeeded - failed;
    let minutes = sorted(ends.ends.iter(), |end| end.at_s as f64 / 60.0);
    let shares = sorted(of(Phase::Failed), |end| end.share);
    let lost = sorted(of(Phase::Failed), |end| end.failed as f64);
    let middle = |of: &[f64], unit: &str| {
        let middle = of.get(of.len() / 2);
        middle.map_or_else(|| "–".to_owned(), |value| format!("{value:.0}{unit}"))
    };
    let most = minutes.last().copied().unwrap_or_default();
    let (name, runs) = (ends.scenario.name, ends.scenario.runs);
    let (minutes, shares) = (middle(&minutes, ""), middle(&shares, " %"));
    format!(
        "| {name} | {runs} | {succeeded} | {failed} | {others} | {minutes}, {most:.0} | {shares} | {} |",
        middle(&lost, "")
    )
}

fn sorted<'a>(ends: impl Iterator<Item = &'a End>, of: impl Fn(&End) -> f64) -> Vec<f64> {
    let mut values: Vec<f64> = ends.map(of).collect();
    values.sort_by(f64::total_cmp);
    values
}
