//! Callers that go on while the canary moves, and what they saw.

use std::{cell::Cell, net::SocketAddr, rc::Rc, time::Duration};

use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::ROUTE;

/// Time between two requests: 40 a second.
const PACE: Duration = Duration::from_millis(25);
/// Requests under way at once; a machine that cannot keep up sends fewer.
const IN_FLIGHT_MAX: u32 = 200;
/// Between two looks whether the last ones have ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Longest wait for an answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// What callers have seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    answered: Rc<Cell<u64>>,
    failed: Rc<Cell<u64>>,
    in_flight: Rc<Cell<u32>>,
    stopped: Rc<Cell<bool>>,
}

impl Seen {
    /// Whole answers.
    pub(super) fn answered(&self) -> u64 {
        self.answered.get()
    }

    /// Anything else: an error, a cut stream, no answer.
    pub(super) fn failed(&self) -> u64 {
        self.failed.get()
    }

    /// No further request is sent.
    pub(super) fn stop(&self) {
        self.stopped.set(true);
    }

    /// Waits until every request that was sent has ended, well or badly.
    pub(super) async fn quiet(&self, at_most: Duration) {
        let all_ended = async {
            while self.in_flight.get() > 0 {
                sleep(LOOK_EVERY).await;
            }
        };
        // What is late then is nobody's any more.
        let _ = timeout(at_most, all_ended).await;
    }
}

/// Sends requests at a pace, every other one a stream, each from another user, until it is stopped.
pub(super) async fn call(router: SocketAddr, key: &str, seen: Seen) {
    let client = awc::Client::builder()
        .timeout(ANSWER_TIME_MAX)
        .bearer_auth(key)
        .finish();
    let url = format!("http://{router}/v1/chat/completions");
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut user = 0_u64;
    while !seen.stopped.get() {
        pace.tick().await;
        if seen.in_flight.get() >= IN_FLIGHT_MAX {
            continue;
        }
        user += 1;
        let (request, seen) = (client.post(&url), seen.clone());
        seen.in_flight.set(seen.in_flight.get() + 1);
        actix_rt::spawn(async move {
            let counter = if answered(request, user).await {
                &seen.answered
            } else {
                &seen.failed
            };
            counter.set(counter.get() + 1);
            seen.in_flight.set(seen.in_flight.get() - 1);
        });
    }
}

/// Whether a whole answer came.
async fn answered(request: awc::ClientRequest, user: u64) -> bool {
    let is_stream = user.is_multiple_of(2);
    let body = serde_json::json!({
        "model": ROUTE,
        "stream": is_stream,
        "user": format!("user-{user}"),
        "messages": [{"role": "user", "content": format!("Hello, I am number {user}.")}],
    });
    let Ok(mut answer) = request.send_json(&body).await else {
        return false;
    };
    let Ok(body) = answer.body().await else {
        return false;
    };
    let end: &[u8] = if is_stream { b"data: [DONE]\n\n" } else { b"}" };
    answer.status().is_success() && body.trim_ascii_end().ends_with(end.trim_ascii_end())
}
