//! Every file in `docs/examples` is valid and warns of nothing: people copy them.
//!
//! Found by looking into the folder, so that a new example cannot be forgotten. The credentials they
//! name need not exist here: validation reads no environment.

use std::fs;

#[test]
fn the_examples_are_valid_and_warn_of_nothing() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("docs/examples exists") {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        match serin_proto::yaml::read(&name, &text) {
            Ok(read) => assert_eq!(read.warnings, [], "{name}"),
            Err(faults) => panic!(
                "{}",
                faults.iter().map(|f| format!("\n{f}")).collect::<String>()
            ),
        }
        count += 1;
    }
    assert!(count >= 3, "only {count} examples were found");
}
