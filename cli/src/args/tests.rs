//! What is promised of every flag, and how the harder ones read.

use clap::{Command as Clap, CommandFactory as _, Parser as _};

use super::{Args, Command, remote::Verb, rollout::RolloutVerb};

fn each<'a>(command: &'a Clap, path: &str, look: &mut dyn FnMut(&str, &'a clap::Arg)) {
    for argument in command.get_arguments() {
        look(path, argument);
    }
    for below in command.get_subcommands() {
        each(below, &format!("{path} {}", below.get_name()), look);
    }
}

#[test]
fn every_flag_has_an_environment_twin_of_its_name() {
    let args = Args::command();
    let mut flags = 0;
    each(&args, "serin", &mut |path, argument| {
        let Some(long) = argument
            .get_long()
            .filter(|l| !matches!(*l, "help" | "version"))
        else {
            return;
        };
        flags += 1;
        // A reason that is set for other verbs must not adopt a store that one wanted to look at.
        // And the id of a router in its environment is none of a rollout.
        let long = match (path, long) {
            ("serin store adopt", "reason") => "adopt-reason",
            (path, "id") if path.starts_with("serin rollout ") => "rollout-id",
            _ => long,
        };
        let twin = format!("SERIN_{}", long.replace('-', "_").to_uppercase());
        let env = argument
            .get_env()
            .map(|env| env.to_string_lossy().into_owned());
        assert_eq!(env, Some(twin), "{path} --{long}");
    });
    assert!(flags > 40, "only {flags} flags were looked at");
}

#[test]
fn every_command_and_flag_has_a_help_text() {
    let args = Args::command();
    each(&args, "serin", &mut |path, argument| {
        assert!(
            argument.get_help().is_some(),
            "{path} --{}",
            argument.get_id()
        );
    });
    args.debug_assert();
}

fn read(line: &str) -> Result<Command, String> {
    let words = line.split(' ').map(|word| word.trim_matches('\''));
    Args::try_parse_from(words)
        .map(|args| args.command)
        .map_err(|error| error.to_string())
}

#[test]
fn traffic_is_read_as_it_is_meant() {
    let Ok(Command::Remote(Verb::Traffic(traffic))) =
        read("serin traffic chat --set gpt=90.5,claude=9.5 --canary claude --fallback ''")
    else {
        panic!("it does not read");
    };
    let weights: Vec<_> = traffic
        .set
        .iter()
        .map(|weight| (weight.target.as_str(), weight.percent))
        .collect();
    assert_eq!(weights, [("gpt", 90.5), ("claude", 9.5)]);
    assert_eq!(traffic.canary.as_deref(), Some("claude"));
    assert_eq!(traffic.fallback, Some(vec![String::new()]));
}

#[rustfmt::skip]
#[test]
fn what_cannot_be_meant_is_a_usage_error() {
    let table = [
        ("serin traffic chat --set gpt",            "TARGET=PERCENT"),
        ("serin traffic chat --set gpt=NaN",        "TARGET=PERCENT"),
        ("serin traffic ../tokens",                 "no name"),
        ("serin get routes a/b",                    "no name"),
        ("serin get rollouts",                      "routers"),
        ("serin apply",                             "--file"),
        ("serin apply -f a --wait soon",            "30s"),
        ("serin key create web",                    "--routes"),
        ("serin token create web --role root",      "operator"),
        ("serin delete router a",                   "provider"),
        ("serin rollout start",                     "--file"),
        ("serin rollout get ../x",                  "no name"),
        ("serin rollout get chat --id 7F3A09C2B1D4", "12 hex digits"),
        ("serin rollout gate chat go",              "--open"),
        ("serin rollout gate chat go --open --close", "--close"),
        ("serin rollout promote",                   "ROUTE"),
        ("serin rollout abort chat --full",         "--full"),
    ];
    for (line, word) in table {
        let said = read(line).expect_err(line);
        assert!(said.contains(word), "{line}: {said}");
    }
}

#[test]
fn a_phase_is_one_of_the_apis_in_any_case() {
    let phase = |word: &str| {
        let Command::Remote(Verb::Rollout(RolloutVerb::List(list))) =
            read(&format!("serin rollout list --phase {word}"))?
        else {
            panic!("{word}");
        };
        Ok(list.phase)
    };
    assert_eq!(phase("progressing"), Ok(Some("Progressing".to_owned())));
    let refused: Result<_, String> = phase("Nope");
    let refused = refused.unwrap_err();
    for known in ["WaitingPromotion", "Superseded"] {
        assert!(refused.contains(known), "{refused}");
    }
}

#[test]
fn a_gate_is_opened_or_closed_and_both_ways_are_told() {
    let refused = read("serin rollout gate chat go-on").unwrap_err();
    assert!(
        refused.contains("--open") && refused.contains("--close"),
        "{refused}"
    );
    assert!(read("serin rollout gate chat go-on --open --close").is_err());
    assert!(read("serin rollout gate chat go-on --close").is_ok());
}

#[test]
fn who_waits_finds_the_exit_codes_in_the_help() {
    for line in [
        "serin rollout status --help",
        "serin rollout watch --help",
        "serin --help",
    ] {
        let help = read(line).unwrap_err();
        assert!(
            help.contains("Exit codes") && help.contains('6'),
            "{line}\n{help}"
        );
    }
}
