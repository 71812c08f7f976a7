//! What runs while we measure: the simulated provider, nginx, Serin, each on its core.
//!
//!   core 0 (and all but 1): this generator, `serin simulate`        core 1: nginx, Serin
//!
//! Both systems run all the time and take turns, so that a slow minute of the machine meets both.
//! Always: everything listens on loopback, on ports that were free, and lives in a folder that goes.

use std::net::SocketAddr;
use std::path::Path;

use crate::answer::Answer;
use crate::args::Args;
use crate::cpu::Busy;
use crate::load::Request;
use crate::process::{Process, free_address};
use crate::{Outcome, cpu, paced};

const SECRET: &str = "sk-serin-bench-0123456789012345678901234567890123456789012";
const PROXY_CORE: &str = "1";
const REQUEST_BODY_BYTES: usize = 1024;
const CALLERS: usize = 64;

/// Who answers the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// The simulated provider itself: what the other two add to.
    Direct,
    Nginx,
    Serin,
}

/// The running programs. Fields are in the order of stopping.
#[derive(Debug)]
pub(crate) struct Stage {
    serin: Process,
    nginx: Process,
    simulator: Process,
    places: Places,
    _folder: tempfile::TempDir,
}

#[derive(Debug)]
struct Places {
    serin: SocketAddr,
    admin: SocketAddr,
    nginx: SocketAddr,
    nginx_streams: SocketAddr,
    simulator: SocketAddr,
}

impl Stage {
    /// Starts everything and waits until it listens.
    ///
    /// # Errors
    /// Fewer than two cores, a program that is missing, a configuration that is refused.
    pub(crate) fn open(args: &Args) -> Outcome<Self> {
        let feeding_cores = feeding_cores()?;
        cpu::pin(std::process::id(), &feeding_cores)?;
        let temporary = tempfile::tempdir()?;
        let folder = temporary.path();
        let places = Places {
            serin: free_address()?,
            admin: free_address()?,
            nginx: free_address()?,
            nginx_streams: free_address()?,
            simulator: free_address()?,
        };
        std::fs::write(folder.join("credential"), "sk-nobody")?;
        let script = places.write(folder, "simulator.yaml", include_str!("simulator.yaml"))?;
        let config = places.write(folder, "serin.yaml", include_str!("serin.yaml"))?;
        let conf = places.write(folder, "nginx.conf", include_str!("nginx.conf"))?;
        let listen = places.simulator.to_string();
        let simulate = ["simulate", "--listen", &listen, "--script", &script];
        let mut simulator =
            Process::start("simulator", &feeding_cores, &args.serin, &simulate, folder)?;
        let mut nginx = Process::start("nginx", PROXY_CORE, &args.nginx, &["-c", &conf], folder)?;
        let store = format!("file:{config}");
        let router = ["router", "--store", &store];
        let mut serin = Process::start("serin", PROXY_CORE, &args.serin, &router, folder)?;
        simulator.ready(places.simulator)?;
        nginx.ready(places.nginx)?;
        serin.ready(places.serin)?;
        Ok(Self {
            serin,
            nginx,
            simulator,
            places,
            _folder: temporary,
        })
    }

    /// Where `system` takes requests.
    pub(crate) fn address(&self, system: System, streamed: bool) -> SocketAddr {
        match system {
            System::Direct => self.places.simulator,
            System::Nginx if streamed => self.places.nginx_streams,
            System::Nginx => self.places.nginx,
            System::Serin => self.places.serin,
        }
    }

    /// Nanoseconds so far of `system`, of what feeds it, and of the machine.
    ///
    /// # Errors
    /// A program has ended.
    pub(crate) fn busy(&self, system: System) -> Outcome<Busy> {
        let proxy = match system {
            System::Direct => 0,
            System::Nginx => cpu::family_ns(self.nginx.id())?,
            System::Serin => cpu::family_ns(self.serin.id())?,
        };
        let feeding = cpu::generator_ns()? + cpu::family_ns(self.simulator.id())?;
        Ok(Busy {
            proxy,
            feeding,
            machine: cpu::machine_ns()?,
        })
    }

    /// The provider's own answer for `route`: whoever is in between must give the same.
    ///
    /// # Errors
    /// The provider does not answer, or its two models answer at different lengths.
    pub(crate) fn own_answer(&self, route: &str, streamed: bool) -> Outcome<Answer> {
        let mut socket = paced::connect(self.places.simulator)?;
        let stable = paced::ask(
            &mut socket,
            &spelling(&format!("{route}-a"), 0, streamed),
            streamed,
        )?;
        let canary = paced::ask(
            &mut socket,
            &spelling(&format!("{route}-b"), 0, streamed),
            streamed,
        )?;
        if (stable.body_bytes, stable.events) != (canary.body_bytes, canary.events) {
            return Err(format!("the two models of {route} answer at different lengths").into());
        }
        Ok(stable)
    }

    /// The requests for `route` as `system` wants them: Serin's callers name the route, the others
    /// the provider's model.
    pub(crate) fn request(&self, system: System, route: &str, answer: &Answer) -> Request {
        let streamed = answer.events > 0;
        let suffix = if system == System::Serin { "" } else { "-a" };
        Request {
            spellings: (0..CALLERS)
                .map(|caller| spelling(&format!("{route}{suffix}"), caller, streamed))
                .collect(),
            streamed,
            answer_bytes: answer.body_bytes,
            answer_events: answer.events,
        }
    }

    /// What the two systems said last: for the message when a run fails.
    pub(crate) fn said(&self) -> String {
        format!("nginx: {}\nserin: {}", self.nginx.said(), self.serin.said())
    }
}

impl Places {
    fn write(&self, folder: &Path, name: &str, template: &str) -> Outcome<String> {
        let path = folder.join(name);
        let text = template
            .replace("@FOLDER@", &folder.to_string_lossy())
            .replace("@SERIN@", &self.serin.to_string())
            .replace("@ADMIN@", &self.admin.to_string())
            .replace("@NGINX@", &self.nginx.to_string())
            .replace("@NGINX_STREAMS@", &self.nginx_streams.to_string())
            .replace("@SIMULATOR@", &self.simulator.to_string());
        std::fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    }
}

fn feeding_cores() -> Outcome<String> {
    let others: Vec<_> = (0..cpu::cores()).filter(|core| *core != 1).collect();
    if cpu::cores() < 2 {
        return Err("two cores are needed: one for the proxy, one for what feeds it".into());
    }
    Ok(others
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(","))
}

/// One request of 1 KB: a chat, as an SDK would send it.
fn spelling(model: &str, caller: usize, streamed: bool) -> Vec<u8> {
    let options = if streamed {
        r#""stream":true,"stream_options":{"include_usage":true},"#
    } else {
        ""
    };
    let start = format!(
        r#"{{"model":"{model}",{options}"user":"caller-{caller:04}","messages":[{{"role":"user","content":""#
    );
    let end = r#""}]}"#;
    let words = "Tell me about finches. ";
    let filling = REQUEST_BODY_BYTES.saturating_sub(start.len() + end.len());
    let content: String = words.chars().cycle().take(filling).collect();
    let body = format!("{start}{content}{end}");
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: bench\r\n\
         accept: application/json\r\ncontent-type: application/json\r\n\
         authorization: Bearer {SECRET}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
