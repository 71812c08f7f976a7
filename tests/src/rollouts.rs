//! A route and its newest rollout, as an operator sees them over the API: started, looked at,
//! waited for, asked for things.
//!
//! Not here: what is promised, and what the programs are that play (each binary's own stage). Who
//! reads the store itself finds the words for what lies there in [`State`] and [`record`].

pub mod record;
mod state;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::interval;

use crate::api::Apis;
use crate::client::Answer;
use crate::command;
use crate::control_plane::token;
use crate::eventually;

pub use state::State;

/// Between two looks at a rollout.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Many routes may be made at once, and each write asks whether it is alone.
const MADE_WITHIN: Duration = Duration::from_secs(60);

/// A route, and who is asked about it.
#[derive(Clone, Debug)]
pub struct Rollout {
    apis: Apis,
    pub route: String,
    /// Of the newest rollout; empty: there was none.
    pub id: String,
}

impl Rollout {
    /// Of a route that is there; none has begun yet.
    pub fn of(apis: impl Into<Apis>, route: &str) -> Self {
        Self {
            apis: apis.into(),
            route: route.to_owned(),
            id: String::new(),
        }
    }

    /// Makes a route; none has begun yet.
    ///
    /// # Panics
    /// When it is not made in a minute; likewise below for what is not so in time, or is refused.
    pub async fn on_new_route(apis: impl Into<Apis>, document: &Value) -> Self {
        let route = document["name"].as_str().expect("a route has a name");
        let made = Self::of(apis, route);
        let path = format!("/routes/{route}");
        let make = async || {
            let answer = made.apis.next().put(&path, document, None).await;
            (answer.status(), answer.text())
        };
        let is_made = |answer: &(u16, String)| answer.0 == 201;
        eventually("the route is made", MADE_WITHIN, make, is_made).await;
        made
    }

    /// The same rollout, as others know it.
    #[must_use]
    pub fn at(&self, apis: impl Into<Apis>) -> Self {
        Self {
            apis: apis.into(),
            ..self.clone()
        }
    }

    /// Asks for a rollout to `claude`, unless the plan names another.
    pub async fn ask(&self, plan: &Value) -> Answer {
        let mut plan = plan.clone();
        if plan.get("candidate").is_none() {
            plan["candidate"] = json!("claude");
        }
        let path = format!("/routes/{}/rollouts", self.route);
        self.apis.next().post(&path, &plan).await
    }

    /// Starts one that must be accepted.
    pub async fn start(&mut self, plan: &Value) {
        let answer = self.ask(plan).await;
        assert_eq!(answer.status(), 201, "{plan}: {}", answer.text());
        self.id = id_in(&answer);
    }

    /// Where it stands; a refusal, if nobody can tell just now.
    pub async fn state(&self) -> State {
        let path = format!("/rollouts/{}", self.id);
        State(self.apis.next().get(&path).await.json())
    }

    /// Looks until it holds.
    pub async fn until(
        &self,
        promise: &str,
        seconds: u64,
        holds: impl Fn(&State) -> bool,
    ) -> State {
        let mut pace = interval(LOOK_EVERY);
        let look = async || {
            pace.tick().await;
            self.state().await
        };
        let promise = format!("{}: {promise}", self.route);
        eventually(&promise, Duration::from_secs(seconds), look, holds).await
    }

    /// Waits until it has ended, which must be so.
    pub async fn ends(&self, phase: &str, seconds: u64) -> State {
        let promise = format!("it ends as {phase}");
        let seen = self.until(&promise, seconds, State::has_ended).await;
        assert!(seen.is(phase), "{}: not {phase}: {seen:#?}", self.route);
        seen
    }

    /// Where something of it is (`pause`, `gates/go`, `history`).
    pub fn path(&self, what: &str) -> String {
        format!("/rollouts/{}/{what}", self.id)
    }

    pub async fn verb(&self, verb: &str, body: &Value) -> Answer {
        self.apis.next().post(&self.path(verb), body).await
    }

    /// A verb that must be legal.
    pub async fn does(&self, verb: &str, body: &Value) -> State {
        let answer = self.verb(verb, body).await;
        let said = answer.text();
        assert_eq!(answer.status(), 200, "{} {verb}: {said}", self.route);
        State(answer.json())
    }

    pub async fn gate(&self, gate: &str, open: bool) -> Answer {
        let path = self.path(&format!("gates/{gate}"));
        let api = self.apis.next();
        api.put(&path, &json!({"open": open}), Some("*")).await
    }

    /// The route's live traffic.
    pub async fn traffic(&self) -> Value {
        let path = format!("/routes/{}/traffic", self.route);
        self.apis.next().get(&path).await.json()
    }

