//! Asks people's own programs whether to go on: Flagger's payload, answers of three values.
//!
//! An answer may open, close or roll back; silence and errors never open anything. Each question has
//! a key of its own, the same at each try, so that whoever hears it twice can tell.

use std::{collections::BTreeMap, time::Duration};

use actix_web::http::Method;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::time::sleep;

use super::{
    event::{HookAnswer, Standing},
    plan::{HookKind, Webhook},
};
use crate::http::{Answer, Failed, Http, Request};

/// Where Flagger's payload has a namespace.
pub(super) const NAMESPACE: &str = "serin";
/// The name of the header that is the same at each try.
const KEY_HEADER: &str = "idempotency-key";
/// Largest answer that is read, in bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Pause before a question is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// A question to a webhook.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question {
    pub(super) route: String,
    /// Flagger's word for the phase.
    pub(super) phase: String,
    pub(super) at: Standing,
    /// Of its kind within the rollout: the end of its key.
    pub(super) n: u32,
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) answer: HookAnswer,
    /// For people.
    pub(super) why: String,
}

impl Question {
    fn key(&self) -> String {
        key(&self.at, self.n)
    }

    /// The body, with Flagger's fields first.
    fn body(&self, metadata: &BTreeMap<String, String>) -> Bytes {
        payload(&self.route, &self.phase, &self.at, metadata)
    }
}

/// What is the same at each try and of nothing else.
pub(super) fn key(at: &Standing, n: u32) -> String {
    format!("{}/{}/{n}", at.rollout_id, at.seq)
}

/// Flagger's payload, and under `serin` what Flagger has not.
pub(super) fn payload(
    route: &str,
    phase: &str,
    at: &Standing,
    metadata: &BTreeMap<String, String>,
) -> Bytes {
    let body = json!({
        "name": route,
        "namespace": NAMESPACE,
        "phase": phase,
        "checksum": at.checksum,
        "metadata": metadata,
        "serin": standing(at),
    });
    Bytes::from(body.to_string())
}

/// Where the rollout stood, as others are told.
pub(super) fn standing(at: &Standing) -> Json {
    json!({
        "rolloutId": at.rollout_id,
        "seq": at.seq,
        "step": at.step,
        "weight": at.weight,
        "verdict": at.verdict,
        "phase": at.phase,
    })
}

/// Asks until there is an answer that is one, as often as the plan says.
pub(super) async fn ask(http: &Http, hook: &Webhook, question: &Question) -> Heard {
    let mut tries_left = hook.retries;
    loop {
        let body = question.body(&hook.metadata);
        let heard = heard(post(http, hook, question.key(), body).await);
        let is_answer = !matches!(heard.answer, HookAnswer::No | HookAnswer::Unanswered);
        if is_answer || tries_left == 0 {
            return heard;
        }
        tries_left -= 1;
        sleep(PAUSE).await;
    }
}

async fn post(http: &Http, hook: &Webhook, key: String, body: Bytes) -> Result<Answer, Failed> {
    let timeout = Duration::from_millis(hook.timeout_ms);
    http.send(request(&hook.url, key, body, timeout)).await
}

/// A JSON body to be posted.
pub(super) fn request(url: &str, key: String, body: Bytes, timeout: Duration) -> Request {
    Request {
        method: Method::POST,
        url: url.to_owned(),
        headers: vec![
            ("content-type", "application/json".to_owned()),
            (KEY_HEADER, key),
        ],
        body,
        timeout,
        bytes_max: ANSWER_BYTES_MAX,
    }
}

/// What an answer means, whatever was asked.
pub(super) fn heard(answered: Result<Answer, Failed>) -> Heard {
    let told = |answer, why: String| Heard { answer, why };
    let answer = match answered {
        Ok(answer) => answer,
        // Nobody was asked, so nobody has failed to answer.
        Err(failed @ (Failed::Busy | Failed::Ended)) => {
            return told(HookAnswer::Wait, failed.to_string());
        }
        Err(failed) => return told(HookAnswer::Unanswered, failed.to_string()),
    };
    let why = format!("HTTP {}", answer.status);
    match (answer.status, verdict(&answer.body).as_str()) {
        (_, "rollback") => told(HookAnswer::Rollback, format!("{why}, verdict rollback")),
        (409, _) => told(HookAnswer::Rollback, why),
        (200..=299, "wait") => told(HookAnswer::Wait, format!("{why}, verdict wait")),
        (200..=299, _) => told(HookAnswer::Yes, why),
        _ => told(HookAnswer::No, why),
    }
}

