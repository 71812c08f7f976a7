//! How often does a judge take back what is healthy, and how soon what is not? Ours and four others
//! on the same made-up traffic, side by side, in simulated time.
//!
//! Ours is the product's own `judge::open` and `judge::judge` under a compiled plan, and in whole
//! rollouts its `machine::step`; the others are a few lines each (`rivals.rs`). Everything is seeded:
//! the same report again.
//!
//! ```text
//! cargo bench -p serin-control-plane --bench verdicts              prints the report, checks bounds
//! cargo bench -p serin-control-plane --bench verdicts -- --write   and writes benches/verdicts.md
//! ```
//! It fails if ours breaks a promise.

#[path = "../../src/analysis/chance.rs"]
mod chance;
mod feed;
mod ours;
mod promise;
mod report;
mod rivals;
mod rule;
mod run;
mod scenario;
mod traffic;
mod whole;

use std::{env, fs, process::ExitCode};

const REPORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/verdicts.md");

fn main() -> ExitCode {
    let mut results = Vec::new();
    for scenario in scenario::all() {
        eprintln!("{} × {}", scenario.runs, scenario.name);
        results.push(run::all_rules(scenario));
    }
    let mut rollouts = Vec::new();
    for scenario in scenario::rollouts() {
        eprintln!("{} whole rollouts × {}", scenario.runs, scenario.name);
        rollouts.push(whole::all(scenario));
    }
    let mut broken = promise::broken(&results);
    broken.extend(promise::broken_rollouts(&rollouts));
    let text = report::text(&results, &rollouts);
    println!("{text}");
    for promise in &broken {
        eprintln!("broken: {promise}");
    }
    if env::args().any(|arg| arg == "--write")
        && let Err(error) = fs::write(REPORT, text)
    {
        eprintln!("{REPORT}: {error}");
        return ExitCode::FAILURE;
    }
    if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