    /// The records, oldest first.
    pub async fn history(&self) -> Vec<Value> {
        let list = self.read("history").await;
        let items = list.get("items").unwrap_or(&list).as_array().cloned();
        items.unwrap_or_else(|| panic!("no list: {list}"))
    }

    pub async fn analysis(&self) -> Value {
        self.read("analysis").await
    }

    /// Names of the transitions so far.
    pub async fn transitions(&self) -> Vec<String> {
        record::transitions(&self.history().await)
    }

    /// All windows that were read, oldest first, also those that are in no record yet.
    pub async fn windows(&self) -> Vec<Value> {
        // The state first: what leaves it meanwhile is in the records. Seen twice it is once.
        let state = self.state().await;
        let history = self.history().await;
        let rest = state.0["events"].as_array().into_iter().flatten();
        let windows = record::events(&history)
            .chain(rest)
            .filter_map(record::window);
        let mut windows: Vec<Value> = windows.cloned().collect();
        windows.sort_by_key(record::span);
        windows.dedup();
        windows
    }

    /// Every automatic decision follows from what is recorded.
    pub async fn verifies(&self) {
        verifies(self.apis.next().at, &self.route).await;
    }

    async fn read(&self, what: &str) -> Value {
        let path = self.path(what);
        let answer = self.apis.next().get(&path).await;
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        answer.json()
    }
}

/// The id of the rollout that an answer is about.
///
/// # Panics
/// When it is about none.
pub fn id_in(answer: &Answer) -> String {
    let id = answer.json()["rolloutId"].as_str().map(str::to_owned);
    id.unwrap_or_else(|| panic!("no rolloutId: {} {}", answer.status(), answer.text()))
}

/// Every automatic decision of a route's newest rollout follows from what is recorded, as
/// `serin rollout history --verify` finds.
///
/// # Panics
/// When it finds otherwise.
pub async fn verifies(at: SocketAddr, route: &str) {
    let arguments = ["rollout", "history", route, "--verify"];
    let said = command::serin(at, token("viewer"), &arguments).await;
    assert_eq!(said.code, Some(0), "{route}: {said:?}");
}

/// A route with targets `gpt` (all of it), `claude` and `mistral` at the provider `a`.
pub fn three_targets(route: &str) -> Value {
    let target = |name: &str| json!({"name": name, "provider": "a", "model": name});
    json!({
        "name": route,
        "targets": [target("gpt"), target("claude"), target("mistral")],
        "traffic": {"weights": {"gpt": 100, "claude": 0, "mistral": 0}, "fallback": ["gpt"]},
        "timeouts": {"total": "20s"},
    })
}

/// Whether all weight is that one target's, and nothing of a rollout is left in the traffic.
pub fn is_all(traffic: &Value, target: &str) -> bool {
    let weights = traffic["weights"].as_object().into_iter().flatten();
    let expected = |name: &str| if name == target { 100.0 } else { 0.0 };
    let is_its = |(name, weight): (&String, &Value)| weight.as_f64() == Some(expected(name));
    let names_none = traffic["canary"].as_str().unwrap_or_default().is_empty();
    let has_any = traffic["weights"][target].is_number();
    has_any && weights.into_iter().all(is_its) && names_none && traffic["rollout"].is_null()
}

/// The traffic of a route whose rollout has come to nothing.
pub fn is_taken_back(traffic: &Value) -> bool {
    is_all(traffic, "gpt")
}

/// The traffic of a route whose rollout has succeeded.
pub fn is_all_the_candidates(traffic: &Value) -> bool {
    is_all(traffic, "claude")
}

/// A number, also if it is written as a text.
pub fn number(value: &Value) -> u64 {
    let text = value.as_str().and_then(|text| text.parse().ok());
    value.as_u64().or(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_with_anything_left_of_a_rollout_is_not_all_one_targets() {
        let table = [
            (json!({"weights": {"gpt": 100, "claude": 0}}), true),
            (
                json!({"weights": {"gpt": 100}, "canary": "", "rollout": null}),
                true,
            ),
            (json!({"weights": {"gpt": 95, "claude": 5}}), false),
            (json!({"weights": {"claude": 100, "gpt": 0}}), false),
            (json!({"weights": {"claude": 0}}), false),
            (json!({"weights": {"gpt": 100}, "canary": "claude"}), false),
            (json!({"weights": {"gpt": 100}, "rollout": {}}), false),
            (Value::Null, false),
        ];
        for (traffic, expected) in table {
            assert_eq!(is_taken_back(&traffic), expected, "{traffic}");
        }
    }
}
