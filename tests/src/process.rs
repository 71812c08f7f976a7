//! A program that a story starts and ends.
//!
//! Always: what it prints is kept in memory and shown when something fails; it is ended by its
//! own process id, at the latest when the value is dropped. Nothing here knows which program.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::eventually;

/// A running program and what it has printed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    out: Printed,
    err: Printed,
}

/// Text that grows while the program prints.
#[derive(Clone, Debug, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Process {
    /// Starts a program with the given arguments and further environment variables.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start<A: AsRef<OsStr>>(
        program: &OsStr,
        arguments: &[A],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        let out = Printed::from(child.stdout.take().expect("stdout was piped"));
        let err = Printed::from(child.stderr.take().expect("stderr was piped"));
        let name = program.to_string_lossy().into_owned();
        Self {
            name,
            child,
            out,
            err,
        }
    }

    /// Everything printed so far to standard output.
    pub fn stdout(&self) -> String {
        self.out.text()
    }

    /// Everything printed so far to standard error.
    pub fn stderr(&self) -> String {
        self.err.text()
    }

    /// Both, for messages.
    pub fn printed(&self) -> String {
        format!("--- stdout\n{}--- stderr\n{}", self.stdout(), self.stderr())
    }

    /// The process id, unless it has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Panics
    /// When it has ended already.
    pub async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Sends a signal by name, such as `HUP`.
    ///
    /// # Panics
    /// When the program has ended already.
    pub async fn signal(&self, name: &str) {
        let id = self
            .id()
            .unwrap_or_else(|| panic!("{} has ended\n{}", self.name, self.printed()));
        // The shell's own `kill`: no further program is needed.
        let status = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{name} {id}"))
            .status()
            .await;
        assert!(
            status.is_ok_and(|status| status.success()),
            "kill -{name} {id} failed"
        );
    }

    /// Ends it at once (SIGKILL) and waits until it is gone.
    pub async fn kill(&mut self) {
        self.child
            .kill()
            .await
            .expect("a child of ours can be killed");
    }

    /// Whether it has ended, without waiting; all it printed can be read by then.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child of ours can be asked");
        status.filter(|_| self.out.closed() && self.err.closed())
    }

    /// Waits for its end; all it printed can be read afterwards.
    ///
    /// # Panics
    /// When it still runs after `within`.
    pub async fn exit(&mut self, within: Duration) -> ExitStatus {
        let Ok(status) = timeout(within, self.child.wait()).await else {
            panic!(
                "{} still runs after {within:?}\n{}",
                self.name,
                self.printed()
            );
        };
        let look = async || (self.out.closed(), self.err.closed());
        eventually("its output ends with it", within, look, |seen| {
            seen.0 && seen.1
        })
        .await;
        status.expect("a child of ours can be waited for")
    }
}

impl Printed {
    fn from(mut source: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let printed = Self::default();
        let sink = printed.clone();
        tokio::spawn(async move {
            let mut piece = vec![0; 8192];
            while let Ok(count @ 1..) = source.read(&mut piece).await {
                let mut text = sink.0.lock().unwrap_or_else(PoisonError::into_inner);
                text.extend_from_slice(&piece[..count]);
            }
        });
        printed
    }

    fn text(&self) -> String {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The reader has seen the end: it has let go of its half.
    fn closed(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

/// The binary under test: `SERIN_BIN`, else the debug build in the target folder.
///
/// # Panics
/// When there is no such file, with the command that makes it.
pub fn serin_binary() -> PathBuf {
    let path = std::env::var_os("SERIN_BIN").map_or_else(
        || {
            let target = std::env::var_os("CARGO_TARGET_DIR")
                .map_or_else(|| repository().join("target"), PathBuf::from);
            target.join("debug").join("serin")
        },
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "there is no binary at {}: run `cargo build` first, or name one in SERIN_BIN",
        path.display()
    );
    path
}

/// The same program with failpoints: `serin-failpoints` beside it.
///
/// # Panics
/// When there is no such file, with the command that makes it.
pub fn failpoints_binary() -> PathBuf {
    let path = serin_binary().with_file_name("serin-failpoints");
    assert!(
        path.is_file(),
        "there is no binary at {}: run `tests/install.sh`, then `cargo build`",
        path.display()
    );
    path
}

/// The top folder of the repository.
pub fn repository() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_has_ended_has_printed_all() {
        // Its child goes on printing for a while after it.
        let words = ["-c", "(sleep 1; echo late) & exit 3"];
        let mut process = Process::start("sh".as_ref(), &words, &[]);
        let look = async || (process.ended(), process.stdout());
        let within = Duration::from_secs(20);
        let (status, printed) = eventually("it ends", within, look, |seen| seen.0.is_some()).await;
        assert_eq!(status.and_then(|status| status.code()), Some(3));
        assert_eq!(printed, "late\n");
    }
}
