//! What is kept as it was put: bytes, identity, last good forms over a restart.

use super::*;

#[test]
fn last_good_forms_outlive_a_restart_in_any_order() {
    let mut play = Play::begun();
    play.put("routes/other", route("other", "p"));
    play.put_bytes("routes/chat", b"garbage");
    play.delete("providers/p");
    let before = play.told();
    for goods_first in [true, false] {
        let mut again = Admission::new(Networks::default());
        let puts = |again: &mut Admission| {
            for key in play.admission.keys() {
                let stored = play.admission.stored(key).unwrap();
                again.put(
                    key,
                    stored.value,
                    stored.create_revision,
                    stored.mod_revision,
                );
            }
        };
        if !goods_first {
            puts(&mut again);
        }
        for (key, good) in play.admission.last_goods() {
            again.put_good(key, good.value, good.create_revision, good.mod_revision);
        }
        if goods_first {
            puts(&mut again);
        }
        assert_eq!(lines(&again.admit()), before);
    }
}

#[test]
fn a_kept_form_serves_only_where_nothing_newer_is_good() {
    let mut play = Play::begun();
    let chat = "config/routes/chat".parse().unwrap();
    let old = aliased("chat", &["old"]).to_string().into_bytes();
    play.admission
        .put_good(&chat, &old, Revision(1), Revision(1));
    assert_eq!(play.told(), ["providers/p@1", "routes/chat@2"]);
    // One that is not good by today's rules, or of what is gone, is of no use.
    let gone = "config/routes/gone".parse().unwrap();
    play.admission
        .put_good(&gone, &old, Revision(1), Revision(1));
    play.admission
        .put_good(&chat, b"garbage", Revision(1), Revision(9));
    assert_eq!(play.told(), ["providers/p@1", "routes/chat@2"]);
    assert_eq!(play.admission.last_goods().count(), 0);
}

#[test]
fn of_two_kept_forms_the_newer_serves() {
    let chat = "config/routes/chat".parse().unwrap();
    let forms = [Revision(3), Revision(4)];
    for order in [forms, [forms[1], forms[0]]] {
        let mut play = Play::new();
        play.put("providers/p", provider("p"));
        play.revision = 8;
        play.put_bytes("routes/chat", b"garbage");
        for revision in order {
            let form = route("chat", "p").to_string().into_bytes();
            play.admission.put_good(&chat, &form, revision, revision);
        }
        let expected = [
            "providers/p@1",
            "routes/chat@4",
            "routes/chat@9 unreadable, serves 4",
        ];
        assert_eq!(play.told(), expected);
    }
}

#[test]
fn every_stored_key_is_listed_good_or_not() {
    let mut play = Play::begun();
    play.put_bytes("routes/bad", b"garbage");
    play.put_bytes("rollouts/x", b"{}");
    play.delete("providers/p");
    play.admission.admit();
    let keys: Vec<&str> = play.admission.keys().collect();
    assert_eq!(
        keys,
        [
            "config/routes/bad",
            "config/routes/chat",
            "config/rollouts/x"
        ]
    );
    let stray = play.admission.stored("config/rollouts/x").unwrap();
    assert_eq!((stray.value, stray.mod_revision), (&b"{}"[..], Revision(4)));
    assert_eq!(play.admission.stored("config/routes/none"), None);
}

#[test]
fn what_is_put_again_unchanged_is_the_same_document() {
    let mut play = Play::begun();
    let chat = |admitted: &Admitted| {
        let key = "config/routes/chat".parse().unwrap();
        Arc::clone(&admitted.documents[&key].document)
    };
    let first = chat(&play.admission.admit());
    play.put("providers/q", provider("q"));
    assert!(Arc::ptr_eq(&first, &chat(&play.admission.admit())));
    // A touch is a new revision of the same document.
    play.put("routes/chat", route("chat", "p"));
    assert!(Arc::ptr_eq(&first, &chat(&play.admission.admit())));
    assert_eq!(
        play.told(),
        ["providers/p@1", "providers/q@3", "routes/chat@4"]
    );
    play.put("routes/chat", aliased("chat", &["x"]));
    assert!(!Arc::ptr_eq(&first, &chat(&play.admission.admit())));
}

#[test]
fn unknown_fields_are_accepted_and_counted() {
    let mut play = Play::begun();
    let mut newer = route("chat", "p");
    newer["shadow"] = json!({"of": "p"});
    newer["targets"][0]["region"] = json!("eu");
    play.put("routes/chat", newer.clone());
    assert_eq!(play.told(), ["providers/p@1", "routes/chat@3"]);
    assert_eq!(play.admission.unknown_fields(), 2);
    let bytes = newer.to_string().into_bytes();
    assert_eq!(
        play.admission.stored("config/routes/chat").unwrap().value,
        bytes
    );
}
