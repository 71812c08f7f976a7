//! This worker's HTTP client: the only file that knows which one it is.
//!
//! One client per target and worker, made on first use, gone with the target. awc's defaults would
//! break a gateway: 100 connections over all hosts, 5 s to the head, 2 MiB of body, redirects, no
//! `TCP_NODELAY`. All of them are off here; time limits and admission are the router's own.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_http::{Payload, error::ParseError};
use actix_web::{
    body::{BodySize, MessageBody},
    http::{
        Method, StatusCode, Uri, Version,
        header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING},
    },
};
use awc::{
    Client, ClientResponse, Connector,
    error::{ConnectError, SendRequestError},
};
use bytes::Bytes;
use futures_util::Stream;
use rustls::{ClientConfig, RootCertStore};
use serin_proto::address::Networks;

use super::{address::guarded_connector, failure::Failure, splice::Spliced};

/// How long an idle connection is kept: below the 60 s of common load balancers.
const KEEP_IDLE: Duration = Duration::from_secs(55);
/// Oldest age of a connection, so that a provider's change of address is followed.
const KEEP_AT_MOST: Duration = Duration::from_secs(600);

/// Which connection an attempt may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// One that is already open, if there is one.
    Kept,
    /// One of its own: what just failed on a kept connection may have failed because it was kept.
    Fresh,
}

/// The clients of one worker.
pub(crate) struct Clients {
    networks: Rc<Networks>,
    tls: Arc<ClientConfig>,
    by_target: RefCell<HashMap<u64, PerTarget>>,
}

struct PerTarget {
    connect: Duration,
    kept: Client,
    /// Its pool stays empty: each of its requests closes its connection.
    fresh: Option<Client>,
}

impl Clients {
    pub(crate) fn new(networks: &Networks) -> Self {
        Self {
            networks: Rc::new(networks.clone()),
            tls: Arc::new(tls_config()),
            by_target: RefCell::default(),
        }
    }

    /// The client for one target: `id` is its handle's, `connect` bounds TCP and then TLS.
    pub(crate) fn of(&self, id: u64, connect: Duration, which: Use) -> Client {
        let mut by_target = self.by_target.borrow_mut();
        let entry = by_target
            .entry(id)
            .or_insert_with(|| self.per_target(connect));
        if entry.connect != connect {
            *entry = self.per_target(connect);
        }
        match which {
            Use::Kept => entry.kept.clone(),
            Use::Fresh => entry
                .fresh
                .get_or_insert_with(|| self.build(connect))
                .clone(),
        }
    }

    /// Drops the clients of targets that are gone, and their idle connections.
    pub(crate) fn keep_only(&self, alive: impl Fn(u64) -> bool) {
        self.by_target.borrow_mut().retain(|id, _| alive(*id));
    }

    fn per_target(&self, connect: Duration) -> PerTarget {
        PerTarget {
            connect,
            kept: self.build(connect),
            fresh: None,
        }
    }

    fn build(&self, connect: Duration) -> Client {
        let connector = Connector::new()
            .connector(guarded_connector(Rc::clone(&self.networks)))
            .rustls_0_23(Arc::clone(&self.tls))
            .timeout(connect)
            .handshake_timeout(connect)
            .conn_keep_alive(KEEP_IDLE)
            .conn_lifetime(KEEP_AT_MOST)
            .limit(0);
        Client::builder()
            .connector(connector)
            .disable_timeout()
            .disable_redirects()
            .no_default_headers()
            .finish()
    }
}

/// A request as it leaves.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Spliced,
}

/// A provider's head, and its body still to come.
pub(crate) struct Incoming {
    head: ClientResponse,
    pub(crate) body: Body,
}

impl Incoming {
    pub(crate) fn status(&self) -> StatusCode {
        self.head.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.head.headers()
    }

    /// An HTTP/1.1 answer that names neither a length nor chunks lasts until its connection closes.
    /// awc takes it for empty instead, so there is nothing to relay.
    pub(crate) fn is_unframed(&self) -> bool {
        let names = |name| self.headers().contains_key(name);
        self.head.version() == Version::HTTP_11
            && self.status() != StatusCode::NO_CONTENT
            && !names(CONTENT_LENGTH)
            && !names(TRANSFER_ENCODING)
    }
}

/// A provider's body. Dropping it before its end closes the connection.
pub(crate) struct Body {
    payload: Payload,
}

impl Body {
    /// No body. Put in the place of another, it drops that one.
    pub(crate) fn empty() -> Self {
        Self {
            payload: Payload::None,
        }
    }

    /// The next bytes as they came; `None` at the end, which awc also reports for a body that was
    /// cut: whoever needs to know looks for the terminator or counts.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Failure>>> {
        let next = Pin::new(&mut self.payload).poll_next(cx);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            // awc must not be asked again once it has said that there is no more.
            self.payload = Payload::None;
        }
        next.map(|item| item.map(|bytes| bytes.map_err(|_| Failure::Truncated)))
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

/// Sends a request and waits for the head of its answer. Dropping the future closes the connection.
///
/// # Errors
/// What went wrong on the way, as far as the client can tell.
pub(crate) async fn send(client: &Client, which: Use, call: Outgoing) -> Result<Incoming, Failure> {
    let https = call.uri.scheme_str() == Some("https");
    let mut request = client.request(call.method, call.uri).no_decompress();
    if which == Use::Fresh {
        request = request.force_close();
    }
    let headers = request.headers_mut();
    for (name, value) in call.headers {
        headers.insert(name, value);
    }
    match request.send_body(Pieces { spliced: call.body }).await {
        Ok(mut head) => {
            let payload = actix_web::HttpMessage::take_payload(&mut head);
            Ok(Incoming {
                head,
                body: Body { payload },
            })
        }
        Err(error) => Err(failure_of(&error, https)),
    }
}

/// awc's words in ours. An end of the connection before the head, after the request was written, is
/// called `Connect(Disconnected)` there; it is no connect failure: the provider may have acted.
fn failure_of(error: &SendRequestError, https: bool) -> Failure {
    match error {
        SendRequestError::Connect(ConnectError::Timeout) => Failure::TimeoutConnect,
        SendRequestError::Connect(ConnectError::Disconnected) => Failure::Reset,
        SendRequestError::Connect(ConnectError::Io(error)) if https => tls_or_connect(error),
        SendRequestError::Send(_) | SendRequestError::Body(_) => Failure::NotWhole,
        SendRequestError::Response(ParseError::Io(_)) => Failure::Reset,
        SendRequestError::Response(_) => Failure::BadResponse("head"),
        _ => Failure::Connect,
    }
}

fn tls_or_connect(error: &io::Error) -> Failure {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => Failure::Tls { certificate: true },
        Some(_) => Failure::Tls { certificate: false },
        None if error.kind() == io::ErrorKind::UnexpectedEof => Failure::Tls { certificate: false },
        None => Failure::Connect,
    }
}

/// The caller's bytes with our splices, handed over slice by slice: no copy of ours.
struct Pieces {
    spliced: Spliced,
}

impl MessageBody for Pieces {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.spliced.len)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(self.spliced.next().map(Ok))
    }
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
