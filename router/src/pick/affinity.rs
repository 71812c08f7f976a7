//! What keeps a caller with the same target?
//!
//! A route names places to look, in order; the first that holds something wins. Where none does,
//! the request is drawn at random.
//! Not here: reading headers and bodies (the caller of `find` does), the assignment (`assign.rs`).

use std::borrow::Cow;

/// Separates the parts of what is hashed, so that no two lists of parts look alike.
pub(super) const SEPARATOR: u8 = 0x1f;

/// One entry of a route's `affinity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub place: Place,
    /// The entry as written, except that header names are in lower case. It is hashed with the
    /// value, so that equal values from different places are different callers.
    kind: Box<str>,
}

/// Where an affinity value is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A request header, its name in lower case.
    Header(Box<str>),
    /// A string or number of the body's top level.
    Body(Box<str>),
    /// Key name, system prompt and first user message.
    Conversation,
    /// The key's name: all traffic of one application stays together.
    Key,
}

impl Rule {
    /// Reads one word of a document; `None` if it is none of those the contract knows.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let place = match word.split_once(':') {
            Some(("header", name)) if !name.is_empty() => {
                Place::Header(name.to_ascii_lowercase().into())
            }
            Some(("body", name)) if !name.is_empty() => Place::Body(name.into()),
            None if word == "conversation" => Place::Conversation,
            None if word == "key" => Place::Key,
            _ => return None,
        };
        let kind = match &place {
            Place::Header(name) => format!("header:{name}").into(),
            _ => word.into(),
        };
        Some(Self { place, kind })
    }
}

/// What keeps this request where it was, if anything does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Affinity<'a> {
    /// Requests of equal kind and value go to the same target.
    Sticky { kind: &'a str, value: Cow<'a, [u8]> },
    /// Nothing was found: a draw decides.
    Drawn,
}

/// Asks `look` for each place in order, until one holds something that is not empty.
pub(crate) fn find<'a>(
    rules: &'a [Rule],
    mut look: impl FnMut(&'a Place) -> Option<Cow<'a, [u8]>>,
) -> Affinity<'a> {
    for rule in rules {
        if let Some(value) = look(&rule.place).filter(|value| !value.is_empty()) {
            return Affinity::Sticky {
                kind: &rule.kind,
                value,
            };
        }
    }
    Affinity::Drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_document_are_read_and_others_are_not() {
        let table = [
            (
                "header:X-Session-Id",
                Some((Place::Header("x-session-id".into()), "header:x-session-id")),
            ),
            ("body:user", Some((Place::Body("user".into()), "body:user"))),
            ("body:a:b", Some((Place::Body("a:b".into()), "body:a:b"))),
            ("conversation", Some((Place::Conversation, "conversation"))),
            ("key", Some((Place::Key, "key"))),
            ("header:", None),
            ("body:", None),
            ("key:x", None),
            ("cookie:x", None),
            ("Conversation", None),
            ("", None),
        ];
        for (word, read) in table {
            let rule = read.map(|(place, kind)| Rule {
                place,
                kind: kind.into(),
            });
            assert_eq!(Rule::parse(word), rule, "{word:?}");
        }
    }

    #[test]
    fn the_first_place_that_holds_something_wins() {
        let words = ["header:x-session-id", "body:user", "key"];
        let rules: Vec<_> = words.into_iter().filter_map(Rule::parse).collect();
        let found = |values: [&'static str; 3]| {
            let mut asked = 0;
            let affinity = find(&rules, |place| {
                assert_eq!(place, &rules[asked].place, "in order");
                asked += 1;
                Some(Cow::Borrowed(values[asked - 1].as_bytes()))
            });
            (affinity, asked)
        };
        let sticky = |kind, value: &'static str| Affinity::Sticky {
            kind,
            value: Cow::Borrowed(value.as_bytes()),
        };
        assert_eq!(
            found(["s", "u", "k"]),
            (sticky("header:x-session-id", "s"), 1)
        );
        assert_eq!(found(["", "u", "k"]), (sticky("body:user", "u"), 2));
        assert_eq!(found(["", "", "k"]), (sticky("key", "k"), 3));
        assert_eq!(found(["", "", ""]), (Affinity::Drawn, 3));
        assert_eq!(find(&[], |_| None), Affinity::Drawn);
        assert_eq!(find(&rules, |_| None), Affinity::Drawn);
    }
}
