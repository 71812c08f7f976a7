//! What `make bench` can be told.

use crate::Outcome;

pub(crate) const HELP: &str = "follow [--routes 1000] [--seconds 300] [--storm-seconds 30]\n\
    Measures how soon a change reaches requests. --seconds 0 leaves a part out.";

/// How large and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Args {
    pub(crate) routes: usize,
    /// Changes of the steady part, one a second.
    pub(crate) seconds: u64,
    pub(crate) storm_seconds: u64,
}

impl Args {
    /// `None`: the help was asked for.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Outcome<Option<Self>> {
        let mut args = Self {
            routes: 1_000,
            seconds: 300,
            storm_seconds: 30,
        };
        while let Some(word) = words.next() {
            let mut number = || -> Outcome<u64> {
                let value = words.next().ok_or(format!("{word} wants a number"))?;
                value
                    .parse()
                    .map_err(|_| format!("{word}: {value:?} is no number").into())
            };
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--routes" => args.routes = usize::try_from(number()?)?,
                "--seconds" => args.seconds = number()?,
                "--storm-seconds" => args.storm_seconds = number()?,
                // cargo says so to every bench.
                "--bench" => {}
                other => return Err(format!("{other} is no option").into()),
            }
        }
        if args.routes < 100 {
            return Err("--routes: at least 100, over which the storm writes".into());
        }
        Ok(Some(args))
    }
}
