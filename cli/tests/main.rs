//! The binary as people and service managers meet it: `up.rs` starts servers, and transcripts show
//! what a person sees who types commands against a real `serin up`.
//!
//! Each file of `transcripts/` begins with a gateway of its own, whose store is empty:
//! ```text
//!   # why this transcript is there
//!   > chat.yaml                     a file, until the next line that does not begin with two spaces
//!     routes: …
//!   $ serin apply -f chat.yaml      a command
//!   created routes/chat             what it prints; [..] stands for anything on the line
//!   ! nothing to change             what it says on stderr
//!   ? 3                             its exit code, if it is not 0
//! ```

mod gateway;
mod parts;
mod pipes;
mod transcript;
mod up;

use std::{fs, path::Path};

use gateway::{Gateway, SETTINGS};
use transcript::Transcript;

fn play(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/transcripts")
        .join(name);
    let text = fs::read_to_string(&path).expect("the transcript is there");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    gateway::write(folder.path(), "serin.yaml", SETTINGS);
    let gateway = Gateway::start(folder.path());
    let faults = Transcript::read(&text).play(&gateway, folder.path());
    assert!(
        faults.is_empty(),
        "{}\n{}",
        path.display(),
        faults.join("\n")
    );
}

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                play(concat!(stringify!($name), ".txt"));
            }
        )*

        #[test]
        fn every_transcript_is_played() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
            let files = fs::read_dir(folder).expect("it is there");
            let played = [$(concat!(stringify!($name), ".txt")),*];
            for file in files {
                let name = file.expect("it can be listed").file_name();
                let name = name.to_string_lossy();
                assert!(played.contains(&&*name), "{name} is not in the index");
            }
        }
    };
}

transcripts! {
    apply_and_diff
    conflicts_and_absences
    export_is_taken_back
    keys_and_tokens
    lists
    rollouts
    rollouts_replaced
    traffic_moves_with_one_call
}
