//! The one table of URLs: which method at which path, the least role for it, and what it does.
//!
//! Serving, refusing and the OpenAPI document all read this table, so an endpoint cannot exist
//! without a role. A path is compared as it came, byte for byte: nothing is decoded, joined or
//! lowered, so there is one spelling of each URL and every other one is unknown.

use serin_proto::key::Kind;

use crate::auth::Right;

/// Where the API's paths begin: below it nothing is told to who has no token.
pub(crate) const BASE: &str = "/api/v1/";

/// The methods that the API has. `HEAD` is answered wherever `GET` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Method {
    Get,
    Put,
    Post,
    Delete,
}

impl Method {
    /// In lower case, as the OpenAPI document writes it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Post => "post",
            Self::Delete => "delete",
        }
    }

    fn of(method: &str) -> Option<Self> {
        match method {
            "GET" | "HEAD" => Some(Self::Get),
            "PUT" => Some(Self::Put),
            "POST" => Some(Self::Post),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    /// As `Allow` lists it.
    fn allowed(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// What has a name and is written as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noun {
    Document(Kind),
    Token,
}

impl Noun {
    /// The name of its schema.
    pub(crate) fn schema(self) -> &'static str {
        match self {
            Self::Document(Kind::Provider) => "Provider",
            Self::Document(Kind::Route) => "Route",
            Self::Document(Kind::Key) => "Key",
            Self::Document(Kind::Tier) => "Tier",
            Self::Token => "Token",
        }
    }
}

/// What a rollout is asked to do by `POST /rollouts/{id}/<word>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Pause,
    Resume,
    Promote,
    Abort,
    Undo,
    Retry,
    SkipStep,
}

/// What is asked for, without the names in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    List(Noun),
    Read(Noun),
    Write(Noun),
    Remove(Noun),
    ReadTraffic,
    WriteTraffic,
    StartRollout,
    Rollouts,
    Rollout,
    RolloutHistory,
    RolloutAnalysis,
    AskRollout(Ask),
    SetGate,
    Apply,
    Routers,
    Audit,
    Watch,
    OpenApi,
    Adopt,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    /// `{name}` and the like stand for one piece each; at most [`NAMES_MAX`] of them.
    pub(crate) path: &'static str,
    /// Who lacks it is refused, before anything else of the call is looked at.
    pub(crate) right: Right,
    pub(crate) action: Action,
}

const fn row(method: Method, path: &'static str, right: Right, action: Action) -> Endpoint {
    Endpoint {
        method,
        path,
        right,
        action,
    }
}

use Method::{Delete, Get, Post, Put};
use Right::{Adopt, MoveTraffic, Read, ReadTokens, RunRollouts, WriteDocuments, WriteTokens};

const PROVIDER: Noun = Noun::Document(Kind::Provider);
const ROUTE: Noun = Noun::Document(Kind::Route);
const KEY: Noun = Noun::Document(Kind::Key);
const TIER: Noun = Noun::Document(Kind::Tier);

/// Most names in one path.
const NAMES_MAX: usize = 2;

