//! `serin rollout …`: start a plan, look at how it goes, and step in.

use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Args as Flags, Subcommand, builder::FalseyValueParser};
use serin_control_plane::rollout::state::Phase;

use super::{
    remote::{Answer, Server},
    words::{duration, name, rollout_id},
};

/// How those end that wait for a rollout.
const ENDS: &str = "Exit codes, once it has ended: 0 promoted, 5 failed, aborted, superseded or undone; \
                    6 not ended within --timeout; 1 and 4 as everywhere (serin --help)";

#[derive(Debug, Subcommand)]
pub(crate) enum RolloutVerb {
    /// Starts the rollouts of a file.
    ///
    /// The same plan once more changes nothing; another candidate takes the place of a running one.
    Start(Start),
    /// The newest rollout of each route.
    List(List),
    /// Where a rollout stands, in full.
    Get(Look),
    /// Where a rollout stands, in one line; with --watch until it has ended.
    #[command(after_help = ENDS)]
    Status(Status),
    /// A live view, until the rollout has ended.
    #[command(after_help = ENDS)]
    Watch(Watch),
    /// The evidence, metric by metric, and what is waited for.
    Explain(Look),
    /// Every record of a rollout.
    History(History),
    /// Opens or closes a gate of the plan.
    Gate(Gate),
    /// Holds the share; guards go on.
    Pause(Pause),
    /// Goes on where it was paused.
    Resume(Plain),
    /// Passes once what it waits for; --full: all steps that are left.
    Promote(Promote),
    /// Takes the candidate's share back at once.
    Abort(Plain),
    /// Takes a promotion back.
    Undo(Plain),
    /// Starts the same plan again, under a new id.
    Retry(Plain),
    /// Goes to the next step by hand.
    SkipStep(Plain),
}

/// Which rollout.
#[derive(Clone, Debug, Flags)]
pub(crate) struct Which {
    /// Of which route: its newest.
    #[arg(value_parser = name)]
    pub(crate) route: String,
    /// Another rollout of that route.
    #[arg(long, env = "SERIN_ROLLOUT_ID", value_parser = rollout_id, value_name = "ID")]
    pub(crate) id: Option<String>,
}

/// How a verb is asked for.
#[derive(Clone, Debug, Flags)]
pub(crate) struct Manner {
    /// Why, for the history and the audit record.
    #[arg(long, env = "SERIN_REASON", value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Refuses if the rollout has gone on since this seq.
    #[arg(long, env = "SERIN_EXPECTED_SEQ", value_name = "SEQ")]
    pub(crate) expected_seq: Option<u64>,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

#[derive(Debug, Flags)]
pub(crate) struct Start {
    /// A documents file with rollouts, `-` for standard input.
    #[arg(short, long, env = "SERIN_FILE", value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Judges and plans, starts nothing.
    #[arg(long, env = "SERIN_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(crate) dry_run: bool,
    /// Why, for the history and the audit record.
    #[arg(long, env = "SERIN_REASON", value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

#[derive(Debug, Flags)]
pub(crate) struct List {
    /// Those in this phase alone, such as Progressing.
    #[arg(long, env = "SERIN_PHASE", value_parser = name_of_phase, value_name = "PHASE")]
    pub(crate) phase: Option<String>,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

#[derive(Debug, Flags)]
pub(crate) struct Look {
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

#[derive(Debug, Flags)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Waits until it has ended: exits with 0, 5 or 6.
    #[arg(long, env = "SERIN_WATCH", value_parser = FalseyValueParser::new())]
    pub(crate) watch: bool,
    /// Longest wait: exits with 6 then.
    #[arg(long, env = "SERIN_TIMEOUT", default_value = "1800s", value_parser = duration, value_name = "DURATION")]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

#[derive(Debug, Flags)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Flags)]
pub(crate) struct History {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Makes every decision again from what is recorded, and compares.
    #[arg(long, env = "SERIN_VERIFY", value_parser = FalseyValueParser::new())]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

#[derive(Debug, Flags)]
#[command(group(ArgGroup::new("way").required(true).args(["open", "close"])))]
pub(crate) struct Gate {
    /// Of which route: its newest rollout.
    #[arg(value_parser = name)]
    pub(crate) route: String,
    /// Which gate, as the plan names it.
    #[arg(value_parser = name)]
    pub(crate) gate: String,
    /// Another rollout of that route.
    #[arg(long, env = "SERIN_ROLLOUT_ID", value_parser = rollout_id, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Lets it pass.
    #[arg(long, env = "SERIN_OPEN", value_parser = FalseyValueParser::new())]
    pub(crate) open: bool,
    /// Holds it.
    #[arg(long, env = "SERIN_CLOSE", value_parser = FalseyValueParser::new())]
    pub(crate) close: bool,
    #[command(flatten)]
    pub(crate) manner: Manner,
}

#[derive(Debug, Flags)]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Until resumed, nothing automatic happens but the hard guards.
    #[arg(long, env = "SERIN_SUSPEND", value_parser = FalseyValueParser::new())]
    pub(crate) suspend: bool,
    #[command(flatten)]
    pub(crate) manner: Manner,
}

#[derive(Debug, Flags)]
pub(crate) struct Promote {
    #[command(flatten)]
    pub(crate) which: Which,
    /// All steps that are left, at once.
    #[arg(long, env = "SERIN_FULL", value_parser = FalseyValueParser::new())]
    pub(crate) full: bool,
    #[command(flatten)]
    pub(crate) manner: Manner,
}

#[derive(Debug, Flags)]
pub(crate) struct Plain {
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) manner: Manner,
}

/// A phase in any case, as the API spells it.
fn name_of_phase(text: &str) -> Result<String, String> {
    let phase = Phase::WORDS
        .iter()
        .find(|word| word.eq_ignore_ascii_case(text));
    let none = || format!("the phases are {}", Phase::WORDS.join(", "));
    phase.map(|word| (*word).to_owned()).ok_or_else(none)
}
