//! Two hundred edits of the file in a minute, one in five of them invalid, under load.
//!
//! No request fails; every version that stood is read; each invalid one is reported with its line
//! and column while the last good one stays in force.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use serin_tests::client::Request;
use serin_tests::load::Load;
use serin_tests::{Serin, Simulator, World, eventually};
use tokio::time::interval;

use crate::documents::with_fallback;

const EDITS: usize = 200;
const BETWEEN_EDITS: Duration = Duration::from_millis(300);
const INVALID_EVERY: usize = 5;

/// Version `number` of the documents: other weights, and an alias that tells which it is.
fn version(providers: [SocketAddr; 2], number: usize) -> String {
    let one = 1 + number % 99;
    let text = with_fallback(providers[0], providers[1]);
    let text = text.replace(
        "one: 100, two: 0",
        &format!("one: {one}, two: {}", 100 - one),
    );
    text.replace(
        "  - name: chat\n",
        &format!("  - name: chat\n    aliases: [v{number}]\n"),
    )
}

/// A version with a mistake in it, what stands at the mistake, and what a report must say of it.
struct Broken {
    documents: String,
    mark: String,
    word: String,
}

/// In turn an unknown field, a provider and a fallback that do not exist, and broken YAML.
fn broken(providers: [SocketAddr; 2], number: usize) -> Broken {
    let good = version(providers, number);
    let named = format!("wrong-{number}");
    let documents = match number / INVALID_EVERY % 4 {
        0 => good.replace("fallback:", &format!("{named}: 1, fallback:")),
        1 => good.replace("provider: b", &format!("provider: {named}")),
        2 => good.replace("fallback: [two]", &format!("fallback: [{named}]")),
        _ => {
            // Broken YAML is told by its place alone, so each stands in a column of its own.
            let mark = format!("broken:{}[1, 2}}", " ".repeat(number));
            let documents = good.replace("keys:\n", &format!("{mark}\nkeys:\n"));
            return Broken {
                documents,
                mark,
                word: format!(":{}: ", 8 + number),
            };
        }
    };
    Broken {
        documents,
        mark: named.clone(),
        word: named,
    }
}

/// Where a report must say the mistake is: `serin.yaml:12:`, then a column.
fn place(file: &str, mark: &str) -> String {
    let line = file
        .lines()
        .position(|line| line.contains(mark))
        .expect("the mark is there")
        + 1;
    format!("serin.yaml:{line}:")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_and_each_mistake_is_told_with_its_place() {
    let world = World::new();
    let (one, two) = (
        Simulator::start(&world).await,
        Simulator::start(&world).await,
    );
    let providers = [one.address, two.address];
    for simulator in [&one, &two] {
        simulator
            .script(&json!({"journal": "off", "default": {"answerTokens": 3}}))
            .await;
    }
    let serin = Serin::following(&world, &version(providers, 0)).await;
    let load = Load::start(&[serin.traffic], "chat");

    let mut pace = interval(BETWEEN_EDITS);
    let mut last_good = 0;
    for number in 1..=EDITS {
        pace.tick().await;
        if number % INVALID_EVERY == 0 {
            let broken = broken(providers, number);
            let file = serin.rewrite(&broken.documents);
            let told = (place(&file, &broken.mark), broken.word);
            // The file is read every 40 ms; a machine in use may need longer than an edit lasts.
            is_told_soon(&serin, &told).await;
        } else {
            serin.rewrite(&version(providers, number));
            last_good = number;
        }
    }
    let body = json!({"model": format!("v{last_good}"), "messages": []}).to_string();
    let look = async || {
        serin
            .ask(Request::post("/v1/chat/completions", body.as_str()))
            .await
            .status()
    };
    let soon = Duration::from_secs(20);
    eventually("the last good version is in force", soon, look, |status| {
        *status == 200
    })
    .await;

    load.end().await.nobody_noticed(1_000);
    every_version_was_applied(&serin).await;
}

async fn is_told_soon(serin: &Serin, (place, word): &(String, String)) {
    let soon = Duration::from_secs(20);
    let log = async || serin.process.printed();
    eventually("the mistake is in the log", soon, log, |log| {
        is_told(log, place, word)
    })
    .await;
}

/// A line of the log that names the mistake, its line and its column.
fn is_told(log: &str, place: &str, word: &str) -> bool {
    let column = |line: &str| {
        let rest = line.split(place).nth(1);
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    log.lines().any(|line| column(line) && line.contains(word))
}

async fn every_version_was_applied(serin: &Serin) {
    let invalid = EDITS / INVALID_EVERY;
    let metrics = serin.metrics().await;
    let applied = |result| metrics.sum("serin_config_applies_total", &[("result", result)]);
    let count = |n: usize| f64::from(u32::try_from(n).expect("it is small"));
    assert_eq!(applied("rejected"), count(invalid));
    // Beside the edits there is the version it started with.
    assert_eq!(applied("ok"), count(EDITS - invalid + 1));
}
