//! A caller that sees every byte: HTTP/1.1 over one blocking socket.
//!
//! It shares no code with the router, so it cannot share its mistakes. An answer says whether its
//! body ended as HTTP ends a body, or was cut.

use std::{
    io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

use crate::wait::PATIENCE;

/// The secret of the key `app`, which every request has unless it says otherwise.
pub(crate) const SECRET: &str = "sk-serin-app-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
pub(crate) const CHAT: &str = "/v1/chat/completions";

/// A request, ready to be written.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The body ended as announced; false: it was cut.
    pub(crate) whole: bool,
}

#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    left: Left,
}

/// What is left of the body being read.
#[derive(Clone, Copy, Debug)]
enum Left {
    Bytes(usize),
    Chunks,
    ToTheEnd,
}

impl Request {
    pub(crate) fn new(method: &'static str, path: &str) -> Self {
        let headers = vec![("authorization".to_owned(), format!("Bearer {SECRET}"))];
        Self {
            method,
            path: path.to_owned(),
            headers,
            body: None,
        }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        let request = Self::new("POST", path).header("content-type", "application/json");
        Self {
            body: Some(body.into()),
            ..request
        }
    }

    /// A chat of one message with this model.
    pub(crate) fn chat(model: &str) -> Self {
        Self::post(CHAT, chat_body(model, ""))
    }

