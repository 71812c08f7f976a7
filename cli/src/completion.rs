//! `serin completion`: a script that teaches a shell the words of this program.

use clap::CommandFactory as _;

use crate::{
    args::{Args, Completion, Shell},
    exit::Failed,
    output,
};

/// Prints it: `source <(serin completion bash)`.
pub(crate) fn completion(completion: &Completion) -> Result<(), Failed> {
    output::print(&script(completion.shell))
}

fn script(shell: Shell) -> String {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "serin", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_learns_the_verbs_and_their_flags() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            for word in ["traffic", "fallback", "control-plane", "rotate"] {
                assert!(script.contains(word), "{shell:?} lacks {word}");
            }
        }
    }
}
