//! Rust source without what is not code, and the paths it names.
//!
//! `bare` blanks comments, strings and characters but keeps lines; `shipped` ends it where the
//! tests begin; `paths` lists what follows a root such as `crate`, with `use` groups spread out.

/// Comments, strings and character literals blanked; every line break kept.
pub(crate) fn bare(text: &str) -> String {
    let mut left = text;
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    while let Some(next) = left.chars().next() {
        let length = if is_word(before) {
            None
        } else {
            raw_string(left)
        };
        let length = length
            .or_else(|| comment(left))
            .or_else(|| quoted(left))
            .unwrap_or(0);
        if length == 0 {
            out.push(next);
            before = next;
            left = &left[next.len_utf8()..];
            continue;
        }
        let (gone, rest) = left.split_at(length);
        out.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        before = ' ';
        left = rest;
    }
    out
}

/// The bare code outside tests. Test modules stand last in a file, so the rest is cut.
pub(crate) fn shipped(text: &str) -> String {
    let bare = bare(text);
    match bare.find("#[cfg(test)]") {
        Some(tests) => bare[..tests].to_owned(),
        None => bare,
    }
}

/// Whether the whole file is a test.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.starts_with("tests/")
}

/// The line number of a byte offset, from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Every whole-word occurrence of `word`, as byte offsets.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let before = code[..*at].chars().next_back().unwrap_or(' ');
            let after = code[at + word.len()..].chars().next().unwrap_or(' ');
            !is_word(before) && !is_word(after)
        })
}

/// Every path that starts with `root::`, without the root: `use crate::{a, b::c}` gives two.
pub(crate) fn paths(code: &str, root: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for at in words(code, root) {
        let Some(rest) = code[at + root.len()..].strip_prefix("::") else {
            continue;
        };
        let mut spread = Vec::new();
        tree(rest, &[], &mut spread);
        found.extend(spread.into_iter().map(|path| (line_of(code, at), path)));
    }
    found
}

/// Reads one use-tree, adds its leaves and returns what follows it.
fn tree<'a>(text: &'a str, prefix: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut inner) = text.strip_prefix('{') {
        loop {
            inner = inner.trim_start();
            if let Some(after) = inner.strip_prefix('}') {
                return after;
            }
            let rest = tree(inner, prefix, found).trim_start();
            // Every turn takes at least one character, so broken code cannot hold us here.
            let end = rest.find([',', '}']).unwrap_or(rest.len());
            inner = rest[end..].strip_prefix(',').unwrap_or(&rest[end..]);
            if inner.is_empty() {
                return inner;
            }
        }
    }
    let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
    let path = [prefix, &[text[..end].to_owned()]].concat();
    match text[end..].strip_prefix("::") {
        Some(rest) if rest.starts_with('{') || rest.starts_with(is_word) => {
            tree(rest, &path, found)
        }
        _ => {
            found.push(path);
            &text[end..]
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    text.starts_with("/*")
        .then(|| text.find("*/").map_or(text.len(), |end| end + 2))
}

/// The length of `r"…"`, `r#"…"#`, with or without `b`.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('b').unwrap_or(text).strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let open = text.len() - rest.len() + hashes;
    let body = text[open..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(open + 1 + body.find(&close)? + close.len())
}

/// The length of a string or character literal. A lifetime is neither.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| *c == '"' || *c == '\'')?;
    if quote == '\'' {
        let mut rest = text[1..].chars();
        let first = rest.next()?;
        if first != '\\' && rest.next()? != '\'' {
            return None;
        }
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return Some(at + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    Some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_code_is_blanked() {
        let table = [
            ("a // dbg!\nb", "a        \nb"),
            ("a /* x\ny */ b", "a     \n     b"),
            ("f(\"a\\\"b\") g", "f(      ) g"),
            ("r#\"a\"b\"# c", "         c"),
            ("'\"' x '\\'' y", "    x      y"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
        ];
        for (text, expected) in table {
            assert_eq!(bare(text), expected, "{text}");
        }
    }

    #[test]
    fn use_groups_are_spread_out() {
        let code = "use crate::{a, b::{self, c}, d::E as F};\nlet x = crate::g::h::<T>(1);";
        let spread: Vec<String> = paths(code, "crate")
            .iter()
            .map(|(line, p)| format!("{line} {}", p.join("::")))
            .collect();
        assert_eq!(spread, ["1 a", "1 b::self", "1 b::c", "1 d::E", "2 g::h"]);
    }

    #[test]
    fn tests_are_not_shipped() {
        assert_eq!(shipped("a\n#[cfg(test)]\nmod tests { b }"), "a\n");
        assert!(is_test_file("router/src/pick/tests.rs") && is_test_file("proto/tests/golden.rs"));
        assert!(!is_test_file("router/src/pick/assign.rs"));
    }
}
