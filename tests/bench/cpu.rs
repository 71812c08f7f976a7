//! How long has a process been on a core?
//!
//! The kernel counts it to the nanosecond for each thread (the first figure of `schedstat`), where
//! `utime` and `stime` count ticks of 10 ms. A process here is itself and all its children: nginx
//! works in a child. A running thread's figure is as old as the last tick, 4 ms at most.
//! Left out: threads that have ended; neither system ends any while it is measured.

use std::fs;
use std::process::Command;

use crate::Outcome;

/// The unit of `/proc/stat` and `/proc/PID/stat` on Linux.
const TICK_NS: u64 = 10_000_000;

/// Nanoseconds on a core, all threads of `pid` and of its children together.
///
/// # Errors
/// There is no such process, or this kernel keeps no such count.
pub(crate) fn family_ns(pid: u32) -> Outcome<u64> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        let counted = fs::read_to_string(task.join("schedstat"))?;
        total += counted
            .split(' ')
            .next()
            .unwrap_or_default()
            .parse::<u64>()?;
        for child in fs::read_to_string(task.join("children"))?.split_ascii_whitespace() {
            total += family_ns(child.parse()?)?;
        }
    }
    Ok(total)
}

/// Nanoseconds that this process was on a core, its ended threads included, its children not; in
/// ticks of 10 ms, which is enough to tell whether the generator was the bottleneck.
///
/// # Errors
/// The file is not as the kernel documents it.
pub(crate) fn generator_ns() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let mut figures = after_name.split_ascii_whitespace().skip(11);
    let mut ticks = || figures.next().unwrap_or_default().parse::<u64>();
    Ok((ticks()? + ticks()?) * TICK_NS)
}

/// Nanoseconds so far, to be looked at twice and subtracted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Busy {
    /// The system that is measured.
    pub(crate) proxy: u64,
    /// What feeds it: the generator and the provider.
    pub(crate) feeding: u64,
    /// All cores, whoever used them, and what the hypervisor took away; in ticks of 10 ms.
    pub(crate) machine: u64,
}

impl Busy {
    /// What happened since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            proxy: self.proxy - earlier.proxy,
            feeding: self.feeding - earlier.feeding,
            machine: self.machine - earlier.machine,
        }
    }
}

/// Nanoseconds that all cores were not idle, by `/proc/stat`.
///
/// # Errors
/// The file is not as the kernel documents it.
pub(crate) fn machine_ns() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let mut ticks = 0;
    for (index, figure) in line.split_ascii_whitespace().skip(1).take(8).enumerate() {
        let idle = index == 3 || index == 4; // idle, iowait
        ticks += if idle { 0 } else { figure.parse::<u64>()? };
    }
    Ok(ticks * TICK_NS)
}

/// Keeps all threads of `pid` on `cores`, written as for `taskset`: `0,2-3`.
///
/// # Errors
/// `taskset` (util-linux) is missing or refuses.
pub(crate) fn pin(pid: u32, cores: &str) -> Outcome<()> {
    let done = Command::new("taskset")
        .args(["-acp", cores, &pid.to_string()])
        .output()?;
    if !done.status.success() {
        return Err(format!("taskset: {}", String::from_utf8_lossy(&done.stderr)).into());
    }
    Ok(())
}

/// One line about this machine, for the head of a report.
pub(crate) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|rest| rest.split_once(':'))
        .map_or("unknown processor", |(_, name)| name.trim());
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    format!(
        "{model}, {} cores, Linux {}, load at start {}",
        cores(),
        kernel.trim(),
        load.split(' ').next().unwrap_or("?")
    )
}

/// How many cores this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
