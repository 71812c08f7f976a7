//! `If-Match`, `If-None-Match` and `ETag`: on which revision a call rests. Pure.
//!
//! An ETag is `"<mod_revision>"`, always strong. A tag that is no number is somebody else's: it is
//! read, and equals nothing of ours. So does a weak one in `If-Match`, which compares strongly.

use actix_web::http::header::{HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use serin_proto::unit::Revision;

/// Most tags of one header that are read.
const TAGS_MAX: usize = 32;

/// What one of the two headers names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`: whatever there is.
    Any,
    /// Those of the tags that can be ours.
    These(Vec<Revision>),
}

/// A header that is neither `*` nor a list of tags.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{header} must be * or a list of at most {TAGS_MAX} entity tags such as \"42\"")]
pub(crate) struct BadTags {
    header: &'static str,
}

/// `If-Match`; `None` where there is none.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<Tags>, BadTags> {
    let bad = BadTags { header: "If-Match" };
    header(headers, &IF_MATCH, false).map_err(|()| bad)
}

/// `If-None-Match`; `None` where there is none.
pub(crate) fn if_none_match(headers: &HeaderMap) -> Result<Option<Tags>, BadTags> {
    let bad = BadTags {
        header: "If-None-Match",
    };
    header(headers, &IF_NONE_MATCH, true).map_err(|()| bad)
}

/// The ETag of a revision.
pub(crate) fn etag(revision: Revision) -> String {
    format!("\"{revision}\"")
}

fn header(headers: &HeaderMap, name: &HeaderName, weak: bool) -> Result<Option<Tags>, ()> {
    let mut tags = None;
    for value in headers.get_all(name) {
        let next = read(value.to_str().map_err(|_| ())?, weak)?;
        tags = Some(match (tags, next) {
            (None, next) => next,
            (Some(Tags::These(mut all)), Tags::These(more)) => {
                all.extend(more);
                Tags::These(all)
            }
            // `*` stands alone.
            _ => return Err(()),
        });
    }
    Ok(tags)
}

fn read(text: &str, weak_counts: bool) -> Result<Tags, ()> {
    if text.trim() == "*" {
        return Ok(Tags::Any);
    }
    let mut ours = Vec::new();
    let mut rest = text.trim();
    for _ in 0..TAGS_MAX {
        let (weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let (tag, after) = quoted
            .strip_prefix('"')
            .ok_or(())?
            .split_once('"')
            .ok_or(())?;
        if let Some(revision) = revision(tag).filter(|_| weak_counts || !weak) {
            ours.push(revision);
        }
        let after = after.trim_start();
        if after.is_empty() {
            return Ok(Tags::These(ours));
        }
        rest = after.strip_prefix(',').ok_or(())?.trim_start();
    }
    Err(())
}

/// Digits as `Display` writes them: `042` and `+42` are nobody's.
fn revision(tag: &str) -> Option<Revision> {
    let number = tag.parse().ok()?;
    (tag == u64::to_string(&number)).then_some(Revision(number))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn these(revisions: &[u64]) -> Option<Tags> {
        Some(Tags::These(
            revisions.iter().copied().map(Revision).collect(),
        ))
    }

    #[rustfmt::skip]
    #[test]
    fn tags_are_read_as_rfc_9110_writes_them() {
        type Read = Result<Option<Tags>, ()>;
        let table: [(&[&str], Read, Read); 15] = [
            (&[],                     Ok(None),                 Ok(None)),
            (&["*"],                  Ok(Some(Tags::Any)),      Ok(Some(Tags::Any))),
            (&["\"42\""],             Ok(these(&[42])),         Ok(these(&[42]))),
            (&[" \"1\" ,  \"2\" "],   Ok(these(&[1, 2])),       Ok(these(&[1, 2]))),
            (&["\"1\"", "\"2\""],     Ok(these(&[1, 2])),       Ok(these(&[1, 2]))),
            (&["W/\"42\""],           Ok(these(&[])),           Ok(these(&[42]))),
            (&["\"042\""],            Ok(these(&[])),           Ok(these(&[]))),
            (&["\"x,y\", \"7\""],     Ok(these(&[7])),          Ok(these(&[7]))),
            (&["\"18446744073709551616\""], Ok(these(&[])),     Ok(these(&[]))),
            (&["42"],                 Err(()),                  Err(())),
            (&["\"42"],               Err(()),                  Err(())),
            (&["\"42\" \"43\""],      Err(()),                  Err(())),
            (&["\"42\","],            Err(()),                  Err(())),
            (&["*", "\"42\""],        Err(()),                  Err(())),
            (&[""],                   Err(()),                  Err(())),
        ];
        for (values, strong, weak) in table {
            let mut headers = HeaderMap::new();
            for value in values {
                let value = HeaderValue::from_str(value).unwrap();
                headers.append(IF_MATCH, value.clone());
                headers.append(IF_NONE_MATCH, value);
            }
            assert_eq!(if_match(&headers).map_err(|_| ()), strong, "{values:?}");
            assert_eq!(if_none_match(&headers).map_err(|_| ()), weak, "{values:?}");
        }
    }

    #[test]
    fn a_header_of_too_many_tags_is_refused() {
        let many = vec!["\"1\""; TAGS_MAX + 1].join(",");
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, HeaderValue::from_str(&many).unwrap());
        let error = if_match(&headers).unwrap_err();
        assert_eq!(
            error.to_string(),
            "If-Match must be * or a list of at most 32 entity tags such as \"42\""
        );
    }
}
