//! An etcd that follows a script: reads answer from a table, each watch stream is handed to the
//! test, which plays the server on it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use etcd_client::proto::{
    PbCompactionRequest, PbCompactionResponse, PbDeleteRequest, PbDeleteResponse, PbEvent,
    PbKeyValue, PbKvServer, PbKvService, PbPutRequest, PbPutResponse, PbRangeRequest,
    PbRangeResponse, PbRangeStreamResponse, PbResponseHeader, PbTxnRequest, PbTxnResponse,
    PbWatchRequest, PbWatchRequestUnion, PbWatchResponse, PbWatchServer, PbWatchService,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::Stream;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use crate::stage::SOON;

const ID: i64 = 0;
/// The id of what belongs to no watch.
pub(crate) const NOBODY: i64 = -1;

/// The server, and what it has seen.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    table: Arc<Mutex<Table>>,
    open: Arc<AtomicUsize>,
    watched: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Play>>>,
}

/// What reads answer.
pub(crate) struct Table {
    pub(crate) cluster: u64,
    pub(crate) revision: i64,
    /// Keys as they are now and when they were changed.
    pub(crate) keys: BTreeMap<String, i64>,
    /// Instead of an answer.
    pub(crate) refuse: Option<Status>,
    /// Entries that fit into one answer; more cannot be read.
    pub(crate) fits: usize,
    /// Reads are never answered.
    pub(crate) mute: bool,
    /// When each listing was asked for.
    pub(crate) listings: Vec<Instant>,
    /// Reads of one key: the question before a watch goes on.
    pub(crate) looks: usize,
    pub(crate) txns: usize,
}

/// One watch stream, seen from the server.
pub(crate) struct Play {
    /// What the client asked to begin with.
    pub(crate) start: i64,
    pub(crate) first: String,
    pub(crate) end: String,
    answers: mpsc::UnboundedSender<Result<PbWatchResponse, Status>>,
    asked: mpsc::UnboundedReceiver<()>,
    table: Arc<Mutex<Table>>,
}

impl Fake {
    /// Starts it: empty, at revision 10.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let (watches, watched) = mpsc::unbounded_channel();
        let fake = Self {
            address,
            table: Arc::new(Mutex::new(Table {
                cluster: 7,
                revision: 10,
                keys: BTreeMap::new(),
                refuse: None,
                fits: usize::MAX,
                mute: false,
                listings: Vec::new(),
                looks: 0,
                txns: 0,
            })),
            open: Arc::default(),
            watched: Arc::new(tokio::sync::Mutex::new(watched)),
        };
        let kv = PbKvServer::new(Kv(fake.clone()));
        let watch = PbWatchServer::new(Watches {
            fake: fake.clone(),
            plays: watches,
        });
        let server = tonic::transport::Server::builder()
            .add_service(kv)
            .add_service(watch);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        fake
    }

    pub(crate) fn endpoint(&self) -> String {
        self.address.to_string()
    }

    /// Reads or changes what it answers.
    pub(crate) fn table<T>(&self, look: impl FnOnce(&mut Table) -> T) -> T {
        look(
            &mut self
                .table
                .lock()
                .expect("no test panics while it holds this"),
        )
    }

    /// A key below `config/` as it is now.
    pub(crate) fn holds(&self, name: &str, revision: i64) {
        self.table(|table| table.keys.insert(full(name), revision));
    }

    /// The next watch that a client opens.
    pub(crate) async fn watched(&self) -> Play {
        let mut watched = self.watched.lock().await;
        let play = timeout(SOON, watched.recv()).await;
        play.expect("a watch is opened soon").expect("it serves")
    }

    /// Watch streams that clients hold open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Play {
    /// Says that the watch stands.
    pub(crate) fn created(&self) {
        self.send(PbWatchResponse {
            created: true,
            ..self.message()
        });
    }

    /// Sends one message with these events: `name@revision`, `-name@revision` for a deletion.
    pub(crate) fn events(&self, events: &[&str]) {
        self.fragment(events, false);
    }

    /// The same; with `more` it is a part of a batch.
    pub(crate) fn fragment(&self, events: &[&str], more: bool) {
        self.send(PbWatchResponse {
            events: events.iter().map(|text| event(text)).collect(),
            fragment: more,
            ..self.message()
        });
    }

    /// Tells how far it is, as the answer to a question.
    pub(crate) fn progress(&self, revision: i64) {
        let mut message = self.message();
        message.watch_id = NOBODY;
        message.header = Some(header(7, revision));
        self.send(message);
    }

    /// A message of this watch with nothing in it.
    pub(crate) fn message(&self) -> PbWatchResponse {
        let table = self.table.lock().expect("no test panics in it");
        PbWatchResponse {
            header: Some(header(table.cluster, table.revision)),
            watch_id: ID,
            ..PbWatchResponse::default()
        }
    }

    pub(crate) fn send(&self, message: PbWatchResponse) {
        // A client that has left is what some tests wait for.
        let _ = self.answers.send(Ok(message));
    }

    /// Ends the stream with an error.
    pub(crate) fn fail(self, status: Status) {
        let _ = self.answers.send(Err(status));
    }

    /// Waits until the client asks for progress.
    pub(crate) async fn asked(&mut self, within: Duration) -> bool {
        timeout(within, self.asked.recv())
            .await
            .is_ok_and(|asked| asked.is_some())
    }

    /// Waits until the client has dropped the stream.
    pub(crate) async fn dropped(&self) {
        let gone = timeout(SOON, self.answers.closed()).await;
        gone.expect("the client drops the stream");
    }
}

