//! How long does an answer take when requests come at a fixed, modest rate?
//!
//! Callers are threads on blocking sockets: a runtime's timer of 1 ms would send in bunches. Each has
//! its own times to send; together they make an even rate. An answer's time counts from when its
//! request was *due* if the answer before held it up (so a slow system cannot hide behind fewer
//! requests), else from when it was sent, since the kernel's late wake-up is not the system's fault.
//! Left out: what the provider and the generator take; the same load sent directly tells that.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::answer::Answer;
use crate::cpu::Busy;
use crate::load::{Load, Request};
use crate::measured::Measured;
use crate::{Outcome, clock};

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Sends `rate` requests a second over `load.connections`; returns the sorted times of all answers in
/// nanoseconds, and the counters.
///
/// # Errors
/// A caller was refused, cut off or answered wrongly.
pub(crate) fn run(
    load: &Load,
    rate: u32,
    busy: &dyn Fn() -> Outcome<Busy>,
) -> Outcome<(Vec<u64>, Measured)> {
    let interval = Duration::from_secs(1) * u32::try_from(load.connections)? / rate;
    let start = clock::now() + Duration::from_millis(50);
    let (from, until) = (start + load.warm, start + load.warm + load.measured);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..load.connections)
            .map(|index| {
                let first = start + interval * index as u32 / load.connections as u32;
                scope.spawn(move || {
                    call_from(
                        load,
                        index,
                        Rhythm {
                            first,
                            interval,
                            from,
                            until,
                        },
                    )
                })
            })
            .collect();
        clock::pause_until(from);
        let before = (busy()?, clock::now());
        clock::pause_until(until);
        let after = (busy()?, clock::now());
        let mut times = Vec::new();
        for caller in callers {
            times.extend(caller.join().map_err(|_| "a caller panicked")??);
        }
        times.sort_unstable();
        let measured = Measured {
            requests: times.len() as u64,
            events: 0,
            wall: after.1 - before.1,
            busy: after.0.since(before.0),
        };
        Ok((times, measured))
    })
}

/// Sends one request and waits for its answer.
///
/// # Errors
/// The connection failed or the answer is not a whole 200.
pub(crate) fn ask(socket: &mut TcpStream, spelling: &[u8], streamed: bool) -> Outcome<Answer> {
    socket.write_all(spelling)?;
    let mut answer = Answer::awaited(streamed);
    let mut buffer = [0; 16 * 1024];
    while !answer.is_whole() {
        let received = socket.read(&mut buffer)?;
        if received == 0 {
            return Err("the connection was closed before the answer was whole".into());
        }
        answer.take(buffer.get(..received).unwrap_or_default())?;
    }
    Ok(answer)
}

/// Connects for `ask`.
///
/// # Errors
/// Nobody listens there.
pub(crate) fn connect(address: std::net::SocketAddr) -> Outcome<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(ANSWER_WITHIN))?;
    Ok(socket)
}

#[derive(Clone, Copy)]
struct Rhythm {
    first: Instant,
    interval: Duration,
    from: Instant,
    until: Instant,
}

fn call_from(load: &Load, index: usize, rhythm: Rhythm) -> Outcome<Vec<u64>> {
    let mut socket = connect(load.address)?;
    let mut times = Vec::new();
    let mut due = rhythm.first;
    let request: &Request = &load.request;
    for spelling in request.spellings.iter().cycle().skip(index) {
        if due >= rhythm.until {
            break;
        }
        let held_up = clock::now() > due;
        clock::pause_until(due);
        let began = if held_up { due } else { clock::now() };
        let answer = ask(&mut socket, spelling, request.streamed)?;
        let took = clock::now() - began;
        request.check(&answer)?;
        if due >= rhythm.from {
            times.push(u64::try_from(took.as_nanos())?);
        }
        due += rhythm.interval;
    }
    Ok(times)
}
