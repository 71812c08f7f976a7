//! Our keys as etcd has them: with the prefix, as bytes, in ranges that are written with their end.
//!
//! A range is `…/config/` to `…/config0`, never a bare prefix without its delimiter: that would
//! hold its neighbours too. What comes back is checked again when it is read.

use bytes::Bytes;
use etcd_client::proto::PbKeyValue;
use serin_proto::{key::PREFIX, unit::Revision};

use crate::{Entry, Key, Range};

/// The key with the prefix.
pub(super) fn full(key: &Key) -> Vec<u8> {
    format!("{PREFIX}{key}").into_bytes()
}

/// The first key of a range, and the first behind it.
pub(super) fn bounds(range: &Range) -> (Vec<u8>, Vec<u8>) {
    let first = format!("{PREFIX}{}", range.prefix()).into_bytes();
    let mut end = first.clone();
    // Every range ends in the delimiter `/`: the next byte ends it.
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (first, end)
}

/// The key in etcd's bytes, if it is one of ours and of this range.
pub(super) fn parsed(bytes: &[u8], range: &Range) -> Option<Key> {
    let text = std::str::from_utf8(bytes).ok()?.strip_prefix(PREFIX)?;
    let key = Key::new(text).ok()?;
    range.contains(&key).then_some(key)
}

/// The entry in etcd's words; `None` when its key cannot be one of ours.
pub(super) fn entry(kv: PbKeyValue, range: &Range) -> Option<Entry> {
    Some(Entry {
        key: parsed(&kv.key, range)?,
        create_revision: revision(kv.create_revision),
        mod_revision: revision(kv.mod_revision),
        version: u64::try_from(kv.version).unwrap_or_default(),
        value: Bytes::from(kv.value),
    })
}

/// etcd's revisions are signed and never negative.
pub(super) fn revision(revision: i64) -> Revision {
    Revision(u64::try_from(revision).unwrap_or_default())
}

/// The number as etcd wants it.
pub(super) fn number(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;

    #[test]
    fn a_range_ends_right_behind_its_folder() {
        let table = [
            (Scope::Documents, "/serin/v1/config/", "/serin/v1/config0"),
            (Scope::Fleet, "/serin/v1/routers/", "/serin/v1/routers0"),
            (Scope::All, "/serin/v1/", "/serin/v10"),
        ];
        for (scope, first, end) in table {
            let expected = (first.as_bytes().to_vec(), end.as_bytes().to_vec());
            assert_eq!(bounds(&scope.range()), expected);
        }
    }

    #[test]
    fn a_neighbours_key_is_none_of_ours() {
        let range = Scope::Documents.range();
        let ours = parsed(b"/serin/v1/config/routes/a", &range);
        assert_eq!(ours.as_ref().map(Key::as_str), Some("config/routes/a"));
        let others: [&[u8]; 5] = [
            b"/serin/v1/config",
            b"/serin/v1/configured/a",
            b"/serin/v1/routers/a",
            b"/other/config/a",
            b"/serin/v1/config/\xff",
        ];
        for other in others {
            assert_eq!(parsed(other, &range), None, "{other:?}");
        }
    }
}
