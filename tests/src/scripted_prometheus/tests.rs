//! The fake is what it says: exact, on its own clock, and wrong when told.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::client::{Connection, Request, ask};
use crate::eventually;

const SAMPLES: &str = r#"serin_analysis_samples_total{route="chat",role="first"}"#;

fn live(share: f64) -> Live {
    Live {
        weights: [
            ("gpt".to_owned(), 100.0 - share),
            ("claude".to_owned(), share),
        ]
        .into(),
        canary: Some("claude".to_owned()),
    }
}

async fn started(pace: Pace) -> ScriptedPrometheus {
    let prometheus = ScriptedPrometheus::start(pace, &["r1", "r2"]);
    let at = prometheus.http.address;
    let look = async || Connection::open(at).await.is_ok();
    eventually("it listens", Duration::from_secs(5), look, |ok| *ok).await;
    prometheus
}

async fn query(prometheus: &ScriptedPrometheus, query: &str, time: Option<u64>) -> Value {
    let escaped: String = query.bytes().map(|b| format!("%{b:02x}")).collect();
    let time = time.map_or(String::new(), |ms| {
        format!("&time={}.{:03}", ms / 1000, ms % 1000)
    });
    let body = format!("query={escaped}{time}");
    let request = Request::new("POST", "/api/v1/query")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    ask(prometheus.http.address, &request).await.json()
}

/// What all series of an arm in a range vector came to since they began at 0.
fn increase(answer: &Value, arm: &str, outcome: &str) -> f64 {
    let series = answer["data"]["result"].as_array().expect("a matrix");
    let meant = series.iter().filter(|one| {
        one["metric"]["arm"] == arm && (outcome.is_empty() || one["metric"]["outcome"] == outcome)
    });
    meant
        .map(|one| {
            let values = one["values"].as_array().expect("values");
            let last = values.last().and_then(|last| last[1].as_str());
            last.and_then(|v| v.parse::<f64>().ok()).expect("a number")
        })
        .sum()
}

