//! One connection to one member, shared by all calls and watches; another member after a failure.
//!
//! ```text
//!   connection() ── there is one ──────────────▶ a copy of it
//!        └ none: one caller connects, the others wait for it: each endpoint once, files read anew
//!   discard(generation) ── it is still this one ─▶ none; the next connects to the next endpoint
//! ```
//!
//! etcd-client's own balancer is not used: it cannot be told to leave a member that answers pings
//! but has lost its cluster. We connect before anything is sent, so that "nothing was sent" is
//! certain when that fails. Not here: deadlines of calls (`call.rs`), what an error means.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use etcd_client::{
    Certificate, Channel, Client, ConnectOptions, Identity, KvClient, LeaseClient, TlsOptions,
    WatchClient,
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tonic::transport::Endpoint;

use super::{
    Timing, clock,
    trouble::{Kind, Trouble},
    version::is_too_old,
};
use crate::EtcdSettings;

/// Largest message that is read: a page of large documents, or a batch of changes.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// What one stalled watch may hold back, and all streams of a connection together: a consumer that
/// does not read must not stop the calls beside it.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 32 << 20;

/// After a failed round over all endpoints, callers get its answer for so long: no herd.
const ROUND_REMEMBERED: Duration = Duration::from_millis(100);

/// Makes connections and keeps the newest.
#[derive(Debug)]
pub(crate) struct Connector {
    /// In an order of this process, so that not all processes begin with the same member.
    endpoints: Vec<String>,
    settings: EtcdSettings,
    pub(crate) timing: Timing,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Connection>,
    /// Counts connections, and chooses the endpoint.
    generation: u64,
    turn: usize,
    failed: Option<(Instant, Trouble)>,
}

