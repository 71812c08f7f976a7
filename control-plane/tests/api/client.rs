//! A caller that sends what it is told, byte for byte: HTTP/1.1 over one blocking socket.
//!
//! It shares no code with the control plane, so it cannot share its mistakes: a path goes out as it
//! was written, in whatever spelling.

use std::{
    io::{BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

use crate::wait::PATIENCE;

/// A request, ready to be written.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// `target` goes into the request's line as it is.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn put(path: &str, body: &Value) -> Self {
        Self::new("PUT", path).json(body)
    }

    pub(crate) fn post(path: &str, body: &Value) -> Self {
        Self::new("POST", path).json(body)
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self::new("DELETE", path)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn token(self, secret: &str) -> Self {
        self.header("authorization", &format!("Bearer {secret}"))
    }

    pub(crate) fn if_match(self, etag: &str) -> Self {
        self.header("if-match", etag)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            text.push_str("host: serin\r\n");
        }
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let framing = ["content-length", "transfer-encoding"];
        let is_framed = self
            .headers
            .iter()
            .any(|(name, _)| framing.contains(&name.as_str()));
        if !is_framed && !self.body.is_empty() {
            text.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        [text.as_bytes(), &self.body].concat()
    }
}

/// A connection whose answer has begun.
#[derive(Debug)]
pub(crate) struct Opened {
    stream: BufReader<TcpStream>,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// Of the body, read and not yet asked for.
    text: Vec<u8>,
}

/// Sends one request over a connection of its own and reads the head of its answer.
///
/// # Panics
/// When there is none.
pub(crate) fn open(address: SocketAddr, request: &Request) -> Opened {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the port listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // A server that has refused may close while we write: what counts is its answer.
    let _ = (&stream).write_all(&request.bytes());
    let mut stream = BufReader::new(stream);
    let status_line = line(&mut stream);
    let status = status_line
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no answer: {status_line:?} to {request:?}"));
    let mut headers = Vec::new();
    loop {
        let line = line(&mut stream);
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Opened {
        stream,
        status,
        headers,
        text: Vec::new(),
    }
}

/// Sends one request and leaves.
pub(crate) fn send_and_hang_up(address: SocketAddr, request: &Request) {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the port listens");
    stream.write_all(&request.bytes()).expect("an open socket");
}

/// The whole answer to one request.
///
/// # Panics
/// When there is none.
pub(crate) fn ask(address: SocketAddr, request: &Request) -> Answer {
    let mut opened = open(address, request);
    let length = header(&opened.headers, "content-length").and_then(|text| text.parse().ok());
    let mut body = Vec::new();
    if request.method != "HEAD" {
        match length {
            Some(length) => {
                body.resize(length, 0);
                opened.stream.read_exact(&mut body).expect("a whole body");
            }
            None if ![204, 304].contains(&opened.status) => while opened.chunk(&mut body) {},
            None => {}
        }
    }
    Answer {
        status: opened.status,
        headers: opened.headers,
        body,
    }
}

impl Opened {
    /// Adds the next chunk to `body`; `false`: that was the last.
    fn chunk(&mut self, body: &mut Vec<u8>) -> bool {
        let size = line(&mut self.stream);
        let size = usize::from_str_radix(&size, 16).unwrap_or(0);
        let from = body.len();
        body.resize(from + size, 0);
        self.stream.read_exact(&mut body[from..]).expect("a chunk");
        line(&mut self.stream);
        size > 0
    }

    /// Waits longer for the next bytes than one does for an answer.
    pub(crate) fn patient(&mut self) {
        let long = Some(PATIENCE * 3);
        self.stream
            .get_ref()
            .set_read_timeout(long)
            .expect("a socket");
    }

    /// The next event of a stream that has data, as (id, data); `None` once it has ended.
    pub(crate) fn event(&mut self) -> Option<(String, Value)> {
        let (mut id, mut data) = (String::new(), String::new());
        loop {
            let line = self.text_line()?;
            if let Some(value) = line.strip_prefix("id: ") {
                value.clone_into(&mut id);
            } else if let Some(value) = line.strip_prefix("data: ") {
                data.push_str(value);
            } else if line.is_empty() && !data.is_empty() {
                let data = serde_json::from_str(&data).expect("an event's data is JSON");
                return Some((id, data));
            }
        }
    }

    /// The next line of a chunked body; `None` once it has ended.
    pub(crate) fn text_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            let mut text = std::mem::take(&mut self.text);
            let more = self.chunk(&mut text);
            self.text = text;
            if !more {
                return None;
            }
        }
    }
}

fn line(stream: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    // A cut connection reads as the empty line at the end of everything.
    let _ = stream.read_line(&mut line);
    line.trim_end_matches(['\r', '\n']).to_owned()
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut of_name = headers.iter().filter(|(other, _)| other == name);
    of_name.next().map(|(_, value)| value.as_str())
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// # Panics
    /// When the body is no JSON.
    pub(crate) fn json(&self) -> Value {
        let parsed = serde_json::from_slice(&self.body);
        parsed.unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The ETag of what was read or written.
    pub(crate) fn etag(&self) -> String {
        let etag = self.header("etag");
        etag.unwrap_or_else(|| panic!("no ETag: {} {}", self.status, self.text()))
            .to_owned()
    }

    /// The revision that the ETag names.
    pub(crate) fn revision(&self) -> u64 {
        let etag = self.etag();
        let digits = etag.trim_matches('"').parse();
        digits.unwrap_or_else(|_| panic!("an ETag is a revision in quotes: {etag}"))
    }

    /// What a list holds.
    pub(crate) fn items(&self) -> Vec<Value> {
        let items = self.json()["items"].as_array().cloned();
        items.unwrap_or_else(|| panic!("no list: {}", self.text()))
    }

    /// Status and code of a refusal; its form is checked.
    pub(crate) fn problem(&self) -> (u16, String) {
        let body = self.json();
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{body}"
        );
        assert_eq!(body["status"], self.status, "{body}");
        for member in ["type", "title", "detail", "code", "requestId"] {
            assert!(
                body[member].as_str().is_some_and(|text| !text.is_empty()),
                "{member}: {body}"
            );
        }
        assert_eq!(
            body["requestId"].as_str(),
            self.header("x-request-id"),
            "{body}"
        );
        assert!(body["errors"].is_array(), "{body}");
        (
            self.status,
            body["code"].as_str().unwrap_or_default().to_owned(),
        )
    }

    /// Pointers and codes of the faults that a refusal tells.
    pub(crate) fn faults(&self) -> Vec<(String, String)> {
        let body = self.json();
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        errors
            .iter()
            .map(|fault| (text(&fault["pointer"]), text(&fault["code"])))
            .collect()
    }
}
