//! Who has a name or a secret that two documents want.

use super::*;

#[test]
fn of_two_routes_with_one_name_the_older_has_it() {
    let table = [
        // Both in the order in which they are created, what is rejected, and why.
        (
            aliased("a", &["x"]),
            aliased("b", &["x"]),
            "b",
            "/aliases/0: \"x\" is already an alias of route a",
        ),
        (
            aliased("b", &["x"]),
            aliased("a", &["y", "x"]),
            "a",
            "/aliases/1: \"x\" is already an alias of route b",
        ),
        (
            aliased("a", &["b"]),
            aliased("b", &[]),
            "b",
            "/name: \"b\" is already an alias of route a",
        ),
        (
            aliased("b", &[]),
            aliased("a", &["b"]),
            "a",
            "/aliases/0: \"b\" is already the name of route b",
        ),
    ];
    for (first, second, loser, message) in table {
        let mut play = Play::new();
        play.put("providers/p", provider("p"));
        for route in [&first, &second] {
            play.put(
                &format!("routes/{}", route["name"].as_str().unwrap()),
                route.clone(),
            );
        }
        let winner = if loser == "a" { "b" } else { "a" };
        let expected = [
            "providers/p@1".to_owned(),
            format!("routes/{winner}@2"),
            format!("routes/{loser}@3 alias_taken"),
        ];
        assert_eq!(play.told(), expected);
        assert_eq!(play.message(&format!("routes/{loser}")), message);
        // The name is free again.
        play.delete(&format!("routes/{winner}"));
        assert_eq!(
            play.told(),
            ["providers/p@1".to_owned(), format!("routes/{loser}@3")]
        );
    }
}

#[test]
fn an_older_route_that_takes_a_name_later_has_it_all_the_same() {
    let mut play = Play::begun();
    play.put("routes/new", aliased("new", &["x"]));
    assert_eq!(
        play.told(),
        ["providers/p@1", "routes/chat@2", "routes/new@3"]
    );
    play.put("routes/chat", aliased("chat", &["x"]));
    assert_eq!(
        play.told(),
        ["providers/p@1", "routes/chat@4", "routes/new@3 alias_taken"]
    );
    // Its last good form comes back as soon as it can serve.
    play.put_bytes("routes/new", b"garbage");
    play.put("routes/chat", route("chat", "p"));
    let told = play.told();
    assert_eq!(
        told,
        ["providers/p@1", "routes/chat@6", "routes/new@5 unreadable"]
    );
}

#[test]
fn a_last_good_form_serves_again_when_what_stood_in_its_way_is_gone() {
    let mut play = Play::begun();
    play.put("routes/new", aliased("new", &["x"]));
    play.admission.admit();
    play.put_bytes("routes/new", b"garbage");
    let held = [
        "providers/p@1",
        "routes/chat@2",
        "routes/new@3",
        "routes/new@4 unreadable, serves 3",
    ];
    assert_eq!(play.told(), held);
    play.put("routes/chat", aliased("chat", &["x"]));
    assert_eq!(
        play.told(),
        ["providers/p@1", "routes/chat@5", "routes/new@4 unreadable"]
    );
    play.put("routes/chat", route("chat", "p"));
    let back = [
        "providers/p@1",
        "routes/chat@6",
        "routes/new@3",
        "routes/new@4 unreadable, serves 3",
    ];
    assert_eq!(play.told(), back);
}

#[test]
fn one_secret_is_one_keys() {
    let mut play = Play::new();
    play.put("keys/web", key("web", 'a', ""));
    play.put("keys/job", key("job", 'A', ""));
    assert_eq!(play.told(), ["keys/web@1", "keys/job@2 duplicate_secret"]);
    let message = "/secrets/0/sha256: is already a secret of key web";
    assert_eq!(play.message("keys/job"), message);
}
