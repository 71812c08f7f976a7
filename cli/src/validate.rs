//! `serin validate`: every fault of every file, one a line, `file:line:column` first.

use std::fs;

use serin_proto::yaml;

use crate::{args::Validate, exit::Failed};

/// Faults go to stdout (they are what was asked for), the rest to stderr.
pub(crate) fn validate(validate: &Validate) -> Result<(), Failed> {
    let mut faulty = false;
    for path in &validate.files {
        let name = path.display().to_string();
        let read = match fs::read_to_string(path) {
            Ok(text) => yaml::read(&name, &text),
            Err(error) => {
                println!("{name}: cannot be read: {error}");
                faulty = true;
                continue;
            }
        };
        match read {
            Ok(read) => {
                for warning in &read.warnings {
                    eprintln!("warning: {warning}");
                }
                eprintln!("{name}: valid");
            }
            Err(faults) => {
                faulty = true;
                for fault in faults {
                    println!("{fault}");
                }
            }
        }
    }
    if faulty { Err(Failed::Said) } else { Ok(()) }
}
