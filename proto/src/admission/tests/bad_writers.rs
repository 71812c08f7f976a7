//! What somebody may write past the control plane: each refused alone, with its reason, while its
//! last good form serves and the others follow their changes.

use super::*;

fn with(mut json: Json, pointer: &str, value: Json) -> Json {
    *json.pointer_mut(pointer).unwrap() = value;
    json
}

fn chat() -> Json {
    let mut chat = route("chat", "p");
    chat["aliases"] = json!([]);
    chat["traffic"]["fallback"] = json!([]);
    chat
}

fn p() -> Json {
    let mut p = provider("p");
    p["credential"] = json!({"env": "P"});
    p
}

/// A store key, what is written there, and what the reason begins with.
type Case = (&'static str, Vec<u8>, &'static str);

#[rustfmt::skip]
fn of_routes() -> Vec<Case> {
    let many: Vec<String> = (0..10_000).map(|i| format!("u{i}")).collect();
    let weights = |weights: Json| with(chat(), "/traffic/weights", weights);
    let fallback = |names: Json| with(chat(), "/traffic/fallback", names);
    let mut twice = chat();
    let same_target = json!({"name": "t", "provider": "p", "model": "n"});
    twice["targets"].as_array_mut().unwrap().push(same_target);
    let cases = vec![
        (json!("chat"), "wrong_type: needs a map of fields, found text"),
        (with(chat(), "/name", json!("chat2")), "bad_name: /name: \"chat2\" is stored as config/routes/chat"),
        (with(chat(), "/targets", json!([])), "missing: /targets: a route has at least one target"),
        (weights(json!({"t": 99})), "weights_sum: /traffic/weights: weights sum to 99, not 100: add 1"),
        (weights(json!({"t": 0})), "weights_sum: "),
        (weights(json!({"t": -100})), "bad_weight: /traffic/weights/t: -100 is outside"),
        (weights(json!({"t": "NaN"})), "wrong_type: /traffic/weights/t: needs a number, found text"),
        (weights(json!({"t": 50, "u": 50})), "unknown_target: /traffic/weights/u: "),
        (fallback(json!(many)), "unknown_target: /traffic/fallback/0: "),
        (fallback(json!(["t", "t"])), "duplicate_fallback: /traffic/fallback/1: "),
        (twice, "duplicate_name: /targets/1/name: "),
        (with(chat(), "/targets/0/provider", json!("q")), "unknown_provider: /targets/0/provider: there is no provider \"q\""),
        (with(chat(), "/aliases", json!(["taken"])), "alias_taken: /aliases/0: \"taken\" is already the name of route taken"),
        (with(chat(), "/aliases", json!(["a b"])), "bad_alias: /aliases/0: "),
    ];
    cases.into_iter().map(|(json, reason)| ("routes/chat", json.to_string().into_bytes(), reason)).collect()
}

#[rustfmt::skip]
fn of_providers() -> Vec<Case> {
    let url = |url: &str| with(p(), "/baseUrl", json!(url));
    let mut header = p();
    header["headers"] = json!({"Authorization": "Bearer hush"});
    let cases = vec![
        (with(p(), "/dialect", json!("opnai")), "unknown_word: /dialect: \"opnai\" is not one of openai, simulated; did you mean openai?"),
        (url("http://169.254.169.254/latest"), "forbidden_address: /baseUrl: 169.254.169.254 is a cloud's metadata address"),
        (url("http://[fe80::1]/"), "forbidden_address: /baseUrl: fe80::1 is a link-local address"),
        (url("http://2852039166"), "forbidden_address: "),
        (url("http://10.0.0.1"), "forbidden_address: /baseUrl: 10.0.0.1 is a private address"),
        (with(p(), "/credential", json!("sk-hush")), "wrong_type: /credential: needs a map of fields, found text"),
        (with(p(), "/credential", json!({"env": "sk-hush"})), "bad_variable: /credential/env: "),
        (header, "bad_header: /headers/Authorization: "),
    ];
    cases.into_iter().map(|(json, reason)| ("providers/p", json.to_string().into_bytes(), reason)).collect()
}

#[rustfmt::skip]
fn of_keys() -> Vec<Case> {
    let cases = vec![
        (json!({"name": "web", "secrets": [{"sha256": "hush"}]}), "bad_secret: /secrets/0/sha256: "),
        (json!({"name": "web", "secrets": [{"env": "HUSH"}]}), "bad_secret: /secrets/0/env: is for files only"),
        (key("web", '1', "gold"), "unknown_tier: /tier: there is no tier \"gold\""),
    ];
    cases.into_iter().map(|(json, reason)| ("keys/web", json.to_string().into_bytes(), reason)).collect()
}

