//! HTTP/1.1 requests from bytes, strictly.
//!
//! Written by hand and not with a server crate, because the simulator judges what the router sends:
//! anything two parsers could read in two ways (two lengths, a length beside chunks, `+1`, a bare
//! line feed) is refused here, so that a test sees it. Pure: bytes in, a head or body or refusal
//! out; who reads the socket is `wire.rs`.

use bytes::{Buf, Bytes, BytesMut};

use crate::answer::Refusal;

/// Longest head, in bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 64 << 10;
/// Longest request body, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64 << 20;
/// Longest chunk-size line or trailer, in bytes.
const LINE_BYTES_MAX: usize = 4 << 10;
const HEADERS_MAX: usize = 128;

/// The head of a request, as far as anybody here asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    /// As they came, names in their own case. Empty unless asked for.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) framing: Framing,
    /// `Expect: 100-continue`
    pub(crate) expects_continue: bool,
    /// `Connection: close`
    pub(crate) closes: bool,
    /// The bearer key.
    pub(crate) key: Option<String>,
}

/// Where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
}

/// The head at the start of `input` and its length; None if it has not ended yet.
pub(crate) fn head(input: &[u8], keep_headers: bool) -> Result<Option<(Head, usize)>, Refusal> {
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut slots);
    let length = match request.parse(input) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if input.len() < HEAD_BYTES_MAX => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(Refusal::HeadTooLarge);
        }
        Err(_) => return Err(Refusal::Malformed),
    };
    if length > HEAD_BYTES_MAX {
        return Err(Refusal::HeadTooLarge);
    }
    if request.version != Some(1) {
        return Err(Refusal::OldHttp);
    }
    let target = request
        .path
        .filter(|path| path.starts_with('/'))
        .ok_or(Refusal::Malformed)?;
    let path = target.split('?').next().unwrap_or(target);
    let method = request.method.unwrap_or_default().to_owned();
    let mut head = Head {
        method,
        path: path.to_owned(),
        ..Head::default()
    };
    head.fields(request.headers)?;
    if keep_headers {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        head.headers = request
            .headers
            .iter()
            .map(|h| (h.name.to_owned(), text(h.value)))
            .collect();
    }
    Ok(Some((head, length)))
}

impl Head {
    fn fields(&mut self, headers: &[httparse::Header<'_>]) -> Result<(), Refusal> {
        let (mut length, mut chunked, mut hosts) = (None, false, 0);
        for header in headers {
            let (name, value) = (header.name, header.value);
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            if is("content-length") {
                if length.replace(number(value)?).is_some() {
                    return Err(Refusal::Malformed);
                }
            } else if is("transfer-encoding") {
                if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Refusal::Malformed);
                }
                chunked = true;
            } else if is("host") {
                hosts += 1;
            } else if is("expect") {
                self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
            } else if is("connection") {
                self.closes |= value.eq_ignore_ascii_case(b"close");
            } else if is("authorization") {
                self.key = bearer(value);
            }
        }
        self.framing = match (length, chunked) {
            (Some(_), true) => return Err(Refusal::Malformed),
            (Some(length), false) if length > BODY_BYTES_MAX => return Err(Refusal::TooLarge),
            (length, false) => Framing::Length(length.unwrap_or(0)),
            (None, true) => Framing::Chunked,
        };
        if hosts == 1 {
            Ok(())
        } else {
            Err(Refusal::Malformed)
        }
    }
}

impl Default for Framing {
    fn default() -> Self {
        Self::Length(0)
    }
}

/// A body on its way in.
#[derive(Debug)]
pub(crate) enum Incoming {
    Length(usize),
    Chunked { body: BytesMut, expected: Expected },
}

/// What a chunked body goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Size,
    Data(usize),
    /// The line break behind the data.
    Break,
    Trailer,
}

