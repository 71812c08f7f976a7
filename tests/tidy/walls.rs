//! The walls between crates, read from their manifests.
//!
//!   proto ← store ← router, control-plane ← cli        simulator: nothing of ours
//!                                                       tests: only proto, and programs
//! What a manifest does not name, code cannot use: the dependency list is the proof.

use crate::tree::File;

/// What one crate may know of ours, and in tests only.
struct Wall {
    folder: &'static str,
    ours: &'static [&'static str],
    in_tests: &'static [&'static str],
}

const WALLS: [Wall; 7] = [
    Wall {
        folder: "proto",
        ours: &[],
        in_tests: &[],
    },
    Wall {
        folder: "store",
        ours: &["serin-proto"],
        in_tests: &["serin-tests"],
    },
    Wall {
        folder: "router",
        ours: &["serin-proto", "serin-store"],
        in_tests: &["serin-simulator"],
    },
    Wall {
        folder: "control-plane",
        ours: &["serin-proto", "serin-store"],
        in_tests: &["serin-simulator"],
    },
    Wall {
        folder: "simulator",
        ours: &[],
        in_tests: &[],
    },
    Wall {
        folder: "tests",
        ours: &["serin-proto"],
        in_tests: &[],
    },
    Wall {
        folder: "cli",
        ours: &[
            "serin-proto",
            "serin-store",
            "serin-router",
            "serin-control-plane",
            "serin-simulator",
        ],
        in_tests: &[],
    },
];

/// All that `proto` rests on: nothing that waits, reads a clock, draws or does I/O.
const PROTO_MAY_USE: [&str; 9] = [
    "pbjson",
    "prost",
    "prost-reflect",
    "prost-types",
    "serde",
    "serde-saphyr",
    "serde_json",
    "thiserror",
    "time",
];

/// Faults of one manifest.
pub(crate) fn dependencies(file: &File) -> Vec<String> {
    let folder = file.path.trim_end_matches("/Cargo.toml");
    let Some(wall) = WALLS.iter().find(|wall| wall.folder == folder) else {
        return vec![format!(
            "{}: a crate without a wall: say in walls.rs whom it may know",
            file.path
        )];
    };
    let mut faults = Vec::new();
    for (section, name) in named(&file.text) {
        let in_tests = section == "dev-dependencies" && wall.in_tests.contains(&name.as_str());
        let ours = name.starts_with("serin-") || name == "serin";
        if ours && !wall.ours.contains(&name.as_str()) && !in_tests {
            faults.push(format!(
                "{}: {folder} must not know {name} ({section})",
                file.path
            ));
        }
        let plain = section == "dependencies";
        if folder == "proto" && plain && !PROTO_MAY_USE.contains(&name.as_str()) {
            faults.push(format!("{}: proto must not use {name}", file.path));
        }
    }
    faults
}

/// Each dependency with its section: `dependencies`, `dev-dependencies`, `build-dependencies`.
fn named(manifest: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            // [target.'cfg(unix)'.dependencies] counts like [dependencies].
            let header = header.trim_end_matches(']');
            let at = header
                .find("dev-dependencies")
                .or_else(|| header.find("build-dependencies"));
            let at = at.or_else(|| header.find("dependencies"));
            let (kind, name) = at.map_or(("", ""), |at| {
                header[at..].split_once('.').unwrap_or((&header[at..], ""))
            });
            section = kind.to_owned();
            if !name.is_empty() {
                found.push((section.clone(), name.to_owned()));
                section.clear();
            }
        } else if !section.is_empty() && !line.starts_with('#') && line.contains('=') {
            let end = line.find(['.', '=', ' ']).unwrap_or(line.len());
            let name = line[..end].trim_matches('"').to_owned();
            // `other = { package = "serin-x" }` would hide a crate behind another name.
            let hidden = line
                .split("package = \"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            found.push((section.clone(), hidden.map_or(name, str::to_owned)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    #[test]
    fn each_wall_can_be_felt() {
        let table = [
            ("proto", "[dependencies]\nserde.workspace = true\n", 0),
            ("proto", "[dependencies]\ntokio.workspace = true\n", 1),
            ("proto", "[build-dependencies]\nprotox = \"1\"\n", 0),
            ("store", "[dependencies]\nserin-proto.workspace = true\ntokio = \"1\"\n", 0),
            ("store", "[dependencies]\nserin-router.workspace = true\n", 1),
            ("router", "[dependencies.serin-control-plane]\nworkspace = true\n", 1),
            ("router", "[dependencies]\nserin-simulator = { path = \"x\" }\n", 1),
            ("router", "[dev-dependencies]\nserin-simulator.workspace = true\n", 0),
            ("control-plane", "[target.'cfg(unix)'.dependencies]\nserin-router = \"1\"\n", 1),
            ("simulator", "[dependencies]\nserin-proto.workspace = true\n", 1),
            ("simulator", "[dependencies]\np = { package = \"serin-proto\", path = \"x\" }\n", 1),
            ("tests", "[dependencies]\nserin-proto.workspace = true\n", 0),
            ("tests", "[dev-dependencies]\nserin-simulator.workspace = true\n", 1),
            ("cli", "[dependencies]\nserin-router.workspace = true\n", 0),
            ("common", "[dependencies]\n", 1),
        ];
        for (folder, manifest, faults) in table {
            let found = dependencies(&File::new(&format!("{folder}/Cargo.toml"), manifest));
            assert_eq!(found.len(), faults, "{folder}: {manifest}\n{found:?}");
        }
    }
}
