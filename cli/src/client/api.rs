//! One call of the control plane: sent, bounded in time, retried where that was asked for, read.

use std::{fmt, sync::Arc, time::Duration};

use awc::{
    Client, ClientResponse, Connector,
    error::{ConnectError, SendRequestError},
    http::{
        Method, StatusCode, Uri,
        header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, WARNING},
    },
};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{Instant, sleep, timeout};

use super::Problem;
use crate::{args::remote::Server, exit::Failed, output, tree::Tree};

/// Time for a connection, TLS included.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Time for a whole answer. The control plane gives an unknown outcome 10 s to clear up.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// First and longest pause between two tries.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// A control plane, and who asks it.
pub(crate) struct Api {
    client: Client,
    /// Without the slash at its end.
    base: String,
    authorization: Option<HeaderValue>,
    /// How long calls are tried again; none: once.
    patience: Option<Duration>,
}

/// What is asked. `path` comes after `/api/v1`.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) headers: Vec<(HeaderName, String)>,
    /// JSON.
    pub(crate) body: Option<String>,
}

/// A success.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) etag: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no success.
#[derive(Clone, Debug)]
pub(crate) enum Refused {
    /// Nobody answered, or not in time: in words.
    Unreachable(String),
    Problem(Box<Problem>),
    /// Whoever answers is no control plane.
    Foreign(String),
    /// Nobody answered well for as long as one was ready to wait.
    TimedOut(String),
}

impl<'a> Call<'a> {
    pub(crate) fn get(path: &'a str) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            headers: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn json(mut self, body: String) -> Self {
        self.body = Some(body);
        self
    }
}

impl Answer {
    pub(crate) fn tree(&self) -> Result<Tree, Failed> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failed::because(format!("the answer is not JSON: {error}")))
    }

    /// The revision that the ETag names.
    pub(crate) fn revision(&self) -> Option<&str> {
        self.etag.as_deref().map(|etag| etag.trim_matches('"'))
    }
}

impl Api {
    /// # Errors
    /// An address or a token that cannot be one.
    pub(crate) fn new(server: &Server) -> Result<Self, Failed> {
        let base = server.server.trim_end_matches('/').to_owned();
        let uri = base.parse::<Uri>().ok();
        let is_http =
            |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        if !uri.is_some_and(|uri| is_http(&uri)) {
            let message = format!(
                "{:?} is no address of a control plane: write e.g. http://127.0.0.1:8090 \
                 (--server, SERIN_SERVER)",
                server.server
            );
            return Err(Failed::Usage(message));
        }
        let token = server.token.as_deref().filter(|token| !token.is_empty());
        let authorization = token
            .map(|token| HeaderValue::from_str(&format!("Bearer {token}")))
            .transpose()
            .map_err(|_| Failed::Usage("SERIN_TOKEN holds bytes no token has".to_owned()))?;
        Ok(Self {
            client: client(),
            base,
            authorization,
            patience: None,
        })
    }

