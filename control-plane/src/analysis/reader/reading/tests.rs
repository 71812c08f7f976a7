//! What a tick gets to know, whatever it wants and whatever the source says.

use serin_proto::v1;

use super::*;
use crate::{
    analysis::{reader::made_up::MadeUp, sample::ERRORS},
    rollout::plan::Plan,
};

const START: Millis = 1_700_000_000_000;
const CANARY: &str = "route=chat,target=claude,arm=canary,role=first";
const STABLE: &str = "route=chat,target=gpt,arm=stable,role=first";

fn plan() -> AnalysisPlan {
    let text = r#"{"route":"chat","candidate":"claude","steps":[{"weight":5}],"analysis":{"metrics":
        [{"name":"errors"},{"name":"ttft","quantiles":[0.95]},
         {"name":"q","query":"up","thresholdRange":{"min":1}}]}}"#;
    let rollout: v1::Rollout = serde_json::from_str(text).unwrap();
    Plan::compile(&rollout).unwrap().analysis
}

/// One router, scraped every second for two hours: one stable success a second, and one canary
/// error in ten.
fn source() -> MadeUp {
    let mut source = MadeUp {
        now: START + 7_200_000,
        behind: 5_000,
        scrape_ms: 1_000,
        ..MadeUp::default()
    };
    let every = |f: &dyn Fn(u64) -> f64| -> Vec<(Millis, f64)> {
        (0..=7_200).map(|s| (START + s * 1_000, f(s))).collect()
    };
    let who = "job=r,instance=a:1";
    source.add(&format!("serin_config_revision{{{who}}}"), &every(&|_| 9.0));
    let samples =
        |arm: &str, ending: &str| format!("serin_analysis_samples_total{{{who},{arm},{ending}}}");
    source.add(
        &samples(STABLE, "outcome=success,reason=none"),
        &every(&|s| s as f64),
    );
    source.add(
        &samples(CANARY, "outcome=error,reason=reset"),
        &every(&|s| (s / 10) as f64),
    );
    let bucket = |le: &str| format!("serin_upstream_ttft_seconds_bucket{{{who},{STABLE},le={le}}}");
    source.add(&bucket("0.5"), &every(&|s| (s / 2) as f64));
    source.add(&bucket("1.0"), &every(&|s| s as f64));
    source.add(&bucket("+Inf"), &every(&|s| s as f64));
    source
}

fn read(source: &MadeUp, wanted: &Wanted, cursor: Millis) -> Reading {
    let (plan, queries) = (plan(), [("q".to_owned(), "up".to_owned())]);
    let bounds = [("ttft".to_owned(), vec![0.5])].into();
    let asking = Asking {
        route: "chat",
        candidate: "claude",
        plan: &plan,
        wanted,
        queries: &queries,
        cursor,
        bounds: &bounds,
        live: 1,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(super::read(source, &asking))
}

fn checked(source: &MadeUp) -> Checked {
    match read(source, &Wanted::Check, 0) {
        Reading::Checked(checked) => checked,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_window_is_from_the_cursor_to_the_horizon() {
    let mut source = source();
    source.answers = vec![("up".to_owned(), Answered::Value(0.5))];
    let wanted = Wanted::Window {
        families: vec![Family::Ttft],
        queries: vec![("q".to_owned(), "up".to_owned())],
    };
    let until = source.upto().until;
    let Reading::Window(measured) = read(&source, &wanted, until - 100_000) else {
        panic!("no window");
    };
    assert_eq!((measured.from, measured.to), (until - 100_000, until));
    let errors = measured.counts[ERRORS][0];
    assert_eq!(
        (errors.canary.e, errors.canary.n, errors.stable.n),
        (10, 10, 100)
    );
    assert_eq!(measured.counts["ttft"][0].stable, [100, 50].into());
    assert_eq!(measured.queries["q"], Answered::Value(0.5));
    assert_eq!((measured.gauges.fresh, measured.untold), (1, None));
}

#[test]
fn a_window_that_has_not_begun_is_empty_and_moves_nothing() {
    let source = source();
    let wanted = Wanted::Window {
        families: vec![],
        queries: vec![],
    };
    let cursor = source.now;
    let Reading::Window(measured) = read(&source, &wanted, cursor) else {
        panic!("no window");
    };
    assert_eq!((measured.from, measured.to), (cursor, cursor));
    assert_eq!(
        (measured.counts[ERRORS][0].stable.n, measured.gauges.fresh),
        (0, 1)
    );
}

#[test]
fn an_opening_looks_back_an_hour_and_begins_now() {
    let source = source();
    let Reading::Opening(opening) = read(&source, &Wanted::Opening(vec![Family::Ttft]), 0) else {
        panic!("no opening");
    };
    assert_eq!(
        (opening.now, &opening.bounds["ttft"]),
        (source.now, &vec![1.0])
    );
    assert_eq!(opening.baseline[ERRORS], [[3_600, 0].into()]);
    assert_eq!(opening.baseline["ttft"], [[3_600, 0].into()]);
}

#[test]
fn an_opening_needs_no_hour_to_look_back_to() {
    let mut source = source();
    for series in &mut source.series {
        series.samples.retain(|(at, _)| *at > START + 7_100_000);
    }
    let Reading::Opening(opening) = read(&source, &Wanted::Opening(vec![]), 0) else {
        panic!("no opening");
    };
    assert!(
        (80..=95).contains(&opening.baseline[ERRORS][0].n),
        "{:?}",
        opening.baseline
    );
}

#[test]
fn a_check_looks_for_series_states_and_queries() {
    let mut source = source();
    let expected = Checked {
        canary_series_on: 1,
        fresh: 1,
        ..Checked::default()
    };
    // No answer is an answer: the query can be asked.
    assert_eq!(checked(&source), expected);
    source.answers = vec![(
        "up".to_owned(),
        Answered::Error("HTTP 400: parse error".to_owned()),
    )];
    assert_eq!(checked(&source).faults, ["q: HTTP 400: parse error"]);
    let down = "serin_target_up{job=r,instance=a:1,route=chat,target=claude}";
    source.add(down, &[(source.now - 6_000, 0.0)]);
    let seen = checked(&source);
    assert!(seen.candidate_down);
    assert_eq!((seen.down_on, seen.fresh), (1, 1));
    source
        .series
        .retain(|series| series.labels.get("arm").is_none_or(|arm| arm != "canary"));
    assert_eq!(checked(&source).canary_series_on, 0);
}

#[test]
fn a_source_that_is_away_fails_and_is_not_asked_for_nothing() {
    let mut source = source();
    let away = Untold {
        trouble: Trouble::Timeout,
        why: "no answer within 5s".to_owned(),
    };
    source.away = Some(away.clone());
    let window = Wanted::Window {
        families: vec![],
        queries: vec![],
    };
    for wanted in [Wanted::Check, Wanted::Opening(vec![]), window] {
        assert_eq!(read(&source, &wanted, START), Reading::Failed(away.clone()));
    }
    assert_eq!(read(&source, &Wanted::Nothing, START), Reading::None);
}
