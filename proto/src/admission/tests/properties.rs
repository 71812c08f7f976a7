//! What holds for any sequence of writes.
//!
//! Few names and much strife: routes want each other's names, providers come and go, half of what
//! is written is bad.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// One put or delete.
#[derive(Clone, Debug)]
struct Write {
    key: &'static str,
    /// `None`: a delete.
    value: Option<String>,
}

const PROVIDERS: [&str; 3] = ["p", "q", "o"];
const ROUTES: [&str; 4] = ["a", "b", "c", "d"];
const KEYS: [&str; 3] = ["k", "l", "m"];

fn good_provider(name: &'static str) -> impl Strategy<Value = Json> {
    select(vec!["https://a.example", "https://b.example"]).prop_map(move |url| {
        let mut json = provider(name);
        json["baseUrl"] = json!(url);
        json
    })
}

fn good_route(name: &'static str) -> impl Strategy<Value = Json> {
    let aliases = prop::sample::subsequence(vec!["a", "b", "c", "x", "y"], 0..3);
    (aliases, select(&PROVIDERS[..])).prop_map(move |(mut aliases, provider)| {
        aliases.retain(|alias| *alias != name);
        let mut json = route(name, provider);
        json["aliases"] = json!(aliases);
        json
    })
}

fn good_key(name: &'static str) -> impl Strategy<Value = Json> {
    let digit = select(vec!['1', '2', '3']);
    (digit, select(vec!["", "t", "u"])).prop_map(move |(digit, tier)| key(name, digit, tier))
}

