//! What the control plane answers is what its OpenAPI document says: schemathesis sends what the
//! document allows and what it does not, and finds no 5xx, no status, header or body that is not
//! written there, and nothing open to who has no token.

use std::time::Duration;

use serin_tests::control_plane::token;
use serin_tests::guest::python;
use serin_tests::process::{Process, repository};
use serin_tests::{Serin, World};

use crate::documents::documents;

const ENDS_WITHIN: Duration = Duration::from_secs(540);

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_a_5xx_or_undocumented() {
    let world = World::new();
    let serin = Serin::up(&world, &documents(&[], "")).await;
    let check = repository().join("tests/openapi/check.py");
    let server = format!("http://{}", serin.api);
    let arguments = [check.as_os_str(), server.as_ref()];
    let environment = [("SERIN_TOKEN", token("admin"))];
    let mut check = Process::start(python().as_os_str(), &arguments, &environment);
    let status = check.exit(ENDS_WITHIN).await;
    assert!(status.success(), "{status}\n{}", check.printed());
}