/// The word of an answer; empty: it has none, as most answers.
fn verdict(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Told {
        verdict: String,
    }
    let told: Result<Told, _> = serde_json::from_slice(body);
    told.map(|told| told.verdict).unwrap_or_default()
}

impl HookKind {
    /// Flagger's word, as plans have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ConfirmRollout => "confirm-rollout",
            Self::PreRollout => "pre-rollout",
            Self::Rollout => "rollout",
            Self::ConfirmTrafficIncrease => "confirm-traffic-increase",
            Self::ConfirmPromotion => "confirm-promotion",
            Self::Rollback => "rollback",
            Self::PostRollout => "post-rollout",
            Self::Event => "event",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Result<Answer, Failed> {
        Ok(Answer {
            status,
            body: Bytes::from_static(body.as_bytes()),
        })
    }

    #[rustfmt::skip]
    #[test]
    fn an_answer_opens_waits_or_rolls_back_and_anything_else_opens_nothing() {
        let late = Err(Failed::Timeout(Duration::from_secs(10)));
        let table = [
            (answer(200, ""),                        HookAnswer::Yes),
            (answer(200, "ok"),                      HookAnswer::Yes),
            (answer(202, r#"{"verdict":"go"}"#),     HookAnswer::Yes),
            (answer(203, ""),                        HookAnswer::Yes),
            (answer(204, ""),                        HookAnswer::Yes),
            (answer(206, "{"),                       HookAnswer::Yes),
            (answer(200, r#"{"verdict":"wait"}"#),   HookAnswer::Wait),
            (answer(200, r#"{"verdict":"rollback","x":1}"#), HookAnswer::Rollback),
            (answer(409, ""),                        HookAnswer::Rollback),
            (answer(500, r#"{"verdict":"rollback"}"#), HookAnswer::Rollback),
            (answer(500, r#"{"verdict":"wait"}"#),   HookAnswer::No),
            (answer(403, ""),                        HookAnswer::No),
            (answer(302, ""),                        HookAnswer::No),
            (answer(500, ""),                        HookAnswer::No),
            (late,                                   HookAnswer::Unanswered),
            (Err(Failed::Busy),                      HookAnswer::Wait),
        ];
        for (answered, expected) in table {
            let text = format!("{answered:?}");
            assert_eq!(heard(answered).answer, expected, "{text}");
        }
    }

    #[test]
    fn a_question_has_flaggers_fields_and_ours_and_a_key_of_its_own() {
        let question = Question {
            route: "chat".to_owned(),
            phase: "Progressing".to_owned(),
            at: Standing {
                rollout_id: "7f3a09c2b1d4".to_owned(),
                seq: 17,
                step: 1,
                weight: 5.0,
                verdict: "pass".to_owned(),
                phase: "Progressing".to_owned(),
                checksum: "c3d4e5f60718-aabbccddeeff".to_owned(),
            },
            n: 3,
        };
        let metadata = BTreeMap::from([("team".to_owned(), "ml".to_owned())]);
        let body: Json = serde_json::from_slice(&question.body(&metadata)).unwrap();
        let expected = json!({
            "name": "chat",
            "namespace": "serin",
            "phase": "Progressing",
            "checksum": "c3d4e5f60718-aabbccddeeff",
            "metadata": {"team": "ml"},
            "serin": {
                "rolloutId": "7f3a09c2b1d4", "seq": 17, "step": 1, "weight": 5.0,
                "verdict": "pass", "phase": "Progressing",
            },
        });
        assert_eq!(body, expected);
        assert_eq!(question.key(), "7f3a09c2b1d4/17/3");
    }
}