/// Every URL of the API.
#[rustfmt::skip]
pub(crate) const ENDPOINTS: [Endpoint; 41] = [
    row(Get,    "/api/v1/providers",              Read,           Action::List(PROVIDER)),
    row(Get,    "/api/v1/providers/{name}",       Read,           Action::Read(PROVIDER)),
    row(Put,    "/api/v1/providers/{name}",       WriteDocuments, Action::Write(PROVIDER)),
    row(Delete, "/api/v1/providers/{name}",       WriteDocuments, Action::Remove(PROVIDER)),
    row(Get,    "/api/v1/routes",                 Read,           Action::List(ROUTE)),
    row(Get,    "/api/v1/routes/{name}",          Read,           Action::Read(ROUTE)),
    row(Put,    "/api/v1/routes/{name}",          WriteDocuments, Action::Write(ROUTE)),
    row(Delete, "/api/v1/routes/{name}",          WriteDocuments, Action::Remove(ROUTE)),
    row(Get,    "/api/v1/routes/{name}/traffic",  Read,           Action::ReadTraffic),
    row(Put,    "/api/v1/routes/{name}/traffic",  MoveTraffic,    Action::WriteTraffic),
    row(Post,   "/api/v1/routes/{name}/rollouts", RunRollouts,    Action::StartRollout),
    row(Get,    "/api/v1/rollouts",               Read,           Action::Rollouts),
    row(Get,    "/api/v1/rollouts/{id}",          Read,           Action::Rollout),
    row(Get,    "/api/v1/rollouts/{id}/history",  Read,           Action::RolloutHistory),
    row(Get,    "/api/v1/rollouts/{id}/analysis", Read,           Action::RolloutAnalysis),
    row(Post,   "/api/v1/rollouts/{id}/pause",    RunRollouts,    Action::AskRollout(Ask::Pause)),
    row(Post,   "/api/v1/rollouts/{id}/resume",   RunRollouts,    Action::AskRollout(Ask::Resume)),
    row(Post,   "/api/v1/rollouts/{id}/promote",  RunRollouts,    Action::AskRollout(Ask::Promote)),
    row(Post,   "/api/v1/rollouts/{id}/abort",    RunRollouts,    Action::AskRollout(Ask::Abort)),
    row(Post,   "/api/v1/rollouts/{id}/undo",     RunRollouts,    Action::AskRollout(Ask::Undo)),
    row(Post,   "/api/v1/rollouts/{id}/retry",    RunRollouts,    Action::AskRollout(Ask::Retry)),
    row(Post,   "/api/v1/rollouts/{id}/skip-step", RunRollouts,   Action::AskRollout(Ask::SkipStep)),
    row(Put,    "/api/v1/rollouts/{id}/gates/{gate}", RunRollouts, Action::SetGate),
    row(Get,    "/api/v1/keys",                   Read,           Action::List(KEY)),
    row(Get,    "/api/v1/keys/{name}",            Read,           Action::Read(KEY)),
    row(Put,    "/api/v1/keys/{name}",            WriteDocuments, Action::Write(KEY)),
    row(Delete, "/api/v1/keys/{name}",            WriteDocuments, Action::Remove(KEY)),
    row(Get,    "/api/v1/tiers",                  Read,           Action::List(TIER)),
    row(Get,    "/api/v1/tiers/{name}",           Read,           Action::Read(TIER)),
    row(Put,    "/api/v1/tiers/{name}",           WriteDocuments, Action::Write(TIER)),
    row(Delete, "/api/v1/tiers/{name}",           WriteDocuments, Action::Remove(TIER)),
    row(Get,    "/api/v1/tokens",                 ReadTokens,     Action::List(Noun::Token)),
    row(Get,    "/api/v1/tokens/{name}",          ReadTokens,     Action::Read(Noun::Token)),
    row(Put,    "/api/v1/tokens/{name}",          WriteTokens,    Action::Write(Noun::Token)),
    row(Delete, "/api/v1/tokens/{name}",          WriteTokens,    Action::Remove(Noun::Token)),
    row(Post,   "/api/v1/apply",                  WriteDocuments, Action::Apply),
    row(Get,    "/api/v1/routers",                Read,           Action::Routers),
    row(Get,    "/api/v1/audit",                  Read,           Action::Audit),
    row(Get,    "/api/v1/watch",                  Read,           Action::Watch),
    row(Get,    "/api/v1/openapi.json",           Read,           Action::OpenApi),
    row(Post,   "/api/v1/store/adopt",            Adopt,          Action::Adopt),
];

/// What a method and a path come to.
#[derive(Clone, Debug)]
pub(crate) enum Found<'a> {
    /// No such URL.
    Unknown,
    /// The URL has other methods, as `Allow` lists them.
    OtherMethods(String),
    Endpoint {
        endpoint: &'static Endpoint,
        /// What stands for the names of the template in their order, as it came; empty where the
        /// path has fewer.
        names: [&'a str; NAMES_MAX],
    },
}

/// Finds the row of a method and a path.
pub(crate) fn find<'a>(method: &str, path: &'a str) -> Found<'a> {
    let method = Method::of(method);
    let mut others = Vec::new();
    for endpoint in &ENDPOINTS {
        let Some(names) = names_in(endpoint.path, path) else {
            continue;
        };
        if method == Some(endpoint.method) {
            return Found::Endpoint { endpoint, names };
        }
        others.push(endpoint.method.allowed());
    }
    if others.is_empty() {
        Found::Unknown
    } else {
        Found::OtherMethods(others.join(", "))
    }
}

