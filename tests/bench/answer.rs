//! Is this answer whole, and how much was in it?
//!
//!   Head ──content-length──▶ Sized ─────────────────────────────▶ Whole
//!     └──chunked──▶ Size ──▶ Data ──▶ Size … ──size 0──▶ Last ─────▲
//!
//! It reads what a load generator needs and no more: the status, the length by either framing, and
//! in streams the events (pairs of line ends). Time spent here is time the generator does not have
//! for sending, so nothing is copied but a head that arrives in pieces.
//! Always: bytes after the end of an answer are a fault, since nothing was asked for yet.

use crate::Outcome;

const HEAD_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug)]
enum State {
    Head(Vec<u8>),
    Sized { left: usize },
    Size { so_far: usize, digits: usize },
    Data { left: usize },
    Last { line_ends: usize },
    Whole,
}

/// An answer on its way in.
#[derive(Debug)]
pub(crate) struct Answer {
    state: State,
    streamed: bool,
    after_line_end: bool,
    /// Bytes of the body so far, framing not included.
    pub(crate) body_bytes: usize,
    /// Server-sent events so far; counted only in streams.
    pub(crate) events: u64,
}

impl Answer {
    /// Nothing has arrived. `streamed`: count events.
    pub(crate) fn awaited(streamed: bool) -> Self {
        Self {
            state: State::Head(Vec::new()),
            streamed,
            after_line_end: false,
            body_bytes: 0,
            events: 0,
        }
    }

    /// Has the last byte been taken?
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.state, State::Whole)
    }

    /// Takes the bytes that came in one read.
    ///
    /// # Errors
    /// A status other than 200, framing that cannot be read, bytes after the end.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> Outcome<()> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Head(_) => self.take_head(bytes)?,
                State::Sized { left } => self.take_sized(left, bytes),
                State::Size { so_far, digits } => self.take_size(so_far, digits, bytes)?,
                State::Data { left } => self.take_data(left, bytes),
                State::Last { line_ends } => self.take_last(line_ends, bytes),
                State::Whole => return Err("bytes after the end of an answer".into()),
            };
        }
        Ok(())
    }

    fn take_head<'a>(&mut self, bytes: &'a [u8]) -> Outcome<&'a [u8]> {
        let State::Head(earlier) = &mut self.state else {
            return Ok(bytes);
        };
        if earlier.is_empty()
            && let Some(end) = head_end(bytes)
        {
            let (head, rest) = bytes.split_at(end);
            self.state = body_of(head)?;
            return Ok(rest);
        }
        let before = earlier.len();
        earlier.extend_from_slice(bytes);
        let Some(end) = head_end(earlier) else {
            if earlier.len() > HEAD_BYTES_MAX {
                return Err("the head of an answer does not end".into());
            }
            return Ok(&[]);
        };
        let state = body_of(earlier.get(..end).unwrap_or_default())?;
        self.state = state;
        Ok(bytes.get(end - before..).unwrap_or_default())
    }

    fn take_sized<'a>(&mut self, left: usize, bytes: &'a [u8]) -> &'a [u8] {
        let (body, rest) = bytes.split_at(left.min(bytes.len()));
        self.count(body);
        let left = left - body.len();
        self.state = if left == 0 {
            State::Whole
        } else {
            State::Sized { left }
        };
        rest
    }

    fn take_size<'a>(
        &mut self,
        so_far: usize,
        digits: usize,
        bytes: &'a [u8],
    ) -> Outcome<&'a [u8]> {
        let Some((&byte, rest)) = bytes.split_first() else {
            return Ok(bytes);
        };
        self.state = match (byte, char::from(byte).to_digit(16)) {
            (_, Some(digit)) if digits < 8 => State::Size {
                so_far: so_far * 16 + digit as usize,
                digits: digits + 1,
            },
            (b'\r', _) => State::Size { so_far, digits },
            // The line end that closes the chunk before this one.
            (b'\n', _) if digits == 0 => State::Size { so_far, digits },
            (b'\n', _) if so_far == 0 => State::Last { line_ends: 0 },
            (b'\n', _) => State::Data { left: so_far },
            _ => return Err(format!("a chunk's size cannot hold the byte {byte}").into()),
        };
        Ok(rest)
    }

    fn take_data<'a>(&mut self, left: usize, bytes: &'a [u8]) -> &'a [u8] {
        let (body, rest) = bytes.split_at(left.min(bytes.len()));
        self.count(body);
        let left = left - body.len();
        self.state = if left == 0 {
            State::Size {
                so_far: 0,
                digits: 0,
            }
        } else {
            State::Data { left }
        };
        rest
    }

    /// After the chunk of size 0 comes one empty line; neither system sends trailers.
    fn take_last<'a>(&mut self, line_ends: usize, bytes: &'a [u8]) -> &'a [u8] {
        let Some((&byte, rest)) = bytes.split_first() else {
            return bytes;
        };
        let line_ends = line_ends + usize::from(byte == b'\n');
        self.state = if line_ends == 1 {
            State::Whole
        } else {
            State::Last { line_ends }
        };
        rest
    }

    fn count(&mut self, body: &[u8]) {
        self.body_bytes += body.len();
        if !self.streamed {
            return;
        }
        for &byte in body {
            let line_end = byte == b'\n';
            self.events += u64::from(line_end && self.after_line_end);
            // A third line end in a row would begin a new pair, not finish a second event.
            self.after_line_end = line_end && !self.after_line_end;
        }
    }
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|at| at + 4)
}

fn body_of(head: &[u8]) -> Outcome<State> {
    let text = std::str::from_utf8(head)?;
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200") {
        return Err(format!("answered {status:?} instead of 200").into());
    }
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            let left = value.trim().parse()?;
            return Ok(if left == 0 {
                State::Whole
            } else {
                State::Sized { left }
            });
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(State::Size {
                so_far: 0,
                digits: 0,
            });
        }
    }
    Err("an answer without a length".into())
}
