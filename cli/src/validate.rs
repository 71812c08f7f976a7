//! `serin validate`: every fault of every file, one a line, `file:line:column` first.

use std::{collections::HashMap, fs};

use serin_control_plane::rollout::plan::Plan;
use serin_proto::{
    Fault, v1,
    yaml::{self, Places, Read},
};

use crate::{args::Validate, exit::Failed, fit, output};

/// Faults go to stdout (they are what was asked for), the rest to stderr.
pub(crate) fn validate(validate: &Validate) -> Result<(), Failed> {
    let mut faulty = false;
    for path in &validate.files {
        let name = path.display().to_string();
        let read = match fs::read_to_string(path) {
            Ok(text) => read(&name, &text),
            Err(error) => {
                output::line(format_args!("{name}: cannot be read: {error}"));
                faulty = true;
                continue;
            }
        };
        match read {
            Ok(read) => {
                for warning in &read.warnings {
                    output::note(format_args!("warning: {warning}"));
                }
                output::note(format_args!("{name}: valid"));
            }
            Err(faults) => {
                faulty = true;
                let faults = faults.iter().map(ToString::to_string).collect();
                for fault in fit::first_of(faults) {
                    output::line(fault);
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
    let find = |pointer: &str| places.as_ref().map(|places| places.find(pointer));
    let mut faults = Vec::new();
    let mut routes = HashMap::new();
    for (index, rollout) in file.rollouts.iter().enumerate() {
        let first = *routes.entry(&rollout.route).or_insert(index);
        let twice = (first != index).then(|| {
            let line = find(&format!("/rollouts/{first}/route")).map_or(0, |(line, _)| line);
            named_twice(&rollout.route, line)
        });
        let uncompiled = Plan::compile(rollout).err().unwrap_or_default();
        for mut fault in uncompiled.into_iter().chain(twice) {
            fault.pointer = format!("/rollouts/{index}{}", fault.pointer);
            let place = find(&fault.pointer);
            fault.file = Some(name.to_owned());
            fault.line = place.map(|(line, _)| line);
            fault.column = place.map(|(_, column)| column);
            faults.push(fault);
        }
    }
    faults
}

/// The second would take the place of the first.
fn named_twice(route: &str, line: u32) -> Fault {
    Fault {
        file: None,
        line: None,
        column: None,
        pointer: "/route".to_owned(),
        code: "duplicate_route",
        message: format!(
            "route {route} has another rollout, at line {line}: one runs at a time; start the \
             other from a file of its own"
        ),
    }
}
