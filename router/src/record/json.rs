//! JSON objects written straight into a buffer: a line is written for every request, and building
//! it as a value first would cost more than the request's own bookkeeping.
//!
//! Always: every text is escaped unless all of its bytes are plain.

use std::{io::Write as _, time::Duration};

use time::OffsetDateTime;

/// An object under construction. Keys are ours and need no escaping.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    pub(super) fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    pub(super) fn close(self) {
        self.out.push(b'}');
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        if value
            .bytes()
            .all(|byte| (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\')
        {
            self.out.push(b'"');
            self.out.extend_from_slice(value.as_bytes());
            self.out.push(b'"');
        } else {
            // Writing into memory cannot fail, and a string is always JSON.
            let _ = serde_json::to_writer(&mut *self.out, value);
        }
    }

    /// Nothing at all for `None`: what is absent is left out.
    pub(super) fn maybe(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    pub(super) fn bool(&mut self, key: &str, value: bool) {
        self.raw(key, if value { "true" } else { "false" });
    }

    pub(super) fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        self.out
            .extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Milliseconds with three decimals.
    pub(super) fn millis(&mut self, key: &str, value: Duration) {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        self.number(key, micros / 1000);
        let _ = write!(self.out, ".{:03}", micros % 1000);
    }

    /// A value that is JSON already.
    pub(super) fn raw(&mut self, key: &str, value: &str) {
        self.key(key);
        self.out.extend_from_slice(value.as_bytes());
    }

    pub(super) fn list<T>(&mut self, key: &str, items: &[T], write: impl Fn(&T, &mut Object<'_>)) {
        self.key(key);
        self.out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            let mut one = Object::open(self.out);
            write(item, &mut one);
            one.close();
        }
        self.out.push(b']');
    }

    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

/// Writes times as RFC 3339 with microseconds, UTC. Most lines share their second with the one
/// before, so its text is kept.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: Option<u64>,
    text: String,
}

impl Stamp {
    pub(super) fn of(&mut self, at_unix: Duration) -> &str {
        use std::fmt::Write as _;
        if self.second != Some(at_unix.as_secs()) {
            self.second = Some(at_unix.as_secs());
            self.text = date_and_time(at_unix.as_secs());
        }
        self.text.truncate("2026-01-01T00:00:00".len());
        let _ = write!(self.text, ".{:06}Z", at_unix.subsec_micros());
        &self.text
    }
}

fn date_and_time(unix_s: u64) -> String {
    let at = i64::try_from(unix_s)
        .ok()
        .and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    format!(
        "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}",
        u8::from(month)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json_whatever_the_text() {
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        object.text("plain", "gpt-4.1");
        object.text("hostile", "a\"b\\c\nd\u{1b}[31m\u{2028}é");
        object.maybe("absent", None);
        object.number("n", 7);
        object.millis("ms", Duration::from_micros(12_045));
        object.bool("yes", true);
        object.list("tried", &[1, 2], |n, one| one.number("n", *n));
        object.close();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let expected = serde_json::json!({
            "plain": "gpt-4.1", "hostile": "a\"b\\c\nd\u{1b}[31m\u{2028}é", "n": 7, "ms": 12.045,
            "yes": true, "tried": [{"n": 1}, {"n": 2}],
        });
        assert_eq!(value, expected);
        assert!(!out.contains(&b'\n'), "one line");
    }

    #[test]
    fn times_are_rfc_3339() {
        let mut stamp = Stamp::default();
        let at = |s, us| Duration::from_secs(s) + Duration::from_micros(us);
        assert_eq!(
            stamp.of(at(1_795_270_803, 7)),
            "2026-11-21T14:20:03.000007Z"
        );
        assert_eq!(
            stamp.of(at(1_795_270_803, 999_999)),
            "2026-11-21T14:20:03.999999Z"
        );
        assert_eq!(stamp.of(at(0, 0)), "1970-01-01T00:00:00.000000Z");
    }
}
