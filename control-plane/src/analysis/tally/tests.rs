//! Many routers into one window: who counts, who does not, and when it is not the whole.

use super::*;
use crate::analysis::series::Labels;

const SCRAPE_MS: u64 = 1_000;

fn series(text: &str, samples: &[(Millis, f64)]) -> Series {
    let (name, labels) = text.trim_end_matches('}').split_once('{').unwrap();
    let pairs = labels.split(',').map(|pair| pair.split_once('=').unwrap());
    Series {
        name: name.to_owned(),
        labels: pairs
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect::<Labels>(),
        samples: samples.to_vec(),
    }
}

fn want(live: u32) -> Want {
    Want {
        route: "chat".to_owned(),
        candidate: "claude".to_owned(),
        families: vec![Family::Samples, Family::Ttft],
        live,
        scrape_interval_ms: None,
    }
}

fn routers(names: &[&str]) -> Routers {
    let revisions = names.iter().map(|name| {
        series(
            &format!("serin_config_revision{{job=r,instance={name}}}"),
            &[(9_500, 1.0)],
        )
    });
    let watched = Watched {
        revisions: revisions.collect(),
        ..Watched::default()
    };
    Routers::seen(watched, 10_000, SCRAPE_MS).unwrap()
}

fn tallied(family: Family, all: Vec<Series>) -> Tally {
    let mut tally = Tally::after(1_000);
    tally.take(family, &apart(family, all).unwrap());
    tally
}

#[test]
fn arms_are_summed_and_other_canaries_left_out() {
    let sample = |instance: &str, target: &str, arm: &str, by: f64| {
        let labels =
            format!("job=r,instance={instance},route=chat,target={target},arm={arm},role=first");
        let text = format!("serin_analysis_samples_total{{{labels},outcome=success,reason=none}}");
        series(&text, &[(900, 1.0), (2_000, 1.0 + by)])
    };
    let all = vec![
        sample("a:1", "claude", "canary", 2.0),
        sample("b:1", "claude", "canary", 3.0),
        sample("a:1", "gpt", "stable", 5.0),
        sample("a:1", "mistral", "stable", 7.0),
        sample("a:1", "gpt", "canary", 100.0),
    ];
    let raw = tallied(Family::Samples, all).raw(&want(2), 10_000, &routers(&["a:1", "b:1"]));
    let by = |canary| {
        let of = raw.samples.iter().filter(|ended| ended.canary == canary);
        of.map(|ended| (ended.router.as_str(), ended.by))
            .collect::<Vec<_>>()
    };
    assert_eq!(by(true), [("a:1", 2), ("b:1", 3)]);
    assert_eq!(by(false), [("a:1", 5), ("a:1", 7)]);
    assert_eq!(
        (raw.from, raw.to, raw.canary_series_on, raw.untold),
        (1_000, 10_000, 2, None)
    );
}

#[test]
fn histograms_are_summed_by_the_number_of_their_bounds() {
    let bucket = |instance: &str, target: &str, le: &str, by: f64| {
        let labels =
            format!("job=r,instance={instance},route=chat,target={target},arm=stable,role=first");
        let text = format!("serin_upstream_ttft_seconds_bucket{{{labels},le={le}}}");
        series(&text, &[(900, 0.0), (2_000, by)])
    };
    let sum = "serin_upstream_ttft_seconds_sum{job=r,instance=a:1,route=chat,target=gpt,arm=stable,role=first}";
    let all = vec![
        bucket("a:1", "gpt", "3.0", 4.0),
        bucket("a:1", "gpt", "0.5", 1.0),
        bucket("a:1", "gpt", "+Inf", 6.0),
        bucket("b:1", "gpt", "3", 10.0),
        bucket("b:1", "gpt", "+Inf", 11.0),
        bucket("a:1", "mistral", "3.0", 1.0),
        bucket("a:1", "mistral", "+Inf", 1.0),
        series(sum, &[(900, 0.25), (2_000, 2.75)]),
    ];
    let raw = tallied(Family::Ttft, all).raw(&want(1), 10_000, &routers(&["a:1"]));
    let stable = &raw.histograms[&Family::Ttft].stable;
    assert_eq!(stable.below, [(0.5, 1), (3.0, 15)]);
    assert_eq!((stable.count, stable.sum), (18, 2.5));
    assert_eq!(raw.histograms[&Family::Ttft].canary, Histogram::default());
}