#[tokio::test]
async fn what_it_exposes_is_what_it_counted() {
    let pace = Pace {
        speed: 200,
        ..Pace::TENFOLD
    };
    let prometheus = started(pace).await;
    let mut traffic = Traffic::healthy(100.0);
    traffic.canary.errors = 0.3;
    traffic.histograms = true;
    prometheus.traffic("chat", traffic);
    prometheus.live("chat", live(10.0));
    let begun = prometheus.now_ms();
    let look = async || prometheus.now_ms();
    let until = eventually("time passes", Duration::from_secs(10), look, |now| {
        *now > begun + 120_000
    })
    .await;

    let answer = query(&prometheus, &format!("{SAMPLES}[300s]"), Some(until)).await;
    assert_eq!(answer["data"]["resultType"], "matrix", "{answer}");
    let truth = |canary| prometheus.truth("chat", canary, (begun, until));
    let (n, e) = truth(true).errors();
    assert_eq!(increase(&answer, "canary", "error") as u64, e);
    assert_eq!(increase(&answer, "canary", "") as u64, n);
    assert!(
        (800..1600).contains(&n) && (n / 5..n / 2).contains(&e),
        "{n} {e}"
    );
    let (n, e) = truth(false).errors();
    assert_eq!(increase(&answer, "stable", "") as u64, n);
    assert!((9_000..13_000).contains(&n) && e < n / 50, "{n} {e}");

    let buckets = r#"{__name__=~"serin_upstream_duration_seconds_bucket|serin_upstream_duration_seconds_sum",route="chat"}[60s]"#;
    let answer = query(&prometheus, buckets, Some(until)).await;
    let series = answer["data"]["result"].as_array().expect("a matrix");
    // 21 bounds, +Inf and the sum, of two routers and two arms.
    assert_eq!(series.len(), 23 * 4, "{answer}");
    let twins = query(&prometheus, "serin_config_revision", None).await;
    assert_eq!(twins["data"]["result"].as_array().map(Vec::len), Some(2));
    prometheus.pair(true);
    let twins = query(&prometheus, "serin_config_revision", None).await;
    assert_eq!(twins["data"]["result"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn it_goes_wrong_as_it_is_told() {
    let prometheus = started(Pace::TENFOLD).await;
    let now = query(&prometheus, "time()", None).await;
    let seconds = now["data"]["result"][1]
        .as_str()
        .and_then(|s| s.parse::<f64>().ok());
    assert!(seconds.is_some_and(|s| s >= 1_790_000_000.0), "{now}");
    prometheus.shift(-3_600_000);
    let earlier = query(&prometheus, "time()", None).await;
    let earlier = earlier["data"]["result"][1]
        .as_str()
        .and_then(|s| s.parse::<f64>().ok());
    assert!(earlier < seconds, "{earlier:?} {seconds:?}");

    prometheus.say("avg(x)", Said::Value(f64::INFINITY));
    let said = query(&prometheus, "avg(x)", None).await;
    assert_eq!(said["data"]["result"][0]["value"][1], "+Inf");
    let table = [
        (Said::Value(f64::NAN), json!(1)),
        (Said::Nothing, json!(0)),
        (Said::Two(1.0, 2.0), json!(2)),
    ];
    for (said, count) in table {
        prometheus.say("avg(x)", said);
        let answer = query(&prometheus, "avg(x)", None).await;
        let found = answer["data"]["result"].as_array().map(Vec::len);
        assert_eq!(json!(found), count, "{answer}");
    }
    let refused = query(&prometheus, "rate(x[1m])", None).await;
    assert_eq!(refused["status"], "error");
    assert_eq!(prometheus.not_understood(), ["rate(x[1m])"]);

    prometheus.fault(Some(Fault::SaysError));
    let refused = query(&prometheus, "time()", None).await;
    assert_eq!(refused["status"], "error");
    prometheus.fault(Some(Fault::Warns));
    let warned = query(&prometheus, "time()", None).await;
    assert!(
        warned["warnings"].is_array() && warned["status"] == "success",
        "{warned}"
    );
    prometheus.fault(None);
    prometheus.fault_of("chat", Some(Fault::Status(500)));
    let failed = query(&prometheus, &format!("{SAMPLES}[10s]"), None).await;
    assert_eq!(failed, json!({}));
    prometheus.fault(Some(Fault::Refuses));
    let at = prometheus.http.address;
    let look = async || Connection::open(at).await.is_ok();
    eventually("it refuses", Duration::from_secs(5), look, |ok| !*ok).await;
}

#[tokio::test]
async fn a_router_that_begins_anew_begins_at_zero_and_loses_what_was_not_scraped() {
    let pace = Pace {
        speed: 200,
        ..Pace::TENFOLD
    };
    let prometheus = started(pace).await;
    prometheus.traffic("chat", Traffic::healthy(50.0));
    prometheus.live("chat", live(50.0));
    let begun = prometheus.now_ms();
    let passed = async |ms: u64| {
        let look = async || prometheus.now_ms();
        let from = prometheus.now_ms();
        eventually("time passes", Duration::from_secs(10), look, |now| {
            *now > from + ms
        })
        .await
    };
    passed(60_000).await;
    prometheus.up("r2", false);
    passed(20_000).await;
    let fresh = query(&prometheus, "serin_config_revision[5s]", None).await;
    assert_eq!(
        fresh["data"]["result"].as_array().map(Vec::len),
        Some(1),
        "{fresh}"
    );
    prometheus.up("r2", true);
    let until = passed(20_000).await;
    let starts = query(&prometheus, "process_start_time_seconds", Some(until)).await;
    let began = |n: usize| {
        let text = starts["data"]["result"][n]["value"][1].as_str();
        text.and_then(|s| s.parse::<f64>().ok()).unwrap_or(0.0) * 1e3
    };
    assert!(
        began(0) <= begun as f64 && began(1) > begun as f64 + 70_000.0,
        "{starts}"
    );
    let whole = query(&prometheus, &format!("{SAMPLES}[300s]"), Some(until)).await;
    let falls = whole["data"]["result"]
        .as_array()
        .expect("a matrix")
        .iter()
        .any(|one| {
            let values = one["values"].as_array().expect("values");
            let numbers: Vec<f64> = values
                .iter()
                .filter_map(|v| v[1].as_str()?.parse().ok())
                .collect();
            numbers.windows(2).any(|pair| pair[1] < pair[0])
        });
    assert!(falls, "no counter was reset");
}
