//! What stands behind the `?`: each endpoint knows its parameters and takes no other.
//!
//! A parameter that is not known is refused, not skipped: `?dryrun=true` would otherwise write.

use actix_web::web::Query;
use serde::{Deserialize, de::DeserializeOwned};

use super::problem::Problem;

/// Entries of a page where nobody says how many.
pub(crate) const PAGE_DEFAULT: usize = 100;
/// Most entries of a page.
pub(crate) const PAGE_MAX: usize = 1_000;

/// Of endpoints that take none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// Of a write.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Write {
    pub(crate) dry_run: bool,
}

/// Of an apply.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Apply {
    pub(crate) dry_run: bool,
    /// The file's traffic replaces the live one.
    pub(crate) traffic: bool,
}

/// Of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct List {
    pub(crate) limit: Option<usize>,
    pub(crate) page_token: Option<String>,
}

/// Of the rollouts.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Rollouts {
    pub(crate) limit: Option<usize>,
    pub(crate) page_token: Option<String>,
    /// Those that stand in this phase alone: `Progressing`.
    pub(crate) phase: Option<String>,
    /// Those of this route alone.
    pub(crate) route: Option<String>,
}

/// Of the audit.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Audit {
    pub(crate) limit: Option<usize>,
    pub(crate) page_token: Option<String>,
    /// Changes of this route alone.
    pub(crate) route: Option<String>,
    /// Changes of this store key alone, such as `config/providers/openai`.
    pub(crate) key: Option<String>,
    /// Changes by the token of this name alone.
    pub(crate) actor: Option<String>,
}

/// Reads a query.
///
/// # Errors
/// 400: a parameter that is unknown, written twice, or of the wrong type.
pub(crate) fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let read = Query::from_query(query).map(Query::into_inner);
    read.map_err(|error| Problem::invalid_request(format!("the query cannot be read: {error}")))
}

/// How many entries a page has.
///
/// # Errors
/// 400: none, or more than [`PAGE_MAX`].
pub(crate) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked {
        None => Ok(PAGE_DEFAULT),
        Some(limit) if (1..=PAGE_MAX).contains(&limit) => Ok(limit),
        Some(limit) => Err(Problem::invalid_request(format!(
            "limit is {limit}; it must be 1 to {PAGE_MAX}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    #[test]
    fn a_parameter_that_is_unknown_twice_or_wrong_is_refused() {
        let table = [
            ("",                         Some(false)),
            ("dryRun=true",              Some(true)),
            ("dryRun=false",             Some(false)),
            ("dryrun=true",              None),
            ("dryRun=yes",               None),
            ("dryRun=",                  None),
            ("dryRun",                   None),
            ("dryRun=true&dryRun=true",  None),
            ("dryRun=true&traffic=true", None),
        ];
        for (query, expected) in table {
            let dry_run = read::<Write>(query).ok().map(|write| write.dry_run);
            assert_eq!(dry_run, expected, "{query}");
        }
    }

    #[test]
    fn a_page_has_one_entry_at_least_and_a_thousand_at_most() {
        let limits = [None, Some(0), Some(1), Some(1_000), Some(1_001)];
        let read = limits.map(|asked| limit(asked).ok());
        assert_eq!(read, [Some(100), None, Some(1), Some(1_000), None]);
    }
}
