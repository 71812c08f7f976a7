//! `serin demo`: the printed curl, pasted into a shell, is answered, plain and streamed; a candidate
//! that is no worse is promoted, and one that breaks is taken back without a caller noticing.

use std::time::Duration;

use serin_tests::process::{Process, serin_binary};
use serin_tests::{eventually, free_address, sse};

const START_WITHIN: Duration = Duration::from_secs(60);
/// A rollout of the demo takes a minute.
const TOLD_WITHIN: Duration = Duration::from_secs(240);

/// The first curl command, which may go on over lines that end in a backslash.
fn curl(printed: &str) -> Option<String> {
    let start = printed.find("curl ")?;
    let mut command = String::new();
    for line in printed[start..].lines() {
        command.push_str(line.trim().trim_end_matches('\\'));
        if !line.trim_end().ends_with('\\') {
            return command.ends_with('\'').then_some(command);
        }
    }
    None
}

async fn paste(command: &str) -> String {
    let mut shell = Process::start("sh".as_ref(), &["-c", command], &[]);
    let status = shell.exit(Duration::from_secs(30)).await;
    assert!(status.success(), "{command}\n{}", shell.printed());
    shell.stdout()
}

/// A demo on free ports: the default ones may be taken on the machine that runs this.
fn demo(more: &[&str]) -> Process {
    let names = [
        "--listen",
        "--admin-listen",
        "--simulator-listen",
        "--api-listen",
        "--grpc-listen",
    ];
    let ports: Vec<String> = names.iter().map(|_| free_address().to_string()).collect();
    let flags = names
        .into_iter()
        .zip(&ports)
        .flat_map(|(name, port)| [name, port]);
    let arguments: Vec<&str> = ["demo"]
        .into_iter()
        .chain(flags)
        .chain(more.iter().copied())
        .collect();
    Process::start(serin_binary().as_os_str(), &arguments, &[])
}

/// All that a demo has printed when it has told the end of its rollout.
async fn told(demo: &mut Process) -> String {
    let look = async || match demo.ended() {
        Some(status) => panic!("the demo ended: {status}\n{}", demo.printed()),
        None => demo.printed(),
    };
    let is_told = |printed: &String| printed.contains("It goes on serving");
    eventually("the demo tells its end", TOLD_WITHIN, look, is_told).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_is_no_worse_is_promoted() {
    let printed = told(&mut demo(&[])).await;
    assert!(printed.contains("The candidate was promoted"), "{printed}");
    assert!(printed.contains("; 0 of them failed"), "{printed}");
    let steps = ["step 1: 5 %", "step 2: 25 %", "step 3: 50 %", "Baking"];
    let places = steps.map(|step| printed.find(step).unwrap_or_else(|| panic!("{printed}")));
    assert!(places.is_sorted(), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_breaks_is_taken_back_and_no_caller_notices() {
    let printed = told(&mut demo(&["--break"])).await;
    assert!(
        printed.contains("The candidate was taken back"),
        "{printed}"
    );
    assert!(
        printed.contains("From the first failure to weight 0 in every router: "),
        "{printed}"
    );
    assert!(printed.contains("; 0 of them failed"), "{printed}");
    assert!(!printed.contains("step 2"), "{printed}");
    let colour = '\u{1b}';
    assert!(!printed.contains(colour), "into a pipe: {printed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_curl_works_as_it_stands() {
    let mut demo = demo(&[]);
    let look = async || match demo.ended() {
        Some(status) => panic!("the demo ended: {status}\n{}", demo.printed()),
        None => demo.printed(),
    };
    let printed = eventually("the demo prints a curl", START_WITHIN, look, |printed| {
        curl(printed).is_some()
    });
    let printed = printed.await;
    let command = curl(&printed).expect("it has just been seen");
    let before = &printed[..printed.find("curl ").expect("it has just been seen")];
    assert!(
        !before.contains("model") && !before.contains("sk-serin-"),
        "first of all the curl: {before}"
    );
    assert!(
        command.contains("sk-serin-") && command.contains("'{\"model\": \""),
        "{command}"
    );

    let plain: serde_json::Value =
        serde_json::from_str(&paste(&command).await).expect("the answer is JSON");
    assert!(
        plain["choices"][0]["message"]["content"].is_string(),
        "{plain}"
    );

    let streamed = command.replace("'{\"model\"", "'{\"stream\": true, \"model\"");
    let stream = paste(&streamed).await;
    assert!(sse::is_done(stream.as_bytes()), "{stream}");
    let events = sse::event_values(stream.as_bytes());
    let content = |event: &serde_json::Value| event["choices"][0]["delta"]["content"].is_string();
    assert!(events.iter().any(content), "{stream}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_flags_it_takes_the_default_ports() {
    let mut help = Process::start(serin_binary().as_os_str(), &["demo", "--help"], &[]);
    assert!(
        help.exit(Duration::from_secs(20)).await.success(),
        "{}",
        help.printed()
    );
    for default in [
        "127.0.0.1:8080",
        "127.0.0.1:8081",
        "127.0.0.1:8070",
        "127.0.0.1:8090",
    ] {
        assert!(help.stdout().contains(default), "{}", help.stdout());
    }
}
