//! Data for stdout: tables for people, JSON and YAML for programs.
//!
//! Nothing but the live view of a rollout is coloured. A reader that has gone away
//! (`serin get routes | head -1`) is no failure, and what would go on for ever ends then
//! ([`unread`]).

use std::{
    env,
    fmt::Display,
    future,
    io::{self, ErrorKind, IsTerminal as _, Write as _},
    os::fd::AsFd as _,
};

use comfy_table::{Table, presets};
use serde::Serialize;
use tokio::{io::Interest, net::unix::pipe::Sender};

use crate::{exit::Failed, tree::Tree};

/// Space between two columns.
const GAP: u16 = 3;
/// Columns and rows of a terminal that does not say.
pub(crate) const TERMINAL: (usize, usize) = (80, 24);

/// Writes data to stdout; a newline is added if it lacks one.
pub(crate) fn print(text: &str) -> Result<(), Failed> {
    let mut out = io::stdout().lock();
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let written = out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(end.as_bytes()))
        .and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failed::because(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// One line of data.
pub(crate) fn line(text: impl Display) {
    // Nobody is left to be told that it cannot be written.
    let _ = writeln!(io::stdout(), "{text}");
}

/// One line on stderr, for people.
pub(crate) fn note(text: impl Display) {
    // As above.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Resolves when nobody reads stdout any more. What is no pipe is always read.
pub(crate) async fn unread() {
    let stdout = io::stdout();
    let watched = stdout.as_fd().try_clone_to_owned();
    // Nothing is written by it, so its mode is left as it is: others share it. A file or /dev/null
    // cannot be watched: nobody can leave it.
    let watched = watched.and_then(Sender::from_owned_fd_unchecked);
    match &watched {
        Ok(stdout) if stdout.ready(Interest::ERROR).await.is_ok() => {}
        _ => future::pending().await,
    }
}

/// Columns and rows of the terminal that stdout is; `None`: it is none.
pub(crate) fn terminal() -> Option<(usize, usize)> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok();
    let size = size.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    size.filter(|(columns, rows)| *columns > 0 && *rows > 0)
        .or(Some(TERMINAL))
}

/// Whether colours are wanted: `NO_COLOR` is absent or empty (no-color.org).
pub(crate) fn may_paint() -> bool {
    env::var_os("NO_COLOR").is_none_or(|word| word.is_empty())
}

/// Pretty JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Failed> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Failed::because(format!("cannot be written as JSON: {error}")))
}

/// YAML that `apply` and `validate` read back as the same value.
pub(crate) fn yaml(value: &Tree) -> Result<String, Failed> {
    serde_saphyr::to_string(&value.plain())
        .map_err(|error| Failed::because(format!("cannot be written as YAML: {error}")))
}

/// Columns under their headings, left-aligned, without lines.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(head);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_table_is_columns_under_their_headings() {
        let rows = [
            ["chat".to_owned(), "gpt 95, claude 5".to_owned()],
            ["embeddings".to_owned(), String::new()],
        ];
        let text = "NAME         TRAFFIC\nchat         gpt 95, claude 5\nembeddings\n";
        assert_eq!(table(["NAME", "TRAFFIC"], &rows), text);
        assert_eq!(table(["NAME"], &[]), "NAME\n");
    }

    proptest! {
        #[test]
        fn yaml_reads_back_as_what_was_printed(
            name in "\\PC{0,20}|true|~|1e3|0x1F|- a|a: b|#|007|\\n|.inf|<<",
            long in "[ -~\\n\\té]{0,160}|[a-z ]{0,200}",
            number in any::<f64>().prop_filter("finite", |n| n.is_finite()),
        ) {
            // A route, so that the strict reading is the judge.
            let text = serde_json::json!({"routes": [{
                "name": name, "aliases": [long, name],
                "targets": [{"name": name, "price": {"input": number}}],
                "traffic": {"weights": {"a": 95.0, "b": number}},
            }]});
            let tree: Tree = serde_json::from_value(text.clone()).unwrap();
            let printed = yaml(&tree).unwrap();
            let read: serde_json::Value = serde_saphyr::from_str(&printed).unwrap();
            let file: serin_proto::v1::File = serde_json::from_value(read).unwrap();
            let wanted: serin_proto::v1::File = serde_json::from_value(text).unwrap();
            prop_assert_eq!(file, wanted, "{}", printed);
        }
    }
}
