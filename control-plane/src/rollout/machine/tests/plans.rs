//! Flagger's minimal plan through the machine, queries with their variables, a plan nobody reads.

use serde_json::json;

use super::{drive::Drive, source::Mood};
use crate::{
    analysis::want::Family,
    rollout::{
        event::{HookAnswer, Verb},
        machine::{Wanted, flagger_word, queries, wanted},
        state::Phase,
    },
};

#[test]
fn flaggers_minimal_plan_runs_as_flaggers_documentation_says() {
    let with = json!({
        "steps": [],
        "promotion": null,
        "analysis": {
            "warmup": "60s", "interval": "60s", "threshold": 5, "stepWeight": 10, "maxWeight": 50,
            "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "60s"},
                        {"name": "request-duration", "thresholdRange": {"max": 1000}, "interval": "60s"}],
            "webhooks": [{"name": "confirm", "type": "confirm-rollout", "url": "http://gate.example/confirm"},
                         {"name": "load-test", "type": "rollout", "url": "http://flagger-loadtester.test/"}]}});
    let mut drive = Drive::new(with);
    drive.until(Mood::Healthy, "t2");
    assert_eq!(flagger_word(&drive.state), "Waiting");
    assert_eq!(drive.tick(Mood::Healthy), None);
    let (mut shares, mut words) = (Vec::new(), vec!["Waiting"]);
    for _ in 0..400 {
        drive.answer_all(HookAnswer::Yes);
        drive.tick(Mood::Healthy);
        shares.push(drive.traffic().weights["claude"]);
        words.push(flagger_word(&drive.state));
    }
    shares.dedup();
    words.dedup();
    assert_eq!(shares, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 99.0, 100.0]);
    assert_eq!(words, ["Waiting", "Progressing", "Finalising", "Succeeded"]);
    drive.verified();
}

#[test]
fn queries_are_asked_with_their_variables_filled_in() {
    let query = r#"f{r="{{ route }}",t="{{candidate}}",s=~"{{ stable }}",i="{{ interval }}",x="{{ variables.team }}",o="{{ rollout }}"}"#;
    let drive = Drive::new(json!({"analysis": {
        "variables": {"team": "ml"},
        "metrics": [{"name": "errors"}, {"name": "ttft"}, {"name": "cost", "mode": "observe"},
                    {"name": "score", "query": query, "thresholdRange": {"min": 1}, "interval": "60s"}]}}));
    let filled = r#"f{r="chat",t="claude",s=~"gpt|llama",i="60s",x="ml",o="rollout-1"}"#;
    let expected = [("score".to_owned(), filled.to_owned())];
    assert_eq!(queries(&drive.state), expected);
    let mut drive = drive;
    drive.until(Mood::Healthy, "t5");
    let families = vec![Family::Samples, Family::Ttft, Family::Cost];
    assert_eq!(
        wanted(&drive.state, true),
        Wanted::Opening(families.clone())
    );
    drive.until(Mood::Healthy, "t6");
    let Wanted::Window { families: read, .. } = wanted(&drive.state, false) else {
        panic!("it wants a window")
    };
    assert_eq!(read, families);
}

#[test]
fn a_plan_that_cannot_be_read_holds_and_can_be_aborted() {
    let mut drive = Drive::in_step(json!({}), 1);
    drive.state.plan.on_fail = "teleport".to_owned();
    assert_eq!(drive.tick(Mood::Harmful), None);
    assert_eq!(drive.verb(Verb::Resume).unwrap_err().legal, ["abort"]);
    assert_eq!(drive.verb(Verb::Abort).unwrap(), Some("t10"));
    assert_eq!(drive.state.phase, Phase::Aborted);
    assert_eq!(drive.traffic().weights["gpt"], 66.67);
}
