//! A document file's text → documents, or every fault with its line and column.
//!
//! YAML 1.2; JSON is a subset. The parser has budgets, so a small text cannot grow into a large
//! tree (aliases) or a deep one (nesting). Three readings follow each other: the text as a tree,
//! the tree against the descriptors (`json.rs`), the documents against the rules (`validate`).
//! Faults of the last two are reported together.

use serde_saphyr::{MergeKeyPolicy, options::DuplicateKeyPolicy, options::NonFiniteFloatPolicy};

use crate::{
    fault::{Fault, Pointer},
    json,
    tree::Node,
    v1,
    validate::{self, Context, Findings},
};

/// Longest text that is parsed, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Deepest nesting of lists and maps. A document needs 7; the parser recurses, so this is also what
/// keeps a thread's stack whole: 1 MiB is enough in a debug build.
pub const DEPTH_MAX: usize = 16;

/// Codes of what is said of a name that the file does not hold.
const ELSEWHERE: [&str; 3] = ["unknown_provider", "unknown_tier", "unknown_route"];

/// A file that may be used.
#[derive(Clone, Debug)]
pub struct Read {
    pub file: v1::File,
    /// What its author should know; nothing that stops it.
    pub warnings: Vec<Fault>,
}

/// Reads and validates a document file. `file_name` is only shown.
///
/// # Errors
/// Every fault, in the order of the text.
pub fn read(file_name: &str, text: &str) -> Result<Read, Vec<Fault>> {
    read_in(file_name, text, &Context::default())
}

/// As [`read`], with facts that the file itself does not hold.
///
/// # Errors
/// Every fault, in the order of the text.
pub fn read_in(file_name: &str, text: &str, context: &Context) -> Result<Read, Vec<Fault>> {
    read_findings(file_name, text, context, |findings| findings)
}

/// As [`read_in`], for a file that is applied to a store: what it names and does not hold may be
/// there, and is judged by whoever sees both.
///
/// # Errors
/// Every fault, in the order of the text.
pub fn read_part(file_name: &str, text: &str, context: &Context) -> Result<Read, Vec<Fault>> {
    read_findings(file_name, text, context, |mut findings| {
        let stays = |fault: &Fault| !ELSEWHERE.contains(&fault.code);
        findings.faults.retain(stays);
        findings.warnings.retain(stays);
        findings
    })
}

/// Where each value of a text stands, for faults that somebody else found.
#[derive(Debug)]
pub struct Places(Node);

impl Places {
    /// `None`: the text is no YAML.
    pub fn of(text: &str) -> Option<Self> {
        parse(text).ok().map(Self)
    }

    /// Line and column, both from 1, of the value at a pointer; of what should hold it if it is
    /// absent.
    pub fn find(&self, pointer: &str) -> (u32, u32) {
        let place = self.0.place_of(pointer);
        (place.line, place.column)
    }
}

fn read_findings(
    file_name: &str,
    text: &str,
    context: &Context,
    judged: impl Fn(Findings) -> Findings,
) -> Result<Read, Vec<Fault>> {
    let named = |mut fault: Fault| {
        fault.file = Some(file_name.to_owned());
        fault
    };
    let tree = parse(text).map_err(|fault| vec![named(fault)])?;
    let placed = |mut fault: Fault| {
        if fault.line.is_none() {
            let place = tree.place_of(&fault.pointer);
            fault.line = Some(place.line);
            fault.column = Some(place.column);
        }
        named(fault)
    };
    let in_order = |faults: Vec<Fault>| {
        let mut faults: Vec<Fault> = faults.into_iter().map(placed).collect();
        faults.sort_by_key(|fault| (fault.line, fault.column));
        faults
    };
    let (json, shape_faults) = json::strict(&tree, "serin.v1.File");
    let file: v1::File = match serde_json::from_value(json) {
        Ok(file) => file,
        Err(error) => {
            let fault = Fault::new(&Pointer::root(), "not_decodable", error.to_string());
            return Err(in_order(shape_faults.into_iter().chain([fault]).collect()));
        }
    };
    let findings = if shape_faults.is_empty() {
        validate::validate(&file, context)
    } else {
        validate::beside(&file, context, shape_faults)
    };
    let findings = judged(findings);
    if findings.faults.is_empty() {
        Ok(Read {
            file,
            warnings: in_order(findings.warnings),
        })
    } else {
        Err(in_order(findings.faults))
    }
}

pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    let whole = Pointer::root();
    if text.len() > TEXT_BYTES_MAX {
        let message = format!(
            "the file is longer than {} MiB",
            TEXT_BYTES_MAX / 1024 / 1024
        );
        return Err(Fault::new(&whole, "too_large", message));
    }
    let has_content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    // A file that is just being written is empty for a moment: it must not delete everything.
    if !text.lines().any(has_content) {
        return Err(Fault::new(
            &whole,
            "empty",
            "the file is empty; write {} to mean no documents",
        ));
    }
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let place = error.location().map(crate::tree::Place::from);
        let mut fault = Fault::new(&whole, "syntax", plain_words(&error));
        fault.line = place.map(|place| place.line);
        fault.column = place.map(|place| place.column);
        fault
    })
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: DEPTH_MAX, flow_nesting_limit: DEPTH_MAX },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Merge,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
        // `no` is a text, and so is 007: what looks like a word stays one.
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        emit_comments: false,
        with_snippet: false,
    }
}

/// The parser's message in one line, without the place, which the fault itself tells.
fn plain_words(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::{Error, budget::BudgetBreach};
    let text = error.to_string();
    let is_deep = matches!(
        error,
        Error::Budget {
            breach: BudgetBreach::Depth { .. },
            ..
        }
    ) || text.contains("recursion limit");
    if is_deep {
        return format!("lists and maps are nested deeper than {DEPTH_MAX}");
    }
    match error {
        _ if text.contains("alias replay limit") || matches!(error, Error::Budget { .. }) => {
            "the file grows too large when its aliases are expanded".to_owned()
        }
        Error::MultipleDocuments { .. } => {
            "the file has more than one YAML document: keep one, without ---".to_owned()
        }
        _ => {
            let first_line = text.lines().next().unwrap_or_default();
            let words = first_line.split(" at line ").next().unwrap_or_default();
            format!("not valid YAML: {words}")
        }
    }
}

#[cfg(test)]
mod tests;
