//! Style as a test: what reviewers would otherwise have to remember.
//!
//! Each check is a function from text to faults, tried on small made-up inputs beside it, and
//! applied here to the whole tree. A fault names its file and line and says what to do instead.
//! Not here: what rustfmt and clippy hold already.

mod levels;
mod owners;
mod purity;
mod source;
mod text;
mod tree;
mod walls;

use tree::{File, files};

fn assert_clean(faults: &[String]) {
    assert!(
        faults.is_empty(),
        "{} faults:\n  {}",
        faults.len(),
        faults.join("\n  ")
    );
}

fn each(ending: &str, check: impl Fn(&File) -> Vec<String>) -> Vec<String> {
    let all = files();
    let looked_at: Vec<&File> = all
        .iter()
        .filter(|file| file.path.ends_with(ending))
        .collect();
    assert!(
        !looked_at.is_empty(),
        "no file ends with {ending}: the check would be empty"
    );
    looked_at.into_iter().flat_map(check).collect()
}

#[test]
fn every_file_opens_with_why_and_stays_small() {
    assert_clean(&each(".rs", text::header_and_size));
}

#[test]
fn nothing_is_ignored_silenced_or_left_for_later() {
    assert_clean(&each(".rs", text::left_overs));
}

#[test]
fn tests_wait_for_conditions_and_never_for_time() {
    assert_clean(&each(".rs", text::sleeping));
}

#[test]
fn no_file_knows_a_machine_or_a_registry() {
    assert_clean(&each("", text::places));
}

#[test]
fn the_makefile_stays_a_page() {
    assert_clean(&each("Makefile", text::makefile));
}

#[test]
fn crates_know_only_those_below_them() {
    assert_clean(&each("/Cargo.toml", walls::dependencies));
}

#[test]
fn files_use_their_own_level_and_those_below() {
    for layered in &levels::LAYERED {
        assert_clean(&layered.check(&files()));
    }
}

#[test]
fn pure_files_wait_for_nothing_and_ask_nobody() {
    assert_clean(&each(".rs", purity::check));
}

#[test]
fn what_may_be_replaced_is_known_in_one_place() {
    assert_clean(&each(".rs", owners::check));
}
