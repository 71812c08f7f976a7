//! `serin up` does not start on what cannot be meant, and says why in one clear message.
//!
//! Exit code 1, nothing on standard output, no panic, and the words a person needs to find the
//! place: the file, the field with line and column, the address, the variable.

use std::net::TcpListener;
use std::time::Duration;

use serin_tests::client::Request;
use serin_tests::process::{Process, serin_binary};
use serin_tests::serin::start_up;
use serin_tests::{Serin, Simulator, World, free_address};

use crate::documents::{chat, one_target};

const SOON: Duration = Duration::from_secs(20);

/// A file that would start, with one line of its `server:` block replaced.
fn file(settings: &str) -> String {
    let (listen, admin) = (free_address(), free_address());
    let settings = settings.replace("LISTEN", &listen.to_string());
    let settings = settings.replace("ADMIN", &admin.to_string());
    let provider = free_address();
    format!(
        "server:\n  allowedNetworks: [127.0.0.0/8]\n{settings}{}",
        one_target(provider)
    )
}

/// The message of a start that is refused.
async fn refusal(world: &World, text: &str) -> String {
    let file = world.write("serin.yaml", text);
    message(start_up(world, &file)).await
}

async fn message(mut process: Process) -> String {
    let status = process.exit(SOON).await;
    let printed = process.printed();
    assert_eq!(status.code(), Some(1), "{printed}");
    assert_eq!(
        process.stdout(),
        "",
        "data belongs on stdout, refusals on stderr: {printed}"
    );
    let message = process.stderr();
    assert!(!message.contains("panicked"), "{message}");
    message
}

#[track_caller]
fn assert_says(message: &str, words: &[&str]) {
    for word in words {
        assert!(
            message.contains(word),
            "the message does not say {word:?}:\n{message}"
        );
    }
    let lines = message
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count();
    assert!(lines <= 3, "not one clear message:\n{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_reason_it_starts() {
    let world = World::new();
    let simulator = Simulator::start(&world).await;
    let serin = Serin::up(&world, &one_target(simulator.address)).await;
    let answer = serin
        .ask(Request::post("/v1/chat/completions", chat().to_string()))
        .await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file() {
    let world = World::new();
    let process = start_up(&world, &world.path("nowhere.yaml"));
    assert_says(&message(process).await, &["nowhere.yaml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_field() {
    let world = World::new();
    let text = file("  listen: LISTEN\n  adminListen: ADMIN\n");
    let text = text.replace("weights:", "wieghts:");
    let line = text
        .lines()
        .position(|line| line.contains("wieghts"))
        .expect("it is there")
        + 1;
    let message = refusal(&world, &text).await;
    assert_says(&message, &["wieghts", &format!("serin.yaml:{line}:")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use() {
    let world = World::new();
    for which in ["listen", "adminListen"] {
        let taken = TcpListener::bind(free_address()).expect("the address is free");
        let address = taken
            .local_addr()
            .expect("a listener has an address")
            .to_string();
        let other = if which == "listen" {
            "adminListen: ADMIN"
        } else {
            "listen: LISTEN"
        };
        let text = file(&format!("  {which}: {address}\n  {other}\n"));
        assert_says(&refusal(&world, &text).await, &[&address, "in use"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_variable_that_is_not_set() {
    let world = World::new();
    let text = file("  listen: LISTEN\n  adminListen: ADMIN\n");
    let text = text.replace("STORY_PROVIDER", "STORY_NOT_SET");
    assert_says(&refusal(&world, &text).await, &["STORY_NOT_SET"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_left_out_on_an_address_others_can_reach() {
    let world = World::new();
    let port = free_address().port();
    let text = file(&format!("  listen: 0.0.0.0:{port}\n  adminListen: ADMIN\n"));
    assert_says(&refusal(&world, &text).await, &["auth", "required", "none"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_for_auth_that_does_not_exist() {
    let world = World::new();
    let text = file("  listen: LISTEN\n  adminListen: ADMIN\n  auth: maybe\n");
    assert_says(&refusal(&world, &text).await, &["auth", "maybe"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_that_is_not_built_yet() {
    let world = World::new();
    let tls = "{certFile: a.pem, keyFile: b.pem}";
    let text = file(&format!(
        "  listen: LISTEN\n  adminListen: ADMIN\n  tls: {tls}\n"
    ));
    assert_says(&refusal(&world, &text).await, &["tls"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn validate_finds_every_fault_with_its_place() {
    let world = World::new();
    let text = one_target(free_address());
    let text = text.replace(
        "weights: {one: 100}",
        "weights: {one: 99}, fallback: [nobody]",
    );
    let text = text.replace("provider: a, model", "provider: elsewhere, model");
    let file = world.write("faulty.yaml", &text);
    let arguments = ["validate".as_ref(), file.as_os_str()];
    let mut process = Process::start(serin_binary().as_os_str(), &arguments, &[]);
    assert_eq!(
        process.exit(SOON).await.code(),
        Some(1),
        "{}",
        process.printed()
    );
    let printed = process.printed();
    for fault in ["elsewhere", "weights", "nobody"] {
        let told = printed
            .lines()
            .find(|line| line.contains(fault) && line.contains("faulty.yaml:"));
        let place = told.and_then(|line| line.split("faulty.yaml:").nth(1));
        let mut numbers = place.unwrap_or_default().split(':').map(str::parse::<u32>);
        let found = matches!((numbers.next(), numbers.next()), (Some(Ok(_)), Some(Ok(_))));
        assert!(found, "no line and column for {fault:?} in\n{printed}");
    }
}
