//! `serin demo`: the printed curl, pasted into a shell, is answered, plain and streamed.

use std::time::Duration;

use serin_tests::process::{Process, serin_binary};
use serin_tests::{eventually, free_address, sse};

const START_WITHIN: Duration = Duration::from_secs(60);

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

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_curl_works_as_it_stands() {
    // The default ports may be taken on the machine that runs this.
    let ports = [free_address(), free_address(), free_address()].map(|port| port.to_string());
    let names = ["--listen", "--admin-listen", "--simulator-listen"];
    let flags = names
        .into_iter()
        .zip(&ports)
        .flat_map(|(name, port)| [name, port]);
    let arguments: Vec<&str> = ["demo"].into_iter().chain(flags).collect();
    let mut demo = Process::start(serin_binary().as_os_str(), &arguments, &[]);
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
    for default in ["127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:8070"] {
        assert!(help.stdout().contains(default), "{}", help.stdout());
    }
}