struct Kv(Fake);

#[tonic::async_trait]
impl PbKvService for Kv {
    async fn range(
        &self,
        request: Request<PbRangeRequest>,
    ) -> Result<Response<PbRangeResponse>, Status> {
        let asked = request.into_inner();
        let answer = self.0.table(|table| table.read(&asked));
        match answer {
            Some(answer) => answer.map(Response::new),
            None => std::future::pending().await,
        }
    }

    async fn txn(&self, _: Request<PbTxnRequest>) -> Result<Response<PbTxnResponse>, Status> {
        let refuse = self.0.table(|table| {
            table.txns += 1;
            table.refuse.clone()
        });
        match refuse {
            Some(status) => Err(status),
            None => std::future::pending().await,
        }
    }

    type RangeStreamStream = Never<PbRangeStreamResponse>;

    async fn range_stream(
        &self,
        _: Request<PbRangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        Err(Status::unimplemented("not in this script"))
    }

    async fn put(&self, _: Request<PbPutRequest>) -> Result<Response<PbPutResponse>, Status> {
        Err(Status::unimplemented("not in this script"))
    }

    async fn delete_range(
        &self,
        _: Request<PbDeleteRequest>,
    ) -> Result<Response<PbDeleteResponse>, Status> {
        Err(Status::unimplemented("not in this script"))
    }

    async fn compact(
        &self,
        _: Request<PbCompactionRequest>,
    ) -> Result<Response<PbCompactionResponse>, Status> {
        Err(Status::unimplemented("not in this script"))
    }
}

type Never<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Table {
    /// `None`: no answer at all.
    fn read(&mut self, asked: &PbRangeRequest) -> Option<Result<PbRangeResponse, Status>> {
        let first = String::from_utf8_lossy(&asked.key).into_owned();
        let end = String::from_utf8_lossy(&asked.range_end).into_owned();
        if end.is_empty() {
            self.looks += 1;
        } else {
            self.listings.push(Instant::now());
        }
        if self.mute {
            return None;
        }
        if let Some(status) = &self.refuse {
            return Some(Err(status.clone()));
        }
        let end = if end.is_empty() {
            format!("{first}\0")
        } else {
            end
        };
        let limit = match usize::try_from(asked.limit) {
            Ok(limit @ 1..) => limit,
            _ => usize::MAX,
        };
        let found = self.keys.range(first..end);
        let all: Vec<PbKeyValue> = found.map(|(key, revision)| put(key, *revision)).collect();
        let more = all.len() > limit;
        let kvs: Vec<PbKeyValue> = all.into_iter().take(limit).collect();
        if kvs.len() > self.fits {
            let text = "Error, decoded message length too large";
            return Some(Err(Status::out_of_range(text)));
        }
        Some(Ok(PbRangeResponse {
            header: Some(header(self.cluster, self.revision)),
            kvs,
            more,
            ..PbRangeResponse::default()
        }))
    }
}

struct Watches {
    fake: Fake,
    plays: mpsc::UnboundedSender<Play>,
}

#[tonic::async_trait]
impl PbWatchService for Watches {
    type WatchStream = Never<PbWatchResponse>;

    async fn watch(
        &self,
        request: Request<Streaming<PbWatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut requests = request.into_inner();
        let (answers, sent) = mpsc::unbounded_channel();
        let (asks, asked) = mpsc::unbounded_channel();
        let first = requests
            .message()
            .await?
            .and_then(|first| first.request_union);
        let Some(PbWatchRequestUnion::CreateRequest(create)) = first else {
            return Err(Status::invalid_argument(
                "the first request creates a watch",
            ));
        };
        assert!(
            create.progress_notify && create.fragment && !create.prev_kv,
            "{create:?}"
        );
        let play = Play {
            start: create.start_revision,
            first: String::from_utf8_lossy(&create.key).into_owned(),
            end: String::from_utf8_lossy(&create.range_end).into_owned(),
            answers,
            asked,
            table: Arc::clone(&self.fake.table),
        };
        self.plays.send(play).expect("the test runs");
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                if let Some(PbWatchRequestUnion::ProgressRequest(_)) = request.request_union {
                    let _ = asks.send(());
                }
            }
        });
        self.fake.open.fetch_add(1, Ordering::SeqCst);
        let counted = Counted(Arc::clone(&self.fake.open));
        let stream = UnboundedReceiverStream::new(sent).map(move |message| {
            let _held = &counted;
            message
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

/// Goes with the stream that holds it.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn header(cluster_id: u64, revision: i64) -> PbResponseHeader {
    PbResponseHeader {
        cluster_id,
        revision,
        ..PbResponseHeader::default()
    }
}

fn full(name: &str) -> String {
    format!("/serin/v1/config/routes/{name}")
}

fn event(text: &str) -> PbEvent {
    let (name, revision) = text.split_once('@').expect("name@revision");
    let deleted = name.starts_with('-');
    let revision: i64 = revision.parse().expect("a revision");
    PbEvent {
        r#type: i32::from(deleted),
        kv: Some(put(&full(name.trim_start_matches('-')), revision)),
        prev_kv: None,
    }
}

fn put(key: &str, revision: i64) -> PbKeyValue {
    PbKeyValue {
        key: key.as_bytes().to_vec(),
        create_revision: revision,
        mod_revision: revision,
        version: 1,
        ..PbKeyValue::default()
    }
}
