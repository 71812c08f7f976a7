//! An HTTP server that answers as it is told: the socket under scripted neighbours.
//!
//! HTTP/1.1 with kept connections, as little of it as a client of ours needs. It can stop
//! listening (connections are refused, open ones cut) and listen again at the same address.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{interval, timeout};

use crate::free_address;

const HEAD_BYTES_MAX: usize = 64 * 1024;
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Pause between two tries to listen again.
const BIND_AGAIN: Duration = Duration::from_millis(20);

/// What somebody asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The form's fields, of the query and of the body.
    pub fn form(&self) -> Vec<(String, String)> {
        let body = String::from_utf8_lossy(&self.body).into_owned();
        let pairs = [self.query.as_str(), body.as_str()];
        let pairs = pairs.iter().flat_map(|text| text.split('&'));
        pairs
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (unescaped(name), unescaped(value)))
            .collect()
    }
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status and a JSON body.
    Says(u16, String),
    /// The same after a while.
    Late(Duration, u16, String),
    /// Nothing, for as long as the other side waits.
    Never,
    /// The connection ends without an answer.
    Cut,
}

type Script = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A listener with a script.
#[derive(Debug)]
pub struct ScriptedHttp {
    pub address: SocketAddr,
    listens: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ScriptedHttp {
    /// Listens at a free address.
    pub fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let address = free_address();
        let (listens, told) = watch::channel(true);
        let task = tokio::spawn(serve(address, told, Arc::new(script)));
        Self {
            address,
            listens,
            task,
        }
    }

    /// Refuses connections and cuts those that are open, or takes them again.
    pub fn listen(&self, listens: bool) {
        self.listens.send_replace(listens);
    }
}

impl Drop for ScriptedHttp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(address: SocketAddr, mut told: watch::Receiver<bool>, script: Arc<Script>) {
    let mut pace = interval(BIND_AGAIN);
    loop {
        if !*told.borrow_and_update() {
            if told.changed().await.is_err() {
                return;
            }
            continue;
        }
        let Ok(listener) = TcpListener::bind(address).await else {
            pace.tick().await;
            continue;
        };
        let mut open = JoinSet::new();
        while *told.borrow() {
            tokio::select! {
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    let script = Arc::clone(&script);
                    open.spawn(async move { talk(stream, &*script).await });
                },
                changed = told.changed() => if changed.is_err() { return },
                Some(_) = open.join_next() => {}
            }
        }
    }
}

async fn talk(mut stream: TcpStream, script: &Script) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let mut buffered = Vec::new();
    loop {
        let asked = read(&mut stream, &mut buffered).await?;
        let (status, body) = match script(&asked) {
            Reply::Says(status, body) => (status, body),
            Reply::Late(after, status, body) => {
                let _ = timeout(after, pending::<()>()).await;
                (status, body)
            }
            Reply::Never => pending().await,
            Reply::Cut => return None,
        };
        let head = format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\n{}\r\n",
            match status {
                204 => String::new(),
                _ => format!("content-length: {}\r\n", body.len()),
            }
        );
        let body = if status == 204 { "" } else { &body };
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(body.as_bytes()).await.ok()?;
    }
}

/// One request; `None` at the end of the connection or for what is none.
async fn read(stream: &mut TcpStream, buffered: &mut Vec<u8>) -> Option<Asked> {
    let end = loop {
        if let Some(at) = buffered.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if buffered.len() > HEAD_BYTES_MAX {
            return None;
        }
        more(stream, buffered).await?;
    };
    let head = String::from_utf8_lossy(&buffered[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut asked = Asked {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: Vec::new(),
    };
    let length = asked.header("content-length").unwrap_or("0");
    let length: usize = length.parse().ok().filter(|n| *n <= BODY_BYTES_MAX)?;
    while buffered.len() < end + length {
        more(stream, buffered).await?;
    }
    asked.body = buffered[end..end + length].to_vec();
    buffered.drain(..end + length);
    Some(asked)
}

async fn more(stream: &mut TcpStream, buffered: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 8192];
    let count = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
    buffered.extend_from_slice(&piece[..count]);
    Some(())
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let code = rest.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = code.and_then(|two| u8::from_str_radix(two, 16).ok());
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &rest[2..];
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Connection, Request, ask};
    use crate::eventually;

    #[tokio::test]
    async fn it_says_what_it_is_told_and_refuses_when_told() {
        let server = ScriptedHttp::start(|asked| {
            let form = asked.form();
            Reply::Says(201, format!("{} {} {form:?}", asked.method, asked.path))
        });
        let at = server.address;
        let open = async || Connection::open(at).await.is_ok();
        eventually("it listens", Duration::from_secs(20), open, |ok| *ok).await;
        let request = Request::post("/a?x=1%202&y=%7B", "z=a+b%3D");
        let answer = ask(at, &request).await;
        assert_eq!(answer.status(), 201);
        let said = r#"POST /a [("x", "1 2"), ("y", "{"), ("z", "a b=")]"#;
        assert_eq!(answer.text(), said);

        let mut kept = Connection::open(at).await.expect("it listens");
        kept.exchange(&request).await.expect("an answer");
        server.listen(false);
        eventually("it refuses", Duration::from_secs(20), open, |ok| !*ok).await;
        assert!(kept.exchange(&request).await.is_err(), "it was not cut");
        server.listen(true);
        eventually("it listens again", Duration::from_secs(20), open, |ok| *ok).await;
    }
}
