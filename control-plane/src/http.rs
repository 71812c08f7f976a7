//! How the control plane speaks to others by HTTP: a metrics source, webhooks, chats.
//!
//! awc is bound to one thread, so it has a thread of its own; whoever asks does so through a bounded
//! channel and needs no more than an [`Http`]. Each request has its own connection: one that was
//! kept may be dead without a word, and nobody could tell then whether a webhook was heard.
//! Link-local and metadata addresses are refused at connect, whatever a name resolves to.

use std::{
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use actix_service::{Service, fn_service};
use actix_tls::connect::{ConnectError, ConnectInfo, Connection, Resolver, tcp::TcpConnector};
use actix_web::http::{
    Method, Uri,
    header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, HeaderValue},
};
use awc::{
    Client, ClientRequest, Connector,
    error::{ConnectError as Unconnected, PayloadError, SendRequestError},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use rustls::{ClientConfig, RootCertStore};
use serin_proto::address::Networks;
use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};

/// Requests that may wait for their turn.
const QUEUE_MAX: usize = 256;
/// Requests under way at once.
const PARALLEL_MAX: usize = 32;
/// Time for a connection, and again for TLS.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// All there are. What nothing ever opens (`serin_proto::address`) stays closed.
const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// Sends requests. Its thread begins with the first, and ends with the last clone; what is under
/// way is dropped then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Http {
    /// `None`: its thread could not be started.
    jobs: Arc<OnceLock<Option<mpsc::Sender<Job>>>>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// `http` or `https`; `user:password@` becomes an `Authorization` header.
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// From being asked to the last byte of the answer.
    pub(crate) timeout: Duration,
    /// Largest answer.
    pub(crate) bytes_max: usize,
}

/// An answer, whole, whatever its status. Redirects are not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// Why there is no whole answer. No address is named: it may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failed {
    /// Not a request at all.
    #[error("{0}")]
    Unsendable(&'static str),
    #[error("no connection: {0}")]
    Connect(String),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// It was sent; what came back is not an answer.
    #[error("the answer broke off: {0}")]
    Broken(String),
    /// More requests wait than may.
    #[error("too many requests are waiting")]
    Busy,
    /// The client could not be started, or its thread has ended.
    #[error("the HTTP client does not run")]
    Ended,
}

#[derive(Debug)]
struct Job {
    request: Request,
    reply: oneshot::Sender<Result<Answer, Failed>>,
}

impl Http {
    /// Sends a request and reads its answer. Dropping the future ends both.
    ///
    /// # Errors
    /// There is no whole answer. It may have been acted upon unless nothing was connected.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer, Failed> {
        let (reply, answer) = oneshot::channel();
        let job = Job { request, reply };
        let jobs = self.jobs.get_or_init(start).as_ref().ok_or(Failed::Ended)?;
        jobs.try_send(job).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Failed::Busy,
            mpsc::error::TrySendError::Closed(_) => Failed::Ended,
        })?;
        answer.await.unwrap_or(Err(Failed::Ended))
    }
}