/// The store key of some document, and a value that is good for itself.
fn good() -> impl Strategy<Value = (&'static str, String)> {
    fn under(
        prefix: &'static str,
        name: &'static str,
        json: BoxedStrategy<Json>,
    ) -> BoxedStrategy<(&'static str, String)> {
        let key: &'static str = format!("{prefix}/{name}").leak();
        json.prop_map(move |json| (key, json.to_string())).boxed()
    }
    let providers = PROVIDERS.map(|name| under("providers", name, good_provider(name).boxed()));
    let routes = ROUTES.map(|name| under("routes", name, good_route(name).boxed()));
    let keys = KEYS.map(|name| under("keys", name, good_key(name).boxed()));
    let tiers = ["t", "u"].map(|name| under("tiers", name, Just(tier(name)).boxed()));
    let union = |list: Vec<BoxedStrategy<_>>| prop::strategy::Union::new(list);
    prop_oneof![
        3 => union(routes.to_vec()),
        2 => union(providers.to_vec()),
        2 => union(keys.to_vec()),
        1 => union(tiers.to_vec()),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    let bad = select(vec!["garbage", "{}", "[]", "{\"name\": \"other\"}"]);
    let kind = prop_oneof![6 => Just(0), 2 => Just(1), 2 => Just(2)];
    (good(), bad, kind).prop_map(|((key, good), bad, kind)| Write {
        key,
        value: match kind {
            0 => Some(good),
            1 => Some(bad.to_owned()),
            _ => None,
        },
    })
}

impl Play {
    fn write(&mut self, write: &Write) {
        match &write.value {
            Some(value) => self.put_bytes(write.key, value.as_bytes()),
            None => self.delete(write.key),
        }
    }

    /// Writes all, asking after those for which `asks` says so, and at the end.
    fn written(writes: &[(Write, bool)]) -> Self {
        let mut play = Self::new();
        for (write, asks) in writes {
            play.write(write);
            if *asks {
                play.admission.admit();
            }
        }
        play.admission.admit();
        play
    }
}

/// What is served and told, with the identity of each document.
fn all(admitted: &Admitted) -> (Vec<String>, Vec<*const Document>) {
    let documents = admitted.documents.values();
    let pointers = documents.map(|serving| Arc::as_ptr(&serving.document));
    (lines(admitted), pointers.collect())
}

/// Those that serve side by side, the others left out.
fn only_good(mut documents: BTreeMap<&'static str, String>) -> BTreeMap<&'static str, String> {
    loop {
        let mut play = Play::new();
        for (key, value) in &documents {
            play.put_bytes(key, value.as_bytes());
        }
        let rejected = rejected_keys(&play.admission.admit());
        if rejected.is_empty() {
            return documents;
        }
        documents.retain(|key, _| !rejected.contains(&format!("config/{key}")));
    }
}

fn rejected_keys(admitted: &Admitted) -> BTreeSet<String> {
    admitted
        .rejected
        .iter()
        .map(|rejected| rejected.key.clone())
        .collect()
}

fn writes() -> impl Strategy<Value = Vec<(Write, bool)>> {
    vec((write(), any::<bool>()), 0..40)
}

proptest! {
    /// What is settled among those a change can affect is what would be settled among all.
    #[test]
    fn a_part_settles_as_the_whole_does(writes in writes()) {
        let mut play = Play::written(&writes);
        let part = play.admission.admit();
        let everything: Vec<DocumentKey> = play.admission.slots.keys().cloned().collect();
        play.admission.unsettled.extend(everything);
        prop_assert_eq!(all(&part), all(&play.admission.admit()));
    }

    /// P10: where all is good, only what is stored counts, not how it came there.
    #[test]
    fn any_order_of_good_documents_serves_the_same(
        documents in vec(good(), 0..16),
        before in writes(),
        order in any::<prop::sample::Index>(),
    ) {
        let newest = only_good(documents.into_iter().collect());
        let put_all = |play: &mut Play, turn: usize, asks: bool| {
            let mut list: Vec<_> = newest.iter().enumerate().collect();
            let middle = turn.min(list.len());
            list.rotate_left(middle);
            for (i, (key, value)) in list {
                let revision = Revision(1_000 + i as u64);
                play.admission.put(&format!("config/{key}"), value.as_bytes(), revision, revision);
                if asks {
                    play.admission.admit();
                }
            }
            play.admission.admit()
        };
        let at_once = put_all(&mut Play::new(), 0, false);
        prop_assert_eq!(&at_once.rejected, &[]);
        let mut play = Play::written(&before);
        let old: Vec<String> = play.admission.keys().map(str::to_owned).collect();
        for key in old.iter().filter(|key| !newest.contains_key(key.trim_start_matches("config/"))) {
            play.admission.delete(key);
        }
        let turn = order.index(newest.len() + 1);
        prop_assert_eq!(lines(&put_all(&mut play, turn, true)), lines(&at_once));
        prop_assert_eq!(play.admission.last_goods().count(), 0);
    }

    /// P10: what is bad for itself is refused alone.
    #[test]
    fn a_bad_document_changes_no_other(writes in writes(), bad in write()) {
        let mut play = Play::written(&writes);
        let before = play.admission.admit();
        play.put_bytes(bad.key, b"{\"name\": []}");
        let after = play.admission.admit();
        prop_assert_eq!(all(&before).1, all(&after).1);
        let key = format!("config/{}", bad.key);
        // Who needs a provider that was gone and is there again, though bad, is rejected no more.
        let others = |admitted: &Admitted| -> BTreeSet<(String, String)> {
            let others = admitted.rejected.iter().filter(|rejected| rejected.key != key);
            others.map(|rejected| (rejected.key.clone(), rejected.code.clone())).collect()
        };
        prop_assert!(others(&after).is_subset(&others(&before)));
        prop_assert!(rejected_keys(&after).contains(&key));
    }

    /// P12: a change is judged faulty if and only if routers would refuse something for it.
    #[test]
    fn a_change_is_judged_as_routers_will_judge_it(writes in writes(), change in vec(write(), 1..4)) {
        let mut play = Play::written(&writes);
        let before = rejected_keys(&play.admission.admit());
        let change: BTreeMap<&str, Option<String>> =
            change.into_iter().map(|write| (write.key, write.value)).collect();
        let mut proposed = Vec::new();
        for (key, value) in &change {
            let key: DocumentKey = format!("config/{key}").parse().unwrap();
            let read = value.as_ref().map(|value| Document::read_strict(key.kind, value.as_bytes()));
            // What cannot be read is refused before anybody judges.
            let Ok(document) = read.transpose() else { return Ok(()) };
            proposed.push(Proposed { key, document });
        }
        let judgement = play.admission.judge(&proposed);
        play.revision += 1;
        let revision = Revision(play.revision);
        for Proposed { key, document } in &proposed {
            let text = key.to_string();
            let created = play.admission.stored(&text).map_or(revision, |stored| stored.create_revision);
            match document {
                Some(document) => play.admission.put(&text, &document.to_json(), created, revision),
                None => play.admission.delete(&text),
            }
        }
        let after = play.admission.admit();
        let written = |key: &String| proposed.iter().any(|p| p.key.to_string() == **key);
        let refused: Vec<String> = rejected_keys(&after)
            .into_iter()
            .filter(|key| written(key) || !before.contains(key))
            .collect();
        prop_assert_eq!(judgement.faults.is_empty(), refused.is_empty(), "{:#?}\n{:?}", judgement.faults, refused);
    }

    /// A process that follows a store for a year must not remember all of it.
    #[test]
    fn nothing_is_left_of_what_is_gone(writes in writes()) {
        let mut play = Play::written(&writes);
        let keys: Vec<String> = play.admission.keys().map(str::to_owned).collect();
        for key in keys {
            play.admission.delete(&key);
        }
        prop_assert_eq!(lines(&play.admission.admit()), [""; 0]);
        prop_assert!(play.admission.slots.is_empty());
        prop_assert!(play.admission.ties.is_empty());
    }

    /// A router that restarts with its snapshot file serves what it served.
    #[test]
    fn a_restart_changes_nothing(writes in writes()) {
        let mut play = Play::written(&writes);
        let before = play.admission.admit();
        let mut again = Admission::new(play.admission.networks.clone());
        for key in play.admission.keys() {
            let stored = play.admission.stored(key).unwrap();
            again.put(key, stored.value, stored.create_revision, stored.mod_revision);
        }
        for (key, good) in play.admission.last_goods() {
            again.put_good(key, good.value, good.create_revision, good.mod_revision);
        }
        prop_assert_eq!(lines(&again.admit()), lines(&before));
    }
}
