//! What one may ask of the bench, and what it does unasked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Outcome;

/// As `--help` tells it.
pub(crate) const HELP: &str = "\
make bench ARGS=\"…\"
  --scenario a,b   some of json, events, large, latency        all
  --rounds N       turns of each system, at least 1            5
  --seconds N      length of one measurement                   4
  --serin PATH     the release binary                          beside the bench
  --nginx PATH     nginx (apt-get install nginx-light)         /usr/sbin/nginx";

/// The command line, read.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) scenarios: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) measured: Duration,
    pub(crate) serin: PathBuf,
    pub(crate) nginx: PathBuf,
}

impl Args {
    /// Reads the command line; `None` is a wish for help.
    ///
    /// # Errors
    /// A flag that is not in `HELP`, a value that is missing or no number, a program that is not there.
    pub(crate) fn read(words: impl Iterator<Item = String>) -> Outcome<Option<Self>> {
        let mut args = Self {
            scenarios: ["json", "events", "large", "latency"]
                .map(String::from)
                .to_vec(),
            rounds: 5,
            measured: Duration::from_secs(4),
            serin: beside_the_bench()?,
            nginx: PathBuf::from("/usr/sbin/nginx"),
        };
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value\n{HELP}"));
            match word.as_str() {
                "--scenario" => args.scenarios = value()?.split(',').map(String::from).collect(),
                "--rounds" => args.rounds = value()?.parse::<usize>()?.max(1),
                "--seconds" => args.measured = Duration::from_secs(value()?.parse()?),
                "--serin" => args.serin = value()?.into(),
                "--nginx" => args.nginx = value()?.into(),
                "--bench" => {} // cargo adds it
                "--help" => return Ok(None),
                other => return Err(format!("{other} is not a flag\n{HELP}").into()),
            }
        }
        args.present(&args.serin, "make build")?;
        args.present(&args.nginx, "apt-get install nginx-light")?;
        Ok(Some(args))
    }

    fn present(&self, program: &Path, hint: &str) -> Outcome<()> {
        if program.is_file() {
            return Ok(());
        }
        Err(format!("{} is not there: {hint}", program.display()).into())
    }
}

/// Cargo puts us at `release/deps/relay-…` and the binary at `release/serin`.
fn beside_the_bench() -> Outcome<PathBuf> {
    let ours = std::env::current_exe()?;
    let release = ours
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."));
    Ok(release.join("serin"))
}
