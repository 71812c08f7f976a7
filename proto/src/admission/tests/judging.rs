//! What the control plane is told before it writes.

use super::*;

fn document(key: &str, json: &Json) -> Proposed {
    let key: DocumentKey = format!("config/{key}").parse().unwrap();
    let document = Document::read_strict(key.kind, json.to_string().as_bytes());
    let document = Some(document.unwrap_or_else(|faults| panic!("{faults:#?}")));
    Proposed { key, document }
}

fn end(key: &str) -> Proposed {
    Proposed {
        key: format!("config/{key}").parse().unwrap(),
        document: None,
    }
}

fn told(found: &[(DocumentKey, crate::Fault)]) -> Vec<String> {
    found
        .iter()
        .map(|(key, fault)| {
            let key = key.to_string().replace("config/", "");
            format!("{key} {} {}: {}", fault.pointer, fault.code, fault.message)
        })
        .collect()
}

/// With `chat` (alias `gpt`), `other`, `lost` (rejected), a key and a tier it needs.
fn store() -> Admission {
    let mut play = Play::begun();
    play.put("routes/chat", aliased("chat", &["gpt"]));
    play.put("routes/other", route("other", "p"));
    play.put("routes/lost", route("lost", "nowhere"));
    play.put("tiers/gold", tier("gold"));
    play.put("keys/web", key("web", '1', "gold"));
    let told = play.told();
    assert_eq!(told.last().unwrap(), "routes/lost@5 unknown_provider");
    play.admission
}

#[rustfmt::skip]
#[test]
fn each_fault_stands_with_the_changed_document_it_is_about() {
    let bad = |pointer: &str, value: Json| {
        let mut route = route("chat", "p");
        *route.pointer_mut(pointer).unwrap() = value;
        document("routes/chat", &route)
    };
    let table: [(Vec<Proposed>, &[&str]); 18] = [
        (vec![], &[]),
        (vec![document("routes/chat", &route("chat", "p"))], &[]),
        (vec![document("routes/new", &route("new", "p"))], &[]),
        (vec![end("routes/chat")], &[]),
        (vec![end("routes/nothing")], &[]),
        // Contained.
        (vec![bad("/traffic/weights/t", json!(99))],
            &["routes/chat /traffic/weights weights_sum: weights sum to 99, not 100: add 1"]),
        (vec![bad("/targets/0/provider", json!("q")), document("routes/new", &aliased("new", &["gpt", "other"]))],
            &["routes/chat /targets/0/provider unknown_provider: there is no provider \"q\"; did you mean p?",
              "routes/new /aliases/0 alias_taken: \"gpt\" is already an alias of route chat",
              "routes/new /aliases/1 alias_taken: \"other\" is already the name of route other"]),
        (vec![bad("/name", json!("chat2"))],
            &["routes/chat /name bad_name: \"chat2\" is stored as config/routes/chat"]),
        // With another of the same change.
        (vec![document("providers/q", &provider("q")), bad("/targets/0/provider", json!("q"))], &[]),
        (vec![document("routes/b", &aliased("b", &["x"])), document("routes/a", &aliased("a", &["x"]))],
            &["routes/b /aliases/0 alias_taken: \"x\" is already an alias of route a"]),
        (vec![document("providers/q", &json!({"name": "q"})), bad("/targets/0/provider", json!("q"))],
            &["providers/q /dialect missing: is missing", "providers/q /baseUrl missing: is missing"]),
        // Caused in others.
        (vec![end("providers/p")], &["providers/p  in_use: is needed by routes chat, other"]),
        (vec![end("tiers/gold")], &["tiers/gold  in_use: is needed by keys web"]),
        (vec![end("providers/p"), end("routes/chat"), end("routes/other")], &[]),
        (vec![document("routes/chat", &aliased("chat", &["gpt", "other"]))],
            &["routes/chat /aliases/1 alias_taken: \"other\" is already the name of route other"]),
        (vec![document("keys/job", &key("job", '1', ""))],
            &["keys/job /secrets/0/sha256 duplicate_secret: is already a secret of key web"]),
        // Not of this change.
        (vec![document("routes/other", &aliased("other", &["x"]))], &[]),
        (vec![document("routes/lost", &route("lost", "nowhere"))],
            &["routes/lost /targets/0/provider unknown_provider: there is no provider \"nowhere\""]),
    ];
    for (changes, expected) in table {
        assert_eq!(told(&store().judge(&changes).faults), expected, "{changes:#?}");
    }
}

