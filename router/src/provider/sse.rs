//! Where do the events of a stream end?
//!
//! Bytes come in as the network cut them; whole events go out, as the same bytes. An event ends
//! at an empty line, a line ends at LF, CRLF or CR, mixed too.
//!
//! Always: any cutting of the same bytes gives the same events, and what was delivered is a prefix
//! of what came, byte for byte. So a provider that dies inside an event leaves the caller's parser
//! on a clean border. A CR at the end of a chunk delivers at once: an LF that still belongs to it
//! is handed on later and ends no line.
//! Not here: what an event means (`content.rs`, `usage.rs`).

use std::borrow::Cow;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// The longest event we hold, in bytes, its empty line included. A longer one is a failure of the
/// provider: without a bound, one endless line would fill our memory.
pub(crate) const EVENT_BYTES_MAX: usize = 1024 * 1024;

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// An event is longer than [`EVENT_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than 1 MiB")]
pub(crate) struct TooLong;

/// Cuts one stream into events. One per attempt: it is never reused.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// What came after the last whole event.
    tail: BytesMut,
    /// How many bytes of the byte order mark were seen; 3 = it came or cannot come any more.
    mark_seen: usize,
    /// Bytes at the start of `tail` that belong to no event: the byte order mark.
    skipped: usize,
    /// The last byte was a CR, so an LF that comes next ends nothing.
    after_cr: bool,
    /// The current line has at least one byte.
    in_line: bool,
    /// The current event has at least one line that is not empty.
    has_lines: bool,
}

/// The bytes of the events that one chunk completed, as they came.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    /// What may be relayed; empty if the chunk completed nothing.
    pub bytes: Bytes,
    // Nearly every chunk completes one event, so the first one needs no allocation.
    first: Option<Range<usize>>,
    more: Vec<Range<usize>>,
}

impl Whole {
    /// Where the events lie in `bytes`, in order, each with its closing empty line. Stray empty
    /// lines and a byte order mark are in `bytes` but in no event.
    pub(crate) fn events(&self) -> impl Iterator<Item = Range<usize>> {
        self.first.iter().chain(&self.more).cloned()
    }

    /// The same, opened: each event ready to be asked for its name and data.
    pub(crate) fn opened(&self) -> impl Iterator<Item = Event<'_>> {
        self.events()
            .filter_map(|range| self.bytes.get(range))
            .map(Event::new)
    }

    fn add(&mut self, event: Range<usize>) {
        match self.first {
            None => self.first = Some(event),
            Some(_) => self.more.push(event),
        }
    }
}

impl Splitter {
    /// Takes the next bytes and gives back those of whole events. Copies nothing if no unfinished
    /// event was waiting and none is left.
    pub(crate) fn push(&mut self, mut chunk: Bytes) -> Result<Whole, TooLong> {
        let mut whole = Whole::default();
        let waiting = self.tail.len();
        let end = self.scan(&chunk, waiting, &mut whole);
        if waiting == 0 {
            whole.bytes = chunk.split_to(end);
            self.tail.extend_from_slice(&chunk);
        } else {
            self.tail.extend_from_slice(&chunk);
            if end > 0 {
                whole.bytes = self.tail.split_to(waiting + end).freeze();
            }
        }
        let too_long = |event: Range<usize>| event.len() > EVENT_BYTES_MAX;
        if self.tail.len() > EVENT_BYTES_MAX || whole.events().any(too_long) {
            return Err(TooLong);
        }
        Ok(whole)
    }

    /// Whether the stream, ending here, ends inside an event.
    pub(crate) fn finish(&self) -> bool {
        !self.tail.is_empty()
    }

