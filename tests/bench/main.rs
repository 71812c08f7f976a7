//! What does one request cost through Serin, and what through nginx doing the same?
//!
//! `make bench` starts a simulated provider, nginx and Serin, lets the two proxies take turns on one
//! pinned core under the same load, and prints a table of CPU time per request, per streamed event,
//! and of added latency, with the ratio of every pair of turns. Trust ratios: a shared machine's
//! absolute figures move from minute to minute.
//! Always: one wrong answer fails the bench; nothing is measured that was not answered rightly.
//!
//!   args → stage (programs, pinned) → scenario (rounds) → load, paced (sockets) → report (table)

mod answer;
mod args;
mod clock;
mod cpu;
mod load;
mod measured;
mod paced;
mod process;
mod report;
mod scenario;
mod stage;

use std::process::{Command, ExitCode};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Outcome<()> {
    let Some(args) = args::Args::read(std::env::args().skip(1))? else {
        println!("{}", args::HELP);
        return Ok(());
    };
    let mut chosen = Vec::new();
    for name in &args.scenarios {
        let found = scenario::ALL.iter().find(|scenario| scenario.name == name);
        chosen.push(found.ok_or(format!("{name} is not a scenario\n{}", args::HELP))?);
    }
    let head = [
        cpu::machine(),
        version(&args.nginx, "-v"),
        version(&args.serin, "--version"),
    ];
    let stage = stage::Stage::open(&args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for scenario in chosen {
        let figures = scenario
            .run(&stage, &args, &runtime)
            .map_err(|error| format!("{}: {error}\n{}", scenario.name, stage.said()))?;
        rows.extend(figures.rows);
        notes.extend(figures.notes);
    }
    println!(
        "{}; {} rounds of {} s\n",
        head.join("; "),
        args.rounds,
        args.measured.as_secs()
    );
    println!("{}", report::table(&rows));
    for note in notes {
        println!("{note}");
    }
    Ok(())
}

/// What a program says of its version, in one line; nginx says it on stderr.
fn version(program: &std::path::Path, flag: &str) -> String {
    let said = Command::new(program).arg(flag).output();
    let text = said
        .map(|said| [said.stdout, said.stderr].concat())
        .unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .next()
        .unwrap_or("unknown version")
        .to_owned()
}
