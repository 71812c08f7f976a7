//! A router read by ourselves: the same counts as anybody would make of its text.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::stage::eventually;

const EVERY: Duration = Duration::from_secs(1);

fn want() -> Want {
    Want {
        route: "chat".to_owned(),
        candidate: "claude".to_owned(),
        families: vec![Family::Samples, Family::Ttft],
        live: 1,
        scrape_interval_ms: None,
    }
}

fn text(errors: u64, slow: u64) -> String {
    let arm = "route=\"chat\",target=\"claude\",arm=\"canary\",role=\"first\"";
    format!(
        "# HELP x X.\n\
         serin_config_revision 7\n\
         process_start_time_seconds 1.5\n\
         serin_requests_total{{route=\"chat\"}} 99\n\
         serin_analysis_samples_total{{{arm},outcome=\"error\",reason=\"reset\"}} {errors}\n\
         serin_analysis_samples_total{{{arm},outcome=\"success\",reason=\"none\"}} 5\n\
         serin_upstream_ttft_seconds_bucket{{{arm},le=\"1.0\"}} 2\n\
         serin_upstream_ttft_seconds_bucket{{{arm},le=\"+Inf\"}} {slow}\n\
         serin_upstream_ttft_seconds_sum{{{arm}}} 0.5\n\
         serin_upstream_ttft_seconds_count{{{arm}}} {slow}\n\
         serin_breaker_state{{route=\"chat\",target=\"claude\",state=\"open\"}} 1\n\
         serin_breaker_state{{route=\"chat\",target=\"claude\",state=\"closed\"}} 0\n\
         serin_target_up{{route=\"chat\",target=\"claude\"}} 1\n"
    )
}

fn read(text: &str) -> Result<Vec<exposition::Sample>, Untold> {
    Ok(exposition::read(text, is_kept).unwrap())
}

fn reader() -> Embedded {
    Embedded::new("http://127.0.0.1:1/metrics", EVERY, Http::default())
}

fn by(raw: &Raw, outcome: &str) -> u64 {
    let ended = raw
        .samples
        .iter()
        .filter(|ended| ended.canary && ended.outcome == outcome);
    ended.map(|ended| ended.by).sum()
}

#[tokio::test]
async fn increments_between_readings_are_counted() {
    let reader = reader();
    let start = reader.time();
    for (i, (errors, slow)) in [(1, 2), (1, 2), (4, 2), (6, 9)].into_iter().enumerate() {
        let at = start + i as u64 * 1_000;
        reader.kept().take(at, read(&text(errors, slow)));
    }
    let upto = Horizon {
        until: start + 3_000,
        scrape_ms: 1_000,
    };
    assert_eq!(reader.horizon(&want()).await, Ok(upto));
    let raw = reader.counts(&want(), start + 1_000, upto).await.unwrap();
    assert_eq!((by(&raw, "error"), by(&raw, "success")), (5, 0));
    let ttft = &raw.histograms[&Family::Ttft].canary;
    assert_eq!(
        (ttft.count, &ttft.below, ttft.sum),
        (7, &vec![(1.0, 0)], 0.0)
    );
    assert_eq!(
        (
            raw.gauges.fresh,
            raw.gauges.breaker_open,
            raw.gauges.target_down
        ),
        (1, 1, 0)
    );
    assert_eq!((raw.canary_series_on, raw.untold), (1, None));
    // Tiled, it is the same.
    let mut sum = 0;
    for (after, until) in [(start, start + 1_500), (start + 1_500, start + 3_000)] {
        let upto = Horizon { until, ..upto };
        sum += by(&reader.counts(&want(), after, upto).await.unwrap(), "error");
    }
    assert_eq!(sum, 5);
    assert!(!reader.takes_queries());
    assert!(matches!(reader.scalar("up", 1).await, Answered::Error(_)));
}

#[tokio::test]
async fn a_process_that_begins_anew_counts_from_zero() {
    let reader = reader();
    let start = reader.time();
    // The cursor is of the process before.
    let cursor = start - 10_000;
    let began = format!("process_start_time_seconds {}", (start - 2_000) / 1_000);
    let text = text(3, 0).replace("process_start_time_seconds 1.5", &began);
    reader.kept().take(start, read(&text));
    let upto = reader.horizon(&want()).await.unwrap();
    let raw = reader.counts(&want(), cursor, upto).await.unwrap();
    assert_eq!((by(&raw, "error"), raw.untold), (3, None));
}

#[test]
fn memory_is_of_what_changed_and_of_a_quarter_of_an_hour() {
    let mut kept = Kept::default();
    let minutes = |n: u64| n * 60_000;
    for n in 0..=60 {
        kept.take(minutes(n), read(&text(n / 20, 0)));
    }
    let of = |name: &str, outcome: Option<&str>| {
        let found = kept.series.iter().find(|((is, labels), _)| {
            is == name && labels.get("outcome").map(String::as_str) == outcome
        });
        found.map(|(_, one)| one.samples.iter().copied().collect::<Vec<_>>())
    };
    // 45 minutes and older: the newest of them is a base.
    let errors = of("serin_analysis_samples_total", Some("error")).unwrap();
    assert_eq!(errors, [(minutes(40), 2.0), (minutes(60), 3.0)]);
    assert_eq!(
        of("serin_analysis_samples_total", Some("success")).unwrap(),
        [(0, 5.0)]
    );
    assert_eq!(of("serin_config_revision", None).unwrap().len(), 16);
    assert_eq!(of("serin_requests_total", None), None);
    assert_eq!(of("serin_upstream_ttft_seconds_count", None), None);
    // What is no longer exposed goes with the time.
    for n in 61..=80 {
        kept.take(minutes(n), read("serin_config_revision 1\n"));
    }
    assert_eq!(kept.series.len(), 1);
}

#[tokio::test]
async fn a_router_that_cannot_be_read_is_said_in_time() {
    let reader = reader();
    assert_eq!(reader.last().unwrap_err().trouble, Trouble::Empty);
    reader.look().await;
    assert_eq!(reader.last().unwrap_err().trouble, Trouble::Connect);
    let now = reader.time();
    reader.kept().take(now - 1_000, read(&text(1, 1)));
    reader.look().await;
    // The last one is still good.
    assert_eq!(reader.last().unwrap().until, now - 1_000);
    reader.kept().last = Some(now - 5_000);
    assert_eq!(reader.last().unwrap_err().trouble, Trouble::Connect);
}

#[tokio::test]
async fn it_reads_until_it_is_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let n = stream.read(&mut [0; 4_096]).await.unwrap();
            assert!(n > 0);
            let body = text(count.fetch_add(1, SeqCst) as u64, 0);
            let head = format!("HTTP/1.1 200 x\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    let every = Duration::from_millis(10);
    let reader = Embedded::start(&url, every, Http::default(), &Handle::current());
    let errors = || async {
        let upto = reader.last().ok()?;
        let raw = reader
            .counts(&want(), upto.until - 1_000, upto)
            .await
            .ok()?;
        Some(by(&raw, "error"))
    };
    eventually(errors, |errors| errors.is_some_and(|errors| errors >= 2)).await;
    let weak = Arc::downgrade(&reader);
    drop(reader);
    eventually(|| async { weak.strong_count() }, |n| *n == 0).await;
}
