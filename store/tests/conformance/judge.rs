//! Judges what a watcher recorded: was every change delivered, in order, once, and whole?
//!
//! Pure, and knows nothing but revisions and keys, so that tests of everything that watches can
//! include this file: the conformance suite gives it streams, the tests of a whole fleet give it
//! what routers logged. A recording may span several watches, each begun by [`Seen::Opened`]; the
//! truth, where it is known, is every committed change of the scope.
//!
//! The words are those of etcd's watch guarantees: ordered, unique, atomic, reliable, resumable,
//! bookmarkable (no change at or below an earlier progress).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A key, and the revision that changed it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mark {
    pub(crate) revision: u64,
    pub(crate) key: String,
    pub(crate) deleted: bool,
}

/// One thing that a watcher recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A watch was begun; `after`: everything up to there was seen before.
    Opened { after: Option<u64> },
    /// The whole scope, as it was at a revision.
    Reset { revision: u64, held: Vec<Mark> },
    /// Changes, in the order they came.
    Changes { revision: u64, marks: Vec<Mark> },
    /// Everything up to here was delivered.
    Progress { revision: u64 },
}

/// Every committed change of a scope, by revision.
pub(crate) type Truth = BTreeMap<u64, BTreeSet<Mark>>;

/// A promise that a recording breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The word of the promise.
    pub(crate) promise: &'static str,
    /// Which of the things recorded, from 0.
    pub(crate) at: usize,
    pub(crate) told: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}: not {}: {}", self.at, self.promise, self.told)
    }
}

/// All promises that a recording breaks; with the truth, also what it lacks.
pub(crate) fn judge(recording: &[Seen], truth: Option<&Truth>) -> Vec<Violation> {
    let mut judge = Judge {
        truth,
        position: None,
        bookmark: None,
        at: 0,
        found: Vec::new(),
    };
    for (at, seen) in recording.iter().enumerate() {
        judge.at = at;
        judge.see(seen);
    }
    judge.found
}

struct Judge<'a> {
    truth: Option<&'a Truth>,
    /// Everything up to here was delivered.
    position: Option<u64>,
    /// The newest progress of this watch.
    bookmark: Option<u64>,
    at: usize,
    found: Vec<Violation>,
}

impl Judge<'_> {
    fn see(&mut self, seen: &Seen) {
        match seen {
            Seen::Opened { after } => self.open(*after),
            Seen::Reset { revision, held } => self.reset(*revision, held),
            Seen::Changes { revision, marks } => self.changes(*revision, marks),
            Seen::Progress { revision } => self.progress(*revision),
        }
    }

    fn open(&mut self, after: Option<u64>) {
        if let (Some(after), Some(position)) = (after, self.position)
            && after > position
        {
            let told = format!("resumed after {after}, delivered up to {position}");
            self.breaks("resumable", told);
        }
        self.position = after;
        self.bookmark = None;
    }

    fn reset(&mut self, revision: u64, held: &[Mark]) {
        if let Some(position) = self.position.filter(|position| revision < *position) {
            let told = format!("a reset at {revision} after {position}");
            self.breaks("ordered", told);
        }
        if let Some(late) = held.iter().find(|mark| mark.revision > revision) {
            let told = format!("a reset at {revision} holds {late:?}");
            self.breaks("atomic", told);
        }
        if let Some(truth) = self.truth {
            let told: BTreeSet<Mark> = held.iter().cloned().collect();
            let expected = state_at(truth, revision);
            if told != expected {
                let told = difference(&expected, &told);
                self.breaks("reliable", format!("the reset at {revision}: {told}"));
            }
        }
        self.position = Some(revision);
    }

    fn changes(&mut self, revision: u64, marks: &[Mark]) {
        let Some(position) = self.position else {
            self.breaks("reliable", "changes before any reset".to_owned());
            self.position = Some(revision);
            return;
        };
        if marks.last().map(|mark| mark.revision) != Some(revision) {
            let told = format!("told as {revision}, but ends with {:?}", marks.last());
            self.breaks("atomic", told);
        }
        if let Some(pair) = marks
            .windows(2)
            .find(|pair| pair[0].revision > pair[1].revision)
        {
            self.breaks("ordered", format!("{:?} before {:?}", pair[0], pair[1]));
        }
        let old = marks.iter().find(|mark| mark.revision <= position);
        if let Some(old) = old {
            let bookmarked = self.bookmark.is_some_and(|mark| old.revision <= mark);
            let promise = if bookmarked { "bookmarkable" } else { "unique" };
            self.breaks(promise, format!("{old:?}, delivered up to {position}"));
        }
        let told: BTreeSet<Mark> = marks.iter().cloned().collect();
        if told.len() != marks.len() {
            self.breaks("unique", "one change twice in one event".to_owned());
        }
        self.complete(position, revision, &told);
        self.position = Some(position.max(revision));
    }

    fn progress(&mut self, revision: u64) {
        let Some(position) = self.position else {
            self.breaks("reliable", "progress before any reset".to_owned());
            return;
        };
        if revision < position {
            self.breaks("ordered", format!("progress {revision} after {position}"));
        }
        self.complete(position, revision, &BTreeSet::new());
        self.position = Some(position.max(revision));
        self.bookmark = Some(revision);
    }

    /// Whether what was told is all that happened between two revisions.
    fn complete(&mut self, after: u64, to: u64, told: &BTreeSet<Mark>) {
        let Some(truth) = self.truth else {
            return;
        };
        if after >= to {
            return;
        }
        let happened = truth.range(after + 1..=to);
        let expected: BTreeSet<Mark> = happened.flat_map(|(_, marks)| marks).cloned().collect();
        let told: BTreeSet<Mark> = told
            .iter()
            .filter(|mark| mark.revision > after)
            .cloned()
            .collect();
        if told != expected {
            let told = difference(&expected, &told);
            self.breaks("reliable", format!("({after}, {to}]: {told}"));
        }
    }

    fn breaks(&mut self, promise: &'static str, told: String) {
        let at = self.at;
        self.found.push(Violation { promise, at, told });
    }
}

