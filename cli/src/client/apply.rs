//! `serin apply`: the documents of files, written all or none.

use super::{
    Api,
    changes::{self, Change},
    submit::{Submission, submit},
};
use crate::{args::remote::Apply, bundle::Bundle, exit::Failed, output};

/// Prints a line for each document that changed.
pub(crate) async fn apply(apply: &Apply) -> Result<(), Failed> {
    let bundle = Bundle::read(&apply.files)?;
    if apply.require_price {
        priced(&bundle)?;
    }
    introduce(&bundle);
    let api = Api::new(&apply.server)?.patient(apply.wait);
    let how = Submission {
        dry_run: false,
        traffic: apply.traffic,
        reason: apply.reason.as_deref(),
    };
    let submitted = submit(&api, &bundle, &how).await?;
    for note in &submitted.notes {
        output::note(note);
    }
    let count = bundle.documents.len();
    if count == 0 {
        output::note(format_args!("the files hold no documents: nothing to do"));
    }
    let lines: Vec<String> = submitted
        .changes
        .iter()
        .map(|change| {
            let change = Change::of(change);
            format!("{} {}\n", change.word(), changes::short(&change.key))
        })
        .collect();
    output::print(&lines.concat())?;
    match submitted.revision {
        Some(revision) => {
            let unchanged = count.saturating_sub(lines.len());
            output::note(format_args!(
                "{} changed, {unchanged} as before; revision {revision}",
                lines.len()
            ));
        }
        None if count > 0 => output::note(format_args!(
            "nothing to change: {count} documents are as they were"
        )),
        None => {}
    }
    Ok(())
}

/// What is to be known before anything is sent.
pub(super) fn introduce(bundle: &Bundle) {
    if bundle.rollouts > 0 {
        output::note(format_args!(
            "warning: {} not applied: serin rollout start -f FILE starts them",
            count_of(bundle.rollouts)
        ));
    }
    let parts = bundle.parts().len();
    if parts > 1 {
        output::note(format_args!(
            "{} documents go in {parts} parts; each is all or nothing by itself",
            bundle.documents.len()
        ));
    }
}

fn priced(bundle: &Bundle) -> Result<(), Failed> {
    let unpriced: Vec<String> = bundle.unpriced().iter().map(ToString::to_string).collect();
    if unpriced.is_empty() {
        Ok(())
    } else {
        Err(Failed::because(unpriced.join("\n")))
    }
}

/// `1 rollout is`, `2 rollouts are`
fn count_of(rollouts: usize) -> String {
    match rollouts {
        1 => "1 rollout is".to_owned(),
        many => format!("{many} rollouts are"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one() {
        assert_eq!(count_of(1), "1 rollout is");
        assert_eq!(count_of(2), "2 rollouts are");
    }
}
