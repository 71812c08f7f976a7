//! Print, then read, is identity; and no text makes the reader panic.
//!
//! Printed is proto3 JSON, as it lies in the store; it is read by the tolerant reading and, being
//! YAML too, by the strict one.

use proptest::{collection::btree_map, collection::vec, option, prelude::*};

use super::*;
use crate::document::{Document, documents};

fn word() -> impl Strategy<Value = String> {
    // Words that YAML could take for something else are among them.
    prop_oneof![
        "[ -~é]{0,12}",
        Just("no".to_owned()),
        Just("1e3".to_owned()),
        Just("~".to_owned())
    ]
}

/// As people write them, and any other.
fn number() -> impl Strategy<Value = f64> {
    let written = (0u64..1_000_000_000_000_000, 0i32..12)
        .prop_map(|(digits, places)| digits as f64 / 10f64.powi(places));
    let any = any::<f64>().prop_filter("JSON has no other", |number| number.is_finite());
    prop_oneof![written, any]
}

prop_compose! {
    fn target()(
        (name, provider, model) in (word(), word(), word()),
        price in option::of((option::of(number()), option::of(number()))),
        max_concurrency in option::of(any::<u32>()),
    ) -> v1::Target {
        let price = price.map(|(input, output)| v1::Price { input, output, ..Default::default() });
        v1::Target { name, provider, model, price, max_concurrency }
    }
}

prop_compose! {
    fn route()(
        (name, when_all_open) in (word(), word()),
        (aliases, affinity) in (vec(word(), 0..3), vec(word(), 0..3)),
        targets in vec(target(), 0..3),
        weights in option::of(btree_map(word(), number(), 0..3)),
        attempts in option::of(option::of(any::<u32>())),
    ) -> v1::Route {
        let traffic = weights.map(|weights| v1::Traffic { weights, ..Default::default() });
        let retry = attempts.map(|attempts| v1::Retry { attempts, ..Default::default() });
        v1::Route { name, aliases, targets, traffic, affinity, retry, when_all_open, ..Default::default() }
    }
}

prop_compose! {
    fn provider()(
        (name, base_url) in (word(), word()),
        headers in btree_map(word(), word(), 0..3),
        env in option::of(word()),
        usage_in_stream in option::of(any::<bool>()),
    ) -> v1::Provider {
        let credential = env.map(|env| v1::Credential { env, ..Default::default() });
        v1::Provider { name, base_url, headers, credential, usage_in_stream, ..Default::default() }
    }
}

prop_compose! {
    fn key()(
        name in word(),
        envs in vec(word(), 0..3),
        disabled: bool,
        usd in option::of(option::of(number())),
    ) -> v1::Key {
        let secrets = envs.into_iter().map(|env| v1::Secret { env, ..Default::default() });
        let budget = usd.map(|usd| v1::Budget { usd, ..Default::default() });
        v1::Key { name, secrets: secrets.collect(), disabled, budget, ..Default::default() }
    }
}

prop_compose! {
    fn file()(
        providers in vec(provider(), 0..3),
        routes in vec(route(), 0..3),
        keys in vec(key(), 0..3),
    ) -> v1::File {
        v1::File { providers, routes, keys, ..Default::default() }
    }
}

proptest! {
    #[test]
    fn a_printed_file_reads_back(file in file()) {
        let printed = serde_json::to_string_pretty(&file).unwrap();
        let tolerant: v1::File = serde_json::from_str(&printed).unwrap();
        prop_assert_eq!(&tolerant, &file);
        let tree = parse(&printed).unwrap_or_else(|fault| panic!("{fault}\n{printed}"));
        let (json, faults) = json::strict(&tree, "serin.v1.File");
        prop_assert_eq!(faults, []);
        let strict: v1::File = serde_json::from_value(json).unwrap();
        prop_assert_eq!(strict, file);
    }

    /// What the control plane writes is what it reads, what a router reads, and what it would write
    /// again: nothing that was absent is there, nothing that was there is gone.
    #[test]
    fn a_stored_document_is_the_same_to_everybody(file in file()) {
        for (_, document) in documents(file) {
            let stored = document.to_json();
            let tolerated = Document::read_tolerant(document.kind(), &stored).unwrap();
            prop_assert_eq!(tolerated.unknown_fields, 0);
            prop_assert_eq!(tolerated.document.to_json(), stored.clone());
            prop_assert_eq!(&tolerated.document, &document);
            prop_assert_eq!(Document::read_strict(document.kind(), &stored), Ok(document));
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-z{}\\[\\]:,&*<>|\"'#~\\-0-9 \n\té]{0,60}") {
        if let Err(faults) = read("f", &text) {
            prop_assert!(!faults.is_empty());
        }
    }

    /// Whatever is written into a valid file, the reader answers with faults or a file.
    #[test]
    fn no_edit_makes_the_reader_panic(at in 0usize..1_500, text in "[a-z0-9{}\\[\\]:, \n.\"-]{0,8}") {
        let valid = include_str!("../../tests/faults/file.yaml");
        let at = at.min(valid.len());
        let edited = format!("{}{text}{}", &valid[..at], &valid[at..]);
        if let Err(faults) = read("f", &edited) {
            prop_assert!(!faults.is_empty());
        }
    }
}

#[test]
fn a_part_may_name_what_it_does_not_hold_and_nothing_else_is_forgiven() {
    let text = "routes:\n  - name: chat\n    targets: [{name: a, provider: p, model: m}]\n    \
                traffic: {weights: {a: 99}}\nkeys:\n  - {name: k, tier: t, routes: [other]}\n";
    let context = Context::default();
    let codes = |faults: Vec<Fault>| faults.iter().map(|f| f.code).collect::<Vec<_>>();
    let whole = codes(read_in("f", text, &context).expect_err("it is faulty"));
    assert!(
        whole.contains(&"unknown_provider") && whole.contains(&"unknown_tier"),
        "{whole:?}"
    );
    let part = codes(read_part("f", text, &context).expect_err("its weights are"));
    assert_eq!(part.len(), whole.len() - 2, "{part:?} of {whole:?}");
    let good = text.replace("99", "100");
    let read = read_part("f", &good, &context).expect("only names are left");
    assert!(
        !read.warnings.iter().any(|w| w.code == "unknown_route"),
        "{:?}",
        read.warnings
    );
}

#[test]
fn a_place_is_found_by_its_pointer() {
    let places =
        Places::of("routes:\n  - name: chat\n    traffic: {weights: {a: 99}}\n").expect("YAML");
    assert_eq!(places.find("/routes/0/traffic/weights/a"), (3, 28));
    assert_eq!(places.find("/routes/0/traffic/canary"), (3, 5));
    assert_eq!(places.find("/routes/7"), (1, 1));
    assert!(Places::of("a: [").is_none());
}