    /// The same as a stream.
    pub(crate) fn stream(model: &str) -> Self {
        Self::post(CHAT, chat_body(model, ",\"stream\":true"))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another secret than [`SECRET`], or none.
    pub(crate) fn key(mut self, secret: Option<&str>) -> Self {
        self.headers.retain(|(name, _)| name != "authorization");
        match secret {
            Some(secret) => self.header("authorization", &format!("Bearer {secret}")),
            None => self,
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\nhost: serin\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        [text.as_bytes(), self.body.as_deref().unwrap_or_default()].concat()
    }
}

/// A chat of one message, with more members behind `model`.
pub(crate) fn chat_body(model: &str, more: &str) -> String {
    format!(
        "{{\"model\":\"{model}\"{more},\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}"
    )
}

pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// `error.code`, or the empty string.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The data of each event.
    pub(crate) fn events(&self) -> Vec<String> {
        let text = self.text();
        let data = |event: &str| event.strip_prefix("data: ").unwrap_or(event).to_owned();
        text.split_terminator("\n\n").map(data).collect()
    }
}

impl Connection {
    pub(crate) fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).expect("somebody listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket takes a timeout");
        stream.set_nodelay(true).expect("a socket takes an option");
        Self {
            stream: BufReader::new(stream),
            left: Left::Bytes(0),
        }
    }

    /// Opens a connection and sends a request; the answer is still to be read.
    pub(crate) fn begin(to: SocketAddr, request: &Request) -> Self {
        let mut connection = Self::open(to);
        connection
            .send(&request.bytes())
            .expect("a request can be written");
        connection
    }

    /// A server may answer and close while we write, so this can fail and an answer still come.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    pub(crate) fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        self.send(&request.bytes())?;
        self.answer()
    }

    /// The next head that is not an interim one.
    pub(crate) fn head(&mut self) -> io::Result<Head> {
        loop {
            let head = self.any_head()?;
            if head.status >= 200 {
                self.left = framing(&head);
                return Ok(head);
            }
        }
    }

    pub(crate) fn any_head(&mut self) -> io::Result<Head> {
        let first = self.line()?.ok_or(ErrorKind::UnexpectedEof)?;
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok());
        let status =
            status.ok_or_else(|| io::Error::other(format!("no status line: {first:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?.ok_or(ErrorKind::UnexpectedEof)?;
            if line.is_empty() {
                return Ok(Head { status, headers });
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        let Head { status, headers } = self.head()?;
        let (body, whole) = self.rest()?;
        Ok(Answer {
            status,
            headers,
            body,
            whole,
        })
    }

    /// The rest of the body, and whether it ended rather than was cut.
    pub(crate) fn rest(&mut self) -> io::Result<(Vec<u8>, bool)> {
        let mut body = Vec::new();
        loop {
            match self.piece()? {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::End => return Ok((body, true)),
                Piece::Cut => return Ok((body, false)),
            }
        }
    }

    /// The next bytes of the body: a chunk, if it has chunks.
    pub(crate) fn piece(&mut self) -> io::Result<Piece> {
        match self.left {
            Left::Bytes(0) => Ok(Piece::End),
            Left::Bytes(left) => {
                let data = self.some(left)?;
                self.left = Left::Bytes(left - data.len());
                Ok(if data.is_empty() {
                    Piece::Cut
                } else {
                    Piece::Data(data)
                })
            }
            Left::ToTheEnd => {
                let data = self.some(usize::MAX)?;
                Ok(if data.is_empty() {
                    Piece::End
                } else {
                    Piece::Data(data)
                })
            }
            Left::Chunks => self.chunk(),
        }
    }

    /// Waits until the other side has closed; false if it sends something instead.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.some(1), Ok(data) if data.is_empty())
    }

    /// Whether there is something to read, or the other side has closed.
    pub(crate) fn has_answer(&self) -> bool {
        let socket = self.stream.get_ref();
        socket
            .set_nonblocking(true)
            .expect("a socket takes an option");
        let seen = socket.peek(&mut [0]);
        socket
            .set_nonblocking(false)
            .expect("a socket takes an option");
        !self.stream.buffer().is_empty() || seen.is_ok()
    }

    /// Hangs up by RST: whatever was on its way is lost.
    pub(crate) fn reset(self) {
        let socket = self.stream.into_inner();
        let linger = socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO));
        linger.expect("a socket takes an option");
    }

    /// Hangs up: no byte is read any more, and none sent.
    pub(crate) fn leave(self) {
        // It may be closed already, and then is left too.
        let _ = self.stream.get_ref().shutdown(Shutdown::Both);
    }

    fn chunk(&mut self) -> io::Result<Piece> {
        let Some(line) = self.line()? else {
            return Ok(Piece::Cut);
        };
        let size = usize::from_str_radix(line.trim(), 16);
        let size = size.map_err(|_| io::Error::other(format!("no chunk size: {line:?}")))?;
        let mut data = vec![0; size + 2];
        match self.stream.read_exact(&mut data) {
            Err(error) if is_end(&error) => return Ok(Piece::Cut),
            other => other?,
        }
        data.truncate(size);
        if size == 0 {
            self.left = Left::Bytes(0);
            return Ok(Piece::End);
        }
        Ok(Piece::Data(data))
    }

    /// At most so many bytes; none at the end of the connection.
    fn some(&mut self, at_most: usize) -> io::Result<Vec<u8>> {
        let data = match self.stream.fill_buf() {
            Err(error) if is_end(&error) => return Ok(Vec::new()),
            other => other?,
        };
        let data = data[..data.len().min(at_most)].to_vec();
        self.stream.consume(data.len());
        Ok(data)
    }

    /// A line without its end; `None` at the end of the connection.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut bytes = Vec::new();
        match self.stream.read_until(b'\n', &mut bytes) {
            Err(error) if is_end(&error) => return Ok(None),
            other => other?,
        };
        if bytes.pop() != Some(b'\n') {
            return Ok(None);
        }
        bytes.pop_if(|last| *last == b'\r');
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// A part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Data(Vec<u8>),
    End,
    /// The connection ended before the body did.
    Cut,
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe
    )
}

fn framing(head: &Head) -> Left {
    if header(&head.headers, "transfer-encoding") == Some("chunked") {
        return Left::Chunks;
    }
    let length = header(&head.headers, "content-length").and_then(|length| length.parse().ok());
    length.map_or(Left::ToTheEnd, Left::Bytes)
}
