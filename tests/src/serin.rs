//! `serin up`, or a router that follows a file, on ports of its own; the file can be changed.
//!
//! A story writes documents (`providers:`, `routes:`, `keys:`) and, if it must, further lines of
//! the `server:` block; addresses, permission for loopback providers and a short grace are added
//! here. Secrets reach the program by environment, as in life.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::client::{Answer, Request, ask};
use crate::metrics::Scrape;
use crate::process::{Process, serin_binary};
use crate::{Api, World, control_plane, eventually, free_address};

/// The secret of the key `story`, which may use every route.
pub const CALLER_SECRET: &str = "sk-serin-story-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
/// Its SHA-256 in hex, as the store has it.
pub const CALLER_SHA256: &str = "59815498efc5a7e5d0e7fe7120f283c3e83d0391c57bce0166d0f523ea68e7a8";
/// The document of that key.
pub const KEYS: &str =
    "keys:\n  - {name: story, secrets: [{env: STORY_CALLER}], routes: [\"*\"]}\n";
/// The credential Serin sends to providers.
pub const PROVIDER_SECRET: &str = "sk-provider-story";

const START_WITHIN: Duration = Duration::from_secs(30);
pub(crate) const ENVIRONMENT: [(&str, &str); 2] = [
    ("STORY_CALLER", CALLER_SECRET),
    ("STORY_PROVIDER", PROVIDER_SECRET),
];

/// A router that answers.
#[derive(Debug)]
pub struct Serin {
    pub process: Process,
    pub traffic: SocketAddr,
    pub admin: SocketAddr,
    /// The control plane's REST; nobody is there if the router is alone.
    pub api: SocketAddr,
    server: String,
    file: PathBuf,
}

/// The line of a provider document: OpenAI's dialect at a loopback address.
pub fn provider(name: &str, at: SocketAddr) -> String {
    format!(
        "  - {{name: {name}, dialect: openai, baseUrl: \"http://{at}/v1\", \
         credential: {{env: STORY_PROVIDER}}}}\n"
    )
}

impl Serin {
    /// Starts `serin up` with these documents and waits until it is ready.
    ///
    /// # Panics
    /// When it ends or is not ready in half a minute, with all it printed.
    pub async fn up(world: &World, documents: &str) -> Self {
        Self::up_with(world, "", documents).await
    }

    /// The same, with further lines of the `server:` block, each indented by two spaces.
    pub async fn up_with(world: &World, settings: &str, documents: &str) -> Self {
        Self::start(world, settings, documents, start_up).await
    }

    /// Starts a router that follows a file, traffic included, and waits until it is ready.
    ///
    /// # Panics
    /// When it ends or is not ready in half a minute, with all it printed.
    pub async fn following(world: &World, documents: &str) -> Self {
        Self::start(world, "", documents, start_following).await
    }

    async fn start(
        world: &World,
        settings: &str,
        documents: &str,
        launch: fn(&World, &Path) -> Process,
    ) -> Self {
        let (traffic, admin) = (free_address(), free_address());
        let api = free_address();
        let server = format!(
            "server:\n  listen: {traffic}\n  adminListen: {admin}\n  workers: 2\n  \
             drain: {{grace: 1s, limit: 60s}}\n  allowedNetworks: [127.0.0.0/8]\n{}{settings}",
            control_plane::settings(api, free_address())
        );
        let file = world.write("serin.yaml", &format!("{server}{documents}"));
        let process = launch(world, &file);
        let mut serin = Self {
            process,
            traffic,
            admin,
            api,
            server,
            file,
        };
        serin.wait_until_ready().await;
        serin
    }

    /// The control plane's API as an admin.
    pub fn api(&self) -> Api {
        Api::new(self.api, control_plane::token("admin"))
    }

    /// Starts `serin up` again, with the same file and data, after its process has ended.
    pub async fn again(&mut self, world: &World) {
        self.process = start_up(world, &self.file);
        self.wait_until_ready().await;
    }

    /// Replaces the documents by rename, as editors and config maps do. Returns the whole file.
    pub fn rewrite(&self, documents: &str) -> String {
        let text = format!("{}{documents}", self.server);
        let new = self.file.with_extension("new");
        let replaced = std::fs::write(&new, &text).and_then(|()| std::fs::rename(new, &self.file));
        replaced.expect("the story's folder can be written");
        text
    }

    /// One request over a new connection, with the caller's key.
    pub async fn ask(&self, request: Request) -> Answer {
        ask(self.traffic, &request.key(CALLER_SECRET)).await
    }

    /// `GET` on the admin listener.
    pub async fn admin(&self, path: &str) -> Answer {
        ask(self.admin, &Request::get(path)).await
    }

    pub async fn metrics(&self) -> Scrape {
        Scrape::read(&self.admin("/metrics").await.text())
    }

    async fn wait_until_ready(&mut self) {
        let admin = self.admin;
        let process = &mut self.process;
        let look = async || match process.ended() {
            Some(status) => panic!("serin ended: {status}\n{}", process.printed()),
            None => (answers(admin, "/readyz").await, process.stderr()),
        };
        eventually("/readyz answers 200", START_WITHIN, look, |seen| {
            seen.0 == Some(200)
        })
        .await;
    }
}

/// Starts `serin up --config FILE` without waiting for anything.
pub fn start_up(world: &World, file: &Path) -> Process {
    let data = world.path("data");
    let arguments = [
        "up".as_ref(),
        "--config".as_ref(),
        file.as_os_str(),
        "--data-dir".as_ref(),
        data.as_os_str(),
    ];
    let environment = [ENVIRONMENT.as_slice(), &control_plane::environment()].concat();
    Process::start(serin_binary().as_os_str(), &arguments, &environment)
}

/// Starts `serin router --store file:FILE` without waiting for anything.
pub fn start_following(_: &World, file: &Path) -> Process {
    let store = format!("file:{}", file.display());
    let environment = [ENVIRONMENT.as_slice(), &control_plane::environment()].concat();
    let arguments = ["router", "--store", &store];
    Process::start(serin_binary().as_os_str(), &arguments, &environment)
}

/// The status of `GET path`, or nothing if nobody answers yet.
pub async fn answers(at: SocketAddr, path: &str) -> Option<u16> {
    let mut connection = crate::client::Connection::open(at).await.ok()?;
    let answer = connection.exchange(&Request::get(path)).await.ok()?;
    Some(answer.status())
}
