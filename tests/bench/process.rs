//! A program that runs for as long as its value lives.
//!
//! Always: it is pinned before it starts (`taskset` becomes the program, so the id stays), what it
//! says goes to a file, and it is asked to stop before it is made to.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Outcome, clock};

const READY_WITHIN: Duration = Duration::from_secs(15);
const ENDS_WITHIN: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A running program.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: &'static str,
    folder: std::path::PathBuf,
}

impl Process {
    /// Starts `program` on `cores`; its output goes to `NAME.out` and `NAME.err` in `folder`.
    ///
    /// # Errors
    /// `taskset` is missing, or the folder cannot be written. (A missing program shows in `ready`.)
    pub(crate) fn start(
        name: &'static str,
        cores: &str,
        program: &Path,
        args: &[&str],
        folder: &Path,
    ) -> Outcome<Self> {
        let child = Command::new("taskset")
            .args(["-c", cores])
            .arg(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(File::create(folder.join(format!("{name}.out")))?)
            .stderr(File::create(folder.join(format!("{name}.err")))?)
            .spawn()
            .map_err(|error| format!("taskset (util-linux): {error}"))?;
        Ok(Self {
            child,
            name,
            folder: folder.to_path_buf(),
        })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it listens on `address`.
    ///
    /// # Errors
    /// It ended instead, or took more than 15 s; the message carries what it said.
    pub(crate) fn ready(&mut self, address: SocketAddr) -> Outcome<()> {
        let give_up = clock::now() + READY_WITHIN;
        while clock::now() < give_up {
            if self.child.try_wait()?.is_some() {
                return Err(format!("{} ended at once: {}", self.name, self.said()).into());
            }
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            clock::pause(LOOK_AGAIN);
        }
        Err(format!(
            "{} does not listen on {address}: {}",
            self.name,
            self.said()
        )
        .into())
    }

    /// The end of what it said, for a message.
    pub(crate) fn said(&self) -> String {
        let read = |kind| {
            let path = self.folder.join(format!("{}.{kind}", self.name));
            std::fs::read_to_string(path).unwrap_or_default()
        };
        let text = read("out") + &read("err");
        let lines: Vec<_> = text.lines().collect();
        lines
            .get(lines.len().saturating_sub(8)..)
            .unwrap_or_default()
            .join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // nginx leaves its worker behind when it is killed, so it is asked first.
        let _ = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        let give_up = clock::now() + ENDS_WITHIN;
        while clock::now() < give_up {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            clock::pause(LOOK_AGAIN);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback address with a port that nobody uses now.
///
/// # Errors
/// There is no loopback or no free port.
pub(crate) fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
