//! The loads: who sends what, and which quantities are read from it.
//!
//! In each round nginx and Serin have their turn with the same load. Closed loops (callers that ask
//! again at once) must keep the proxy's core full, else CPU per request tells about waking up and not
//! about work: a round in which they do not is told. Fixed rates leave the core mostly idle on purpose.

use std::time::Duration;

use crate::answer::Answer;
use crate::args::Args;
use crate::load::{self, Load};
use crate::measured::Measured;
use crate::report::{Row, median, quantile_us};
use crate::stage::{Stage, System};
use crate::{Outcome, paced};

const WARM: Duration = Duration::from_secs(1);
/// Of its core; below it the proxy was waiting for the generator.
const BUSY_ENOUGH: f64 = 0.9;
/// Of one core; above it the figures are not of a quiet machine.
const OTHERS_MAX: f64 = 0.1;
/// Requests a second where latency is measured: a few percent of what either system can do.
const MODEST_RATE: u32 = 1000;

/// A load by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    route: &'static str,
    what: &'static str,
    kind: Kind,
    connections: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Requests,
    Events,
    Latency,
}

/// All of them, in the order of the table.
pub(crate) const ALL: [Scenario; 4] = [
    Scenario {
        name: "json",
        route: "json",
        what: "1 KB request, 1 KB answer, 32 callers",
        kind: Kind::Requests,
        connections: 32,
    },
    Scenario {
        name: "events",
        route: "events",
        what: "paced SSE, 64 streams",
        kind: Kind::Events,
        connections: 64,
    },
    Scenario {
        name: "large",
        route: "large",
        what: "1 KB request, 100 KB answer, 32 callers",
        kind: Kind::Requests,
        connections: 32,
    },
    Scenario {
        name: "latency",
        route: "json",
        what: "1 KB, 1000 requests/s",
        kind: Kind::Latency,
        connections: 8,
    },
];

/// What a scenario came to.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) rows: Vec<Row>,
    /// Sentences for below the table.
    pub(crate) notes: Vec<String>,
}

impl Scenario {
    /// All rounds of this load.
    ///
    /// # Errors
    /// Any answer that was refused, cut or not the provider's.
    pub(crate) fn run(
        self,
        stage: &Stage,
        args: &Args,
        runtime: &tokio::runtime::Runtime,
    ) -> Outcome<Figures> {
        if self.kind == Kind::Latency {
            return self.run_paced(stage, args);
        }
        let streamed = self.kind == Kind::Events;
        let own = stage.own_answer(self.route, streamed)?;
        let per = if streamed { "event" } else { "request" };
        let mut cost = Row::new(format!("CPU µs per {per}: {}", self.what));
        let mut rate = Row::new(format!("{per}s a second"));
        let mut full = Row::new("% of the proxy's core");
        let mut all = Vec::new();
        for round in 0..args.rounds {
            for system in [System::Nginx, System::Serin] {
                let load = self.load(stage, args, system, &own);
                let measured = runtime.block_on(load::run(load, &|| stage.busy(system)))?;
                self.progress(round, system, &measured);
                let count = if streamed {
                    measured.events
                } else {
                    measured.requests
                };
                put(&mut cost, system, measured.proxy_us() / count as f64);
                put(
                    &mut rate,
                    system,
                    count as f64 / measured.wall.as_secs_f64(),
                );
                put(&mut full, system, measured.proxy_share() * 100.0);
                all.push(measured);
            }
        }
        let notes = Vec::from_iter(self.bottleneck(&all).into_iter().chain(self.company(&all)));
        Ok(Figures {
            rows: vec![cost, rate, full],
            notes,
        })
    }

    fn run_paced(self, stage: &Stage, args: &Args) -> Outcome<Figures> {
        let own = stage.own_answer(self.route, false)?;
        let mut cost = Row::new(format!("CPU µs per request: {}", self.what));
        let mut middle = Row::new("added p50 µs");
        let mut tail = Row::new("added p99 µs");
        let (mut direct_p50, mut direct_p99, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..args.rounds {
            let mut base = (0.0, 0.0);
            for system in [System::Direct, System::Nginx, System::Serin] {
                let load = self.load(stage, args, system, &own);
                let (times, measured) = paced::run(&load, MODEST_RATE, &|| stage.busy(system))?;
                self.progress(round, system, &measured);
                all.push(measured);
                let (p50, p99) = (quantile_us(&times, 0.5), quantile_us(&times, 0.99));
                if system == System::Direct {
                    base = (p50, p99);
                    direct_p50.push(p50);
                    direct_p99.push(p99);
                    continue;
                }
                put(
                    &mut cost,
                    system,
                    measured.proxy_us() / measured.requests as f64,
                );
                put(&mut middle, system, p50 - base.0);
                put(&mut tail, system, p99 - base.1);
            }
        }
        let direct = format!(
            "{}: taken off is what the provider alone takes: p50 {:.0} µs, p99 {:.0} µs (medians)",
            self.name,
            median(&direct_p50),
            median(&direct_p99)
        );
        let notes = Vec::from_iter([direct].into_iter().chain(self.company(&all)));
        Ok(Figures {
            rows: vec![cost, middle, tail],
            notes,
        })
    }

    fn load(self, stage: &Stage, args: &Args, system: System, own: &Answer) -> Load {
        Load {
            address: stage.address(system, self.kind == Kind::Events),
            request: stage.request(system, self.route, own),
            connections: self.connections,
            warm: WARM,
            measured: args.measured,
        }
    }

    /// On stderr, so that stdout is the table alone.
    fn progress(self, round: usize, system: System, measured: &Measured) {
        eprintln!("{} {} {system:?}: {measured}", self.name, round + 1);
    }

    /// Tells a closed loop that did not keep the proxy's core full.
    fn bottleneck(self, all: &[Measured]) -> Option<String> {
        let least = all
            .iter()
            .map(Measured::proxy_share)
            .fold(f64::INFINITY, f64::min);
        let feeding: Vec<_> = all.iter().map(Measured::feeding_share).collect();
        (self.kind == Kind::Requests && least < BUSY_ENOUGH).then(|| {
            format!(
                "WARNING {}: in one round the proxy used only {:.0} % of its core; it waited for the \
                 generator and the provider, which used {:.0} % of a core (median)",
                self.name,
                least * 100.0,
                median(&feeding) * 100.0
            )
        })
    }

    /// Tells that others used the machine meanwhile.
    fn company(self, all: &[Measured]) -> Option<String> {
        let others: Vec<_> = all.iter().map(Measured::others_share).collect();
        let most = others.iter().copied().fold(0.0, f64::max);
        (most > OTHERS_MAX).then(|| {
            format!(
                "WARNING {}: others used up to {:.0} % of a core (median {:.0} %): measure again alone",
                self.name,
                most * 100.0,
                median(&others) * 100.0
            )
        })
    }
}

fn put(row: &mut Row, system: System, value: f64) {
    match system {
        System::Serin => row.serin.push(value),
        System::Nginx | System::Direct => row.nginx.push(value),
    }
}