    /// Has calls tried again for so long while nobody answers, or with 503.
    pub(crate) fn patient(mut self, patience: Option<Duration>) -> Self {
        self.patience = patience;
        self
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Refused> {
        self.call(&Call::get(path)).await
    }

    /// One call, and with patience as many tries as it takes. A call that writes is safe to try
    /// again: its precondition, or its `Idempotency-Key`, lets it happen once.
    pub(crate) async fn call(&self, call: &Call<'_>) -> Result<Answer, Refused> {
        let Some(patience) = self.patience else {
            return self.once(call).await;
        };
        let deadline = Instant::now() + patience;
        let mut pause = PAUSES[0];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let refused = match timeout(left, self.once(call)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(refused)) if !refused.is_passing() => return Err(refused),
                Ok(Err(refused)) => refused,
                Err(_) => Refused::Unreachable(format!("{} does not answer", self.base)),
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let message = format!("gave up after {patience:?}: {}", Failed::from(refused));
                return Err(Refused::TimedOut(message));
            }
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(PAUSES[1]);
        }
    }

    async fn once(&self, call: &Call<'_>) -> Result<Answer, Refused> {
        let late = |_| {
            let message = format!("{} did not answer within {ANSWER_TIME_MAX:?}", self.base);
            Refused::Unreachable(message)
        };
        timeout(ANSWER_TIME_MAX, self.exchange(call))
            .await
            .map_err(late)?
    }

    async fn exchange(&self, call: &Call<'_>) -> Result<Answer, Refused> {
        let mut response = self.open(call).await?;
        let body = response.body().limit(ANSWER_BYTES_MAX).await;
        let body = body.map_err(|error| {
            Refused::Unreachable(format!("{}: the answer broke off: {error}", self.base))
        })?;
        let status = response.status();
        if !status.is_success() {
            let problem = Problem::read(status, &body);
            // Ours name the fault by a word. Others than these two say nothing of who answers.
            let is_unknown = matches!(
                status,
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
            );
            if problem.code.is_empty() && is_unknown {
                return Err(Refused::Foreign(format!(
                    "{} is no control plane: it answers {status} (--server, SERIN_SERVER)",
                    self.base
                )));
            }
            return Err(Refused::Problem(Box::new(problem)));
        }
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        for warning in response.headers().get_all(WARNING).filter_map(text) {
            output::note(format_args!("warning: {}", warned(&warning)));
        }
        Ok(Answer {
            status,
            etag: response.headers().get(ETAG).and_then(text),
            body: body.to_vec(),
        })
    }

    /// Sends, and waits for the head of the answer.
    pub(crate) async fn open(&self, call: &Call<'_>) -> Result<ClientResponse, Refused> {
        let url = format!("{}/api/v1{}", self.base, call.path);
        let mut request = self
            .client
            .request(call.method.clone(), url)
            .no_decompress();
        if let Some(authorization) = &self.authorization {
            request = request.insert_header((AUTHORIZATION, authorization.clone()));
        }
        if call.headers.iter().all(|(name, _)| name != ACCEPT) {
            request = request.insert_header((ACCEPT, "application/json"));
        }
        for (name, value) in &call.headers {
            request = request.insert_header((name.clone(), value.as_str()));
        }
        let sent = match &call.body {
            None => request.send(),
            Some(body) => request
                .insert_header((CONTENT_TYPE, "application/json"))
                .send_body(body.clone()),
        };
        sent.await
            .map_err(|error| Refused::Unreachable(self.unreachable(&error)))
    }

    fn unreachable(&self, error: &SendRequestError) -> String {
        let why = match error {
            SendRequestError::Connect(ConnectError::Io(error)) => no_tls(error.to_string()),
            SendRequestError::Connect(ConnectError::Timeout) => "no connection in time".to_owned(),
            SendRequestError::Connect(ConnectError::Disconnected) => {
                "the connection was closed before an answer".to_owned()
            }
            other => no_tls(other.to_string()),
        };
        format!(
            "cannot reach the control plane at {}: {why} (SERIN_SERVER names another)",
            self.base
        )
    }
}

impl Refused {
    fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Problem(problem) => problem.is_passing(),
            Self::Foreign(_) | Self::TimedOut(_) => false,
        }
    }

    /// The status, where there was an answer.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Problem(problem) => StatusCode::from_u16(problem.status).ok(),
            _ => None,
        }
    }
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unreachable(message) | Refused::Foreign(message) => Self::Error(message),
            Refused::TimedOut(message) => Self::TimedOut(message),
            Refused::Problem(problem) => (*problem).into(),
        }
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// An answer in plain HTTP is no record of TLS.
fn no_tls(why: String) -> String {
    if why.contains("InvalidContentType") {
        "it does not speak TLS: write http://".to_owned()
    } else {
        why
    }
}

/// The words of `299 - "…"`.
fn warned(value: &str) -> &str {
    let quoted = value
        .split_once('"')
        .and_then(|(_, rest)| rest.rsplit_once('"'));
    quoted.map_or(value, |(words, _)| words)
}

fn client() -> Client {
    let connector = Connector::new()
        .rustls_0_23(Arc::new(tls_config()))
        .timeout(CONNECT_TIME_MAX)
        .handshake_timeout(CONNECT_TIME_MAX);
    Client::builder()
        .connector(connector)
        .disable_timeout()
        .disable_redirects()
        .finish()
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
