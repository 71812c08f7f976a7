//! True histories and forks, made at random: none of the former is held, and of the latter none is
//! accepted that shows.

use proptest::{collection::vec, prelude::*, test_runner::Config};

use super::*;

/// What truly happened to one key: its value, if it has one, and when that came to be.
#[derive(Clone, Debug)]
struct Fate {
    value: Option<Vec<u8>>,
    created: u64,
    touched: u64,
}

#[derive(Clone, Debug, Default)]
struct Store {
    revision: u64,
    keys: BTreeMap<&'static str, Fate>,
}

/// One transaction. `Elsewhere` writes nothing that routers follow: a report, an audit record.
#[derive(Clone, Debug)]
enum Step {
    Put(Vec<usize>),
    Delete(Vec<usize>),
    Elsewhere,
}

const KEYS: [&str; 6] = [
    "config/routes/a",
    "config/routes/b",
    "config/providers/p",
    "config/keys/k",
    "config/tiers/t",
    "config/no document",
];

impl Store {
    /// `branch` tells the values of two histories apart, as those of two operators are.
    fn after(mut self, steps: &[Step], branch: u8) -> Self {
        for step in steps {
            self.revision += 1;
            let (places, puts) = match step {
                Step::Put(places) => (places.as_slice(), true),
                Step::Delete(places) => (places.as_slice(), false),
                Step::Elsewhere => (&[][..], false),
            };
            for place in places {
                self.touch(KEYS[*place], puts.then(|| vec![branch, *place as u8]));
            }
        }
        self
    }

    fn touch(&mut self, key: &'static str, value: Option<Vec<u8>>) {
        let before = self.keys.get(key).filter(|fate| fate.value.is_some());
        if before.is_none() && value.is_none() {
            return;
        }
        let fate = Fate {
            value,
            created: before.map_or(self.revision, |fate| fate.created),
            touched: self.revision,
        };
        self.keys.insert(key, fate);
    }

    fn side(&self) -> Side<'_> {
        let version = |(key, fate): (&&'static str, &'_ Fate)| (*key, fate.created, fate.touched);
        let live = self.keys.iter().filter(|(_, fate)| fate.value.is_some());
        let keys = live.map(|entry| {
            let (key, created, modified) = version(entry);
            let version = Version {
                value: entry.1.value.as_deref().unwrap_or_default(),
                created: Revision(created),
                modified: Revision(modified),
            };
            (key, version)
        });
        Side {
            identity: "one",
            revision: Revision(self.revision),
            keys: keys.collect(),
        }
    }

    fn has(&self, kind: Option<Kind>) -> bool {
        let side = self.side();
        let mut documents = side.keys.keys().filter_map(|key| document(key));
        documents.any(|key| kind.is_none_or(|kind| key.kind == kind))
    }
}

fn steps(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Step>> {
    let places = || vec(0..KEYS.len(), 1..4);
    let step = prop_oneof![
        4 => places().prop_map(Step::Put),
        1 => places().prop_map(Step::Delete),
        2 => Just(Step::Elsewhere),
    ];
    vec(step, count)
}

/// Whether the other branch still shows, at or below `seen`, a key that one of both wrote after
/// they had parted at `parted`. Where it does not, nothing in a listing could tell.
fn shows(ours: &Store, theirs: &Store, parted: u64) -> bool {
    let touched = |store: &Store, key| store.keys.get(key).map_or(0, |fate| fate.touched);
    theirs.revision < ours.revision
        || theirs.side().keys.iter().any(|(key, version)| {
            let parted_here = touched(ours, key) > parted || version.modified.0 > parted;
            parted_here && version.modified.0 <= ours.revision
        })
}

proptest! {
    #![proptest_config(Config { cases: 1_000, max_global_rejects: 20_000, ..Config::default() })]

    #[test]
    fn no_true_history_is_held(before in steps(0..20), since in steps(0..20)) {
        let held = Store::default().after(&before, 0);
        let now = held.clone().after(&since, 0);
        let emptied = held.has(Some(Kind::Route)) && !now.has(None);
        let expected = if emptied { Err(Hold::Empty) } else { Ok(()) };
        prop_assert_eq!(compare(&held.side(), &now.side()), expected);
    }

    #[test]
    fn no_fork_that_shows_is_accepted(
        before in steps(0..12), ours in steps(1..12), theirs in steps(0..24),
    ) {
        let base = Store::default().after(&before, 0);
        let (ours, theirs) = (base.clone().after(&ours, 1), base.clone().after(&theirs, 2));
        prop_assume!(shows(&ours, &theirs, base.revision));
        prop_assert!(compare(&ours.side(), &theirs.side()).is_err());
    }

    #[test]
    fn no_store_of_another_identity_is_accepted(before in steps(0..12), since in steps(0..12)) {
        let held = Store::default().after(&before, 0);
        let now = held.clone().after(&since, 0);
        let listed = Side { identity: "two", ..now.side() };
        prop_assert_eq!(compare(&held.side(), &listed), Err(Hold::ClusterChanged));
    }
}

/// `key modified created value`, a line for each key.
fn side(revision: u64, text: &str) -> Side<'_> {
    let keys = text.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| Revision(words[at].parse().expect("a number"));
        let version = Version {
            value: words[3].as_bytes(),
            created: number(2),
            modified: number(1),
        };
        (words[0], version)
    });
    Side {
        identity: "one",
        revision: Revision(revision),
        keys: keys.collect(),
    }
}

