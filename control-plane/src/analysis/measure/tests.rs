//! What is n and what is e, where bounds come from, and moments that are never too small.

use serin_proto::metric::family::{COSTS, DURATIONS, OUTPUT_TOKEN_COUNTS, TTFTS};
use serin_proto::v1;

use super::*;
use crate::{analysis::sample::Gauges, rollout::plan::Plan};

fn plan(metrics: &str) -> AnalysisPlan {
    let text = format!(
        r#"{{"route":"chat","candidate":"claude","steps":[{{"weight":5}}],"analysis":{{"metrics":{metrics}}}}}"#
    );
    let rollout: v1::Rollout = serde_json::from_str(&text).unwrap();
    Plan::compile(&rollout).unwrap().analysis
}

fn ended(router: &str, canary: bool, ending: Ending, by: u64) -> Ended {
    Ended {
        router: router.to_owned(),
        canary,
        outcome: ending.outcome().to_owned(),
        reason: ending.reason().to_owned(),
        by,
    }
}

/// A histogram of these values, with the buckets of its family.
fn histogram(buckets: &[f64], values: &[f64]) -> Histogram {
    let below = |bound: f64| values.iter().filter(|value| **value <= bound).count() as u64;
    Histogram {
        below: buckets
            .iter()
            .map(|bound| (*bound, below(*bound)))
            .collect(),
        count: values.len() as u64,
        sum: values.iter().sum(),
    }
}

fn with(family: Family, canary: Histogram, stable: Histogram) -> Raw {
    Raw {
        from: 1,
        to: 2,
        histograms: [(family, Arms { canary, stable })].into(),
        ..Raw::default()
    }
}

fn window(canary: [u64; 2], stable: [u64; 2]) -> Window {
    Arms {
        canary: canary.into(),
        stable: stable.into(),
    }
}