#[rustfmt::skip]
fn of_bytes() -> Vec<Case> {
    let huge = format!("{{\"name\": \"chat\", \"x\": \"{}\"}}", "a".repeat(2 * 1024 * 1024));
    let nan = "{\"name\": \"chat\", \"traffic\": {\"weights\": {\"t\": NaN}}}";
    let cases: Vec<(Vec<u8>, _)> = vec![
        (b"not json".to_vec(), "unreadable: not valid JSON"),
        (b"name: chat".to_vec(), "unreadable: not valid JSON"),
        (b"\xff\xfe".to_vec(), "unreadable: not valid JSON: it is no UTF-8"),
        (Vec::new(), "unreadable: not valid JSON: EOF"),
        (nan.into(), "unreadable: not valid JSON"),
        ("[".repeat(300_000).into(), "document_too_large: "),
        ("[".repeat(200_000).into(), "unreadable: "),
        (huge.into(), "document_too_large: is 2097177 bytes long, at most 256 KiB"),
    ];
    cases.into_iter().map(|(bytes, reason)| ("routes/chat", bytes, reason)).collect()
}

#[test]
fn whatever_is_written_is_refused_alone_and_told_why() {
    for (key_text, value, reason) in [of_bytes(), of_routes(), of_providers(), of_keys()].concat() {
        let mut play = Play::new();
        play.put("providers/p", p());
        play.put("routes/taken", route("taken", "p"));
        play.put("routes/chat", chat());
        play.put("keys/web", key("web", '1', ""));
        let good = play.admission.admit();
        assert_eq!(good.rejected, []);
        play.put_bytes(key_text, &value);
        let admitted = play.admission.admit();
        let [rejected] = &admitted.rejected[..] else {
            panic!("one is rejected for {reason}, not {:#?}", admitted.rejected)
        };
        let told = format!("{}: {}", rejected.code, rejected.message);
        assert!(told.starts_with(reason), "{told}\nis not\n{reason}");
        assert!(!told.to_lowercase().contains("hush"), "{told}");
        assert!(told.len() < 500, "{told}");
        assert_eq!(rejected.key, format!("config/{key_text}"));
        assert_eq!(rejected.mod_revision, 5);
        let served = |admitted: &Admitted| {
            let same = |(key, serving): (&DocumentKey, &Serving)| {
                (key.clone(), Arc::as_ptr(&serving.document))
            };
            admitted.documents.iter().map(same).collect::<Vec<_>>()
        };
        assert_eq!(served(&admitted), served(&good), "{reason}");
        let last_good = admitted.documents[&rejected.key.parse().unwrap()].mod_revision;
        assert_eq!(rejected.serving_revision, Some(last_good.0), "{reason}");
    }
}

#[test]
fn a_key_that_is_no_documents_is_told_under_its_own_text() {
    for stray in [
        "routes/Bad Name",
        "routes/",
        "routes/a/b",
        "rollouts/chat",
        "x",
    ] {
        let mut play = Play::begun();
        play.put("routes/chat", aliased("chat", &["x"]));
        play.put(stray, route("chat", "p"));
        let expected = [
            "providers/p@1".to_owned(),
            "routes/chat@3".to_owned(),
            format!("{stray}@4 bad_name"),
        ];
        assert_eq!(play.told(), expected);
        play.delete(stray);
        assert_eq!(play.told(), ["providers/p@1", "routes/chat@3"]);
    }
}

#[test]
fn all_that_is_wrong_is_counted_in_the_reason() {
    let mut play = Play::begun();
    let bad = with(
        with(chat(), "/targets/0/model", json!("")),
        "/traffic/weights/t",
        json!(1),
    );
    play.put("routes/chat", bad);
    assert_eq!(
        play.message("routes/chat"),
        "/targets/0/model: is missing (and 1 more)"
    );
}

/// A file's secrets may be many as long as two are live; so may a store's, whenever it is read.
#[test]
fn secrets_that_will_expire_do_not_count_as_live() {
    let secret = |digit: char| json!({"sha256": digit.to_string().repeat(64)});
    let until = |digit: char| json!({"sha256": digit.to_string().repeat(64), "expiresAt": "2027-01-01T00:00:00Z"});
    let mut play = Play::new();
    let key = |secrets: Json| json!({"name": "web", "routes": ["*"], "secrets": secrets});
    play.put(
        "keys/web",
        key(json!([secret('1'), until('2'), until('3'), secret('4')])),
    );
    assert_eq!(play.told(), ["keys/web@1"]);
    play.put(
        "keys/web",
        key(json!([secret('1'), secret('2'), secret('3')])),
    );
    assert_eq!(
        play.told(),
        ["keys/web@1", "keys/web@2 too_many_secrets, serves 1"]
    );
}