/// The pieces of `path` that stand for names, if the path has the template's form.
fn names_in<'a>(template: &str, path: &'a str) -> Option<[&'a str; NAMES_MAX]> {
    let mut names = [""; NAMES_MAX];
    let mut free = names.iter_mut();
    let mut pieces = path.split('/');
    for wanted in template.split('/') {
        let piece = pieces.next()?;
        if !wanted.starts_with('{') {
            if piece != wanted {
                return None;
            }
        } else if piece.is_empty() {
            return None;
        } else {
            *free.next()? = piece;
        }
    }
    pieces.next().is_none().then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Role;

    #[rustfmt::skip]
    #[test]
    fn one_spelling_of_a_url_is_known() {
        let table = [
            ("GET",     "/api/v1/routes",               "list"),
            ("HEAD",    "/api/v1/routes",               "list"),
            ("GET",     "/api/v1/routes/chat",          "chat"),
            ("GET",     "/api/v1/routes/chat/traffic",  "chat"),
            ("GET",     "/api/v1/routes/traffic",       "traffic"),
            ("GET",     "/api/v1/routes/%63hat",        "%63hat"),
            ("POST",    "/api/v1/routes",               "allow GET, HEAD"),
            ("OPTIONS", "/api/v1/routes/chat/traffic",  "allow GET, HEAD, PUT"),
            ("get",     "/api/v1/apply",                "allow POST"),
            ("GET",     "/api/v1",                      "unknown"),
            ("GET",     "/api/v1/",                     "unknown"),
            ("GET",     "/api/v1//routes",              "unknown"),
            ("GET",     "/api/v1/routes/",              "unknown"),
            ("GET",     "/api/v1/Routes",               "unknown"),
            ("GET",     "/api/v1/routes//traffic",      "unknown"),
            ("GET",     "/api/v1/routes/a/b",           "unknown"),
            ("GET",     "/api/v1/routes/a/b/traffic",   "unknown"),
            ("GET",     "/api/v1/routes/chat/traffic/", "unknown"),
            ("GET",     "/api/v1/rollouts",             "list"),
            ("GET",     "/api/v1/rollouts/7f3a",        "7f3a"),
            ("GET",     "/api/v1/rollouts/a/history",   "a"),
            ("POST",    "/api/v1/rollouts/a/skip-step", "a"),
            ("POST",    "/api/v1/rollouts/a/skipstep",  "unknown"),
            ("PUT",     "/api/v1/rollouts/a/gates/g",   "a, g"),
            ("POST",    "/api/v1/rollouts/a/gates/g",   "allow PUT"),
            ("PUT",     "/api/v1/rollouts/a/gates/",    "unknown"),
            ("PUT",     "/api/v1/rollouts/a/gates/g/h", "unknown"),
            ("PUT",     "/api/v1/rollouts//gates/g",    "unknown"),
            ("GET",     "/api/v1/usage",                "unknown"),
        ];
        for (method, path, expected) in table {
            let found = match find(method, path) {
                Found::Unknown => "unknown".to_owned(),
                Found::OtherMethods(allow) => format!("allow {allow}"),
                Found::Endpoint { names: ["", _], .. } => "list".to_owned(),
                Found::Endpoint { names: [name, ""], .. } => name.to_owned(),
                Found::Endpoint { names, .. } => names.join(", "),
            };
            assert_eq!(found, expected, "{method} {path}");
        }
    }

    #[test]
    fn who_may_do_what_is_as_the_contract_says() {
        for Endpoint {
            method,
            path,
            right,
            ..
        } in &ENDPOINTS
        {
            let expected = match (method, *path) {
                (_, path) if path.starts_with("/api/v1/tokens") => Role::Admin,
                (Get, _) => Role::Viewer,
                (Put, "/api/v1/routes/{name}/traffic") => Role::Operator,
                (Post, "/api/v1/routes/{name}/rollouts") => Role::Operator,
                (_, path) if path.starts_with("/api/v1/rollouts/") => Role::Operator,
                _ => Role::Admin,
            };
            assert_eq!(right.least_role(), expected, "{method:?} {path}");
        }
    }
}
