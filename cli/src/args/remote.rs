//! The verbs that talk to a control plane over REST.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args as Flags, Subcommand, ValueEnum, builder::FalseyValueParser};
use serin_proto::{key::Kind, name::is_name, unit::parse_duration};

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

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Table,
    Json,
    Yaml,
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
    #[arg(short, long, env = "SERIN_OUTPUT", default_value = "table", help = FORM_HELP)]
    pub(crate) output: Form,
    #[command(flatten)]
    pub(crate) server: Server,
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
    #[arg(short, long, env = "SERIN_OUTPUT", default_value = "table", help = FORM_HELP)]
    pub(crate) output: Form,
    #[command(flatten)]
    pub(crate) server: Server,
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
    #[arg(short, long, env = "SERIN_OUTPUT", default_value = "table", help = FORM_HELP)]
    pub(crate) output: Form,
    #[command(flatten)]
    pub(crate) server: Server,
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
    /// Why; written down, and needed to do it.
    #[arg(long, env = "SERIN_REASON", value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) server: Server,
}

const FORM_HELP: &str = "How it is printed";

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Seen {
    #[value(alias = "provider")]
    Providers,
    #[value(alias = "route")]
    Routes,
    #[value(alias = "key")]
    Keys,
    #[value(alias = "tier")]
    Tiers,
    #[value(alias = "token")]
    Tokens,
    #[value(alias = "router")]
    Routers,
    Audit,
}

impl Seen {
    /// The word of the URL.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Providers => "providers",
            Self::Routes => "routes",
            Self::Keys => "keys",
            Self::Tiers => "tiers",
            Self::Tokens => "tokens",
            Self::Routers => "routers",
            Self::Audit => "audit",
        }
    }

    /// The kind of document, where it is one.
    pub(crate) fn document(self) -> Option<Kind> {
        match self {
            Self::Providers => Some(Kind::Provider),
            Self::Routes => Some(Kind::Route),
            Self::Keys => Some(Kind::Key),
            Self::Tiers => Some(Kind::Tier),
            Self::Tokens | Self::Routers | Self::Audit => None,
        }
    }
}

/// What can be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Deleted {
    #[value(alias = "providers")]
    Provider,
    #[value(alias = "routes")]
    Route,
    #[value(alias = "keys")]
    Key,
    #[value(alias = "tiers")]
    Tier,
    #[value(alias = "tokens")]
    Token,
}

impl Deleted {
    /// The word of the URL.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Provider => "providers",
            Self::Route => "routes",
            Self::Key => "keys",
            Self::Tier => "tiers",
            Self::Token => "tokens",
        }
    }

    /// The word for one.
    pub(crate) fn singular(self) -> &'static str {
        self.plural().trim_end_matches('s')
    }
}

/// What a token may do, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Viewer,
    Operator,
    Admin,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// `gpt=95`: a target and its percent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weight {
    pub(crate) target: String,
    pub(crate) percent: f64,
}

impl FromStr for Weight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "write TARGET=PERCENT, e.g. gpt=95".to_owned();
        let (target, percent) = text.split_once('=').ok_or_else(bad)?;
        let target = name(target.trim())?;
        let percent = percent.trim().trim_end_matches('%');
        let percent = percent.parse().ok().filter(|p: &f64| p.is_finite());
        Ok(Self {
            target,
            percent: percent.ok_or_else(bad)?,
        })
    }
}

/// Names stand in URLs: what is none never gets there.
fn name(text: &str) -> Result<String, String> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err(
            "no name: 1 to 63 of a-z, 0-9, . and -, beginning and ending with a letter or digit"
                .to_owned(),
        )
    }
}

/// Routers are named by their host and audit records by a ULID: more letters than a name.
fn shown_name(text: &str) -> Result<String, String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    // `..` would be another URL.
    let begins = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    if begins && text.len() <= 253 && text.bytes().all(legal) {
        Ok(text.to_owned())
    } else {
        Err("no name: letters, digits, . - and _".to_owned())
    }
}

fn count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| "write a whole number from 1".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|bad| format!("{bad}; write e.g. 30s, 5m, 24h"))
}