#[test]
fn a_missing_router_or_base_makes_a_window_partial_and_what_is_there_counts() {
    let text = "serin_analysis_samples_total{job=r,instance=a:1,route=chat,target=claude,arm=canary,\
                role=first,outcome=error,reason=http_5xx}";
    let whole = tallied(
        Family::Samples,
        vec![series(text, &[(900, 1.0), (2_000, 4.0)])],
    );
    let raw = whole.raw(&want(2), 10_000, &routers(&["a:1"]));
    let untold = raw.untold.unwrap();
    assert_eq!((raw.samples[0].by, untold.trouble), (3, Trouble::Partial));
    assert_eq!((raw.gauges.fresh, raw.gauges.live), (1, 2));
    assert_eq!(untold.why, "1 of 2 live routers have fresh samples");

    let partial = tallied(
        Family::Samples,
        vec![series(text, &[(1_500, 3.0), (2_000, 4.0)])],
    );
    let raw = partial.raw(&want(1), 10_000, &routers(&["a:1"]));
    let untold = raw.untold.unwrap();
    assert_eq!((raw.samples[0].by, untold.trouble), (1, Trouble::Partial));
    assert!(
        untold
            .why
            .starts_with("serin_analysis_samples_total of a:1"),
        "{}",
        untold.why
    );
}

#[test]
fn a_process_that_began_in_the_window_is_counted_from_zero() {
    let text = "serin_analysis_samples_total{job=r,instance=a:1,route=chat,target=claude,arm=canary,\
                role=first,outcome=success,reason=none}";
    let mut tally = Tally::after(1_000);
    let start = series(
        "process_start_time_seconds{job=r,instance=a:1}",
        &[(2_000, 1.5), (3_000, 1.5)],
    );
    tally.began(vec![start]).unwrap();
    let new = apart(
        Family::Samples,
        vec![series(text, &[(2_000, 3.0), (3_000, 5.0)])],
    )
    .unwrap();
    // One looks for what came before all the same, and finds nothing.
    assert!(tally.lacks_base(Family::Samples, &new));
    tally.look_back(Family::Samples, &Apart::new(), 100);
    tally.take(Family::Samples, &new);
    let raw = tally.raw(&want(1), 10_000, &routers(&["a:1"]));
    assert_eq!((raw.samples[0].by, raw.untold), (5, None));
}

#[test]
fn one_process_under_two_jobs_is_ambiguous() {
    let start = |job: &str, instance: &str, began: f64| {
        let text = format!("process_start_time_seconds{{job={job},instance={instance}}}");
        series(&text, &[(2_000, began)])
    };
    let told = |all| {
        Tally::after(1_000)
            .began(all)
            .map_err(|untold: Untold| untold.trouble)
    };
    assert_eq!(
        told(vec![start("a", "x:1", 1.5), start("b", "x:1", 1.5)]),
        Err(Trouble::Ambiguous)
    );
    // Two routers that a supervisor started together, or one name for two of them, are none.
    assert_eq!(
        told(vec![start("a", "x:1", 1.5), start("a", "y:1", 1.5)]),
        Ok(())
    );
    assert_eq!(
        told(vec![start("a", "x:1", 1.5), start("b", "x:1", 1.75)]),
        Ok(())
    );
}

#[test]
fn only_fresh_routers_have_a_say() {
    let of = |metric: &str, instance: &str, at, value| {
        let labels = format!("job=r,instance={instance},route=chat,target=claude,state=open");
        series(&format!("{metric}{{{labels}}}"), &[(at, value)])
    };
    let watched = |at: [Millis; 3]| Watched {
        revisions: ["a", "b", "c"]
            .iter()
            .zip(at)
            .map(|(name, at)| of("serin_config_revision", name, at, 5.0))
            .collect(),
        breakers: vec![
            of("serin_breaker_state", "a", 9_000, 1.0),
            of("serin_breaker_state", "b", 9_000, 0.0),
            of("serin_breaker_state", "c", 7_000, 1.0),
        ],
        ups: vec![
            of("serin_target_up", "a", 9_000, 0.0),
            of("serin_target_up", "b", 9_000, 1.0),
        ],
    };
    let seen = Routers::seen(watched([9_000, 7_001, 7_000]), 10_000, SCRAPE_MS).unwrap();
    let expected = Gauges {
        fresh: 2,
        breaker_open: 1,
        target_down: 1,
        live: 0,
    };
    // One router says both: it is one.
    assert_eq!((seen.gauges, seen.down), (expected, 1));
    let trouble = |watched| {
        Routers::seen(watched, 10_000, SCRAPE_MS)
            .unwrap_err()
            .trouble
    };
    assert_eq!(trouble(watched([7_000, 1_000, 2])), Trouble::Stale);
    assert_eq!(trouble(Watched::default()), Trouble::Empty);
    let mut pair = watched([9_000; 3]);
    pair.revisions.extend(pair.revisions.clone());
    assert_eq!(trouble(pair), Trouble::Ambiguous);
}
