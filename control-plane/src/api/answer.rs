//! A success as the API tells it: JSON, with the ETag of what it shows.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{
        StatusCode,
        header::{ETAG, WARNING},
    },
};
use serde::Serialize;
use serde_json::{Value as Json, json};
use serin_proto::unit::Revision;

use super::{
    precondition::{Tags, etag, if_none_match},
    problem::Problem,
};
use crate::{
    change::{Changed, Notice},
    read::{Listed, Shown, Unreadable},
};

/// Most warnings that are told in the head of one answer.
const WARNINGS_MAX: usize = 20;

/// A body of JSON; with a revision its ETag.
pub(crate) fn json(
    status: StatusCode,
    revision: Option<Revision>,
    body: &impl Serialize,
) -> HttpResponse {
    let mut response = HttpResponseBuilder::new(status);
    if let Some(revision) = revision {
        response.insert_header((ETAG, etag(revision)));
    }
    response.json(body)
}

/// What was read, or 304 if the caller has it already.
///
/// # Errors
/// 400: an `If-None-Match` that cannot be read.
pub(crate) fn shown(
    head: &HttpRequest,
    revision: Revision,
    body: &impl Serialize,
) -> Result<HttpResponse, Problem> {
    let known = if_none_match(head.headers()).map_err(Problem::invalid_request)?;
    let is_known = match known {
        None => false,
        Some(Tags::Any) => true,
        Some(Tags::These(revisions)) => revisions.contains(&revision),
    };
    if is_known {
        let mut response = HttpResponse::NotModified();
        return Ok(response.insert_header((ETAG, etag(revision))).finish());
    }
    Ok(json(StatusCode::OK, Some(revision), body))
}

/// `{items, unreadable, nextPageToken}`
pub(crate) fn page(listed: &Listed) -> Json {
    let items: Vec<&Json> = listed
        .items
        .iter()
        .map(|shown: &Shown| &shown.json)
        .collect();
    let unreadable = |one: &Unreadable| json!({ "name": one.name, "revision": one.revision.0, "message": one.why });
    let mut page = json!({ "items": items });
    if !listed.unreadable.is_empty() {
        page["unreadable"] = listed.unreadable.iter().map(unreadable).collect();
    }
    if let Some(token) = &listed.next_page_token {
        page["nextPageToken"] = Json::from(token.as_str());
    }
    page
}

/// What a PUT came to: the document as it is stored now. A dry run tells the difference instead.
pub(crate) fn written(changed: &Changed, dry_run: bool) -> HttpResponse {
    if dry_run {
        return difference(changed);
    }
    let status = if changed.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = HttpResponseBuilder::new(status);
    response.insert_header((ETAG, etag(changed.revision)));
    warn(&mut response, &changed.warnings);
    response.json(&changed.document)
}

/// Puts warnings into the head of an answer whose body is taken.
pub(crate) fn warn(response: &mut HttpResponseBuilder, warnings: &[Notice]) {
    for warning in warnings.iter().take(WARNINGS_MAX) {
        response.append_header((WARNING, warning_value(warning)));
    }
}

/// `{revision, changes, warnings, auditId}`: of a dry run, and of what is gone.
pub(crate) fn difference(changed: &Changed) -> HttpResponse {
    let body = json!({
        "revision": changed.revision.0,
        "changes": [changed.difference],
        "warnings": changed.warnings,
        "auditId": changed.audit,
    });
    json(StatusCode::OK, None, &body)
}

/// The object with its revision put in.
pub(crate) fn with_revision(body: &impl Serialize, revision: Revision) -> Json {
    let mut body = serde_json::to_value(body).unwrap_or_default();
    body["revision"] = Json::from(revision.0);
    body
}

/// As Kubernetes tells warnings: code 299, no agent, the text in quotes. Only what may stand in a
/// header stays as it is.
fn warning_value(warning: &Notice) -> String {
    let text = format!("{}: {}", warning.pointer, warning.message);
    let plain = |c: char| match c {
        '"' | '\\' => '\'',
        ' '..='~' => c,
        _ => '?',
    };
    format!("299 - \"{}\"", text.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_one_line_of_ascii_whatever_it_names() {
        let warning = Notice {
            pointer: "/routes/0".to_owned(),
            code: "unknown_route".to_owned(),
            message: "there is no \"chät\\\r\nx: y\"".to_owned(),
        };
        let value = warning_value(&warning);
        assert_eq!(value, "299 - \"/routes/0: there is no 'ch?t'??x: y'\"");
    }
}
