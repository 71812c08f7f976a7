//! One connection: reading what the caller sends, carrying out a plan, and the faults below HTTP.
//!
//! Always: whatever we wait for, the read side is watched too, so that a caller who leaves is
//! noticed at once. A caller who closes only its sending half counts as gone: no HTTP client that
//! wants its answer does that. Bytes that arrive early (pipelining) are kept, within a bound.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use crate::answer::{Plan, Step, Stop};
use crate::journal::Phase;

/// Bytes a caller may send ahead while its last answer is under way. Behind them its leaving is
/// noticed only when we write.
const AHEAD_BYTES_MAX: usize = 64 << 10;
/// Room made for each read.
const READ_BYTES: usize = 8 << 10;
/// How long a closed connection is still listened to. Closing with bytes unread would send RST,
/// which can destroy what the caller has not read yet.
const LINGER: Duration = Duration::from_secs(1);
/// How often a slow reader reads.
const SIP: Duration = Duration::from_millis(10);

/// The caller closed or reset the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// How a plan went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Bytes taken by the socket, the head's included.
    pub(crate) bytes: usize,
    pub(crate) ending: Ending,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Whole; the connection is kept.
    Whole,
    /// We ended it and are to close.
    Closed,
    /// We ended it and are to reset, by dropping the connection as it is.
    Reset,
    ClientGone(Phase),
}

/// A connection.
pub(crate) struct Link {
    stream: TcpStream,
    /// Read and not yet used.
    pub(crate) input: BytesMut,
    sent: usize,
}

