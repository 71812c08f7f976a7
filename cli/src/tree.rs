//! A JSON value that keeps its fields in the order in which it was written.
//!
//! What a control plane answers is shown as it came: a newer one may tell more than this program
//! knows, and nothing of it is lost between `export` and `apply`.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;

/// One value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Tree {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// The field of that name; nothing where this is no map or has none.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.fields()
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value)
    }

    /// The value that a path of fields leads to: `traffic/canary`.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        path.split('/').try_fold(self, |tree, name| tree.get(name))
    }

    pub(crate) fn fields(&self) -> &[(String, Self)] {
        match self {
            Self::Map(fields) => fields,
            _ => &[],
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            _ => None,
        }
    }

    /// As people write it: `95` for `95.0`, and names first. Both are read alike.
    pub(crate) fn plain(&self) -> Self {
        match self {
            Self::Number(number) => Self::Number(plain(number)),
            Self::List(items) => Self::List(items.iter().map(Self::plain).collect()),
            Self::Map(fields) => {
                let plain = |(name, value): &(String, Self)| (name.clone(), value.plain());
                let mut fields: Vec<_> = fields.iter().map(plain).collect();
                // Stable: the others keep their order.
                fields.sort_by_key(|(name, _)| name != "name");
                Self::Map(fields)
            }
            other => other.clone(),
        }
    }
}

/// Largest whole number that every double up to it can hold.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

fn plain(number: &Number) -> Number {
    let is_whole = |float: &f64| float.fract() == 0.0 && float.abs() <= WHOLE_MAX;
    let whole = number
        .as_f64()
        .filter(|float| number.is_f64() && is_whole(float));
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
    whole.map_or_else(|| number.clone(), |float| Number::from(float as i64))
}

/// In one line: texts bare, everything else as JSON.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            other => f.write_str(&serde_json::to_string(&other.plain()).unwrap_or_default()),
        }
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(fields) => serializer.collect_map(fields.iter().map(|(k, v)| (k, v))),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Number::from_f64(value).map_or(Tree::Null, Tree::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = entries.next_entry()? {
            fields.push(field);
        }
        Ok(Tree::Map(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_printed_as_it_was_read() {
        let text =
            r#"{"name":"z","b":[1,2.5,-3,null],"a":{"y":true,"x":"…"},"big":18446744073709551615}"#;
        let tree: Tree = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&tree).unwrap(), text);
        assert_eq!(tree.at("a/x").and_then(Tree::text), Some("…"));
        assert_eq!(tree.at("a/nothing"), None);
        assert_eq!(tree.at("name/x"), None);
    }

    #[test]
    fn whole_numbers_are_shown_as_people_write_them() {
        let tree: Tree = serde_json::from_str(r#"{"a":95.0,"b":[0.5,1e300,-0.0,7]}"#).unwrap();
        assert_eq!(tree.to_string(), r#"{"a":95,"b":[0.5,1e+300,0,7]}"#);
        let named: Tree = serde_json::from_str(r#"[{"z":1,"name":"n","a":2}]"#).unwrap();
        assert_eq!(named.to_string(), r#"[{"name":"n","z":1,"a":2}]"#);
        assert_eq!(Tree::Text("a b".to_owned()).to_string(), "a b");
    }
}
