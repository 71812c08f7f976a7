//! A `serin` server of a test's own, on ports that the system chooses, and its log.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

/// The secret of the settings' admin.
pub(crate) const ADMIN: &str = "tk-serin-transcript-admin";
/// The secret of the settings' viewer.
const VIEWER: &str = "tk-serin-transcript-viewer";
/// Longest wait for a line of the log.
const LINE_WITHIN: Duration = Duration::from_secs(30);

/// Most times that readiness is asked for.
const LOOKS_MAX: usize = 20_000;

/// A `server:` block with an admin and a viewer.
pub(crate) const SETTINGS: &str = "server:\n  drain: {grace: 0s, limit: 1s}\n  allowedNetworks: \
                                   [10.0.0.0/8]\n  controlPlane:\n    tokens: [{name: ada, role: \
                                   admin, env: ADMIN}, {name: vera, role: viewer, env: VIEWER}]\n";

/// Arguments that have the system choose every port.
const PORTS: [&str; 8] = [
    "--listen",
    "127.0.0.1:0",
    "--admin-listen",
    "127.0.0.1:0",
    "--api-listen",
    "127.0.0.1:0",
    "--grpc-listen",
    "127.0.0.1:0",
];

/// A server that runs until it is dropped.
pub(crate) struct Gateway {
    process: Child,
    log: Arc<Log>,
    folder: PathBuf,
    api: String,
}

#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    grown: Condvar,
}

impl Gateway {
    /// `serin up` on `folder/serin.yaml`, if that is there, and `folder/data`; waits until its API
    /// is ready: documents and tokens were heard once.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut gateway = Self::up(folder);
        gateway.wait_for_api();
        gateway.wait_until_ready();
        gateway
    }

    fn wait_until_ready(&self) {
        let look = || -> io::Result<String> {
            let mut stream = TcpStream::connect(self.api.trim_start_matches("http://"))?;
            stream.set_read_timeout(Some(LINE_WITHIN))?;
            stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        // Each look costs a connection, so this many of them last for seconds.
        let ready = || look().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"));
        assert!((0..LOOKS_MAX).any(|_| ready()), "{:?}", look());
    }

    /// The same without waiting for anything.
    pub(crate) fn up(folder: &Path) -> Self {
        let arguments = ["up", "--workers", "1", "--data-dir", "data"];
        Self::launch(folder, &[&arguments[..], &PORTS].concat())
    }

    /// Any server, started in `folder`.
    pub(crate) fn launch(folder: &Path, arguments: &[&str]) -> Self {
        let mut process = serin()
            .args(arguments)
            .args(["--log-format", "json"])
            .envs([("ADMIN", ADMIN), ("VIEWER", VIEWER)])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("serin can be started");
        let log = Arc::new(Log::default());
        let stderr = process.stderr.take().expect("it was piped");
        let reader = Arc::clone(&log);
        thread::spawn(move || reader.read(stderr));
        Self {
            process,
            log,
            folder: folder.to_owned(),
            api: String::new(),
        }
    }

    /// Waits until its log tells where the API is.
    pub(crate) fn wait_for_api(&mut self) {
        let line = self.wait_for("\"api\":\"");
        let api = line
            .split("\"api\":\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        self.api = api.expect("the line has it").to_owned();
    }

    /// The first line of the log that holds `part`.
    pub(crate) fn wait_for(&self, part: &str) -> String {
        self.wait_behind(0, part).1
    }

    /// The first such line behind the first `lines` of the log, and how many lines there are up to
    /// and with it.
    pub(crate) fn wait_behind(&self, lines: usize, part: &str) -> (usize, String) {
        let find = |log: &[String]| log.iter().skip(lines).position(|line| line.contains(part));
        let guard = self
            .log
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .log
            .grown
            .wait_timeout_while(guard, LINE_WITHIN, |(log, ended)| {
                find(log).is_none() && !*ended
            });
        let (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let (log, _) = &*guard;
        let at = find(log).unwrap_or_else(|| panic!("no {part:?} in\n{}", log.join("\n")));
        let line = lines + at;
        (line + 1, log[line].clone())
    }

    /// All it said so far.
    pub(crate) fn log(&self) -> Vec<String> {
        let log = self
            .log
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        log.0.clone()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.is_ok_and(|status| status.success()), "{kill}");
    }

    /// Waits for its end; gives its exit code and all it said.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let guard = self
            .log
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .log
            .grown
            .wait_timeout_while(guard, LINE_WITHIN, |(_, ended)| !*ended);
        let (guard, timed_out) = waited.unwrap_or_else(PoisonError::into_inner);
        let said = guard.0.join("\n");
        drop(guard);
        assert!(!timed_out.timed_out(), "it still runs:\n{said}");
        let status = self
            .process
            .wait()
            .expect("a child of ours can be waited for");
        (status.code(), said)
    }

    /// Runs a command line in its folder. `VIEWER` before it asks with the viewer's token.
    pub(crate) fn run(&self, line: &str) -> Output {
        let (token, line) = match line.strip_prefix("VIEWER ") {
            Some(line) => (VIEWER, line),
            None => (ADMIN, line),
        };
        self.run_with(token, line)
    }

    /// The same with any token.
    pub(crate) fn run_with(&self, token: &str, line: &str) -> Output {
        let mut command = self.command(token, line);
        command.output().expect("serin can be started")
    }

    /// The same, not started yet.
    pub(crate) fn command(&self, token: &str, line: &str) -> Command {
        let words = words(line);
        assert_eq!(words.first().map(String::as_str), Some("serin"), "{line}");
        let server = format!("http://{}", self.api);
        let mut command = serin();
        command
            .args(&words[1..])
            .envs([("SERIN_SERVER", server.as_str()), ("SERIN_TOKEN", token)])
            .envs([("NO_COLOR", "1"), ("WEB_KEY", "sk-serin-web-0123")])
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    /// What a command line prints; it must succeed.
    pub(crate) fn printed(&self, line: &str) -> String {
        let output = self.run(line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}\n{said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Log {
    fn read(&self, from: impl Read) {
        let push = |line: Option<String>| {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            match line {
                Some(line) => lines.0.push(line),
                None => lines.1 = true,
            }
            self.grown.notify_all();
        };
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            push(Some(line));
        }
        push(None);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It has ended if this fails, which a test notices elsewhere.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Writes a file as editors do: beside it, then in its place.
pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    let new = folder.join(format!("{name}.new"));
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, folder.join(name)));
    written.expect("the folder can be written");
}

/// The binary, without what the tester's shell holds.
pub(crate) fn serin() -> Command {
    let mut serin = Command::new(env!("CARGO_BIN_EXE_serin"));
    for (name, _) in std::env::vars_os() {
        // What the tester's shell holds is not part of the test.
        if name.to_string_lossy().starts_with("SERIN_") {
            serin.env_remove(name);
        }
    }
    serin
}

/// Words as a shell splits them, single quotes only.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().expect("there is one").push(c),
        }
    }
    words
}
