//! States and the words they are told in.

use serde_json::json;

use super::*;

fn state(more: serde_json::Value) -> Tree {
    let mut state = json!({
        "rolloutId": "7f3a09c2b1d4", "seq": "17", "route": "chat", "phase": "Progressing",
        "sub": "Analysing", "candidate": {"target": "claude", "hash": "c3d4e5f60718"},
        "plan": {"steps": [{}, {}, {}, {}]}, "step": 1, "share": 5.0,
        "verdict": {"kind": "inconclusive", "why": "too few"}, "startedAt": "T",
    });
    for (field, value) in more.as_object().unwrap() {
        state[field] = value.clone();
    }
    serde_json::from_value(state).unwrap()
}

#[test]
fn where_a_rollout_stands_is_one_line() {
    assert_eq!(
        place(&state(json!({}))),
        "Progressing, step 2 of 4, share 5 %, Analysing"
    );
    let paused =
        json!({"phase": "Paused", "sub": null, "pauseReasons": ["User", "Blind"], "share": 0.25});
    assert_eq!(
        place(&state(paused)),
        "Paused (User, Blind), step 2 of 4, share 0.25 %"
    );
    let failed = json!({"phase": "Failed", "sub": null, "share": 0, "endedBecause": "errors"});
    assert_eq!(
        told(&state(failed)),
        "chat → claude (rollout 7f3a09c2b1d4, seq 17): Failed, share 0 %; errors"
    );
    assert_eq!(verdict(&state(json!({}))), "inconclusive: too few");
    assert_eq!(verdict(&state(json!({"verdict": null}))), "");
}

#[test]
fn the_time_is_that_of_the_share_and_only_of_an_analysis_that_of_the_phase() {
    let table = [
        (json!({}), "share 5 %, Analysing for 46s"),
        (json!({"sub": "Gated"}), "share 5 % for 46s, Gated"),
        (json!({"sub": "Warming"}), "share 5 % for 46s, Warming"),
        (
            json!({"phase": "Paused", "sub": null}),
            "Paused, step 2 of 4, share 5 % for 46s",
        ),
        (
            json!({"phase": "Paused", "sub": null, "pauseReasons": ["User"], "pausedMs": 15_000}),
            "Paused (User) for 15s, step 2 of 4, share 5 % for 46s",
        ),
        (json!({"share": 0}), "share 0 %, Analysing"),
        (json!({"phase": "Failed", "sub": null}), "Failed, share 5 %"),
    ];
    for (more, told) in table {
        let mut more = more;
        more["exposureMs"] = 46_000.into();
        let place = place_timed(&state(more));
        assert!(place.ends_with(told), "{place}");
    }
}

#[test]
fn a_promotion_that_was_taken_back_is_told_as_one() {
    let undone = state(
        json!({"phase": "Succeeded", "sub": null, "share": 0, "undone": true,
        "verdict": {"kind": "pass", "why": "all"}, "endedBecause": "undone by ada: too dear"}),
    );
    let line = told(&undone);
    assert!(
        line.ends_with("Succeeded and undone, share 0 %; undone by ada: too dear"),
        "{line}"
    );
    assert_eq!(verdict(&undone), "pass: all (before it was undone)");
    assert!(table(&[undone]).contains("Succeeded/undone"));
}

#[test]
fn who_did_it_by_hand_and_why_is_told() {
    let paused =
        state(json!({"byHand": {"verb": "pause", "by": "ada", "reason": "too slow", "at": "T"}}));
    assert_eq!(by_hand(&paused), "pause by ada, T: too slow");
    assert!(page(&paused).contains("by hand    pause by ada, T: too slow\n"));
    assert_eq!(by_hand(&state(json!({}))), "");
    let ended = json!({"phase": "Aborted", "endedBecause": "aborted by ada",
        "byHand": {"verb": "abort", "by": "ada"}});
    assert_eq!(by_hand(&state(ended)), "");
    let started = json!({"byHand": {"verb": "start", "by": "ada"}});
    assert_eq!(by_hand(&state(started)), "");
}

#[test]
fn rollouts_are_a_table_and_one_is_a_page() {
    let table = table(&[state(json!({}))]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0].len(), 9);
    assert_eq!(
        rows[1].join(" "),
        "chat claude 7f3a09c2b1d4 17 Progressing/Analysing 2 of 4 5 % inconclusive T"
    );
    let more = json!({"gates": {"go-on": {"open": true}, "x": {}}, "baseWeights": {"gpt": 100.0}});
    let page = page(&state(more));
    for line in [
        "candidate  claude (c3d4e5f60718)\n",
        "gates      go-on open, x closed\n",
        "stable     gpt 100\n",
    ] {
        assert!(page.contains(line), "no {line:?} in\n{page}");
    }
    assert!(!page.contains("ended"), "{page}");
}

#[rustfmt::skip]
#[test]
fn times_are_as_people_say_them() {
    let table = [
        (0.0, "0s"), (170_000.0, "2m50s"), (120_000.0, "2m"), (11_400.0, "11s"),
        (3_900_000.0, "1h5m"), (7_200_000.0, "2h"), (-5.0, "0s"),
    ];
    for (milliseconds, shown) in table {
        assert_eq!(span(milliseconds), shown);
    }
}
