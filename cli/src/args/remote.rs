//! The verbs that talk to a control plane over REST.

use std::{path::PathBuf, time::Duration};

use clap::{Args as Flags, Subcommand, builder::FalseyValueParser};

use super::rollout::RolloutVerb;
pub(crate) use super::words::{Deleted, Form, Role, Seen, Weight};
use super::words::{count, duration, name, shown_name};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Writes the documents of files, all or none.
    ///
    /// Live traffic and documents that the files do not name are left alone.
    Apply(Apply),
    /// What apply would change.
    Diff(Diff),
    /// Every document as a file that apply takes back.
    Export(Export),
    /// Shows documents, tokens, routers or the audit records.
    Get(Get),
    /// Deletes a document or a token.
    Delete(Delete),
    /// Shows the live traffic of a route, or changes it.
    Traffic(Traffic),
    /// Moves a route's share to a candidate step by step, and back if it is worse.
    #[command(subcommand)]
    Rollout(RolloutVerb),
    /// Keys of applications.
    #[command(subcommand)]
    Key(KeyVerb),
    /// Tokens of people and programs that use the control plane.
    #[command(subcommand)]
    Token(TokenVerb),
    /// The store itself.
    #[command(subcommand)]
    Store(StoreVerb),
}

/// Which control plane, and who asks.
#[derive(Clone, Debug, Flags)]
pub(crate) struct Server {
    /// The control plane.
    #[arg(
        long,
        env = "SERIN_SERVER",
        default_value = "http://127.0.0.1:8090",
        value_name = "URL"
    )]
    pub(crate) server: String,
    /// Who asks; better in the environment, where other users cannot see it.
    #[arg(
        long,
        env = "SERIN_TOKEN",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub(crate) token: Option<String>,
}

/// How an answer is printed, and who gives it.
#[derive(Clone, Debug, Flags)]
pub(crate) struct Answer {
    #[arg(short, long, env = "SERIN_OUTPUT", default_value = "table", help = FORM_HELP)]
    pub(crate) output: Form,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Flags)]
pub(crate) struct Apply {
    /// A documents file, `-` for standard input; may be given again.
    #[arg(
        short,
        long = "file",
        env = "SERIN_FILE",
        required = true,
        value_name = "FILE"
    )]
    pub(crate) files: Vec<PathBuf>,
    /// Tries again for so long while the control plane cannot be reached or answers 503.
    #[arg(long, env = "SERIN_WAIT", value_parser = duration, value_name = "DURATION")]
    pub(crate) wait: Option<Duration>,
    /// Takes the files' traffic too, in place of the live one.
    #[arg(long, env = "SERIN_TRAFFIC", value_parser = FalseyValueParser::new())]
    pub(crate) traffic: bool,
    /// Refuses targets without a price.
    #[arg(long, env = "SERIN_REQUIRE_PRICE", value_parser = FalseyValueParser::new())]
    pub(crate) require_price: bool,
    /// Why, for the audit record.
    #[arg(long, env = "SERIN_REASON", value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Flags)]
pub(crate) struct Diff {
    /// A documents file, `-` for standard input; may be given again.
    #[arg(
        short,
        long = "file",
        env = "SERIN_FILE",
        required = true,
        value_name = "FILE"
    )]
    pub(crate) files: Vec<PathBuf>,
    /// As if the files' traffic were taken too.
    #[arg(long, env = "SERIN_TRAFFIC", value_parser = FalseyValueParser::new())]
    pub(crate) traffic: bool,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

#[derive(Debug, Flags)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Flags)]
pub(crate) struct Get {
    /// Of which kind.
    pub(crate) kind: Seen,
    /// One of that kind; without: all of them.
    #[arg(value_parser = shown_name)]
    pub(crate) name: Option<String>,
    #[arg(short, long, env = "SERIN_OUTPUT", default_value = "table", help = FORM_HELP)]
    pub(crate) output: Form,
    /// Goes on and prints each change as it comes.
    #[arg(long, env = "SERIN_WATCH", value_parser = FalseyValueParser::new())]
    pub(crate) watch: bool,
    /// At most so many (audit: 50, others: all).
    #[arg(long, env = "SERIN_LIMIT", value_parser = count, value_name = "N")]
    pub(crate) limit: Option<usize>,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Flags)]
