//! `serin rollout history`: what was done, by whom, and whether every decision follows from what
//! was recorded.

use super::{find, verify::verified, words::text};
use crate::{
    args::{remote::Form, rollout::History},
    client::{Api, list::list},
    exit::Failed,
    fit, output,
    tree::Tree,
};

/// Longest reason that a table shows, in characters.
const REASON_CHARACTERS_MAX: usize = 80;

/// What a record keeps between two changes: events, for `--verify` alone.
const CHECKPOINT: &str = "checkpoint";

/// Transitions as people call them; the API has their numbers.
const WORDS: [(&str, &str); 23] = [
    ("t1", "started"),
    ("t2", "ready"),
    ("t3", "not ready in time"),
    ("t4", "let in"),
    ("t5", "first step"),
    ("t6", "routers serve it"),
    ("t7", "step passed"),
    ("t8", "held"),
    ("t9", "failed"),
    ("t10", "aborted"),
    ("t11", "guard fired"),
    ("t12", "superseded"),
    ("t13", "plan changed"),
    ("t14", "resumed"),
    ("t15", "went on"),
    ("t16", "blind"),
    ("t17", "promoted"),
    ("t17a", "raised"),
    ("t18", "succeeded"),
    ("t19", "taken back"),
    ("t20", "undone"),
    ("t21", "by hand"),
    ("t22", "paused"),
];

pub(super) async fn history(history: &History) -> Result<(), Failed> {
    let api = Api::new(&history.answer.server)?;
    let id = find(&api, &history.which).await?;
    let listed = list(&api, &format!("rollouts/{id}/history"), None).await?;
    output::print(&match history.answer.output {
        Form::Json => output::json(&listed.tree())?,
        Form::Yaml => output::yaml(&listed.tree())?,
        Form::Table => table(&listed.items),
    })?;
    let kept = listed.items.iter().filter(|record| is_kept(record)).count();
    if history.answer.output == Form::Table && kept > 0 {
        let records = if kept == 1 { "record" } else { "records" };
        output::note(format_args!(
            "{kept} {records} between two changes not shown (-o json has all)"
        ));
    }
    if history.verify {
        output::note(format_args!("{}", verified(&listed.items)?));
    }
    Ok(())
}

/// Whether nothing has changed with it.
fn is_kept(record: &Tree) -> bool {
    text(record, "transition") == CHECKPOINT
}

fn table(records: &[Tree]) -> String {
    let row = |record: &Tree| {
        let reason = text(record, "reason").lines().collect::<Vec<_>>().join(" ");
        let transition = text(record, "transition");
        let word = WORDS.iter().find(|(number, _)| *number == transition);
        [
            text(record, "seq"),
            text(record, "at"),
            who(record),
            word.map_or(transition.clone(), |(_, word)| (*word).to_owned()),
            phase(record, "from"),
            phase(record, "to"),
            fit::cut(&reason, REASON_CHARACTERS_MAX),
        ]
    };
    let rows: Vec<[String; 7]> = records
        .iter()
        .filter(|record| !is_kept(record))
        .map(row)
        .collect();
    let head = ["SEQ", "AT", "WHO", "WHAT", "FROM", "TO", "REASON"];
    output::table(head, &rows)
}

/// A person's name, or that the control plane did it by itself.
fn who(record: &Tree) -> String {
    let [kind, id] = ["actor/type", "actor/id"].map(|path| text(record, path));
    if kind == "user" { id } else { kind }
}

/// A phase as a word or as an object with its sub.
fn phase(record: &Tree, field: &str) -> String {
    let word = text(record, &format!("{field}/phase"));
    let sub = text(record, &format!("{field}/sub"));
    match (word.is_empty(), sub.is_empty()) {
        (true, _) => text(record, field),
        (_, true) => word,
        _ => format!("{word}/{sub}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_say_who_did_what_and_why() {
        let records: Vec<Tree> = serde_json::from_value(json!([
            {"seq": "1", "at": "T1", "actor": {"type": "user", "id": "ada"}, "transition": "t1", "to": "Pending", "reason": "a\nb"},
            {"seq": "1", "at": "T1", "actor": {"type": "system"}, "transition": "checkpoint"},
            {"seq": "2", "at": "T2", "actor": {"type": "auto", "id": ""}, "transition": "t7",
             "from": {"phase": "Progressing", "sub": "Gated"}, "to": {"phase": "Progressing", "sub": "Applying"}},
        ]))
        .unwrap();
        let table = table(&records);
        let rows: Vec<String> = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(rows[1], "1 T1 ada started Pending a b");
        let long = json!({"transition": "t7", "reason": "x".repeat(90)});
        let long = super::table(&[serde_json::from_value(long).unwrap()]);
        assert!(long.trim_end().ends_with("xx…"), "{long}");
        assert_eq!(
            rows[2],
            "2 T2 auto step passed Progressing/Gated Progressing/Applying"
        );
    }
}
