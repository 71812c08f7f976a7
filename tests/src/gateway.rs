//! Writing to etcd past everything of ours, through its own JSON gateway.
//!
//! What stories need of a bad neighbour: values nobody checked, a thousand writes a second,
//! compaction. Keys are given as ours are, after `/serin/v1/`.

use std::io;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use serin_proto::key::PREFIX;

use crate::client::{Connection, Request};

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// After `/serin/v1/`.
    pub key: String,
    pub value: Vec<u8>,
    pub create_revision: u64,
    pub mod_revision: u64,
    /// The lease it goes with, as etcd writes it; `0`: none.
    pub lease: String,
}

impl Kept {
    /// The value as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.value).unwrap_or(Value::Null)
    }
}

/// One kept connection to a member.
#[derive(Debug)]
pub struct Gateway {
    connection: Connection,
}

impl Gateway {
    /// Connects to the client address of a member.
    pub async fn open(member: SocketAddr) -> io::Result<Self> {
        let connection = Connection::open(member).await?;
        Ok(Self { connection })
    }

    /// Writes a value under `/serin/v1/<key>` and returns the revision.
    pub async fn put(&mut self, key: &str, value: &[u8]) -> io::Result<u64> {
        let body = json!({"key": coded(key), "value": STANDARD.encode(value)});
        self.call("/v3/kv/put", &body).await
    }

    /// Deletes a key and returns the revision.
    pub async fn delete(&mut self, key: &str) -> io::Result<u64> {
        let body = json!({"key": coded(key)});
        self.call("/v3/kv/deleterange", &body).await
    }

    /// The revision of the whole store.
    pub async fn revision(&mut self) -> io::Result<u64> {
        self.call("/v3/kv/range", &json!({"key": coded("nothing")}))
            .await
    }

    /// The value of a key, if it is there.
    pub async fn get(&mut self, key: &str) -> io::Result<Option<Vec<u8>>> {
        let answer = self
            .ask("/v3/kv/range", &json!({"key": coded(key)}))
            .await?;
        let value = answer["kvs"][0]["value"].as_str();
        Ok(value.and_then(|value| STANDARD.decode(value).ok()))
    }

    /// All keys that begin so, rising.
    pub async fn list(&mut self, prefix: &str) -> io::Result<Vec<Kept>> {
        // Keys of ours are text: nothing sorts behind the last code point.
        let end = coded(&format!("{prefix}\u{10FFFF}"));
        let body = json!({"key": coded(prefix), "range_end": end});
        let answer = self.ask("/v3/kv/range", &body).await?;
        let all = answer["kvs"].as_array().into_iter().flatten();
        Ok(all.filter_map(kept).collect())
    }

    /// Ends a lease with all its keys, as its own end would.
    pub async fn revoke(&mut self, lease: &str) -> io::Result<()> {
        let body = json!({"ID": lease});
        self.ask("/v3/lease/revoke", &body).await.map(drop)
    }

    /// Forgets the history up to a revision.
    pub async fn compact(&mut self, revision: u64) -> io::Result<()> {
        let body = json!({"revision": revision.to_string(), "physical": true});
        self.ask("/v3/kv/compaction", &body).await.map(drop)
    }

    async fn call(&mut self, path: &str, body: &Value) -> io::Result<u64> {
        let answer = self.ask(path, body).await?;
        let revision = answer["header"]["revision"].as_str();
        let revision = revision.and_then(|text| text.parse().ok());
        revision.ok_or_else(|| io::Error::other(format!("{path}: no revision in {answer}")))
    }

    async fn ask(&mut self, path: &str, body: &Value) -> io::Result<Value> {
        let request = Request::post(path, body.to_string());
        let answer = self.connection.exchange(&request).await?;
        if answer.status() == 200 {
            Ok(answer.json())
        } else {
            let message = format!("{path}: {} {}", answer.status(), answer.text());
            Err(io::Error::other(message))
        }
    }
}

fn kept(entry: &Value) -> Option<Kept> {
    let text = |field: &str| entry[field].as_str().unwrap_or("0").to_owned();
    let bytes = |field: &str| {
        STANDARD
            .decode(entry[field].as_str().unwrap_or_default())
            .ok()
    };
    let key = String::from_utf8(bytes("key")?).ok()?;
    Some(Kept {
        key: key.strip_prefix(PREFIX)?.to_owned(),
        value: bytes("value")?,
        create_revision: text("create_revision").parse().ok()?,
        mod_revision: text("mod_revision").parse().ok()?,
        lease: text("lease"),
    })
}

fn coded(key: &str) -> String {
    STANDARD.encode(format!("{PREFIX}{key}"))
}