#[test]
fn a_provider_may_be_where_the_settings_allow_it_and_nowhere_else() {
    let at = |url: &str| {
        let mut json = provider("q");
        json["baseUrl"] = json!(url);
        told(&store().judge(&[document("providers/q", &json)]).faults)
    };
    assert_eq!(at("http://127.0.0.1:8070"), [""; 0]);
    let expected = "providers/q /baseUrl forbidden_address: 10.0.0.1 is a private address: add \
                    10.0.0.0/8 to server.allowedNetworks";
    assert_eq!(at("http://10.0.0.1"), [expected]);
}

#[test]
fn what_is_freed_and_taken_by_a_third_is_told_too() {
    let mut play = Play::new();
    play.put("providers/p", provider("p"));
    play.put("routes/first", aliased("first", &["x"]));
    play.put("routes/second", aliased("second", &["x", "y"]));
    play.put("routes/third", aliased("third", &["y"]));
    play.admission.admit();
    let judgement = play.admission.judge(&[end("routes/first")]);
    let expected = [
        "routes/first  alias_taken: config/routes/third: /aliases/0: \"y\" is already an \
                     alias of route second",
    ];
    assert_eq!(told(&judgement.faults), expected);
}

#[test]
fn one_that_many_need_names_a_few_of_them() {
    let mut play = Play::begun();
    for i in 0..20 {
        play.put(&format!("routes/r{i:02}"), route(&format!("r{i:02}"), "p"));
    }
    play.admission.admit();
    let expected = [
        "providers/p  in_use: is needed by routes chat, r00, r01, r02, r03, r04, r05, \
                     r06, r07, r08 and 11 more",
    ];
    assert_eq!(
        told(&play.admission.judge(&[end("providers/p")]).faults),
        expected
    );
}

#[test]
fn what_its_author_should_know_is_warned_of() {
    let mut key = key("new", '2', "gold");
    key["routes"] = json!(["chatt", "other"]);
    let changes = [document("keys/new", &key), document("tiers/t", &tier("t"))];
    let judgement = store().judge(&changes);
    assert_eq!(judgement.faults, []);
    let expected = [
        "keys/new  not_yet_enforced: accepted, not yet enforced in this release: tier",
        "keys/new /routes/0 unknown_route: there is no route \"chatt\"; did you mean chat?",
        "tiers/t  not_yet_enforced: accepted, not yet enforced in this release: tiers",
    ];
    assert_eq!(told(&judgement.warnings), expected);
    // A route of the same change is there, one that it deletes is not.
    let changes = [
        document("keys/new", &key),
        document("routes/chatt", &route("chatt", "p")),
        end("routes/other"),
    ];
    let expected = "keys/new /routes/1 unknown_route: there is no route \"other\"";
    assert_eq!(told(&store().judge(&changes).warnings)[1], expected);
}

/// A message of gRPC can hold what no JSON can; a router would find it in the store.
#[test]
fn a_document_is_judged_as_it_will_be_read() {
    let target = crate::v1::Target {
        name: "t".to_owned(),
        provider: "p".to_owned(),
        model: "m".to_owned(),
        price: Some(crate::v1::Price {
            input: Some(f64::INFINITY),
            ..Default::default()
        }),
        ..Default::default()
    };
    let weights = [("t".to_owned(), 100.0)].into();
    let route = crate::v1::Route {
        name: "chat".to_owned(),
        targets: vec![target],
        traffic: Some(crate::v1::Traffic {
            weights,
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut no_number = route.clone();
    no_number.targets[0].price = None;
    let weights = [("t".to_owned(), f64::NAN)].into();
    no_number.traffic.as_mut().unwrap().weights = weights;
    let mut long = route.clone();
    long.targets[0].price = None;
    long.aliases = (0..40_000).map(|i| format!("alias-{i}")).collect();
    for (route, expected) in [
        (route, "routes/chat  out_of_range"),
        (no_number, "routes/chat /traffic/weights/t wrong_type"),
        (long, "routes/chat  document_too_large"),
    ] {
        let key = "config/routes/chat".parse().unwrap();
        let document = Some(Document::Route(route));
        let judgement = store().judge(&[Proposed { key, document }]);
        let told = told(&judgement.faults);
        assert!(told.len() == 1 && told[0].starts_with(expected), "{told:?}");
    }
}
