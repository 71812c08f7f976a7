//! Access lines leave the workers here: through a bounded queue to one thread that formats and
//! writes them.
//!
//! Always: a worker never waits. A blocked pipe fills the queue, and what does not fit is counted
//! by the worker, not awaited. The thread wakes by time, not per line: one wake-up a line would
//! cost more than the line.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Acquire, Ordering::Release},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_queue::ArrayQueue;

use super::{json::Stamp, line::Line};
use crate::settings::AccessLog;

/// Lines that may wait in one worker's queue: at 20 000 requests/s, 400 ms of them.
const LINES_WAITING_MAX: usize = 8_192;
/// Time between two looks at the queues.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A worker's end of the queue.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    queue: Option<Arc<ArrayQueue<Box<Line>>>>,
}

impl Lines {
    /// `false`: there is no room for it.
    pub(crate) fn push(&self, line: Line) -> bool {
        self.queue
            .as_ref()
            .is_none_or(|queue| queue.push(Box::new(line)).is_ok())
    }
}

/// The thread that writes.
#[derive(Debug)]
pub(crate) struct Recorder {
    queue: Option<Arc<ArrayQueue<Box<Line>>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Starts it for `workers` workers.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(log: &AccessLog, workers: usize) -> io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let sink: Box<dyn Write + Send> = match log {
            AccessLog::Off => {
                return Ok(Self {
                    queue: None,
                    stopping,
                    thread: None,
                });
            }
            AccessLog::Stdout => Box::new(io::stdout()),
            AccessLog::File(file) => Box::new(File::try_clone(file)?),
        };
        let queue = Arc::new(ArrayQueue::new(LINES_WAITING_MAX * workers.max(1)));
        let (theirs, stop) = (Arc::clone(&queue), Arc::clone(&stopping));
        let thread = thread::Builder::new()
            .name("serin-recorder".to_owned())
            .spawn(move || write_lines(&theirs, sink, &stop))?;
        Ok(Self {
            queue: Some(queue),
            stopping,
            thread: Some(thread),
        })
    }

    pub(crate) fn lines(&self) -> Lines {
        Lines {
            queue: self.queue.clone(),
        }
    }

    /// Writes what is left and ends the thread.
    pub(crate) fn stop(&mut self) {
        self.stopping.store(true, Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A recorder that panicked has nothing more to write.
            let _ = thread.join();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop();
    }
}

fn write_lines(queue: &ArrayQueue<Box<Line>>, sink: Box<dyn Write + Send>, stopping: &AtomicBool) {
    let mut sink = BufWriter::with_capacity(64 * 1024, sink);
    let mut text = Vec::with_capacity(1024);
    let mut stamp = Stamp::default();
    loop {
        let last_round = stopping.load(Acquire);
        while let Some(line) = queue.pop() {
            text.clear();
            line.write_json(&mut stamp, &mut text);
            // A log that cannot be written must not stop traffic; there is nowhere to say so.
            let _ = sink.write_all(&text);
        }
        let _ = sink.flush();
        if last_round {
            return;
        }
        thread::park_timeout(LOOK_EVERY);
    }
}
