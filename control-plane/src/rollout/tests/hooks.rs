//! Webhooks: asked beside the ticks, each answer an event.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;
use crate::rollout::state::Phase;

/// Somebody's own program: what it was asked, and how it answers.
pub(super) struct Gate {
    pub(super) url: String,
    pub(super) heard: Arc<Mutex<Vec<Heard>>>,
    count: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) key: String,
    pub(super) body: Json,
}

/// How a request is answered: status and body; `None`: not at all.
pub(super) type Answer = Option<(u16, &'static str)>;

impl Gate {
    /// Answers the n-th request as `answer` says.
    pub(super) async fn new(answer: impl Fn(usize) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let count = Arc::new(AtomicUsize::new(0));
        let (told, counted) = (Arc::clone(&heard), Arc::clone(&count));
        let task = tokio::spawn(async move {
            let mut silent = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let Some(request) = read(&mut stream).await else {
                    continue;
                };
                told.lock().unwrap().push(request);
                match answer(counted.fetch_add(1, SeqCst)) {
                    Some((status, body)) => {
                        let length = body.len();
                        let text = format!(
                            "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n{body}"
                        );
                        let _ = stream.write_all(text.as_bytes()).await;
                    }
                    None => silent.push(stream),
                }
            }
        });
        Self {
            url,
            heard,
            count,
            task,
        }
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(SeqCst)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(stream: &mut TcpStream) -> Option<Heard> {
    let (mut text, mut piece) = (String::new(), [0; 4_096]);
    loop {
        let n = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
        text.push_str(&String::from_utf8_lossy(&piece[..n]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let field = |name: &str| {
            let mut lines = head.lines();
            let value = lines.find_map(|line| {
                let (found, value) = line.split_once(": ")?;
                found.eq_ignore_ascii_case(name).then_some(value)
            });
            value.unwrap_or_default().to_owned()
        };
        if body.len() >= field("content-length").parse().unwrap_or(0) {
            return Some(Heard {
                key: field("idempotency-key"),
                body: parsed(body.as_bytes()),
            });
        }
    }
}

fn hooked(kind: &str, url: &str) -> Json {
    let mut plan = plan();
    let hook = json!({
        "name": "hook", "type": kind, "url": url, "timeout": "200ms", "metadata": {"team": "ml"},
    });
    plan["analysis"]["webhooks"] = json!([hook]);
    plan["analysis"]["threshold"] = json!(3);
    plan
}

impl Rig {
    /// A tick, and every answer to what it asked.
    async fn tick_and_hear(&mut self) {
        self.tick().await;
        let waiting = self.runner.is_asking();
        for _ in 0..waiting {
            let answered = self.runner.answer().await;
            self.runner.answered(answered).await;
        }
    }

    async fn hear_until(&mut self, is_it: impl Fn(&State) -> bool) -> State {
        for _ in 0..200 {
            let state = self.state().await;
            if is_it(&state) {
                return state;
            }
            self.tick_and_hear().await;
        }
        panic!("it did not come: {:#?}", self.state().await);
    }
}

#[tokio::test]
async fn a_rollout_waits_for_a_gate_and_goes_on_when_it_opens() {
    let gate = Gate::new(|n| Some((if n < 4 { 403 } else { 200 }, ""))).await;
    let mut rig = Rig::new().await;
    let started = rig.start(hooked("confirm-rollout", &gate.url)).await;
    rig.hear_until(|state| state.phase == Phase::WaitingRollout)
        .await;
    for _ in 0..3 {
        rig.tick_and_hear().await;
        assert_eq!(rig.state().await.phase, Phase::WaitingRollout);
    }
    rig.hear_until(|state| state.share > 0.0).await;
    let heard = gate.heard();
    let first = &heard[0];
    assert_eq!(first.body["name"], "chat");
    assert_eq!(first.body["namespace"], "serin");
    assert_eq!(first.body["phase"], "Waiting");
    assert_eq!(first.body["metadata"], json!({"team": "ml"}));
    let id = started.state["rolloutId"].as_str().unwrap();
    assert!(first.key.starts_with(&format!("{id}/")), "{}", first.key);
}

#[tokio::test]
async fn the_answer_of_a_rollout_webhook_is_a_failed_check_or_none_or_the_end() {
    // The answer, whether the rollout comes to its end by it, how.
    let table: [(&str, Answer, Phase); 6] = [
        ("hangs", None, Phase::Failed),
        ("500", Some((500, "")), Phase::Failed),
        ("204", Some((204, "")), Phase::Succeeded),
        (
            "wait",
            Some((200, r#"{"verdict":"wait"}"#)),
            Phase::Progressing(crate::rollout::state::Sub::Applying),
        ),
        (
            "rollback",
            Some((200, r#"{"verdict":"rollback"}"#)),
            Phase::Failed,
        ),
        ("409", Some((409, "")), Phase::Failed),
    ];
    for (name, answer, expected) in table {
        let gate = Gate::new(move |_| answer).await;
        let mut rig = Rig::new().await;
        rig.start(hooked("rollout", &gate.url)).await;
        for _ in 0..40 {
            if rig.state().await.phase.is_terminal() {
                break;
            }
            rig.tick_and_hear().await;
        }
        let state = rig.state().await;
        match name {
            "wait" => assert!(!state.phase.is_terminal(), "{name}: {state:?}"),
            _ => assert_eq!(state.phase, expected, "{name}: {}", state.ended_because),
        }
        if matches!(name, "rollback" | "409") {
            assert_eq!(gate.count(), 1, "{name}: at once");
        }
        if matches!(name, "500" | "hangs") {
            assert_eq!(gate.count(), 3, "{name}: the threshold");
        }
    }
}

#[tokio::test]
async fn a_webhook_that_hangs_delays_no_tick_and_is_asked_once_at_a_time() {
    let gate = Gate::new(|_| None).await;
    let mut rig = Rig::new().await;
    let mut plan = hooked("rollout", &gate.url);
    plan["analysis"]["webhooks"][0]["timeout"] = json!("60s");
    rig.start(plan).await;
    rig.until(|state| state.share > 0.0).await;
    for _ in 0..10 {
        rig.tick().await;
    }
    assert!(rig.runner.is_asking() <= 1);
    eventually(|| async { gate.count() }, |count| *count == 1).await;
}

#[tokio::test]
async fn the_next_leader_asks_the_same_question_with_the_same_key() {
    let gate = Gate::new(|n| (n > 0).then_some((200, ""))).await;
    let mut rig = Rig::new().await;
    let mut plan = hooked("confirm-rollout", &gate.url);
    plan["analysis"]["webhooks"][0]["timeout"] = json!("60s");
    rig.start(plan).await;
    for _ in 0..10 {
        rig.tick().await;
    }
    eventually(|| async { gate.count() }, |count| *count == 1).await;
    let fence = rig.fence;
    rig.replace_runner(fence);
    rig.hear_until(|state| state.share > 0.0).await;
    let keys: Vec<String> = gate.heard().into_iter().map(|heard| heard.key).collect();
    assert!(keys.len() >= 2 && keys[0] == keys[1], "{keys:?}");
}
