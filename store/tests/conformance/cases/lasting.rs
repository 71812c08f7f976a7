//! Promise 12, and that a revision is never used again: what a restart leaves.

use serin_proto::unit::Revision;
use serin_store::{Compare, Page, Scope};

use crate::{
    recorder::{Recorder, key, revision},
    subject::Lasting,
    writer::{Writer, commit_if, delete, put},
};

pub(crate) async fn what_was_committed_is_there_after_a_restart(mut subject: impl Lasting) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    for n in 0..20 {
        writer.put(&format!("config/{n}"), &n.to_string()).await;
    }
    writer
        .ops(vec![delete("config/3"), put("config/4", "again")])
        .await;
    let before = store.list(Scope::All, Page::whole()).await;
    let truth = std::mem::take(&mut writer.truth);
    drop((store, writer));
    subject.restart().await;
    let store = subject.store();
    let after = store.list(Scope::All, Page::whole()).await;
    assert_eq!(before, after, "entries, revision and identity");
    let mut writer = Writer::of(&store);
    writer.truth = truth;
    let compare = Compare::CreateRevision(key("config/3"), Revision(0));
    let now = revision(&store).await;
    let outcome = commit_if(&store, vec![compare], vec![put("config/3", "new")]).await;
    assert_eq!(
        outcome,
        Ok(serin_store::Outcome::Committed(Revision(now + 1)))
    );
}

pub(crate) async fn a_watch_resumes_over_a_restart(mut subject: impl Lasting) {
    let store = subject.store();
    let mut writer = Writer::of(&store);
    writer.put("config/a", "1").await;
    writer.put("config/newest", "1").await;
    let mut recorder = Recorder::begun(&store, Scope::Documents).await;
    recorder.close();
    writer.put("config/b", "1").await;
    writer.delete("config/a").await;
    let truth = std::mem::take(&mut writer.truth);
    drop((store, writer));
    subject.restart().await;
    let store = subject.store();
    let mut writer = Writer::of(&store);
    writer.truth = truth;
    recorder.reopen(&store);
    let now = writer.put("config/c", "1").await;
    recorder.until(now).await;
    recorder.assert_true(&writer.truth);
    assert_eq!(recorder.resets(), 1, "its history was kept");
}