/// The keys that are there at a revision.
fn state_at(truth: &Truth, revision: u64) -> BTreeSet<Mark> {
    let mut newest: BTreeMap<&str, &Mark> = BTreeMap::new();
    for mark in truth.range(..=revision).flat_map(|(_, marks)| marks) {
        newest.insert(&mark.key, mark);
    }
    let there = newest.into_values().filter(|mark| !mark.deleted);
    there.cloned().collect()
}

fn difference(expected: &BTreeSet<Mark>, told: &BTreeSet<Mark>) -> String {
    let lacking: Vec<&Mark> = expected.difference(told).take(5).collect();
    let surplus: Vec<&Mark> = told.difference(expected).take(5).collect();
    format!("lacking {lacking:?}, not true {surplus:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(revision: u64, key: &str) -> Mark {
        Mark {
            revision,
            key: key.to_owned(),
            deleted: false,
        }
    }

    fn changes(marks: &[Mark]) -> Seen {
        Seen::Changes {
            revision: marks.last().map(|mark| mark.revision).unwrap_or_default(),
            marks: marks.to_vec(),
        }
    }

    fn truth() -> Truth {
        let revisions = [
            vec![mark(2, "a"), mark(2, "b")],
            vec![mark(3, "a")],
            vec![Mark {
                deleted: true,
                ..mark(4, "b")
            }],
        ];
        let by_revision = revisions.into_iter();
        let by_revision = by_revision.map(|marks| (marks[0].revision, marks.into_iter().collect()));
        by_revision.collect()
    }

    fn gone(revision: u64, key: &str) -> Mark {
        Mark {
            deleted: true,
            ..mark(revision, key)
        }
    }

    #[test]
    fn a_true_recording_passes_however_it_was_cut() {
        let whole = Seen::Reset {
            revision: 1,
            held: Vec::new(),
        };
        let (two, three) = ([mark(2, "a"), mark(2, "b")], [mark(3, "a"), gone(4, "b")]);
        let open = |after| Seen::Opened { after };
        let rows = [
            vec![open(None), whole.clone(), changes(&two), changes(&three)],
            vec![
                open(None),
                whole.clone(),
                changes(&two),
                open(Some(2)),
                changes(&three),
            ],
            vec![
                open(Some(2)),
                Seen::Progress { revision: 2 },
                changes(&three),
            ],
            vec![
                open(None),
                Seen::Reset {
                    revision: 4,
                    held: vec![mark(3, "a")],
                },
            ],
        ];
        for recording in rows {
            assert_eq!(judge(&recording, Some(&truth())), [], "{recording:?}");
        }
    }

    #[test]
    fn each_broken_promise_is_named() {
        let begun = || Seen::Opened { after: Some(1) };
        let two = || changes(&[mark(2, "a"), mark(2, "b")]);
        let progress = |revision| Seen::Progress { revision };
        let rows = [
            (
                "ordered",
                vec![
                    begun(),
                    changes(&[mark(3, "a"), mark(2, "a"), mark(3, "b")]),
                ],
            ),
            ("ordered", vec![begun(), two(), progress(1)]),
            ("unique", vec![begun(), two(), two()]),
            (
                "atomic",
                vec![
                    begun(),
                    Seen::Changes {
                        revision: 3,
                        marks: vec![mark(2, "a")],
                    },
                ],
            ),
            ("reliable", vec![begun(), changes(&[mark(2, "a")])]),
            ("reliable", vec![begun(), changes(&[mark(3, "a")])]),
            ("reliable", vec![begun(), two(), progress(3)]),
            ("reliable", vec![two()]),
            (
                "reliable",
                vec![Seen::Reset {
                    revision: 4,
                    held: vec![mark(3, "a"), mark(2, "b")],
                }],
            ),
            (
                "resumable",
                vec![begun(), two(), Seen::Opened { after: Some(3) }],
            ),
            (
                "bookmarkable",
                vec![begun(), progress(2), changes(&[mark(2, "a")])],
            ),
        ];
        for (promise, recording) in rows {
            let found = judge(&recording, Some(&truth()));
            let named = found.iter().any(|violation| violation.promise == promise);
            assert!(named, "{promise}: {found:?} in {recording:?}");
        }
    }
}
