//! The files that belong to the project.
//!
//! Everything below the top folder that is text, except what is built, installed or fetched.

use std::fs;
use std::path::{Path, PathBuf};

/// A text file; its path is relative to the top folder, with `/` between the parts.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

const LEFT_OUT: [&str; 8] = [
    "target",
    ".git",
    ".tools",
    "node_modules",
    ".venv",
    "__pycache__",
    "serin-data",
    "out",
];

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// All files, sorted by path.
pub(crate) fn files() -> Vec<File> {
    let top = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    walk(&top, "", &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(
        found.iter().any(|file| file.path == "tests/tidy/tree.rs"),
        "the walk went astray"
    );
    found
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<File>) {
    let entries = fs::read_dir(folder).expect("a folder of the project can be read");
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() && !LEFT_OUT.contains(&name.as_str()) {
            walk(&entry.path(), &format!("{path}/"), found);
        } else if kind.is_file() {
            // What is not UTF-8 is not text: nothing here judges it.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                found.push(File { path, text });
            }
        }
    }
}