#[rustfmt::skip]
#[test]
fn each_ending_is_a_sample_or_an_event_of_the_right_metrics() {
    // Ending → (n, e) of errors, rejections, abandoned.
    let error = [[1, 1], [1, 0], [1, 0]];
    let table = [
        (Ending::Success,           [[1, 0], [1, 0], [1, 0]]),
        (Ending::ClientGone,        [[0, 0], [0, 0], [1, 1]]),
        (Ending::Http4xx,           [[0, 0], [1, 1], [1, 0]]),
        (Ending::HttpAuth, error), (Ending::Quota, error), (Ending::Http404, error), (Ending::Http429, error),
        (Ending::Http5xx, error), (Ending::HttpOther, error), (Ending::Connect, error), (Ending::Tls, error),
        (Ending::TimeoutConnect, error), (Ending::TimeoutFirstToken, error), (Ending::TimeoutIdle, error),
        (Ending::TimeoutTotal, error), (Ending::Reset, error), (Ending::Truncated, error), (Ending::BadResponse, error),
        (Ending::StreamError, error), (Ending::DivertedOpen, error), (Ending::DivertedUnhealthy, error),
        (Ending::DivertedFull, error),
    ];
    assert_eq!(table.len(), Ending::ALL.len());
    let plan = plan(r#"[{"name":"errors"},{"name":"rejections"},{"name":"abandoned"}]"#);
    for (ending, expected) in table {
        let raw = Raw { samples: vec![ended("a", true, ending, 1)], ..Raw::default() };
        let measured = measure(&plan, &raw, &BoundsBy::new());
        for (metric, expected) in ["errors", "rejections", "abandoned"].into_iter().zip(expected) {
            assert_eq!(measured.counts[metric], [window(expected, [0, 0])], "{metric}: {ending:?}");
        }
        assert_eq!(measured.ended, Arms { canary: 1, stable: 0 });
    }
}

#[test]
fn a_window_says_what_the_verdict_needs() {
    let raw = Raw {
        from: 5,
        to: 6,
        samples: vec![
            ended("b", false, Ending::Success, 10),
            ended("a", false, Ending::Http5xx, 2),
            ended("a", false, Ending::Success, 5),
            ended("a", false, Ending::Http4xx, 4),
            ended("c", false, Ending::ClientGone, 3),
            ended("a", true, Ending::Reset, 1),
        ],
        gauges: Gauges {
            fresh: 3,
            breaker_open: 1,
            ..Gauges::default()
        },
        ..Raw::default()
    };
    // A plan that names errors otherwise, and no rejections, still has them for the guards.
    let plan = plan(r#"[{"name":"request-success-rate","thresholdRange":{"min":99}}]"#);
    let measured = measure(&plan, &raw, &BoundsBy::new());
    let errors = window([1, 1], [17, 2]);
    assert_eq!(measured.counts[ERRORS], [errors]);
    let rejections = window([1, 0], [21, 4]);
    assert_eq!(measured.counts[REJECTIONS], [rejections]);
    assert_eq!(measured.counts["request-success-rate"], [errors]);
    assert_eq!(
        measured.ended,
        Arms {
            canary: 1,
            stable: 24
        }
    );
    let by_router = [
        ("a".to_owned(), [7, 2].into()),
        ("b".to_owned(), [10, 0].into()),
    ];
    assert_eq!(measured.stable_by_router, by_router);
    assert_eq!(
        (measured.from, measured.to, measured.gauges),
        (5, 6, raw.gauges)
    );
}

#[test]
fn what_lies_beyond_a_bound_is_counted_without_guessing() {
    let plan = plan(
        r#"[{"name":"ttft","quantiles":[0.95]},
            {"name":"output-tokens","quantiles":[0.1,0.9]},
            {"name":"duration","thresholdRange":{"max":60000}}]"#,
    );
    let mut raw = with(
        Family::Ttft,
        histogram(&TTFTS, &[0.1, 3.0, 3.5, 500.0]),
        histogram(&TTFTS, &[0.1; 10]),
    );
    let tokens = |values: &[f64]| histogram(&OUTPUT_TOKEN_COUNTS, values);
    let (canary, stable) = (tokens(&[10.0, 17.0, 900.0]), tokens(&[100.0, 100.0]));
    raw.histograms
        .insert(Family::OutputTokens, Arms { canary, stable });
    let bounds = [
        ("ttft".to_owned(), vec![3.0]),
        ("output-tokens".to_owned(), vec![32.0, 768.0]),
        ("duration".to_owned(), vec![60.0]),
    ];
    let measured = measure(&plan, &raw, &bounds.into());
    assert_eq!(measured.counts["ttft"], [window([4, 2], [10, 0])]);
    let expected = [window([3, 2], [2, 0]), window([3, 1], [2, 0])];
    assert_eq!(measured.counts["output-tokens"], expected);
    assert_eq!(measured.counts["duration"], [Window::default()]);
    // Without bounds there is nothing to look at; a bound nobody has says nothing.
    assert_eq!(measure(&plan, &raw, &BoundsBy::new()).counts["ttft"], []);
    let other = [("ttft".to_owned(), vec![2.5])];
    assert_eq!(
        measure(&plan, &raw, &other.into()).counts["ttft"],
        [Window::default()]
    );
}

#[test]
fn an_exposure_begins_with_bounds_of_the_stable_arm() {
    let plan = plan(
        r#"[{"name":"ttft","quantiles":[0.95]},
            {"name":"output-tokens","quantiles":[0.1,0.9]},
            {"name":"duration","thresholdRange":{"max":1100}},
            {"name":"request-duration","thresholdRange":{"max":500000},"judge":"threshold"},
            {"name":"errors"}]"#,
    );
    let fast: Vec<f64> = (0..95).map(|_| 0.4).chain([2.5; 5]).collect();
    let mut recent = with(Family::Ttft, Histogram::default(), histogram(&TTFTS, &fast));
    let durations = histogram(&DURATIONS, &[vec![0.2; 99], vec![40.0]].concat());
    let none = Histogram::default();
    let arms = |stable| Arms {
        canary: histogram(&DURATIONS, &[500.0; 50]),
        stable,
    };
    recent.histograms.insert(Family::Duration, arms(durations));
    recent.samples = vec![
        ended("a", false, Ending::Http5xx, 3),
        ended("a", true, Ending::Http5xx, 9),
    ];
    let tokens: Vec<f64> = (0..100).map(|i| f64::from(i) * 10.0 + 5.0).collect();
    let mut hour = with(
        Family::OutputTokens,
        none.clone(),
        histogram(&OUTPUT_TOKEN_COUNTS, &tokens),
    );
    hour.samples = vec![ended("a", false, Ending::Success, 97)];

    let opening = opening(&plan, 77, &recent, &hour);
    assert_eq!(opening.now, 77);
    // Nine in a hundred tokens are ≤ 95 and eleven ≤ 105: 64 is under the p10, 1 024 above the p90.
    let expected = [
        ("duration", vec![1.5]),
        ("output-tokens", vec![64.0, 1_024.0]),
        ("request-duration", vec![600.0]),
        ("ttft", vec![0.5]),
    ];
    let bounds: Vec<(&str, Vec<f64>)> = opening
        .bounds
        .iter()
        .map(|(k, v)| (k.as_str(), v.clone()))
        .collect();
    assert_eq!(bounds, expected);
    assert_eq!(opening.stable_p99_ms, Some(250));
    // The hour and what is recent, of the stable arm alone.
    assert_eq!(opening.baseline["errors"], [[100, 3].into()]);
    assert_eq!(opening.baseline["ttft"], [[100, 5].into()]);
    assert_eq!(
        opening.baseline["output-tokens"],
        [[100, 6].into(), [100, 0].into()]
    );

    let nothing = super::opening(&plan, 77, &Raw::default(), &Raw::default());
    assert_eq!(
        (nothing.bounds["ttft"].len(), nothing.stable_p99_ms),
        (0, None)
    );
    assert_eq!(nothing.bounds["duration"], [1.5]);
}

