//! Parts fit, keep their order, and every fault finds its line.

use super::*;

fn everywhere() -> Networks {
    Networks::parse(&["0.0.0.0/0"]).unwrap()
}

fn bundle(text: &str) -> Bundle {
    Bundle::of_text("serin.yaml", text.to_owned(), &everywhere()).unwrap()
}

const FILE: &str = "\
keys:
  - {name: web, secrets: [{sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}], routes: [\"*\"], tier: elsewhere}
routes:
  - name: chat
    targets:
      - {name: gpt, provider: openai, model: gpt-4.1, price: {input: 2.0}}
      - {name: claude, provider: elsewhere, model: c}
    traffic: {weights: {gpt: 100}}
providers:
  - {name: openai, dialect: openai, baseUrl: \"http://10.0.0.1/v1\"}
";

#[test]
fn documents_go_in_the_order_they_rest_on_each_other() {
    let bundle = bundle(FILE);
    let keys: Vec<String> = bundle
        .documents
        .iter()
        .map(|d| d.document.key().to_string())
        .collect();
    assert_eq!(
        keys,
        [
            "config/providers/openai",
            "config/routes/chat",
            "config/keys/web"
        ]
    );
    let body: Value = serde_json::from_str(&body(bundle.parts()[0], Some("why"))).unwrap();
    assert_eq!(body["providers"][0]["baseUrl"], "http://10.0.0.1/v1");
    assert_eq!(body["routes"][0]["targets"][1]["name"], "claude");
    assert_eq!(body["reason"], "why");
}

#[test]
fn a_fault_of_a_part_is_told_where_it_was_written() {
    let bundle = bundle(FILE);
    let part = bundle.parts()[0];
    let told = (
        "/routes/0/targets/1/provider",
        "unknown_provider",
        "there is no provider \"elsewhere\"",
    );
    let located = bundle.locate(part, told);
    assert_eq!(
        located.to_string(),
        "serin.yaml:7:34: /routes/0/targets/1/provider: there is no provider \"elsewhere\""
    );
    assert_eq!(located.code, "unknown_provider");
    // The second part of a file begins behind its first route.
    let (_, rest) = part.split_at(2);
    let located = bundle.locate(rest, ("/keys/0/tier", "unknown_tier", "no"));
    assert_eq!(located.place, Some(("serin.yaml".to_owned(), 2, 125)));
    for unknown in ["", "/reason", "/routes/9/x", "/routes/x"] {
        assert_eq!(
            bundle.locate(part, (unknown, "c", "m")).place,
            None,
            "{unknown}"
        );
    }
}

#[test]
fn a_target_without_a_price_is_found() {
    let found: Vec<String> = bundle(FILE)
        .unpriced()
        .iter()
        .map(Located::to_string)
        .collect();
    let told = "serin.yaml:7:9: /routes/0/targets/1: target claude has no price (--require-price)";
    assert_eq!(found, [told]);
}

fn tiers(names: impl Iterator<Item = String>) -> String {
    let list: Vec<String> = names.map(|name| format!("{{name: {name}}}")).collect();
    format!("tiers: [{}]", list.join(", "))
}

#[test]
fn parts_have_at_most_a_hundred_documents() {
    for (count, sizes) in [
        (1, vec![1]),
        (100, vec![100]),
        (101, vec![100, 1]),
        (250, vec![100, 100, 50]),
    ] {
        let bundle = bundle(&tiers((0..count).map(|n| format!("t{n}"))));
        let found: Vec<usize> = bundle.parts().iter().map(|part| part.len()).collect();
        assert_eq!(found, sizes);
    }
    assert!(bundle("{}").parts().is_empty());
}

#[test]
fn parts_stay_below_what_one_change_may_hold() {
    // Headers are the one text of a document without a length of its own.
    let provider = |n| {
        let header = "x".repeat(200_000);
        format!(
            "  - {{name: p{n}, dialect: openai, baseUrl: \"https://a.example/v1\", headers: {{x-a: \"{header}\"}}}}\n"
        )
    };
    let text: String = (0..20).map(provider).collect();
    let bundle = bundle(&format!("providers:\n{text}"));
    let parts = bundle.parts();
    assert!(parts.len() > 1);
    assert_eq!(parts.iter().map(|part| part.len()).sum::<usize>(), 20);
    for part in parts {
        assert!(body(part, None).len() <= BYTES_MAX + 4_096);
    }
}

#[test]
fn every_fault_of_every_file_is_told_and_a_name_stands_in_one_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let faulty = write("a.yaml", "tiers: [{name: A}]");
    let secret = write(
        "b.yaml",
        "keys:\n  - {name: k, routes: [x], secrets: [{env: SERIN_TEST_IS_NOT_SET}]}\n",
    );
    let absent = folder.path().join("c.yaml");
    let said = Bundle::read(&[faulty, secret, absent])
        .unwrap_err()
        .to_string();
    for word in [
        "a.yaml:1:16: ",
        "b.yaml:2:38: ",
        "SERIN_TEST_IS_NOT_SET is not set",
        "c.yaml: ",
    ] {
        assert!(said.contains(word), "no {word:?} in\n{said}");
    }
    let (one, two) = (
        write("1.yaml", "tiers: [{name: a}]"),
        write("2.yaml", "tiers: [{name: a}]"),
    );
    let said = Bundle::read(&[one, two]).unwrap_err().to_string();
    assert!(
        said.contains("2.yaml: tiers a is in") && said.contains("1.yaml too"),
        "{said}"
    );
}