/// An address as it may be shown and logged: without user, password, query.
pub(crate) fn shown(url: &str) -> String {
    let whole = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = whole.split_once("://") else {
        return String::new();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

fn start() -> Option<mpsc::Sender<Job>> {
    let (jobs, waiting) = mpsc::channel(QUEUE_MAX);
    let thread = thread::Builder::new().name("serin-http".to_owned());
    let failed = |error: io::Error| tracing::error!(%error, "the HTTP client could not be started");
    let started = thread.spawn(move || match actix_rt::Runtime::new() {
        Ok(runtime) => runtime.block_on(work(waiting)),
        Err(error) => failed(error),
    });
    started.map_err(failed).ok().map(|_| jobs)
}

/// The thread's work, until nobody can ask any more.
async fn work(mut waiting: mpsc::Receiver<Job>) {
    let client = client();
    let turns = Arc::new(Semaphore::new(PARALLEL_MAX));
    while let Some(job) = waiting.recv().await {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else {
            return;
        };
        let client = client.clone();
        actix_rt::spawn(async move {
            serve(&client, job).await;
            drop(turn);
        });
    }
}

async fn serve(client: &Client, job: Job) {
    let Job { request, mut reply } = job;
    let late = Failed::Timeout(request.timeout);
    // From its turn on: others that hang must not look like silence of this one.
    let exchange = timeout(request.timeout, exchange(client, request));
    let answer = tokio::select! {
        answer = exchange => answer.unwrap_or(Err(late)),
        // Whoever asked has gone.
        () = reply.closed() => return,
    };
    // The same a moment later.
    let _ = reply.send(answer);
}

async fn exchange(client: &Client, request: Request) -> Result<Answer, Failed> {
    let bytes_max = request.bytes_max;
    let (sendable, body) = prepare(client, request)?;
    let mut head = sendable.send_body(body).await.map_err(failure_of)?;
    let length = head.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let body = head.body().limit(bytes_max).await;
    let body = body.map_err(|error| match error {
        PayloadError::Overflow => Failed::TooLarge(bytes_max),
        other => Failed::Broken(other.to_string()),
    })?;
    if length.is_some_and(|length| length != body.len()) && !body.is_empty() {
        // The client takes a connection's end for the body's.
        return Err(Failed::Broken("the connection was closed".to_owned()));
    }
    Ok(Answer {
        status: head.status().as_u16(),
        body,
    })
}

fn prepare(client: &Client, request: Request) -> Result<(ClientRequest, Bytes), Failed> {
    let (url, authorization) = without_user(&request.url);
    let uri = url.parse::<Uri>().ok();
    let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    let uri = uri.filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    let uri = uri.ok_or(Failed::Unsendable("not an http or https address"))?;
    let mut sendable = client.request(request.method, uri).no_decompress();
    sendable = sendable.force_close();
    let headers = sendable.headers_mut();
    let unsendable = || Failed::Unsendable("a header holds bytes no header has");
    if let Some(authorization) = authorization {
        let value = HeaderValue::from_str(&authorization).map_err(|_| unsendable())?;
        headers.insert(AUTHORIZATION, value);
    }
    for (name, value) in request.headers {
        let value = HeaderValue::from_str(&value).map_err(|_| unsendable())?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsendable())?;
        headers.insert(name, value);
    }
    Ok((sendable, request.body))
}

/// The address without `user:password@`, and what they become.
fn without_user(url: &str) -> (String, Option<String>) {
    let Some((scheme, rest)) = url.split_once("://") else {
        return (url.to_owned(), None);
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let Some((user, host)) = authority.rsplit_once('@') else {
        return (url.to_owned(), None);
    };
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let mut pair = decoded(name);
    pair.push(b':');
    pair.extend(decoded(password));
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(pair));
    (format!("{scheme}://{host}{path}"), Some(authorization))
}

/// `%3A` → `:`. What is no such triple stays.
fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| byte == b'%');
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(code) => {
                out.push(code);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}

/// awc's words in ours. It calls a connection's end before the answer's head a failed connect.
fn failure_of(error: SendRequestError) -> Failed {
    match error {
        SendRequestError::Connect(Unconnected::Disconnected) => {
            Failed::Broken("the connection was closed before an answer".to_owned())
        }
        SendRequestError::Connect(Unconnected::Timeout) => {
            Failed::Connect(format!("not within {CONNECT_TIME_MAX:?}"))
        }
        SendRequestError::Connect(Unconnected::Io(error)) => Failed::Connect(error.to_string()),
        SendRequestError::Connect(error) => Failed::Connect(error.to_string()),
        SendRequestError::Url(_) => Failed::Unsendable("not an http or https address"),
        error => Failed::Broken(error.to_string()),
    }
}

fn client() -> Client {
    let connector = Connector::new()
        .connector(guarded_connector())
        .rustls_0_23(Arc::new(tls_config()))
        .timeout(CONNECT_TIME_MAX)
        .handshake_timeout(CONNECT_TIME_MAX)
        .limit(0);
    Client::builder()
        .connector(connector)
        .disable_timeout()
        .disable_redirects()
        .finish()
}

/// Resolves, checks every address, connects to a checked one. It is no resolver: those are skipped
/// for literal addresses.
fn guarded_connector()
-> impl Service<ConnectInfo<Uri>, Response = Connection<Uri, TcpStream>, Error = ConnectError> + Clone
{
    // Parsed from a constant: it always is what is meant.
    let everywhere = Rc::new(Networks::parse(&EVERYWHERE).unwrap_or_default());
    let resolver = Resolver::default().service();
    let tcp = TcpConnector::default().service();
    Rc::new(fn_service(move |info: ConnectInfo<Uri>| {
        let (resolver, everywhere) = (resolver.clone(), Rc::clone(&everywhere));
        async move {
            let mut resolved = resolver.call(info).await?;
            let addresses: Vec<SocketAddr> = resolved.take_addrs().collect();
            for address in &addresses {
                everywhere.permits(address.ip()).map_err(|refusal| {
                    tracing::warn!(%refusal, "address refused");
                    ConnectError::Io(io::Error::other(refusal.to_string()))
                })?;
            }
            let connection = tcp.call(resolved.set_addrs(addresses)).await?;
            let connected = connection.io_ref();
            connected.set_nodelay(true).map_err(ConnectError::Io)?;
            Ok(connection)
        }
    }))
}

/// One crypto provider, named: two in one tree would make rustls panic. HTTP/1.1 only.
fn tls_config() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

#[cfg(test)]
mod tests;
