//! A caller that sees bytes.
//!
//! HTTP/1.1 over a socket, with nothing done behind one's back: no retries, no redirects, no
//! decoding but chunk framing, and a body that was cut is told apart from one that ended.
//! Reading gives up after a minute of silence, so that no story hangs.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SILENCE_MAX: Duration = Duration::from_secs(60);
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// One request, sent exactly as it is built.
#[derive(Clone, Debug)]
pub struct Request {
    line: String,
    headers: String,
    body: Vec<u8>,
}

/// The status line and headers of an answer; names in lower case.
#[derive(Clone, Debug)]
pub struct Head {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

/// A whole answer. `whole` is false if its body was cut.
#[derive(Clone, Debug)]
pub struct Answer {
    pub head: Head,
    pub body: Vec<u8>,
    pub whole: bool,
}

/// What reading a body gave next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Data(Vec<u8>),
    /// The body ended as its framing demands.
    End,
    /// The connection ended first.
    Cut,
}

/// One kept connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffered: Vec<u8>,
    body: Framing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Empty,
    Length(usize),
    Chunked,
    ToTheEnd,
}

impl Request {
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// A JSON body, sent with its length.
    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        let request = Self::new("POST", path).body(body);
        request.header("content-type", "application/json")
    }

    pub fn new(method: &str, path: &str) -> Self {
        let line = format!("{method} {path} HTTP/1.1\r\nhost: serin.test\r\n");
        Self {
            line,
            headers: String::new(),
            body: Vec::new(),
        }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    #[must_use]
    pub fn key(self, secret: &str) -> Self {
        self.header("authorization", &format!("Bearer {secret}"))
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("content-length", &length)
    }

    /// The bytes that go over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let head = format!("{}{}\r\n", self.line, self.headers);
        [head.as_bytes(), &self.body].concat()
    }
}

impl Head {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head.status
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// `error.code` of an error body, or the empty string.
    pub fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Connection {
    pub async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffered: Vec::new(),
            body: Framing::Empty,
        })
    }

    /// One request and its whole answer.
    pub async fn exchange(&mut self, request: &Request) -> io::Result<Answer> {
        self.send(&request.bytes()).await?;
        let head = self.head().await?;
        let (body, whole) = self.rest().await?;
        Ok(Answer { head, body, whole })
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads the next head that is not an interim (1xx) one.
    pub async fn head(&mut self) -> io::Result<Head> {
        loop {
            let end = self.find(b"\r\n\r\n", HEAD_BYTES_MAX).await?;
            let bytes: Vec<u8> = self.buffered.drain(..end + 4).collect();
            let head = parse_head(&String::from_utf8_lossy(&bytes))?;
            if head.status >= 200 {
                self.body = framing(&head);
                return Ok(head);
            }
        }
    }

    /// The next bytes of the body, as the sender framed them if it was chunked.
    pub async fn piece(&mut self) -> io::Result<Piece> {
        let piece = match self.body {
            Framing::Empty | Framing::Length(0) => Piece::End,
            Framing::Length(left) => self.some(left).await?,
            Framing::Chunked => self.chunk().await?,
            Framing::ToTheEnd => match self.some(usize::MAX).await? {
                Piece::Cut => Piece::End,
                other => other,
            },
        };
        match (&piece, self.body) {
            (Piece::Data(data), Framing::Length(left)) => {
                self.body = Framing::Length(left - data.len());
            }
            (Piece::End | Piece::Cut, _) => self.body = Framing::Empty,
            _ => {}
        }
        Ok(piece)
    }

    /// All that is left of the body, and whether it ended rather than was cut.
    pub async fn rest(&mut self) -> io::Result<(Vec<u8>, bool)> {
        let mut body = Vec::new();
        loop {
            match self.piece().await? {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::End => return Ok((body, true)),
                Piece::Cut => return Ok((body, false)),
            }
        }
    }

    /// Waits until the other side has closed; false if it sends anything instead.
    pub async fn closed(&mut self) -> bool {
        self.buffered.is_empty() && matches!(self.fill().await, Ok(false))
    }

    async fn chunk(&mut self) -> io::Result<Piece> {
        let end = match self.find(b"\r\n", 1024).await {
            Ok(end) => end,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Piece::Cut),
            Err(error) => return Err(error),
        };
        let line: Vec<u8> = self.buffered.drain(..end + 2).collect();
        let digits = String::from_utf8_lossy(&line[..end]).trim().to_owned();
        let size = usize::from_str_radix(&digits, 16).map_err(|_| bad("chunk size", &digits))?;
        while self.buffered.len() < size + 2 {
            if !self.fill().await? {
                return Ok(Piece::Cut);
            }
        }
        let data: Vec<u8> = self.buffered.drain(..size).collect();
        self.buffered.drain(..2);
        Ok(if size == 0 {
            Piece::End
        } else {
            Piece::Data(data)
        })
    }

    async fn some(&mut self, at_most: usize) -> io::Result<Piece> {
        if self.buffered.is_empty() && !self.fill().await? {
            return Ok(Piece::Cut);
        }
        let count = self.buffered.len().min(at_most);
        Ok(Piece::Data(self.buffered.drain(..count).collect()))
    }

    async fn find(&mut self, mark: &[u8], at_most: usize) -> io::Result<usize> {
        loop {
            if let Some(at) = self.buffered.windows(mark.len()).position(|w| w == mark) {
                return Ok(at);
            }
            if self.buffered.len() > at_most {
                return Err(bad("no end of line or head", &at_most.to_string()));
            }
            if !self.fill().await? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads once; false at the end of the connection. A reset counts as an end.
    async fn fill(&mut self) -> io::Result<bool> {
        let mut piece = [0; 16 * 1024];
        match timeout(SILENCE_MAX, self.stream.read(&mut piece)).await {
            Err(_) => Err(ErrorKind::TimedOut.into()),
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
            Ok(Err(error)) => Err(error),
            Ok(Ok(count)) => {
                self.buffered.extend_from_slice(&piece[..count]);
                Ok(count > 0)
            }
        }
    }
}

/// One request over a connection of its own.
///
/// # Panics
/// When nobody listens or the answer is not HTTP.
pub async fn ask(to: SocketAddr, request: &Request) -> Answer {
    let asked = async { Connection::open(to).await?.exchange(request).await };
    asked
        .await
        .unwrap_or_else(|error| panic!("asking {to}: {error}\n{request:?}"))
}

fn parse_head(text: &str) -> io::Result<Head> {
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    let status = status.and_then(|digits| digits.parse().ok());
    let status = status.ok_or_else(|| bad("status line", first))?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok(Head { status, headers })
}

fn framing(head: &Head) -> Framing {
    if head.status == 204 || head.status == 304 {
        return Framing::Empty;
    }
    if head
        .header("transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    {
        return Framing::Chunked;
    }
    let length = head
        .header("content-length")
        .and_then(|value| value.parse().ok());
    length.map_or(Framing::ToTheEnd, Framing::Length)
}

fn bad(what: &str, seen: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{what}: {seen:?}"))
}

#[cfg(test)]
mod tests;
