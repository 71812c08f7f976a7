//! Readers that go away, as `| head -1` does: what is done ends as it is, what would go on for ever
//! ends with them, and nothing panics. And a demo that somebody stops.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::gateway::{ADMIN, Gateway, SETTINGS, serin, write};

/// Longest wait for an end.
const END_WITHIN: Duration = Duration::from_secs(30);
/// As the shell tells a death by SIGPIPE.
const UNREAD: Option<i32> = Some(141);
/// Of a demo: callers have been answered by then.
const LINES_OF_A_STORY: usize = 22;

const PLAN: &str = "rollouts:\n  - {route: chat, candidate: claude, steps: [{weight: 5}]}\n";
const CHAT: &str = "providers:\n  - {name: a, dialect: openai, baseUrl: \"https://a.example/v1\"}\n\
                    routes:\n  - {name: chat, targets: [{name: gpt, provider: a, model: g}, {name: \
                    claude, provider: a, model: c}], traffic: {weights: {gpt: 100}}}\n";

/// A process whose stdout is read for so many lines, and then by nobody.
fn read_for(command: &mut Command, lines: usize) -> (Child, Vec<String>) {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("serin can be started");
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let read = stdout.lines().take(lines).map_while(Result::ok).collect();
    (child, read)
}

/// Its exit code, and what it said to people.
fn ended(mut child: Child) -> (Option<i32>, String) {
    let mut stderr = child.stderr.take().expect("it is piped");
    let (told, hears) = mpsc::channel();
    thread::spawn(move || {
        let mut said = String::new();
        // Its end is that of the process.
        let read = stderr.read_to_string(&mut said);
        told.send(read.map(|_| said))
    });
    let Ok(said) = hears.recv_timeout(END_WITHIN) else {
        child.kill().expect("a child can be ended");
        panic!("it goes on though nobody reads it");
    };
    let status = child.wait().expect("a child can be waited for");
    (status.code(), said.expect("it is text"))
}

fn demo() -> Command {
    let mut demo = serin();
    demo.arg("demo").stdin(Stdio::null());
    for listener in ["", "admin-", "simulator-", "api-", "grpc-"] {
        demo.args([&format!("--{listener}listen"), "127.0.0.1:0"]);
    }
    demo
}

#[test]
fn what_goes_on_ends_quietly_when_nobody_reads_it_any_more() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write(folder.path(), "serin.yaml", &format!("{SETTINGS}{CHAT}"));
    let gateway = Gateway::start(folder.path());
    write(folder.path(), "plan.yaml", PLAN);
    gateway.printed("serin rollout start -f plan.yaml");
    for line in ["serin rollout watch chat", "serin get routes --watch"] {
        let (child, read) = read_for(&mut gateway.command(ADMIN, line), 1);
        assert_eq!(read.len(), 1, "{line}");
        assert_eq!(ended(child), (UNREAD, String::new()), "{line}");
    }
    let (child, read) = read_for(&mut demo(), 3);
    assert_eq!(read.len(), 3, "{read:?}");
    assert_eq!(ended(child), (UNREAD, String::new()));
}

#[test]
fn what_is_done_ends_as_it_would_have_ended_whoever_has_read_it() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write(folder.path(), "serin.yaml", &format!("{SETTINGS}{CHAT}"));
    let gateway = Gateway::start(folder.path());
    let faults: String = (0..200).map(|n| format!("x{n}: 1\n")).collect();
    write(folder.path(), "bad.yaml", &faults);
    for (line, code) in [
        ("serin get routes", 0),
        ("serin --help", 0),
        ("serin completion bash", 0),
        ("serin validate bad.yaml", 1),
        ("serin get route nope", 4),
    ] {
        // No shell, whose own pipes would be read: nobody ever reads these two.
        let mut child = gateway
            .command(ADMIN, line)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("serin can be started");
        drop((child.stdout.take(), child.stderr.take()));
        let status = child.wait().expect("a child can be waited for");
        assert_eq!(status.code(), Some(code), "{line}");
    }
}

#[test]
fn a_demo_that_is_stopped_has_no_caller_that_failed() {
    let mut command = demo();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("serin can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut read: Vec<String> = lines
        .by_ref()
        .take(LINES_OF_A_STORY)
        .map_while(Result::ok)
        .collect();
    assert_eq!(read.len(), LINES_OF_A_STORY, "{read:?}");
    let signal = format!("kill -INT {}", child.id());
    let sent = Command::new("sh").args(["-c", &signal]).status();
    assert!(sent.is_ok_and(|status| status.success()), "{signal}");
    read.extend(lines.map_while(Result::ok));
    let (code, said) = ended(child);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{read:#?}");
    let end = read.last().expect("it has said something");
    assert!(end.starts_with("Stopped. Callers sent "), "{read:#?}");
    assert!(end.ends_with(" requests; 0 of them failed."), "{end}");
}
