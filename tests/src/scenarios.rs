//! Runs scenarios a few at a time, each on a thread and a runtime of its own.
//!
//! The test runner of Rust runs as many tests as there are processors; scenarios of a cluster spend
//! their time waiting for leases, so many more fit. This one takes the same arguments (a part of a
//! name, `--exact`, `--skip`, `--list`; others are passed over) and prints the same lines.

use std::any::Any;
use std::collections::VecDeque;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;

use tokio::runtime::Builder;
use tokio::time::Instant;

/// What a scenario does.
pub type Running = Pin<Box<dyn Future<Output = ()>>>;

/// One promise.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// `file::promise`
    pub name: &'static str,
    pub run: fn() -> Running,
}

/// Scenarios by module and function; the modules are those of the place where it is written.
#[macro_export]
macro_rules! scenarios {
    ($($group:ident: $($name:ident),+ $(,)?;)+) => {
        vec![$($($crate::scenarios::Scenario {
            name: concat!(stringify!($group), "::", stringify!($name)),
            run: || Box::pin($group::$name()),
        },)+)+]
    };
}

/// What the command line asks for.
#[derive(Debug, Default)]
struct Arguments {
    parts: Vec<String>,
    skipped: Vec<String>,
    is_exact: bool,
    lists: bool,
}

impl Arguments {
    fn read(words: impl Iterator<Item = String>) -> Self {
        let mut read = Self::default();
        let mut words = words.skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--exact" => read.is_exact = true,
                "--list" => read.lists = true,
                "--skip" => read.skipped.extend(words.next()),
                "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => {
                    words.next();
                }
                flag if flag.starts_with('-') => {}
                part => read.parts.push(part.to_owned()),
            }
        }
        read
    }

    fn takes(&self, name: &str) -> bool {
        let fits = |part: &String| match self.is_exact {
            true => name == part,
            false => name.contains(part.as_str()),
        };
        (self.parts.is_empty() || self.parts.iter().any(fits)) && !self.skipped.iter().any(fits)
    }
}

type Failures = Mutex<Vec<(&'static str, String)>>;

/// Runs those that the command line names, so many at once, the first ones first.
pub fn main(all: &[Scenario], at_once: usize) -> ExitCode {
    let arguments = Arguments::read(std::env::args());
    let chosen: VecDeque<Scenario> = all
        .iter()
        .filter(|scenario| arguments.takes(scenario.name))
        .copied()
        .collect();
    if arguments.lists {
        chosen
            .iter()
            .for_each(|scenario| println!("{}: test", scenario.name));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let begun = Instant::now();
    let count = chosen.len();
    let (queue, failures) = (Mutex::new(chosen), Failures::default());
    thread::scope(|scope| {
        for _ in 0..at_once.min(count) {
            scope.spawn(|| work(&queue, &failures));
        }
    });
    let failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, why) in failures.iter() {
        println!("\n---- {name} ----\n{why}");
    }
    let failed = failures.len();
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {result}. {} passed; {failed} failed; 0 ignored; 0 measured; {} filtered \
         out; finished in {:.2}s\n",
        count - failed,
        all.len() - count,
        begun.elapsed().as_secs_f64()
    );
    ExitCode::from(u8::from(failed > 0) * 101)
}

fn work(queue: &Mutex<VecDeque<Scenario>>, failures: &Failures) {
    let next = || {
        queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    };
    while let Some(scenario) = next() {
        let begun = Instant::now();
        let named = thread::Builder::new().name(scenario.name.to_owned());
        let running = named.spawn(move || {
            let runtime = Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build();
            let runtime = runtime.expect("a runtime can be built");
            runtime.block_on((scenario.run)());
        });
        let ended = running.expect("a thread can be started").join();
        let took = begun.elapsed().as_secs_f64();
        match ended {
            Ok(()) => println!("test {} ... ok ({took:.1}s)", scenario.name),
            Err(thrown) => {
                println!("test {} ... FAILED ({took:.1}s)", scenario.name);
                let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                failures.push((scenario.name, words(&*thrown)));
            }
        }
    }
}

fn words(thrown: &(dyn Any + Send)) -> String {
    let text = thrown.downcast_ref::<String>().cloned();
    let text = text.or_else(|| thrown.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "it panicked without words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_name_chooses_and_a_skipped_one_is_left_out() {
        let table: [(&[&str], &str, bool); 6] = [
            (&[], "a::b", true),
            (&["b"], "a::b", true),
            (&["c"], "a::b", false),
            (&["--exact", "b"], "a::b", false),
            (&["--exact", "a::b", "--nocapture"], "a::b", true),
            (&["--test-threads", "a", "--skip", "b"], "a::b", false),
        ];
        for (words, name, taken) in table {
            let words = ["program"]
                .iter()
                .chain(words)
                .map(|word| (*word).to_owned());
            assert_eq!(Arguments::read(words).takes(name), taken, "{name}");
        }
    }
}
