//! What each fault makes of a good answer.
//!
//! Plans are read, not carried out: which bytes are sent, when, and how it ends. That the wire does
//! so is shown by `tests/endings.rs`.

use super::*;
use crate::script::*;

#[test]
fn errors_have_openais_shape_and_shares_that_add_up() {
    let failure = |status, share| Failure {
        status,
        when: When::share(share),
        ..Failure::default()
    };
    let errors = vec![
        Failure {
            retry_after: Some("7".into()),
            ..failure(429, 0.25)
        },
        failure(500, 0.25),
    ];
    let act = act(Model {
        errors,
        ..Model::default()
    });
    let mut seen = std::collections::BTreeMap::<u16, u32>::new();
    for number in 0..4_000 {
        let plan = act.plan(&chat(""), number);
        *seen.entry(plan.status).or_default() += 1;
        if plan.status == 429 {
            assert_eq!(json_of(&plan)["error"]["code"], "rate_limit_exceeded");
            assert!(String::from_utf8_lossy(&plan.bytes).contains("\r\nretry-after: 7\r\n"));
        }
    }
    for (status, expected) in [(200, 2_000u32), (429, 1_000), (500, 1_000)] {
        assert!(seen[&status].abs_diff(expected) < 120, "{seen:?}");
    }
}

#[rustfmt::skip]
#[test]
fn a_cut_takes_away_exactly_what_is_behind_it() {
    let whole = act(short()).plan(&chat(r#","stream":true"#), 0);
    let head = whole.bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let table = [
        (Some(0), None,      head),
        (Some(1), None,      whole.marks[0]),
        (Some(3), None,      whole.marks[2]),
        (Some(5), None,      whole.marks[4]),
        (Some(9), None,      whole.marks[4]),      // never the end of the body
        (None,    Some(0),   0),
        (None,    Some(10),  10),
        (None,    Some(head + 7), head + 7),
        (None,    Some(1 << 20),  whole.bytes.len()),
    ];
    for (after_events, after_bytes, expected) in table {
        let cut = Cut { after_events, after_bytes, how: How::Reset, when: When::default() };
        let plan = act(Model { cut: Some(cut.clone()), ..short() }).plan(&chat(r#","stream":true"#), 0);
        assert_eq!(plan.bytes, whole.bytes, "the bytes are those of a good answer");
        assert_eq!(plan.steps.last(), Some(&Step::Stop(Stop::Reset)));
        assert_eq!(due(&plan), expected, "{cut:?}");
    }
}

/// How many bytes the plan sends.
fn due(plan: &Plan) -> usize {
    let ends = plan.steps.iter().filter_map(|s| {
        if let Step::Write(end) = s {
            Some(*end)
        } else {
            None
        }
    });
    ends.max().unwrap_or(0)
}

#[test]
fn a_stream_is_paced_and_a_stall_moves_what_follows() {
    let ms = Duration::from_millis;
    let stall = Stall {
        after_events: 2,
        lasting: Some(ms(500)),
        when: When::default(),
    };
    let model = Model {
        first_token: ms(100),
        tokens_per_second: 10.0,
        early_head: true,
        stall: Some(stall),
        ..short()
    };
    let plan = act(model).plan(&chat(r#","stream":true"#), 0);
    let times: Vec<Duration> = plan
        .steps
        .iter()
        .filter_map(|s| {
            if let Step::Until(t) = s {
                Some(*t)
            } else {
                None
            }
        })
        .collect();
    // head, role, first token, second token, finish, [DONE]
    assert_eq!(times, [ms(0), ms(0), ms(100), ms(700), ms(700), ms(700)]);
}

#[test]
fn an_error_in_a_stream_ends_it_without_done() {
    let error = ErrorInStream {
        after_events: 2,
        code: Some("boom".into()),
        when: When::default(),
    };
    let model = Model {
        error_in_stream: Some(error),
        ..short()
    };
    let told = events(&act(model.clone()).plan(&chat(r#","stream":true"#), 0));
    assert_eq!(told.len(), 3);
    assert!(told[2].contains(r#""code":"boom""#), "{told:?}");
    assert_eq!(
        act(model).plan(&chat(""), 0).status,
        200,
        "plain answers are spared"
    );
}

#[test]
fn garbage_is_where_the_script_puts_it() {
    let spoiled = |place, more: &str| {
        let garbage = Garbage {
            place,
            after_events: 1,
            when: When::default(),
        };
        act(Model {
            garbage: Some(garbage),
            ..short()
        })
        .plan(&chat(more), 0)
    };
    assert!(!spoiled(Place::Head, "").bytes.starts_with(b"HTTP"));
    let (good, bad) = (act(short()).plan(&chat(""), 0), spoiled(Place::Body, ""));
    assert_eq!(
        good.bytes.len(),
        bad.bytes.len(),
        "the length is as announced"
    );
    assert!(serde_json::from_str::<Value>(&body(&bad)).is_err());
    let plan = spoiled(Place::Event, r#","stream":true"#);
    assert_eq!(
        plan.marks.last(),
        Some(&(plan.bytes.len() - b"0\r\n\r\n".len()))
    );
    let told = events(&plan);
    assert_eq!(told.len(), 6);
    assert!(serde_json::from_str::<Value>(&told[0]).is_ok());
    assert!(serde_json::from_str::<Value>(&told[1]).is_err());
    assert_eq!(told[5], "[DONE]");
}

#[test]
fn a_lying_length_lies_by_as_much_as_was_written() {
    for by in [-5i64, 100, -100_000] {
        let wrong = WrongLength {
            by,
            when: When::default(),
        };
        let plan = act(Model {
            wrong_length: Some(wrong),
            ..short()
        })
        .plan(&chat(""), 0);
        let text = String::from_utf8(plan.bytes.clone()).unwrap();
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix("content-length: "))
            .unwrap();
        let sent = i64::try_from(body(&plan).len()).unwrap();
        assert_eq!(line.parse::<i64>().unwrap(), (sent + by).max(0));
        assert!(
            json_of(&plan)["id"].as_str().unwrap().ends_with(ID),
            "the id is in its place"
        );
        assert_eq!(plan.marks, [plan.bytes.len()]);
        assert_eq!(plan.steps.last(), Some(&Step::Stop(Stop::Close)));
    }
}

#[test]
fn what_never_ends_repeats_something_sensible() {
    let endless = |what, more: &str| {
        let endless = Endless {
            what,
            ..Endless::default()
        };
        let plan = act(Model {
            endless: Some(endless),
            ..short()
        })
        .plan(&chat(more), 0);
        match plan.steps.last() {
            Some(Step::Stop(Stop::Repeat { bytes, .. })) => (plan.clone(), bytes.clone()),
            other => panic!("{other:?}"),
        }
    };
    let (plan, repeated) = endless(Endlessness::Events, r#","stream":true"#);
    assert_eq!(plan.marks.len(), 3, "role and content, no finish");
    let text = String::from_utf8(repeated).unwrap();
    assert!(
        text.contains(r#"{"content":" quick"}"#) && text.contains(ID),
        "{text}"
    );
    let (_, repeated) = endless(Endlessness::Event, r#","stream":true"#);
    assert!(!repeated.contains(&b'\n') || repeated.starts_with(b"4000\r\n"));
    let (plan, _) = endless(Endlessness::Body, "");
    assert!(String::from_utf8_lossy(&plan.bytes).contains("transfer-encoding: chunked"));
}
