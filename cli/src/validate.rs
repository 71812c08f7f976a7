//! `serin validate`: every fault of every file, one a line, `file:line:column` first.

use std::fs;

use serin_control_plane::rollout::plan::Plan;
use serin_proto::{
    Fault, v1,
    yaml::{self, Places, Read},
};

use crate::{args::Validate, exit::Failed};

/// Faults go to stdout (they are what was asked for), the rest to stderr.
pub(crate) fn validate(validate: &Validate) -> Result<(), Failed> {
    let mut faulty = false;
    for path in &validate.files {
        let name = path.display().to_string();
        let read = match fs::read_to_string(path) {
            Ok(text) => read(&name, &text),
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

fn read(name: &str, text: &str) -> Result<Read, Vec<Fault>> {
    let read = yaml::read(name, text)?;
    let faults = uncompiled(name, text, &read.file);
    if faults.is_empty() {
        Ok(read)
    } else {
        Err(faults)
    }
}

/// What is wrong with the rollouts of a valid file as plans, each fault with its place.
pub(crate) fn uncompiled(name: &str, text: &str, file: &v1::File) -> Vec<Fault> {
    let places = Places::of(text);
    let mut faults = Vec::new();
    for (index, rollout) in file.rollouts.iter().enumerate() {
        for mut fault in Plan::compile(rollout).err().unwrap_or_default() {
            fault.pointer = format!("/rollouts/{index}{}", fault.pointer);
            let place = places.as_ref().map(|places| places.find(&fault.pointer));
            fault.file = Some(name.to_owned());
            fault.line = place.map(|(line, _)| line);
            fault.column = place.map(|(_, column)| column);
            faults.push(fault);
        }
    }
    faults
}
