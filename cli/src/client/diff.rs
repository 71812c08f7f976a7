//! `serin diff`: what `serin apply` would change, field by field.

use super::{
    Api,
    apply::introduce,
    changes::Change,
    submit::{Submission, submit},
};
use crate::{
    args::remote::{Diff, Form},
    bundle::Bundle,
    exit::Failed,
    output,
    tree::Tree,
};

pub(crate) async fn diff(diff: &Diff) -> Result<(), Failed> {
    let bundle = Bundle::read(&diff.files)?;
    introduce(&bundle);
    let api = Api::new(&diff.answer.server)?;
    let how = Submission {
        dry_run: true,
        traffic: diff.traffic,
        reason: None,
    };
    let submitted = submit(&api, &bundle, &how).await?;
    for note in &submitted.notes {
        output::note(note);
    }
    if submitted.changes.is_empty() {
        output::note(format_args!("no difference"));
    }
    let changes = Tree::Map(vec![("changes".to_owned(), Tree::List(submitted.changes))]);
    output::print(&match diff.answer.output {
        Form::Json => output::json(&changes)?,
        Form::Yaml => output::yaml(&changes)?,
        Form::Table => {
            let changes = changes.get("changes").map(Tree::items).unwrap_or_default();
            changes
                .iter()
                .map(|change| Change::of(change).text())
                .collect()
        }
    })
}
