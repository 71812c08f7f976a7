//! A transcript: read, played, and compared line by line.

use std::{fs, path::Path, process::Output};

use crate::gateway::Gateway;

/// Stands for anything on a line.
const ANYTHING: &str = "[..]";

/// Files and commands in the order they are written.
pub(crate) struct Transcript {
    steps: Vec<Step>,
}

enum Step {
    File { name: String, text: String },
    Run { line: String, expected: Expected },
}

#[derive(Default)]
struct Expected {
    out: Vec<String>,
    err: Vec<String>,
    code: i32,
}

impl Transcript {
    pub(crate) fn read(text: &str) -> Self {
        let mut steps = Vec::new();
        for line in text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
        {
            if let Some(name) = line.strip_prefix("> ") {
                let (name, text) = (name.to_owned(), String::new());
                steps.push(Step::File { name, text });
            } else if let Some(line) = line.strip_prefix("$ ") {
                let (line, expected) = (line.to_owned(), Expected::default());
                steps.push(Step::Run { line, expected });
            } else {
                let step = steps.last_mut().expect("a transcript begins with > or $");
                step.take(line);
            }
        }
        Self { steps }
    }

    /// Plays it and tells what was not as written.
    pub(crate) fn play(&self, gateway: &Gateway, folder: &Path) -> Vec<String> {
        let mut faults = Vec::new();
        for step in &self.steps {
            match step {
                Step::File { name, text } => {
                    fs::write(folder.join(name), text).expect("the folder can be written");
                }
                Step::Run { line, expected } => {
                    let (line, into) = match line.split_once(" > ") {
                        Some((line, into)) => (line, Some(into)),
                        None => (line.as_str(), None),
                    };
                    let mut output = gateway.run(line);
                    if let Some(into) = into {
                        let printed = std::mem::take(&mut output.stdout);
                        fs::write(folder.join(into), printed).expect("the folder can be written");
                    }
                    faults.extend(expected.compare(line, &output));
                }
            }
        }
        faults
    }
}

impl Step {
    fn take(&mut self, line: &str) {
        match self {
            Self::File { text, .. } => {
                let line = line
                    .strip_prefix("  ")
                    .expect("a file's lines begin with two spaces");
                *text += &format!("{line}\n");
            }
            Self::Run { expected, .. } => {
                if let Some(line) = line.strip_prefix('!') {
                    expected.err.push(line.trim_start().to_owned());
                } else if let Some(code) = line.strip_prefix("? ") {
                    expected.code = code.parse().expect("an exit code is a number");
                } else {
                    expected.out.push(line.to_owned());
                }
            }
        }
    }
}

impl Expected {
    fn compare(&self, line: &str, output: &Output) -> Option<String> {
        let text = |bytes: &[u8]| -> Vec<String> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.lines()
                .filter(|line| !line.trim().is_empty())
                .map(str::to_owned)
                .collect()
        };
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        let err: Vec<String> = err
            .iter()
            .map(|line| line.trim_start().to_owned())
            .collect();
        let code = output.status.code().unwrap_or(-1);
        if code == self.code && same(&self.out, &out) && same(&self.err, &err) {
            return None;
        }
        let err: Vec<String> = err.iter().map(|line| format!("! {line}")).collect();
        Some(format!(
            "\n$ {line}\n{}\n{}\n? {code}",
            out.join("\n"),
            err.join("\n")
        ))
    }
}

fn same(expected: &[String], printed: &[String]) -> bool {
    let fits = expected
        .iter()
        .zip(printed)
        .all(|(expected, line)| fits(expected, line));
    expected.len() == printed.len() && fits
}

fn fits(expected: &str, line: &str) -> bool {
    let mut pieces = expected.split(ANYTHING);
    let Some(mut rest) = line.strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, between)) = pieces.split_last() else {
        return rest.is_empty();
    };
    for piece in between {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn a_line_fits_what_was_written_of_it() {
    for (expected, line, is_fit) in [
        ("a b", "a b", true),
        ("a b", "a b c", false),
        ("a [..] c", "a b c", true),
        ("a [..] c", "a b d", false),
        ("[..]b[..]", "abc", true),
        ("[..]", "", true),
        ("a[..]a", "a", false),
    ] {
        assert_eq!(fits(expected, line), is_fit, "{expected} {line}");
    }
}
