//! `serin rollout history`: what was done, by whom, and whether every decision follows from what
//! was recorded.

use serin_control_plane::rollout::{record::Record, verify::verify};

use super::{find, words::text};
use crate::{
    args::{remote::Form, rollout::History},
    client::{Api, list::list},
    exit::Failed,
    output,
    tree::Tree,
};

/// Longest reason that a table shows, in characters.
const REASON_CHARACTERS_MAX: usize = 80;

pub(super) async fn history(history: &History) -> Result<(), Failed> {
    let api = Api::new(&history.server)?;
    let id = find(&api, &history.which).await?;
    let listed = list(&api, &format!("rollouts/{id}/history"), None).await?;
    output::print(&match history.output {
        Form::Json => output::json(&listed.tree())?,
        Form::Yaml => output::yaml(&listed.tree())?,
        Form::Table => table(&listed.items),
    })?;
    if history.verify {
        eprintln!("{}", verified(&listed.items)?);
    }
    Ok(())
}

fn table(records: &[Tree]) -> String {
    let row = |record: &Tree| {
        let reason: String = text(record, "reason")
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(REASON_CHARACTERS_MAX)
            .collect();
        [
            text(record, "seq"),
            text(record, "at"),
            who(record),
            text(record, "transition"),
            phase(record, "from"),
            phase(record, "to"),
            reason,
        ]
    };
    let rows: Vec<[String; 7]> = records.iter().map(row).collect();
    let head = ["SEQ", "AT", "WHO", "TRANSITION", "FROM", "TO", "REASON"];
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

/// Says that everything follows, or what does not.
fn verified(records: &[Tree]) -> Result<String, Failed> {
    let read = |record: &Tree| {
        let json = serde_json::to_value(record).unwrap_or_default();
        serde_json::from_value::<Record>(json).map_err(|error| {
            let seq = text(record, "seq");
            Failed::because(format!("record {seq} cannot be read: {error}"))
        })
    };
    let records: Vec<Record> = records.iter().map(read).collect::<Result<_, _>>()?;
    let found =
        verify(&records).map_err(|broken| Failed::because(format!("not true: {broken}")))?;
    let mut told = format!(
        "true: {} records are chained, {} events lead to what they say",
        found.records, found.events
    );
    if found.unreplayed > 0 {
        told += &format!(
            "; of {} the beginning is gone, their chain alone was checked",
            found.unreplayed
        );
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_say_who_did_what_and_why() {
        let records: Vec<Tree> = serde_json::from_value(json!([
            {"seq": "1", "at": "T1", "actor": {"type": "user", "id": "ada"}, "transition": "t1", "to": "Pending", "reason": "a\nb"},
            {"seq": "2", "at": "T2", "actor": {"type": "auto", "id": ""}, "transition": "t7",
             "from": {"phase": "Progressing", "sub": "Gated"}, "to": {"phase": "Progressing", "sub": "Applying"}},
        ]))
        .unwrap();
        let table = table(&records);
        let rows: Vec<String> = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(rows[1], "1 T1 ada t1 Pending a");
        assert_eq!(
            rows[2],
            "2 T2 auto t7 Progressing/Gated Progressing/Applying"
        );
    }
}
