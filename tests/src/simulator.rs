//! `serin simulate`: a provider that follows a script and remembers what it saw.
//!
//! The script is set as a whole over HTTP, also while requests run; the journal tells what arrived
//! and how each answer ended, so that a story can ask the provider's side of it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::client::{Request, ask};
use crate::process::{Process, serin_binary};
use crate::serin::answers;
use crate::{World, eventually, free_address};

const START_WITHIN: Duration = Duration::from_secs(20);

/// A simulated provider. It answers every model at once until it is given a script.
#[derive(Debug)]
pub struct Simulator {
    pub process: Process,
    pub address: SocketAddr,
}

/// One request as the provider saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub model: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// `running`, `answered`, `cut`, `client_gone` or `refused`.
    pub ended: String,
}

impl Simulator {
    /// # Panics
    /// When it does not answer soon.
    pub async fn start(world: &World) -> Self {
        let address = free_address();
        let script = world.write("script.json", "{}");
        let listen = address.to_string();
        let arguments = [
            "simulate".as_ref(),
            "--listen".as_ref(),
            listen.as_ref(),
            "--script".as_ref(),
            script.as_os_str(),
        ];
        let mut process = Process::start(serin_binary().as_os_str(), &arguments, &[]);
        let look = async || match process.ended() {
            Some(status) => panic!("serin simulate ended: {status}\n{}", process.printed()),
            None => answers(address, "/__script").await,
        };
        eventually("the simulator answers", START_WITHIN, look, |status| {
            *status == Some(200)
        })
        .await;
        Self { process, address }
    }

    /// Replaces the script; requests under way go on as they began.
    ///
    /// # Panics
    /// When the script is refused.
    pub async fn script(&self, script: &Value) {
        let request = Request::new("PUT", "/__script").body(script.to_string());
        let answer = ask(self.address, &request).await;
        assert_eq!(answer.status(), 200, "{}\n{script}", answer.text());
    }

    /// The newest requests (at most 2 000), oldest first.
    pub async fn journal(&self) -> Vec<Seen> {
        let answer = ask(self.address, &Request::get("/__journal")).await.json();
        answer
            .as_array()
            .into_iter()
            .flatten()
            .map(Seen::from)
            .collect()
    }

    /// The newest request.
    ///
    /// # Panics
    /// When there has been none.
    pub async fn last(&self) -> Seen {
        self.journal()
            .await
            .pop()
            .expect("the provider has seen a request")
    }

    /// How many of the kept requests were for that model.
    pub async fn count(&self, model: &str) -> usize {
        self.journal()
            .await
            .iter()
            .filter(|seen| seen.model == model)
            .count()
    }

    /// Forgets all requests.
    pub async fn forget(&self) {
        ask(self.address, &Request::new("DELETE", "/__journal")).await;
    }
}

impl Seen {
    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(named)
            .map(|(_, value)| value.as_str())
    }
}

impl From<&Value> for Seen {
    fn from(record: &Value) -> Self {
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let headers = record["headers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|pair| {
                let part = |at: usize| pair[at].as_str().unwrap_or_default().to_owned();
                (part(0), part(1))
            });
        Self {
            path: text("path"),
            model: text("model"),
            headers: headers.collect(),
            body: text("body"),
            ended: text("ended"),
        }
    }
}
