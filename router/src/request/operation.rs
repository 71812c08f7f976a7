//! Which operation a path asks for, and what of it goes on to the provider.
//!
//! Pure text. A path that is forwarded has plain segments only: no percent-encoding, no dots, no
//! empty ones, so that no two programs on the way can read it differently.

use serin_proto::metric::Operation;

/// What a path under `/v1` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked<'a> {
    /// `rest` is what follows `/v1`; it is appended to the provider's address.
    Forward { operation: Operation, rest: &'a str },
    /// `GET /v1/models`.
    Models,
    /// `GET /v1/models/{id}`: the id as it stands in the path, percent-encoded.
    Model { id: &'a str },
    /// Forwarding it could mean something else to the provider than to us.
    BadPath,
    /// Not under `/v1`.
    Unknown,
}

/// Reads a path without its query.
pub(crate) fn asked(path: &str) -> Asked<'_> {
    let Some(rest) = path
        .strip_prefix("/v1")
        .filter(|rest| rest.starts_with('/'))
    else {
        return Asked::Unknown;
    };
    if let Some(id) = rest.strip_prefix("/models") {
        return match id.strip_prefix('/') {
            None if id.is_empty() => Asked::Models,
            Some(id) if !id.is_empty() => Asked::Model { id },
            _ => Asked::BadPath,
        };
    }
    let plain = |segment: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_~.-".contains(&byte);
        !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed)
    };
    if !rest.split('/').skip(1).all(plain) {
        return Asked::BadPath;
    }
    Asked::Forward {
        operation: operation(rest),
        rest,
    }
}

fn operation(rest: &str) -> Operation {
    let family = rest.split('/').nth(1).unwrap_or_default();
    match (rest, family) {
        ("/chat/completions", _) => Operation::Chat,
        ("/completions", _) => Operation::Completions,
        ("/embeddings", _) => Operation::Embeddings,
        ("/responses", _) => Operation::Responses,
        (_, "images") => Operation::Images,
        (_, "audio") => Operation::Audio,
        ("/moderations", _) => Operation::Moderations,
        _ => Operation::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    #[test]
    fn every_path_has_one_meaning() {
        let forward = |operation, rest| Asked::Forward { operation, rest };
        let table = [
            ("/v1/chat/completions",     forward(Operation::Chat, "/chat/completions")),
            ("/v1/completions",          forward(Operation::Completions, "/completions")),
            ("/v1/embeddings",           forward(Operation::Embeddings, "/embeddings")),
            ("/v1/audio/speech",         forward(Operation::Audio, "/audio/speech")),
            ("/v1/rerank",               forward(Operation::Other, "/rerank")),
            ("/v1/chat/completions/x",   forward(Operation::Other, "/chat/completions/x")),
            ("/v1/models",               Asked::Models),
            ("/v1/models/gpt-4.1",       Asked::Model { id: "gpt-4.1" }),
            ("/v1/models/openai%2Fx",    Asked::Model { id: "openai%2Fx" }),
            ("/v1/models/",              Asked::BadPath),
            ("/v1/modelsx",              Asked::BadPath),
            ("/v1/",                     Asked::BadPath),
            ("/v1/chat//completions",    Asked::BadPath),
            ("/v1/../admin",             Asked::BadPath),
            ("/v1/./chat",               Asked::BadPath),
            ("/v1/chat%2fcompletions",   Asked::BadPath),
            ("/v1/chat/completions/",    Asked::BadPath),
            ("/v1/chat;x=1",             Asked::BadPath),
            ("/v1",                      Asked::Unknown),
            ("/v2/chat/completions",     Asked::Unknown),
            ("/v1x/chat",                Asked::Unknown),
            ("/",                        Asked::Unknown),
        ];
        for (path, meaning) in table {
            assert_eq!(asked(path), meaning, "{path}");
        }
    }
}
