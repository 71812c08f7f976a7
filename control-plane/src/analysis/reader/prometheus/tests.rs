//! Prometheus as it answers by HTTP: what is asked, where, and what becomes of each answer (RO11).

use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};

use super::*;
use crate::analysis::{reader::Family, sample::Trouble};

/// A server that answers everything alike, and tells what it was asked: path and form.
async fn answering(
    status: u16,
    body: String,
) -> (Prometheus, mpsc::UnboundedReceiver<(String, String)>) {
    answering_by(move |_| (status, body.clone())).await
}

async fn answering_by(
    answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static,
) -> (Prometheus, mpsc::UnboundedReceiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://u:secret@{}/prefix/", listener.local_addr().unwrap());
    let (told, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut text, mut piece) = (String::new(), [0; 4_096]);
            let form = loop {
                let n = stream.read(&mut piece).await.unwrap();
                text.push_str(std::str::from_utf8(&piece[..n]).unwrap());
                let length = text
                    .lines()
                    .find_map(|l| l.strip_prefix("content-length: "));
                let form = text.split_once("\r\n\r\n").map(|(_, form)| form);
                if let Some(form) =
                    form.filter(|form| Some(form.len().to_string().as_str()) == length)
                {
                    break form.to_owned();
                }
                assert!(n > 0, "{text}");
            };
            let (status, body) = answer(&form);
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
            let first = text.lines().next().unwrap_or_default().to_owned();
            let _ = told.send((first, form));
        }
    });
    (Prometheus::new(&url, Http::default()), heard)
}

fn success(kind: &str, result: &Json) -> String {
    json!({ "status": "success", "data": { "resultType": kind, "result": result } }).to_string()
}

#[tokio::test]
async fn a_question_is_a_form_under_the_path_of_the_address() {
    let (source, mut heard) = answering(200, success("matrix", &json!([]))).await;
    let select = Select::up("chat", "claude");
    source
        .range(&select, 15_000, 1_700_000_000_045)
        .await
        .unwrap();
    let (first, form) = heard.recv().await.unwrap();
    assert_eq!(first, "POST /prefix/api/v1/query HTTP/1.1");
    let expected = "query=serin_target_up%7Broute%3D%22chat%22%2Ctarget%3D%22claude%22%7D%5B15000ms%5D\
                    &time=1700000000.045";
    assert_eq!(form, expected);
    assert!(!format!("{source:?}").contains("secret"), "{source:?}");

    let (source, mut heard) = answering(200, success("scalar", &json!([1, "1700000000.1"]))).await;
    assert_eq!(SampleReader::now(&source).await, Ok(1_700_000_000_100));
    assert_eq!(heard.recv().await.unwrap().1, "query=time%28%29");
}

