//! A refusal of the control plane's, and how a verb ends with it.

use std::fmt;

use awc::http::StatusCode;
use serde::Deserialize;

use crate::exit::Failed;

/// `application/problem+json`, or as much as can be made of another answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Problem {
    #[serde(skip)]
    pub(crate) status: u16,
    pub(crate) title: String,
    pub(crate) detail: String,
    pub(crate) code: String,
    pub(crate) request_id: String,
    pub(crate) errors: Vec<Told>,
}

/// One fault of what was sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Told {
    /// Relative to the body.
    pub(crate) pointer: String,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.message)
    }
}

/// Longest piece of an answer that is no problem document which is shown, in characters.
const SHOWN_CHARACTERS_MAX: usize = 200;

impl Problem {
    /// What an answer that is no success says.
    pub(crate) fn read(status: StatusCode, body: &[u8]) -> Self {
        let mut problem: Self = serde_json::from_slice(body).unwrap_or_else(|_| Self {
            detail: String::from_utf8_lossy(body)
                .trim()
                .chars()
                .take(SHOWN_CHARACTERS_MAX)
                .collect(),
            ..Self::default()
        });
        problem.status = status.as_u16();
        if problem.title.is_empty() {
            problem.title = status.canonical_reason().unwrap_or("refused").to_owned();
        }
        problem
    }

    /// Whether another try may succeed without anything having been changed.
    pub(crate) fn is_passing(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE.as_u16()
    }

    /// The detail without the title, where it begins with it.
    fn told_once(&self) -> &str {
        let (title, detail) = (&self.title, &self.detail);
        let begins = detail
            .get(..title.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(title));
        if !begins {
            return detail;
        }
        detail[title.len()..].trim_start_matches([':', ' '])
    }

    /// What the control plane says, and what one can do about it here.
    fn message(&self) -> String {
        let mut text = format!("{} ({}", self.title, self.status);
        if !self.code.is_empty() {
            text += &format!(" {}", self.code);
        }
        text += ")";
        let detail = self.told_once();
        if self.errors.is_empty() && !detail.is_empty() {
            text += &format!(": {detail}");
        }
        for told in &self.errors {
            text += &format!("\n  {told}");
        }
        match self.status {
            401 => text += "\nset SERIN_TOKEN to a token of this control plane",
            503 | 504 if !self.request_id.is_empty() => {
                text += &format!("\nrequest {}", self.request_id);
            }
            _ => {}
        }
        text
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        let message = problem.message();
        match problem.status {
            404 => Self::NotFound(message),
            409 | 412 => Self::Conflict(message),
            // The present state forbids it.
            422 if problem.code == "illegal_verb" => Self::Conflict(message),
            _ => Self::Error(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(status: u16, body: &str) -> Failed {
        let status = StatusCode::from_u16(status).unwrap();
        Problem::read(status, body.as_bytes()).into()
    }

    #[test]
    fn every_fault_is_told_with_its_pointer() {
        let body = r#"{"type":"urn:x","title":"The result would not be valid","status":422,"code":"invalid_document",
            "detail":"weights sum to 99 (and 1 more)","requestId":"r1","errors":[
            {"pointer":"/weights","code":"weights_sum","message":"sum to 99, not 100"},
            {"pointer":"","code":"x","message":"the whole is odd"}]}"#;
        let failed = failed(422, body);
        assert!(matches!(failed, Failed::Error(_)));
        assert_eq!(
            failed.to_string(),
            "The result would not be valid (422 invalid_document)\n  /weights: sum to 99, not 100\n  the whole is odd"
        );
    }

    #[rustfmt::skip]
    #[test]
    fn each_status_has_its_exit_code_and_a_way_out() {
        let table = [
            (401, r#"{"title":"No","code":"unauthenticated"}"#, "SERIN_TOKEN"),
            (404, r#"{"title":"No","code":"not_found","detail":"there is no route x"}"#, "no route x"),
            (409, r#"{"title":"No","code":"in_use","errors":[{"pointer":"","message":"route chat"}]}"#, "route chat"),
            (412, r#"{"title":"No","code":"stale","detail":"revision 7"}"#, "revision 7"),
            (409, r#"{"title":"It went on","code":"x","detail":"it went on: at 18 now"}"#, "It went on (409 x): at 18 now"),
            (409, r#"{"title":"No","code":"rollout_active","detail":"rollout a is active: its share (possible now: abort)","errors":[]}"#, "possible now: abort"),
            (422, r#"{"title":"No","code":"illegal_verb","detail":"resume is not possible now (possible now: pause)"}"#, "possible now: pause"),
            (502, "<html>bad gateway</html>", "Bad Gateway (502): <html>bad gateway</html>"),
            (500, "", "Internal Server Error (500)"),
        ];
        for (status, body, word) in table {
            let failed = failed(status, body);
            let is_right = match status {
                404 => matches!(failed, Failed::NotFound(_)),
                409 | 412 | 422 => matches!(failed, Failed::Conflict(_)),
                _ => matches!(failed, Failed::Error(_)),
            };
            assert!(is_right, "{status}: {failed:?}");
            assert!(failed.to_string().contains(word), "{status}: {failed}");
        }
    }
}
