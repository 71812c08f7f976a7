//! Each case of what serves when documents go bad or go missing.

use super::*;

#[test]
fn a_bad_document_keeps_its_last_good_form_and_harms_no_other() {
    let mut play = Play::begun();
    play.put("routes/other", route("other", "p"));
    play.put_bytes("routes/chat", b"garbage");
    let expected = [
        "providers/p@1",
        "routes/chat@2",
        "routes/other@3",
        "routes/chat@4 unreadable, serves 2",
    ];
    assert_eq!(play.told(), expected);
    play.put("routes/chat", json!({"name": "chat"}));
    let expected = [
        "providers/p@1",
        "routes/chat@2",
        "routes/other@3",
        "routes/chat@5 missing, serves 2",
    ];
    assert_eq!(play.told(), expected);
    play.put("routes/chat", route("chat", "p"));
    let healed = ["providers/p@1", "routes/chat@6", "routes/other@3"];
    assert_eq!(play.told(), healed);
    assert_eq!(play.admission.last_goods().count(), 0);
}

#[test]
fn a_bad_document_of_which_nothing_good_is_known_serves_nothing() {
    let mut play = Play::begun();
    play.put_bytes("routes/new", b"{");
    let expected = ["providers/p@1", "routes/chat@2", "routes/new@3 unreadable"];
    assert_eq!(play.told(), expected);
}

/// How a stream is cut into batches must not matter.
#[test]
fn a_good_form_counts_though_it_was_bad_again_before_anybody_asked() {
    let mut play = Play::begun();
    play.put("routes/chat", aliased("chat", &["gpt"]));
    play.put_bytes("routes/chat", b"garbage");
    play.put_bytes("routes/chat", b"more garbage");
    let expected = [
        "providers/p@1",
        "routes/chat@3",
        "routes/chat@5 unreadable, serves 3",
    ];
    assert_eq!(play.told(), expected);
}

#[test]
fn a_form_that_never_fitted_to_the_others_is_no_last_good_form() {
    for asked_between in [false, true] {
        let mut play = Play::begun();
        play.put("routes/chat", route("chat", "nowhere"));
        if asked_between {
            play.admission.admit();
        }
        play.put_bytes("routes/chat", b"garbage");
        let expected = [
            "providers/p@1",
            "routes/chat@2",
            "routes/chat@4 unreadable, serves 2",
        ];
        assert_eq!(play.told(), expected);
        // Nor does it become one when it would fit at last.
        play.put("providers/nowhere", provider("nowhere"));
        let told = play.told();
        assert!(told.contains(&"routes/chat@2".to_owned()), "{told:?}");
    }
}

#[test]
fn a_route_with_a_provider_that_is_nowhere_is_rejected_until_it_comes() {
    let mut play = Play::begun();
    play.put("routes/new", route("new", "q"));
    play.put("routes/chat", route("chat", "q"));
    let expected = [
        "providers/p@1",
        "routes/chat@2",
        "routes/chat@4 unknown_provider, serves 2",
        "routes/new@3 unknown_provider",
    ];
    assert_eq!(play.told(), expected);
    assert_eq!(
        play.message("routes/new"),
        "/targets/0/provider: there is no provider \"q\""
    );
    play.put("providers/q", provider("q"));
    let expected = [
        "providers/p@1",
        "providers/q@5",
        "routes/chat@4",
        "routes/new@3",
    ];
    assert_eq!(play.told(), expected);
}

#[test]
fn a_provider_that_goes_bad_serves_on_in_its_last_good_form() {
    let mut play = Play::begun();
    let mut metadata = provider("p");
    metadata["baseUrl"] = json!("http://169.254.169.254/");
    play.put("providers/p", metadata);
    let expected = [
        "providers/p@1",
        "routes/chat@2",
        "providers/p@3 forbidden_address, serves 1",
    ];
    assert_eq!(play.told(), expected);
}