pub(crate) struct Delete {
    /// Of which kind.
    pub(crate) kind: Deleted,
    /// Which one.
    #[arg(value_parser = name)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Flags)]
pub(crate) struct Traffic {
    /// Whose traffic.
    #[arg(value_parser = name)]
    pub(crate) route: String,
    /// Percent by target; a target that is not named keeps what it has.
    #[arg(
        long,
        env = "SERIN_SET",
        value_delimiter = ',',
        value_name = "TARGET=PERCENT,…"
    )]
    pub(crate) set: Vec<Weight>,
    /// The target whose share is assigned by hash; "" for none.
    #[arg(long, env = "SERIN_CANARY", value_name = "TARGET")]
    pub(crate) canary: Option<String>,
    /// Targets tried, in this order, when the chosen one cannot answer; "" for none.
    #[arg(
        long,
        env = "SERIN_FALLBACK",
        value_delimiter = ',',
        value_name = "TARGET,…"
    )]
    pub(crate) fallback: Option<Vec<String>>,
    /// Why, for the audit record.
    #[arg(long, env = "SERIN_REASON", value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyVerb {
    /// Makes a key and prints its secret, once.
    Create(KeyCreate),
    /// Every key.
    List(List),
    /// Makes a second secret, prints it once, and lets the old one go on.
    Rotate(KeyRotate),
    /// Ends one secret of a key, or disables the whole key.
    Revoke(KeyRevoke),
}

#[derive(Debug, Flags)]
pub(crate) struct KeyCreate {
    /// What it is called; it stands in its secret too.
    #[arg(value_parser = name)]
    pub(crate) name: String,
    /// Routes it may use; * for all.
    #[arg(
        long,
        env = "SERIN_ROUTES",
        value_delimiter = ',',
        required = true,
        value_name = "ROUTE,…"
    )]
    pub(crate) routes: Vec<String>,
    /// Its limits and budget come from this tier.
    #[arg(long, env = "SERIN_TIER", value_name = "TIER")]
    pub(crate) tier: Option<String>,
    /// The secret ends so long from now.
    #[arg(long, env = "SERIN_EXPIRES", value_parser = duration, value_name = "DURATION")]
    pub(crate) expires: Option<Duration>,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Flags)]
pub(crate) struct KeyRotate {
    /// Which key.
    #[arg(value_parser = name)]
    pub(crate) name: String,
    /// The old secret ends so long from now; without: when it is revoked.
    #[arg(long, env = "SERIN_KEEP", value_parser = duration, value_name = "DURATION")]
    pub(crate) keep: Option<Duration>,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Flags)]
pub(crate) struct KeyRevoke {
    /// Which key.
    #[arg(value_parser = name)]
    pub(crate) name: String,
    /// Only the secret whose SHA-256 begins so (see `serin get key NAME`).
    #[arg(long, env = "SERIN_SECRET", value_name = "HEX")]
    pub(crate) secret: Option<String>,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenVerb {
    /// Makes a token and prints its secret, once.
    Create(TokenCreate),
    /// Every token that is kept in the store.
    List(List),
    /// Ends a token.
    Revoke(TokenRevoke),
}

#[derive(Debug, Flags)]
pub(crate) struct TokenCreate {
    /// What it is called; audit records name it.
    #[arg(value_parser = name)]
    pub(crate) name: String,
    /// What it may do.
    #[arg(long, env = "SERIN_ROLE", value_name = "WORD")]
    pub(crate) role: Role,
    /// It ends so long from now.
    #[arg(long, env = "SERIN_EXPIRES", value_parser = duration, value_name = "DURATION")]
    pub(crate) expires: Option<Duration>,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Flags)]
pub(crate) struct TokenRevoke {
    /// Which token.
    #[arg(value_parser = name)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Flags)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) answer: Answer,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreVerb {
    /// Accepts a store that is another, older or emptied one.
    ///
    /// Without a reason nothing is done: it shows what the store holds and which routers wait.
    Adopt(Adopt),
}

#[derive(Debug, Flags)]
pub(crate) struct Adopt {
    /// Why; written down, and needed to do it. A reason that is set for other verbs does not count.
    #[arg(long, env = "SERIN_ADOPT_REASON", value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) server: Server,
}

const FORM_HELP: &str = "How it is printed";