#[test]
fn bounds_at_the_ends_are_the_ends() {
    let slow = histogram(&TTFTS, &[500.0; 10]);
    assert_eq!(quantile(&slow, 0.95), Some(120.0));
    let short = histogram(&OUTPUT_TOKEN_COUNTS, &[1.0; 10]);
    assert_eq!(quantile(&short, 0.1), Some(16.0));
    assert_eq!(quantile(&Histogram::default(), 0.9), None);
}

#[test]
fn the_families_read_are_those_the_metrics_need() {
    let table = [
        (r#"[{"name":"errors"}]"#, vec![Family::Samples]),
        (
            r#"[{"name":"ttft"},{"name":"cost","maxRatio":1.2}]"#,
            vec![Family::Samples, Family::Ttft, Family::Cost],
        ),
        (
            r#"[{"name":"request-duration","thresholdRange":{"max":1000},"judge":"threshold"}]"#,
            vec![Family::Samples, Family::Duration],
        ),
        (
            r#"[{"name":"x","query":"up","thresholdRange":{"min":1}}]"#,
            vec![Family::Samples],
        ),
    ];
    for (metrics, expected) in table {
        assert_eq!(families(&plan(metrics)), expected, "{metrics}");
    }
}

#[test]
fn moments_never_tell_a_smaller_variance_than_there_is() {
    let variance = |values: &[f64]| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n
    };
    let told = |m: Moments| m.squares / m.n as f64 - (m.sum / m.n as f64).powi(2);
    let sets: [(&[f64], &[f64]); 6] = [
        (&COSTS, &[0.003, 0.004, 0.9, 1e-6]),
        (&COSTS, &[0.0101; 40]),
        (&COSTS, &[7.0, 300.0, 0.1]),
        (&OUTPUT_TOKEN_COUNTS, &[15.0, 17.0, 500.0, 501.0, 60_000.0]),
        (&OUTPUT_TOKEN_COUNTS, &[200_000.0, 1.0, 1.0]),
        (&OUTPUT_TOKEN_COUNTS, &[0.0; 3]),
    ];
    for (buckets, values) in sets {
        let whole = moments(&histogram(buckets, values));
        assert!(told(whole) >= variance(values) * (1.0 - 1e-9), "{values:?}");
        // Also when it is put together of windows.
        let (a, b) = values.split_at(values.len() / 2);
        let (a, b) = (
            moments(&histogram(buckets, a)),
            moments(&histogram(buckets, b)),
        );
        let both = Moments {
            n: a.n + b.n,
            sum: a.sum + b.sum,
            squares: a.squares + b.squares,
        };
        assert!(told(both) >= variance(values) * (1.0 - 1e-9), "{values:?}");
        assert!(both.n == whole.n && (both.sum - whole.sum).abs() < 1e-6);
    }
    assert_eq!(moments(&Histogram::default()), Moments::default());
}

#[test]
fn means_are_kept_for_what_is_judged_by_them() {
    let plan = plan(r#"[{"name":"cost","maxRatio":1.25}]"#);
    let raw = with(
        Family::Cost,
        histogram(&COSTS, &[0.01, 0.02]),
        histogram(&COSTS, &[0.01]),
    );
    let measured = measure(&plan, &raw, &BoundsBy::new());
    let cost = &measured.means["cost"];
    assert_eq!((cost.canary.n, cost.stable.n), (2, 1));
    assert!((cost.canary.sum - 0.03).abs() < 1e-12);
    assert!(!measured.counts.contains_key("cost"));
}

#[test]
fn a_large_fleet_does_not_fill_the_state() {
    let samples = (0..1_000).map(|n| ended(&format!("r{n:04}"), false, Ending::Success, 5));
    let raw = Raw {
        from: 5,
        to: 6,
        samples: samples.collect(),
        ..Raw::default()
    };
    let plan = plan(r#"[{"name":"errors"}]"#);
    let measured = measure(&plan, &raw, &BoundsBy::new());
    assert_eq!(measured.counts[ERRORS], [window([0, 0], [5_000, 0])]);
    let told_apart = measured.stable_by_router.iter();
    let names: Vec<&str> = told_apart.map(|(router, _)| &**router).collect();
    assert_eq!(names.len(), ROUTERS_MAX);
    assert!(names.is_sorted() && names[0] == "r0000", "always the same");
}