    /// Finds the events that end in `chunk`, which follows `waiting` bytes of tail, and returns
    /// where in `chunk` the last of them ends (0: none does).
    fn scan(&mut self, chunk: &[u8], waiting: usize, whole: &mut Whole) -> usize {
        let mut delivered = 0;
        let mut line = self.scan_mark(chunk, waiting);
        if self.after_cr && !chunk.is_empty() {
            self.after_cr = false;
            if chunk.first() == Some(&b'\n') {
                line = 1;
                // With no tail the CR has been delivered; its LF follows at once.
                delivered = usize::from(waiting == 0);
            }
        }
        let mut start = if delivered > 0 { 1 } else { self.skipped };
        while let Some(end) = next_line_end(chunk, line) {
            let is_empty = end.at == line && !self.in_line;
            self.in_line = false;
            self.after_cr = end.is_open_cr;
            line = end.next;
            if !is_empty {
                self.has_lines = true;
                continue;
            }
            if self.has_lines {
                whole.add(start..waiting + line);
            }
            self.has_lines = false;
            self.skipped = 0;
            start = waiting + line;
            delivered = line;
        }
        if line < chunk.len() {
            self.in_line = true;
        }
        delivered
    }

    /// Steps over a byte order mark at the very start of the stream, which may be cut anywhere,
    /// and returns where in `chunk` the first line begins or goes on.
    fn scan_mark(&mut self, chunk: &[u8], waiting: usize) -> usize {
        let mut at = 0;
        while let (Some(wanted), Some(byte)) = (BYTE_ORDER_MARK.get(self.mark_seen), chunk.get(at))
        {
            if byte != wanted {
                // Not a mark after all: what looked like one begins the first line.
                self.in_line = self.mark_seen > 0;
                self.mark_seen = BYTE_ORDER_MARK.len();
                return at;
            }
            at += 1;
            self.mark_seen += 1;
            if self.mark_seen == BYTE_ORDER_MARK.len() {
                self.skipped = waiting + at;
            }
        }
        at
    }
}

/// One event, its lines not yet looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    bytes: &'a [u8],
}

impl<'a> Event<'a> {
    /// `bytes` as [`Whole::events`] delimits them.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// What the last `event:` line says.
    pub(crate) fn name(&self) -> Option<&'a [u8]> {
        self.values(b"event").last()
    }

    /// What the `data:` lines say, joined by LF; `None` if there are none (a comment, a ping).
    /// Allocates only if there are several.
    pub(crate) fn data(&self) -> Option<Cow<'a, [u8]>> {
        let mut values = self.values(b"data");
        let first = values.next()?;
        let Some(second) = values.next() else {
            return Some(Cow::Borrowed(first));
        };
        let mut joined = [first, b"\n", second].concat();
        for value in values {
            joined.push(b'\n');
            joined.extend_from_slice(value);
        }
        Some(Cow::Owned(joined))
    }

    /// The values of one field, in order.
    fn values(&self, field: &'static [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        let mut line = 0;
        std::iter::from_fn(move || {
            let end = next_line_end(bytes, line)?;
            let text = bytes.get(line..end.at)?;
            line = end.next;
            Some(text)
        })
        .filter_map(move |text| value_of(text, field))
    }
}

/// The value of `field` if that is what this line sets: a colon, then at most one space.
fn value_of<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(field)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

struct LineEnd {
    /// Of the LF or CR.
    at: usize,
    /// Where the next line begins.
    next: usize,
    /// A CR as the last byte of the chunk: whether an LF belongs to it is not known yet.
    is_open_cr: bool,
}

fn next_line_end(bytes: &[u8], from: usize) -> Option<LineEnd> {
    let rest = bytes.get(from..)?;
    let at = from + memchr2(b'\n', b'\r', rest)?;
    let next = at + 1;
    if bytes.get(at) == Some(&b'\n') {
        return Some(LineEnd {
            at,
            next,
            is_open_cr: false,
        });
    }
    match bytes.get(next) {
        Some(b'\n') => Some(LineEnd {
            at,
            next: next + 1,
            is_open_cr: false,
        }),
        following => Some(LineEnd {
            at,
            next,
            is_open_cr: following.is_none(),
        }),
    }
}

#[cfg(test)]
mod tests;
