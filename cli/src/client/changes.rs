//! A document before and after, as lines that people compare.
//!
//! ```text
//!   ~ routes/chat
//!       /traffic/weights/gpt: 95 → 90
//!     + /aliases/1: gpt-4
//! ```

use crate::{output, tree::Tree};

/// One document's change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) key: String,
    before: Option<Tree>,
    after: Option<Tree>,
}

impl Change {
    /// Of `{key, before, after}`.
    pub(crate) fn of(tree: &Tree) -> Self {
        let side = |name| tree.get(name).filter(|side| **side != Tree::Null).cloned();
        Self {
            key: tree.get("key").map(Tree::to_string).unwrap_or_default(),
            before: side("before"),
            after: side("after"),
        }
    }

    /// What happened to it.
    pub(crate) fn word(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "created",
            (_, None) => "deleted",
            _ => "changed",
        }
    }

    /// Its lines.
    pub(crate) fn text(&self) -> String {
        let name = short(&self.key);
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => {
                let mut lines = format!("~ {name}\n");
                compare("", before, after, &mut lines);
                lines
            }
            (None, Some(after)) => format!("+ {name}\n{}", indented(after)),
            _ => format!("- {name}\n"),
        }
    }
}

/// `routes/chat` for `config/routes/chat`.
pub(crate) fn short(key: &str) -> &str {
    key.strip_prefix("config/").unwrap_or(key)
}

fn indented(tree: &Tree) -> String {
    let text = output::yaml(tree).unwrap_or_default();
    text.lines().map(|line| format!("    {line}\n")).collect()
}

fn compare(at: &str, before: &Tree, after: &Tree, lines: &mut String) {
    match (before, after) {
        _ if before.plain() == after.plain() => {}
        (Tree::Map(_), Tree::Map(_)) => {
            let names = before
                .fields()
                .iter()
                .chain(after.fields())
                .map(|(name, _)| name);
            let mut seen: Vec<&String> = Vec::new();
            for name in names {
                if !seen.contains(&name) {
                    seen.push(name);
                    sides(
                        &format!("{at}/{name}"),
                        before.get(name),
                        after.get(name),
                        lines,
                    );
                }
            }
        }
        (Tree::List(old), Tree::List(new)) => {
            for index in 0..old.len().max(new.len()) {
                sides(
                    &format!("{at}/{index}"),
                    old.get(index),
                    new.get(index),
                    lines,
                );
            }
        }
        _ => *lines += &format!("    {at}: {before} → {after}\n"),
    }
}

fn sides(at: &str, before: Option<&Tree>, after: Option<&Tree>, lines: &mut String) {
    match (before, after) {
        (Some(before), Some(after)) => compare(at, before, after, lines),
        (Some(before), None) => *lines += &format!("  - {at}: {before}\n"),
        (None, Some(after)) => *lines += &format!("  + {at}: {after}\n"),
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str) -> Change {
        Change::of(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_change_is_told_field_by_field() {
        let change = change(
            r#"{"key":"config/routes/chat",
                "before":{"name":"chat","aliases":["a"],"traffic":{"weights":{"gpt":95.0,"old":5.0},"canary":"x"}},
                "after":{"name":"chat","aliases":["a","gpt-4"],"traffic":{"weights":{"gpt":95,"claude":5.0},"canary":"y"},"cache":{"ttl":"5s"}}}"#,
        );
        assert_eq!(change.word(), "changed");
        let lines = [
            "~ routes/chat",
            "  + /aliases/1: gpt-4",
            "  - /traffic/weights/old: 5",
            "  + /traffic/weights/claude: 5",
            "    /traffic/canary: x → y",
            "  + /cache: {\"ttl\":\"5s\"}",
        ];
        assert_eq!(change.text(), lines.join("\n") + "\n");
    }

    #[test]
    fn what_is_new_is_shown_whole_and_what_goes_by_its_name() {
        let new = change(
            r#"{"key":"config/tiers/a","before":null,"after":{"name":"a","limits":{"concurrency":4}}}"#,
        );
        assert_eq!(new.word(), "created");
        assert_eq!(
            new.text(),
            "+ tiers/a\n    name: a\n    limits:\n      concurrency: 4\n"
        );
        let gone = change(r#"{"key":"config/tiers/a","before":{"name":"a"},"after":null}"#);
        assert_eq!(
            (gone.word(), gone.text().as_str()),
            ("deleted", "- tiers/a\n")
        );
    }
}
