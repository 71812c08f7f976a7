//! What is wrong with a document, and where.
//!
//! A fault always has a JSON pointer; from a file it also has line and column. It never repeats a
//! value that could be a secret. The same type tells warnings: what differs is the list it is in.

use std::fmt;

/// Most faults one reading tells; who has more begins with these.
pub const FAULTS_MAX: usize = 1_000;

/// One fault or warning. `Display` is `serin.yaml:12:7: /routes/0/traffic/weights: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// As the reader was given it; `None` for what came from no file.
    pub file: Option<String>,
    /// From 1; together with `column` or not at all.
    pub line: Option<u32>,
    /// From 1, in characters.
    pub column: Option<u32>,
    /// RFC 6901, relative to the whole text; empty for the whole itself.
    pub pointer: String,
    /// Stable word for programs.
    pub code: &'static str,
    /// What is wrong and the way out.
    pub message: String,
}

impl Fault {
    /// A fault that has no place in a text yet.
    pub fn new(pointer: &Pointer, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            file: None,
            line: None,
            column: None,
            pointer: pointer.0.clone(),
            code,
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
        }
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{line}:{column}:")?;
        }
        if self.file.is_some() || self.line.is_some() {
            write!(f, " ")?;
        }
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// A JSON pointer (RFC 6901) that grows downwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointer(String);

impl Pointer {
    /// The pointer to the whole.
    pub fn root() -> Self {
        Self::default()
    }

    /// To the value under `key`.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut text = String::with_capacity(self.0.len() + key.len() + 1);
        text.push_str(&self.0);
        text.push('/');
        for c in key.chars() {
            match c {
                '~' => text.push_str("~0"),
                '/' => text.push_str("~1"),
                _ => text.push(c),
            }
        }
        Self(text)
    }

    /// To the element at `index`, from 0.
    #[must_use]
    pub fn at(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The pieces of a pointer, unescaped.
pub(crate) fn segments(pointer: &str) -> impl Iterator<Item = String> + '_ {
    pointer
        .split('/')
        .skip(1)
        .map(|piece| piece.replace("~1", "/").replace("~0", "~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_as_much_of_its_place_as_it_knows() {
        let at = Pointer::root().key("routes").at(0).key("a/b~c");
        let mut fault = Fault::new(&at, "x", "is wrong");
        assert_eq!(fault.to_string(), "/routes/0/a~1b~0c: is wrong");
        fault.file = Some("serin.yaml".to_owned());
        assert_eq!(fault.to_string(), "serin.yaml: /routes/0/a~1b~0c: is wrong");
        fault.line = Some(12);
        fault.column = Some(7);
        assert_eq!(
            fault.to_string(),
            "serin.yaml:12:7: /routes/0/a~1b~0c: is wrong"
        );
        fault.pointer.clear();
        assert_eq!(fault.to_string(), "serin.yaml:12:7: is wrong");
    }

    #[test]
    fn a_pointer_comes_apart_into_the_keys_it_was_made_of() {
        let at = Pointer::root().key("a/b~c").at(3).key("~1");
        assert_eq!(
            segments(at.as_str()).collect::<Vec<_>>(),
            ["a/b~c", "3", "~1"]
        );
        assert_eq!(segments("").count(), 0);
    }
}