impl Incoming {
    pub(crate) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked {
                body: BytesMut::new(),
                expected: Expected::Size,
            },
        }
    }

    /// Takes what belongs to the body from `input`; the body, once it is whole.
    pub(crate) fn take(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, Refusal> {
        match self {
            Self::Length(length) => {
                Ok((input.len() >= *length).then(|| input.split_to(*length).freeze()))
            }
            Self::Chunked { body, expected } => {
                while let Some(next) = chunk(*expected, input, body)? {
                    match next {
                        Some(next) => *expected = next,
                        None => return Ok(Some(std::mem::take(body).freeze())),
                    }
                }
                Ok(None)
            }
        }
    }

    /// What came of a body that did not become whole.
    pub(crate) fn partial(self, input: &mut BytesMut) -> Bytes {
        match self {
            Self::Length(length) => input.split_to(length.min(input.len())).freeze(),
            Self::Chunked { body, .. } => body.freeze(),
        }
    }
}

/// One step through a chunked body. None: more bytes are needed. `Some(None)`: it is whole.
fn chunk(
    expected: Expected,
    input: &mut BytesMut,
    body: &mut BytesMut,
) -> Result<Option<Option<Expected>>, Refusal> {
    match expected {
        Expected::Size => {
            let Some(line) = line(input)? else {
                return Ok(None);
            };
            let size = size(&line)?;
            if size > BODY_BYTES_MAX - body.len() {
                return Err(Refusal::TooLarge);
            }
            Ok(Some(Some(if size == 0 {
                Expected::Trailer
            } else {
                Expected::Data(size)
            })))
        }
        Expected::Data(_) if input.is_empty() => Ok(None),
        Expected::Data(left) => {
            let taken = input.split_to(left.min(input.len()));
            body.extend_from_slice(&taken);
            let left = left - taken.len();
            Ok(Some(Some(if left == 0 {
                Expected::Break
            } else {
                Expected::Data(left)
            })))
        }
        Expected::Break if input.len() < 2 => Ok(None),
        Expected::Break if input.starts_with(b"\r\n") => {
            input.advance(2);
            Ok(Some(Some(Expected::Size)))
        }
        Expected::Break => Err(Refusal::Malformed),
        Expected::Trailer => match line(input)? {
            None => Ok(None),
            Some(line) if line.is_empty() => Ok(Some(None)),
            Some(_) => Ok(Some(Some(Expected::Trailer))),
        },
    }
}

/// A line ended by CRLF, without it.
fn line(input: &mut BytesMut) -> Result<Option<BytesMut>, Refusal> {
    match memchr::memchr(b'\n', input) {
        None if input.len() < LINE_BYTES_MAX => Ok(None),
        Some(at) if at < LINE_BYTES_MAX => {
            let mut line = input.split_to(at + 1);
            if !line.ends_with(b"\r\n") {
                return Err(Refusal::Malformed);
            }
            line.truncate(at - 1);
            Ok(Some(line))
        }
        _ => Err(Refusal::Malformed),
    }
}

/// Hexadecimal digits, then perhaps an extension, which means nothing to us.
fn size(line: &[u8]) -> Result<usize, Refusal> {
    let end = line
        .iter()
        .position(|byte| *byte == b';')
        .unwrap_or(line.len());
    let digits = line.get(..end).unwrap_or_default();
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Refusal::Malformed);
    }
    let text = std::str::from_utf8(digits).map_err(|_| Refusal::Malformed)?;
    usize::from_str_radix(text, 16).map_err(|_| Refusal::Malformed)
}

/// Decimal digits and nothing else: Rust's own parser would take `+1`.
fn number(value: &[u8]) -> Result<usize, Refusal> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::Malformed);
    }
    let text = std::str::from_utf8(value).map_err(|_| Refusal::Malformed)?;
    text.parse().map_err(|_| Refusal::TooLarge)
}

fn bearer(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, key) = text.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| key.trim().to_owned())
}

#[cfg(test)]
mod tests;