#[rustfmt::skip]
#[tokio::test]
async fn a_query_of_ones_own_never_passes_for_what_it_is_not() {
    let vector = |values: &[&str]| {
        let point = |value: &&str| json!({ "metric": {}, "value": [1, value] });
        success("vector", &Json::from(values.iter().map(point).collect::<Vec<_>>()))
    };
    let warned = json!({ "status": "success", "warnings": ["partial"], "data": { "resultType": "vector",
                         "result": [{ "metric": {}, "value": [1, "1"] }] } });
    let error = json!({ "status": "error", "errorType": "bad_data", "error": "parse error" });
    let table = [
        (200, vector(&["0.25"]),        Ok(Some(0.25))),
        (200, vector(&["NaN"]),         Ok(None)),
        (200, vector(&[]),              Ok(None)),
        (200, vector(&["+Inf"]),        Err("inf")),
        (200, vector(&["1", "1"]),      Err("2 series")),
        (200, error.to_string(),        Err("parse error")),
        (400, error.to_string(),        Err("HTTP 400: parse error")),
        (200, warned.to_string(),       Err("warning: partial")),
        (500, "oh no".to_owned(),       Err("HTTP 500")),
        (200, "<html>".to_owned(),      Err("none of a query API")),
        (200, String::new(),            Err("none of a query API")),
    ];
    for (status, body, expected) in table {
        let (source, _heard) = answering(status, body.clone()).await;
        let told = source.scalar("up", 1).await;
        match expected {
            Ok(Some(value)) => assert_eq!(told, Answered::Value(value), "{body}"),
            Ok(None) => assert_eq!(told, Answered::Nothing, "{body}"),
            Err(word) => assert!(matches!(&told, Answered::Error(why) if why.contains(word)), "{body}: {told:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_no_connection() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://u:secret@{}", free.local_addr().unwrap());
    drop(free);
    let source = Prometheus::new(&url, Http::default());
    let told = SampleReader::now(&source).await.unwrap_err();
    assert_eq!(told.trouble, Trouble::Connect);
    let at = url.replace("u:secret@", "");
    let begins = format!("Prometheus at {at} cannot be reached (no connection: ");
    assert!(told.why.starts_with(&begins), "{}", told.why);
    assert!(told.why.contains("see --prometheus"), "{}", told.why);
    assert!(source.is_away.load(Ordering::Relaxed));
    for (failed, trouble) in [
        (
            crate::http::Failed::Timeout(ANSWER_TIME_MAX),
            Trouble::Timeout,
        ),
        (crate::http::Failed::TooLarge(1), Trouble::Http),
        (crate::http::Failed::Busy, Trouble::Connect),
    ] {
        assert_eq!(unanswered(&failed).trouble, trouble);
    }
}

#[tokio::test]
async fn a_query_that_is_refused_is_no_server_that_is_away() {
    let refused = json!({ "status": "error", "error": "parse error" }).to_string();
    let table = [
        (400, refused, false),
        (404, "404 page not found".to_owned(), true),
        (200, "<html>".to_owned(), true),
    ];
    for (status, body, is_away) in table {
        let (source, _heard) = answering(status, body.clone()).await;
        let told = SampleReader::now(&source).await.unwrap_err();
        let named = told.why.starts_with("Prometheus at http://127.0.0.1:");
        assert_eq!(named, is_away, "{body}: {}", told.why);
        assert_eq!(source.is_away.load(Ordering::Relaxed), is_away, "{body}");
    }
}

#[tokio::test]
async fn a_window_ends_two_scrapes_before_the_sources_time() {
    let scraped_every = |seconds: f64| {
        let samples: Vec<Json> = (0..20)
            .map(|i| json!([1e9 + f64::from(i) * seconds, "1"]))
            .collect();
        json!({ "metric": { "instance": format!("{seconds}") }, "values": samples })
    };
    let table = [
        (json!([]), None, 15_000),
        (json!([scraped_every(1.0)]), None, 1_000),
        (
            json!([scraped_every(1.0), scraped_every(30.0)]),
            None,
            30_000,
        ),
        (json!([scraped_every(30.0)]), Some(2_000), 2_000),
    ];
    for (rows, planned, scrape_ms) in table {
        let (source, _heard) = answering_by(move |form| match form.starts_with("query=time") {
            true => (200, success("scalar", &json!([1, "2000000000"]))),
            false => (200, success("matrix", &rows)),
        })
        .await;
        let want = Want {
            route: "r".to_owned(),
            candidate: "c".to_owned(),
            families: vec![Family::Samples],
            live: 1,
            scrape_interval_ms: planned,
        };
        let upto = SampleReader::horizon(&source, &want).await.unwrap();
        let until = 2_000_000_000_000 - (2 * scrape_ms).max(5_000);
        assert_eq!(upto, Horizon { until, scrape_ms });
    }
}

#[test]
fn the_distance_of_scrapes_is_a_median_of_the_last_ten() {
    let series = |times: &[Millis]| Series {
        samples: times.iter().map(|at| (*at, 1.0)).collect(),
        ..Series::default()
    };
    // One that was late, one that was missed.
    let jittery = series(&[0, 5_000, 10_000, 15_400, 20_000, 30_000, 35_000, 40_000]);
    assert_eq!(scrape_interval(&[jittery]), 5_000);
    // It was 60 s once; the last ten say 1 s.
    let mut times: Vec<Millis> = (0..10).map(|i| i * 60_000).collect();
    times.extend((1..11).map(|i| 540_000 + i * 1_000));
    assert_eq!(scrape_interval(&[series(&times)]), 1_000);
    // One that has just begun does not make the others unknown.
    assert_eq!(
        scrape_interval(&[series(&times), series(&[0, 40_000])]),
        1_000
    );
    assert_eq!(scrape_interval(&[series(&[0, 1_000])]), SCRAPE_UNKNOWN_MS);
    assert_eq!(scrape_interval(&[]), SCRAPE_UNKNOWN_MS);
}