#[rustfmt::skip]
#[test]
fn what_can_and_what_cannot_have_become_of_what_was_seen() {
    const HELD: &str = "config/routes/a 3 3 x\nconfig/routes/b 7 2 y";
    let table = [
        ("as it was",              9,  HELD,                                                      Ok(())),
        ("one is gone",            10, "config/routes/a 3 3 x",                                   Ok(())),
        ("gone without a change",  9,  "config/routes/a 3 3 x",                                   Err(Hold::HistoryDiffers)),
        ("changed above",          10, "config/routes/a 10 3 z\nconfig/routes/b 7 2 y",           Ok(())),
        ("deleted, made anew",     11, "config/routes/a 11 11 z\nconfig/routes/b 7 2 y",          Ok(())),
        ("changed below",          10, "config/routes/a 4 3 z\nconfig/routes/b 7 2 y",            Err(Hold::HistoryDiffers)),
        ("an older form is back",  10, "config/routes/a 3 3 x\nconfig/routes/b 2 2 y",            Err(Hold::HistoryDiffers)),
        ("other bytes",            10, "config/routes/a 3 3 z\nconfig/routes/b 7 2 y",            Err(Hold::HistoryDiffers)),
        ("new above",              10, "config/routes/c 10 10 z",                                 Ok(())),
        ("new below",              10, "config/routes/c 9 9 z",                                   Err(Hold::HistoryDiffers)),
        ("new, made below",        10, "config/routes/c 10 8 z",                                  Err(Hold::HistoryDiffers)),
        ("made at another time",   10, "config/routes/a 10 2 z",                                  Err(Hold::HistoryDiffers)),
        ("from the future",        10, "config/routes/a 11 3 z",                                  Err(Hold::HistoryDiffers)),
        ("an older store",         8,  "config/routes/a 3 3 x",                                   Err(Hold::RevisionRegressed)),
        ("wiped",                  1,  "",                                                        Err(Hold::RevisionRegressed)),
        ("emptied",                10, "",                                                        Err(Hold::Empty)),
        ("only what is none",      10, "config/none 10 10 z",                                     Err(Hold::Empty)),
        ("all routes are gone",    10, "config/keys/k 10 10 z",                                   Ok(())),
    ];
    for (what, revision, listed, expected) in table {
        assert_eq!(compare(&side(9, HELD), &side(revision, listed)), expected, "{what}");
    }
    assert_eq!(compare(&side(9, "config/keys/k 3 3 x"), &side(10, "")), Ok(()), "no route is lost");
    assert_eq!(compare(&side(0, ""), &side(0, "")), Ok(()), "empty as before");
}

#[test]
fn only_a_mark_made_after_the_last_contact_adopts() {
    let made = |at_ms: u64| Ulid::from_parts(at_ms, 7);
    assert!(adopts(made(5_001), None, 5_000));
    assert!(adopts(made(5_001), Some(made(4_000)), 5_000));
    assert!(!adopts(made(5_000), None, 5_000), "a backup holds it");
    assert!(!adopts(made(5_001), Some(made(5_001)), 0), "once only");
    assert!(!adopts(made(5_001), Some(made(6_000)), 0), "an older one");
}

#[test]
fn a_mark_is_read_by_its_ulid_and_junk_is_none() {
    let made = Ulid::from_parts(1_700_000_000_000, 42);
    let text = format!(r#"{{"ulid":"{made}","by":"root","reason":"restored"}}"#);
    assert_eq!(mark(text.as_bytes()), Some(made));
    for junk in ["", "{}", r#"{"ulid":"soon"}"#, "\u{0}"] {
        assert_eq!(mark(junk.as_bytes()), None, "{junk:?}");
    }
}