#[test]
fn a_provider_that_was_always_bad_takes_its_routes_with_it() {
    let mut play = Play::new();
    play.put_bytes("providers/p", b"5");
    play.put("routes/chat", route("chat", "p"));
    let expected = ["providers/p@1 wrong_type", "routes/chat@2 unknown_provider"];
    assert_eq!(play.told(), expected);
    let message = "/targets/0/provider: provider \"p\" cannot be used as it is stored";
    assert_eq!(play.message("routes/chat"), message);
}

#[test]
fn a_provider_that_is_deleted_serves_on_until_no_route_needs_it() {
    let mut play = Play::begun();
    play.put("routes/other", route("other", "p"));
    play.delete("providers/p");
    let expected = [
        "providers/p@1",
        "routes/chat@2",
        "routes/other@3",
        "routes/chat@2 unknown_provider, serves 2",
        "routes/other@3 unknown_provider, serves 3",
    ];
    assert_eq!(play.told(), expected);
    let kept: Vec<String> = play
        .admission
        .last_goods()
        .map(|(key, _)| key.to_string())
        .collect();
    assert_eq!(kept, ["config/providers/p"]);
    assert_eq!(play.admission.stored("config/providers/p"), None);
    play.delete("routes/other");
    assert!(play.told().contains(&"providers/p@1".to_owned()));
    play.delete("routes/chat");
    assert_eq!(play.told(), [""; 0]);
    assert_eq!(play.admission.last_goods().count(), 0);
}

#[test]
fn a_provider_that_is_deleted_while_it_is_bad_serves_on_in_its_last_good_form() {
    let mut play = Play::begun();
    play.put_bytes("providers/p", b"garbage");
    play.delete("providers/p");
    let expected = [
        "providers/p@1",
        "routes/chat@2",
        "routes/chat@2 unknown_provider, serves 2",
    ];
    assert_eq!(play.told(), expected);
    play.put("providers/p", provider("p"));
    assert_eq!(play.told(), ["providers/p@5", "routes/chat@2"]);
}

#[test]
fn a_provider_that_nothing_needs_goes_when_it_is_deleted() {
    let mut play = Play::begun();
    play.put("providers/q", provider("q"));
    play.delete("providers/q");
    assert_eq!(play.told(), ["providers/p@1", "routes/chat@2"]);
    // With its route in one batch, or the route first: the same.
    play.delete("providers/p");
    play.delete("routes/chat");
    assert_eq!(play.told(), [""; 0]);
    // What is gone for good is no last good form of what comes later.
    play.put("routes/chat", route("chat", "p"));
    assert_eq!(play.told(), ["routes/chat@7 unknown_provider"]);
}

#[test]
fn a_tier_is_kept_for_keys_as_a_provider_is_for_routes() {
    let mut play = Play::new();
    play.put("tiers/gold", tier("gold"));
    play.put("keys/web", key("web", '1', "gold"));
    play.put("keys/job", key("job", '2', "silver"));
    let expected = ["keys/web@2", "tiers/gold@1", "keys/job@3 unknown_tier"];
    assert_eq!(play.told(), expected);
    play.delete("tiers/gold");
    let expected = [
        "keys/web@2",
        "tiers/gold@1",
        "keys/job@3 unknown_tier",
        "keys/web@2 unknown_tier, serves 2",
    ];
    assert_eq!(play.told(), expected);
    play.put("keys/web", key("web", '1', ""));
    assert_eq!(play.told(), ["keys/web@5", "keys/job@3 unknown_tier"]);
}

#[test]
fn a_plain_delete_takes_the_last_good_form_with_it() {
    let mut play = Play::begun();
    play.put_bytes("routes/chat", b"garbage");
    play.admission.admit();
    play.delete("routes/chat");
    assert_eq!(play.told(), ["providers/p@1"]);
    play.put_bytes("routes/chat", b"garbage");
    assert_eq!(play.told(), ["providers/p@1", "routes/chat@5 unreadable"]);
}