impl Link {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Without it small events wait for the acknowledgement of those before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY not set");
        }
        Self {
            stream,
            input: BytesMut::with_capacity(READ_BYTES),
            sent: 0,
        }
    }

    /// Waits for more input, at most `bytes_per_second` of it (0: as it comes).
    pub(crate) async fn fill(&mut self, bytes_per_second: u64) -> Result<(), Gone> {
        let before = self.input.len();
        while self.input.len() == before {
            if bytes_per_second == 0 {
                self.input.reserve(READ_BYTES);
                // Unlike `try_read`, this knows that a short read has emptied the socket and
                // does not ask the kernel again: one system call less per request.
                let read = self.stream.read_buf(&mut self.input).await;
                heard(read)?;
            } else {
                tokio::time::sleep(SIP).await;
                let sip = bytes_per_second.saturating_mul(SIP.as_millis() as u64) / 1_000;
                self.sip(
                    usize::try_from(sip)
                        .unwrap_or(usize::MAX)
                        .clamp(1, READ_BYTES),
                )?;
            }
        }
        Ok(())
    }

    /// Sends bytes outside of any plan: `100 Continue`.
    pub(crate) async fn interject(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.send(bytes).await
    }

    /// Carries out `plan`, for a request that came at `since`.
    pub(crate) async fn perform(&mut self, plan: &Plan, since: Instant) -> Sent {
        self.sent = 0;
        let mut stalled = false;
        let result = self.steps(plan, since, &mut stalled).await;
        let ending = result.unwrap_or_else(|Gone| {
            let phase = match (stalled, self.sent) {
                (_, 0) => Phase::Waiting,
                (true, _) => Phase::Stalled,
                (false, _) => Phase::Streaming,
            };
            Ending::ClientGone(phase)
        });
        Sent {
            bytes: self.sent,
            ending,
        }
    }

    /// Closes so that the caller can still read what was sent.
    pub(crate) async fn close(mut self) {
        if SockRef::from(&self.stream)
            .shutdown(std::net::Shutdown::Write)
            .is_err()
        {
            return;
        }
        let rest = async {
            while self.fill(0).await.is_ok() {
                self.input.clear();
            }
        };
        let _ = timeout(LINGER, rest).await;
    }

    async fn steps(
        &mut self,
        plan: &Plan,
        since: Instant,
        stalled: &mut bool,
    ) -> Result<Ending, Gone> {
        let mut due = 0;
        for step in &plan.steps {
            match step {
                Step::Until(time) => {
                    let at = since + *time;
                    if Instant::now() < at {
                        self.flush(plan, due).await?;
                        self.idle(Some(at)).await?;
                    }
                }
                Step::Write(end) => due = *end,
                Step::Flush => self.flush(plan, due).await?,
                Step::Stop(stop) => {
                    self.flush(plan, due).await?;
                    *stalled = *stop == Stop::Hold;
                    return self.stop(stop).await;
                }
            }
        }
        self.flush(plan, due).await?;
        Ok(Ending::Whole)
    }

    async fn stop(&mut self, stop: &Stop) -> Result<Ending, Gone> {
        match stop {
            Stop::Close => Ok(Ending::Closed),
            Stop::Reset => {
                // With a linger time of zero, dropping the socket sends RST.
                if let Err(error) = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)) {
                    tracing::warn!(%error, "connection closed instead of reset");
                }
                Ok(Ending::Reset)
            }
            Stop::Hold | Stop::Pause(_) => self.idle(None).await.map(|()| Ending::Closed),
            Stop::Repeat { bytes, every } => loop {
                self.send(bytes).await?;
                self.breathe(*every).await?;
            },
        }
    }

    /// Sends the plan's bytes up to `due`.
    async fn flush(&mut self, plan: &Plan, due: usize) -> Result<(), Gone> {
        let (size, every) = plan.trickle.unwrap_or((usize::MAX, Duration::ZERO));
        while let Some(bytes) = plan
            .bytes
            .get(self.sent..due)
            .filter(|bytes| !bytes.is_empty())
        {
            let piece = bytes.get(..size).unwrap_or(bytes);
            self.send(piece).await?;
            if plan.trickle.is_some() {
                self.breathe(every).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, mut bytes: &[u8]) -> Result<(), Gone> {
        while !bytes.is_empty() {
            match self.stream.try_write(bytes) {
                Ok(count) => {
                    self.sent += count;
                    bytes = bytes.get(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(_) => return Err(Gone),
            }
        }
        Ok(())
    }

    async fn writable(&mut self) -> Result<(), Gone> {
        loop {
            let deaf = self.input.len() >= AHEAD_BYTES_MAX;
            tokio::select! {
                biased;
                heard = self.stream.readable(), if !deaf => heard.map_err(|_| Gone)?,
                ready = self.stream.writable() => return ready.map_err(|_| Gone),
            }
            self.overhear()?;
        }
    }

    /// Waits until `deadline`, or for ever, while the caller is there.
    async fn idle(&mut self, deadline: Option<Instant>) -> Result<(), Gone> {
        loop {
            let deaf = self.input.len() >= AHEAD_BYTES_MAX;
            tokio::select! {
                biased;
                heard = self.stream.readable(), if !deaf => heard.map_err(|_| Gone)?,
                () = reached(deadline) => return Ok(()),
            }
            self.overhear()?;
        }
    }

    /// A pause between two writes; even one of no length lets others run and looks at the caller.
    async fn breathe(&mut self, every: Duration) -> Result<(), Gone> {
        if every.is_zero() {
            tokio::task::yield_now().await;
            return if self.input.len() < AHEAD_BYTES_MAX {
                self.overhear()
            } else {
                Ok(())
            };
        }
        self.idle(Some(Instant::now() + every)).await
    }

    /// Reads what is there, without waiting.
    fn overhear(&mut self) -> Result<(), Gone> {
        self.input.reserve(READ_BYTES);
        heard(self.stream.try_read_buf(&mut self.input)).map(|_| ())
    }

    fn sip(&mut self, bytes_max: usize) -> Result<(), Gone> {
        let mut sip = [0; READ_BYTES];
        let room = sip.get_mut(..bytes_max).unwrap_or_default();
        let count = heard(self.stream.try_read(room))?;
        self.input
            .extend_from_slice(sip.get(..count).unwrap_or_default());
        Ok(())
    }
}

fn heard(read: io::Result<usize>) -> Result<usize, Gone> {
    match read {
        Ok(0) => Err(Gone),
        Ok(count) => Ok(count),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(_) => Err(Gone),
    }
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
