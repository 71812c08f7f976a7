//! What a router's log says it was given, judged against what was acknowledged.
//!
//! A router at level debug writes one line `config applied` per batch it received: its kind, its
//! revision and each changed key as `key@revision`, with `-` in front of a deletion. From these
//! lines follow the promises of a watch: revisions only rise, no change comes twice, and after the
//! last line the router holds the newest revision of every key that was written.

use std::collections::BTreeMap;

use serde_json::Value;

/// One batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub kind: Kind,
    pub revision: u64,
    pub changes: Vec<Change>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Reset,
    Changes,
    Progress,
}

/// One key of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: String,
    pub revision: u64,
    pub deleted: bool,
}

/// The batches of a JSON log, in order. Other lines are not looked at.
///
/// # Panics
/// When a line says `config applied` and cannot be read as such: the checker must not be blind.
pub fn batches(log: &str) -> Vec<Batch> {
    log.lines()
        .filter(|line| line.contains("config applied"))
        .map(|line| batch(line).unwrap_or_else(|| panic!("not a batch: {line}")))
        .collect()
}

fn batch(line: &str) -> Option<Batch> {
    let line: Value = serde_json::from_str(line).ok()?;
    // tracing puts fields beside the message or under `fields`.
    let fields = line.get("fields").unwrap_or(&line);
    let kind = match fields["kind"].as_str()? {
        "reset" => Kind::Reset,
        "changes" => Kind::Changes,
        "progress" => Kind::Progress,
        _ => return None,
    };
    let number = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    let changed = fields["changed"].as_str().unwrap_or_default();
    let changes = changed.split(',').filter(|text| !text.is_empty());
    Some(Batch {
        kind,
        revision: number(&fields["revision"])?,
        changes: changes.map(change).collect::<Option<_>>()?,
    })
}

fn change(text: &str) -> Option<Change> {
    let (key, revision) = text.rsplit_once('@')?;
    let deleted = key.starts_with('-');
    Some(Change {
        key: key.trim_start_matches('-').to_owned(),
        revision: revision.parse().ok()?,
        deleted,
    })
}

/// Everything wrong with the history of one router: order, uniqueness, atomicity, completeness.
/// `written`: the revision of the newest acknowledged write of each key, and whether it deleted it.
pub fn violations(log: &[Batch], written: &BTreeMap<String, (u64, bool)>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut held: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut seen, mut promised) = (0, 0);
    for batch in log {
        match batch.kind {
            Kind::Progress => promised = promised.max(batch.revision),
            Kind::Reset => held.clear(),
            Kind::Changes => {}
        }
        if batch.kind == Kind::Progress {
            continue;
        }
        if batch.revision < seen || batch.kind == Kind::Changes && batch.revision == seen {
            faults.push(format!("revision {} after {seen}", batch.revision));
        }
        let mut last = 0;
        for change in &batch.changes {
            if batch.kind == Kind::Changes && change.revision <= seen.max(promised) {
                faults.push(format!("{change:?} after {seen}, promised {promised}"));
            }
            if batch.kind == Kind::Changes && change.revision < last {
                faults.push(format!("{change:?} after {last} in one batch"));
            }
            last = last.max(change.revision);
            if change.deleted {
                held.remove(change.key.as_str());
            } else {
                held.insert(&change.key, change.revision);
            }
        }
        if last > batch.revision {
            faults.push(format!(
                "a change of {last} in a batch of {}",
                batch.revision
            ));
        }
        seen = seen.max(batch.revision);
    }
    for (key, (revision, deleted)) in written {
        match held.get(key.as_str()) {
            None if *deleted => {}
            Some(held) if !deleted && held >= revision => {}
            found => faults.push(format!(
                "{key} was written at {revision} (deleted: {deleted}), held is {found:?}"
            )),
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[(&str, u64, &str)]) -> Vec<Batch> {
        let line = |(kind, revision, changed): &(&str, u64, &str)| {
            format!(
                "{{\"message\":\"config applied\",\"kind\":\"{kind}\",\"revision\":{revision},\
                 \"changed\":\"{changed}\"}}\n"
            )
        };
        batches(&lines.iter().map(line).collect::<String>())
    }

    fn written(keys: &[(&str, u64, bool)]) -> BTreeMap<String, (u64, bool)> {
        keys.iter()
            .map(|(key, revision, deleted)| ((*key).to_owned(), (*revision, *deleted)))
            .collect()
    }

    #[test]
    fn a_true_history_passes_and_each_kind_of_fault_is_seen() {
        let good = log(&[
            ("reset", 5, "a@3,b@5"),
            ("progress", 6, ""),
            ("changes", 8, "a@7,-b@8"),
        ]);
        let all = written(&[("a", 7, false), ("b", 8, true)]);
        assert_eq!(violations(&good, &all), Vec::<String>::new());

        let table: [(&str, Vec<Batch>); 6] = [
            (
                "a change was lost",
                log(&[("reset", 5, "a@3,b@5"), ("changes", 8, "-b@8")]),
            ),
            (
                "a deletion was lost",
                log(&[("reset", 5, "b@5"), ("changes", 7, "a@7")]),
            ),
            ("a change came twice", {
                log(&[
                    ("reset", 5, "b@5"),
                    ("changes", 8, "a@7,-b@8"),
                    ("changes", 8, "-b@8"),
                ])
            }),
            (
                "order",
                log(&[("reset", 5, "b@5"), ("changes", 8, "-b@8,a@7")]),
            ),
            ("behind a promise", {
                log(&[
                    ("reset", 5, "b@5"),
                    ("progress", 8, ""),
                    ("changes", 8, "a@7,-b@8"),
                ])
            }),
            ("a revision went back", {
                log(&[("reset", 9, "a@7"), ("reset", 8, "a@7")])
            }),
        ];
        for (name, batches) in table {
            assert!(!violations(&batches, &all).is_empty(), "{name}");
        }
    }
}
