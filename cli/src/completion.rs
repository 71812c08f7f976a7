//! `serin completion`: a script that teaches a shell the words of this program.

use clap::CommandFactory as _;

use crate::{
    args::{Args, Completion, Shell},
    exit::Failed,
    output,
};

/// Prints it: `source <(serin completion bash)`.
pub(crate) fn completion(completion: &Completion) -> Result<(), Failed> {
    let shell = match completion.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "serin", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