/// A member we speak with. Copies share the connection.
#[derive(Clone)]
pub(crate) struct Connection {
    generation: u64,
    pub(crate) endpoint: String,
    pub(crate) kv: KvClient,
    pub(crate) watch: WatchClient,
    pub(crate) lease: LeaseClient,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("generation", &self.generation)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Connector {
    pub(crate) fn new(mut endpoints: Vec<String>, settings: EtcdSettings, timing: Timing) -> Self {
        shuffle(&mut endpoints, clock::draw);
        Self {
            endpoints,
            settings,
            timing,
            state: Mutex::default(),
        }
    }

    /// The connection there is, or a new one to the first endpoint that can be reached.
    pub(crate) async fn connection(&self) -> Result<Connection, Trouble> {
        let mut state = self.state.lock().await;
        if let Some(current) = &state.current {
            return Ok(current.clone());
        }
        if let Some((at, trouble)) = &state.failed
            && at.elapsed() < ROUND_REMEMBERED
        {
            return Err(trouble.clone());
        }
        let mut last = Trouble::new(Kind::Unsent, "there is no endpoint");
        for _ in 0..self.endpoints.len() {
            let endpoint = &self.endpoints[state.turn % self.endpoints.len()];
            match self.connect(endpoint, state.generation).await {
                Ok(connection) => {
                    state.failed = None;
                    state.current = Some(connection.clone());
                    return Ok(connection);
                }
                Err(trouble) => {
                    tracing::debug!(%endpoint, error = %trouble.text, "connecting to etcd failed");
                    last = trouble;
                }
            }
            state.turn += 1;
            // A wrong password is wrong for all members, and costs each of them time.
            if last.kind == Kind::Denied {
                break;
            }
        }
        state.failed = Some((clock::now(), last.clone()));
        Err(last)
    }

    /// Gives this connection up, unless another caller has: the next goes to the next endpoint.
    /// Streams on it go on as long as they can.
    pub(crate) async fn discard(&self, connection: &Connection) {
        let mut state = self.state.lock().await;
        let same = |current: &Connection| current.generation == connection.generation;
        if state.current.as_ref().is_some_and(same) {
            state.current = None;
            state.generation += 1;
            state.turn += 1;
        }
    }

    async fn connect(&self, endpoint: &str, generation: u64) -> Result<Connection, Trouble> {
        let unsent = |why: String| Trouble::new(Kind::Unsent, format!("{endpoint}: {why}"));
        let channel = self.channel(endpoint).map_err(unsent)?;
        let channel = match timeout(self.timing.connect, channel.connect()).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(error)) => return Err(unsent(with_causes(&error))),
            Err(_) => {
                let after = self.timing.connect;
                return Err(unsent(format!("no connection after {after:?}")));
            }
        };
        let client = timeout(self.timing.call, self.client(channel)).await;
        let client = client
            .unwrap_or_else(|_| Err(Trouble::new(Kind::Unsent, "no answer to our password")))
            .map_err(|trouble| Trouble {
                // Whatever became of the password, no request of a caller was sent.
                kind: match trouble.kind {
                    Kind::Denied => Kind::Denied,
                    _ => Kind::Unsent,
                },
                text: format!("{endpoint}: {}", trouble.text),
            })?;
        tracing::debug!(%endpoint, "connected to etcd");
        tokio::spawn(look_at_version(
            client.clone(),
            endpoint.to_owned(),
            self.timing.call,
        ));
        Ok(Connection {
            generation,
            endpoint: endpoint.to_owned(),
            kv: client
                .kv_client()
                .max_decoding_message_size(MESSAGE_BYTES_MAX),
            watch: client
                .watch_client()
                .max_decoding_message_size(MESSAGE_BYTES_MAX),
            lease: client.lease_client(),
        })
    }

    /// The client on a connection that stands. With a user it gets a token first.
    async fn client(&self, channel: tonic::transport::Channel) -> Result<Client, Trouble> {
        let options = || ConnectOptions::new().with_require_leader(true);
        let channel = Channel::Tonic(channel);
        let Some(user) = &self.settings.username else {
            return Ok(Client::from_channel(channel, Some(options())).await?);
        };
        let password = self.password().map_err(|why| {
            // Asking without it would only be refused.
            Trouble::new(Kind::Denied, why)
        })?;
        // No refresh of tokens behind our back: it would go on with a password that was changed. A
        // refused token ends the connection, and the next one reads the password anew.
        let with_user = options().with_user(user, password);
        match Client::from_channel(channel.clone(), Some(with_user)).await {
            Err(error) if error.to_string().contains("authentication is not enabled") => {
                Ok(Client::from_channel(channel, Some(options())).await?)
            }
            other => Ok(other?),
        }
    }

    fn password(&self) -> Result<String, String> {
        let Some(file) = &self.settings.password_file else {
            return Ok(String::new());
        };
        let text = fs::read_to_string(file)
            .map_err(|error| format!("the password file {}: {error}", file.display()))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// How to connect. The files of TLS are read each time: they may have been replaced.
    fn channel(&self, endpoint: &str) -> Result<Endpoint, String> {
        let tls = self.tls()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let channel = Endpoint::from_shared(format!("{scheme}://{endpoint}"))
            .map_err(|error| with_causes(&error))?
            .connect_timeout(self.timing.connect)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(self.timing.ping)
            .keep_alive_timeout(self.timing.ping_answer)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        match tls {
            Some(tls) => channel.tls_config(tls).map_err(|error| with_causes(&error)),
            None => Ok(channel),
        }
    }

    fn tls(&self) -> Result<Option<TlsOptions>, String> {
        let Some(ca_file) = &self.settings.ca_file else {
            return Ok(None);
        };
        let read = |file: &PathBuf| {
            fs::read(file).map_err(|error| format!("the file {}: {error}", file.display()))
        };
        let mut tls = TlsOptions::new().ca_certificate(Certificate::from_pem(read(ca_file)?));
        if let (Some(cert), Some(key)) = (&self.settings.cert_file, &self.settings.key_file) {
            tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?));
        }
        Ok(Some(tls))
    }
}

/// Says so when the member is too old. Nobody waits for this.
async fn look_at_version(mut client: Client, endpoint: String, deadline: Duration) {
    static SAID: AtomicBool = AtomicBool::new(false);
    let Ok(Ok(status)) = timeout(deadline, client.status()).await else {
        return;
    };
    let version = status.version();
    if is_too_old(version) && !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(%endpoint, version, "this etcd has known faults: take a newer patch");
    }
}

/// Fisher and Yates; `draw` gives numbers from 0 up to 1.
fn shuffle(endpoints: &mut [String], draw: impl Fn() -> f64) {
    for last in (1..endpoints.len()).rev() {
        let chosen = (draw() * (last + 1) as f64) as usize;
        endpoints.swap(last, chosen.min(last));
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
