//! `serin up` and its file: applied as `serin apply` would, and what is said when it is not.

use std::path::Path;

use tempfile::TempDir;

use crate::gateway::{Gateway, SETTINGS, write};

/// A file of one provider and one route with that alias, whose traffic is `weights`.
fn file(alias: &str, weights: &str) -> String {
    format!(
        "{SETTINGS}providers:\n  - {{name: a, dialect: openai, baseUrl: \
         \"https://a.example/v1\"}}\nroutes:\n  - name: chat\n    aliases: [{alias}]\n    targets: \
         [{{name: gpt, provider: a, model: g}}, {{name: claude, provider: a, model: c}}]\n    \
         traffic: {{weights: {weights}, fallback: [gpt, claude]}}\n"
    )
}

/// Both ways to 100 that the tests use.
const FIRST: &str = "{gpt: 95, claude: 5}";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn started(folder: &Path, text: &str) -> Gateway {
    write(folder, "serin.yaml", text);
    Gateway::start(folder)
}

const APPLIED: &str = "documents of the file applied";

#[test]
fn the_file_is_applied_at_start_on_change_and_on_sighup() {
    let folder = folder();
    let gateway = started(folder.path(), &file("one", FIRST));
    assert!(gateway.printed("serin get routes").contains("one"));
    let (lines, _) = gateway.wait_behind(0, APPLIED);

    write(folder.path(), "serin.yaml", &file("two", FIRST));
    let (lines, _) = gateway.wait_behind(lines, APPLIED);
    assert!(gateway.printed("serin get routes").contains("two"));

    gateway.printed("serin delete route chat");
    gateway.signal("HUP");
    gateway.wait_behind(lines, APPLIED);
    assert!(gateway.printed("serin get routes").contains("two"));
    let audit = gateway.printed("serin get audit --limit 1 -o json");
    assert!(audit.contains("\"file:serin.yaml\""), "{audit}");
}

#[test]
fn live_traffic_and_what_the_file_does_not_name_are_left_alone() {
    let folder = folder();
    let gateway = started(folder.path(), &file("one", FIRST));
    gateway.printed("serin traffic chat --set gpt=70,claude=30");
    write(folder.path(), "more.yaml", "tiers: [{name: premium}]\n");
    gateway.printed("serin apply -f more.yaml");
    let lines = gateway.log().len();

    write(
        folder.path(),
        "serin.yaml",
        &file("two", "{gpt: 60, claude: 40}"),
    );
    let (_, said) = gateway.wait_behind(lines, "\"written\":\"claude 40, gpt 60");
    for part in [
        "\"route\":\"chat\"",
        "claude 30, gpt 70",
        "claude 40, gpt 60",
        "serin apply --traffic",
        "serin traffic chat --set claude=40,gpt=60",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    let routes = gateway.printed("serin get routes");
    assert!(
        routes.contains("two") && routes.contains("claude 30, gpt 70"),
        "{routes}"
    );
    assert!(gateway.printed("serin get tiers").contains("premium"));
}

#[test]
fn a_faulty_file_is_fatal_at_start_with_file_line_and_column() {
    let good = file("one", FIRST);
    let table = [
        (
            good.replace("gpt: 95", "gpt: 94"),
            "serin.yaml:12:15: /routes/0/traffic/weights: ",
        ),
        (
            good.replace("provider: a, model: c", "provider: b, model: c"),
            "serin.yaml:11:76: /routes/0/targets/1/provider: there is no provider \"b\"",
        ),
        (
            good.replace("aliases", "alias"),
            "serin.yaml:10:5: /routes/0/alias: unknown field",
        ),
        ("routes: [".to_owned(), "serin.yaml:"),
        (
            good.replace(
                "baseUrl",
                "credential: {env: SERIN_TEST_IS_NOT_SET}, baseUrl",
            ),
            "SERIN_TEST_IS_NOT_SET",
        ),
    ];
    for (text, place) in table {
        let folder = folder();
        write(folder.path(), "serin.yaml", &text);
        let (code, said) = Gateway::up(folder.path()).ended();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(place), "no {place:?} in\n{said}");
    }
}

#[test]
fn later_a_faulty_file_changes_nothing_until_it_is_repaired() {
    let folder = folder();
    let good = file("one", FIRST);
    let gateway = started(folder.path(), &good);
    let lines = gateway.log().len();

    write(
        folder.path(),
        "serin.yaml",
        &good
            .replace("model: g", "model: h")
            .replace("gpt: 95", "gpt: 94"),
    );
    let (lines, _) = gateway.wait_behind(lines, "serin.yaml:12:15: /routes/0/traffic/weights: ");
    let (lines, _) = gateway.wait_behind(lines, "the file was refused");
    // This one only the store can refuse.
    write(
        folder.path(),
        "serin.yaml",
        &good
            .replace("model: g", "model: h")
            .replace("provider: a, model: c", "provider: b, model: c"),
    );
    let (lines, said) = gateway.wait_behind(lines, "serin.yaml:11:76: ");
    assert!(said.contains("\"code\":\"unknown_provider\""), "{said}");
    let routes = gateway.printed("serin get routes");
    assert!(routes.contains("gpt (a/g), claude (a/c)"), "{routes}");

    write(
        folder.path(),
        "serin.yaml",
        &good.replace("model: g", "model: h"),
    );
    gateway.wait_behind(lines, APPLIED);
    let routes = gateway.printed("serin get routes");
    assert!(routes.contains("gpt (a/h), claude (a/c)"), "{routes}");
}

#[test]
fn the_first_token_is_shown_once_and_never_logged() {
    let folder = folder();
    let text = file("one", FIRST);
    let text = text
        .replace(", {name: vera", "")
        .replace("{name: ada, role: admin, env: ADMIN}", "{name: ada");
    write(folder.path(), "serin.yaml", &text);
    let gateway = Gateway::start(folder.path());
    let shown = gateway.wait_for("SERIN_TOKEN=");
    let secret = shown
        .split("SERIN_TOKEN=")
        .nth(1)
        .expect("it is there")
        .trim()
        .to_owned();
    assert!(
        !shown.starts_with('{'),
        "that is a line of the log: {shown}"
    );
    let holds = |line: &&String| line.contains(&secret);
    assert_eq!(gateway.log().iter().filter(holds).count(), 1);
    let works = |gateway: &Gateway| {
        gateway
            .run_with(&secret, "serin token list")
            .status
            .success()
    };
    assert!(works(&gateway));
    gateway.signal("TERM");
    assert_eq!(gateway.ended().0, Some(0));

    let gateway = Gateway::start(folder.path());
    assert!(works(&gateway), "the token does not hold any more");
    let log = gateway.log().join("\n");
    assert!(!log.contains("SERIN_TOKEN="), "{log}");
}

#[test]
fn without_a_file_it_starts_and_says_so() {
    let folder = folder();
    let gateway = Gateway::start(folder.path());
    gateway.wait_for("no ./serin.yaml and no --config");
    drop(gateway);
    let named = Gateway::launch(folder.path(), &["up", "--config", "nowhere.yaml"]);
    let (code, said) = named.ended();
    assert!(
        code == Some(1) && said.contains("cannot read nowhere.yaml"),
        "{said}"
    );
}

#[test]
fn one_folder_belongs_to_one_process() {
    let folder = folder();
    let _first = started(folder.path(), &file("one", FIRST));
    let (code, said) = Gateway::up(folder.path()).ended();
    assert!(
        code == Some(1) && said.contains("is in use by another serin"),
        "{said}"
    );
}

#[test]
fn the_router_drains_before_the_control_plane_ends() {
    let folder = folder();
    let gateway = started(
        folder.path(),
        &file("one", FIRST).replace("grace: 0s", "grace: 2s"),
    );
    gateway.signal("TERM");
    gateway.wait_for("draining: not ready");
    assert!(
        gateway.printed("serin get routes").contains("one"),
        "the API ended too early"
    );
    let (code, said) = gateway.ended();
    assert_eq!(code, Some(0), "{said}");
    let place = |part| {
        said.find(part)
            .unwrap_or_else(|| panic!("no {part:?} in\n{said}"))
    };
    assert!(
        place("\"drained\"") < place("control plane ended"),
        "{said}"
    );
}

#[test]
fn a_control_plane_starts_without_its_store_and_leaves_documents_of_its_file_alone() {
    let folder = folder();
    write(folder.path(), "serin.yaml", &file("one", FIRST));
    // Nobody listens on port 1.
    let arguments = [
        "control-plane",
        "--store",
        "etcd://127.0.0.1:1",
        "--config",
        "serin.yaml",
    ];
    let ports = [
        "--api-listen",
        "127.0.0.1:0",
        "--grpc-listen",
        "127.0.0.1:0",
    ];
    let mut plane = Gateway::launch(folder.path(), &[&arguments[..], &ports].concat());
    let said = plane.wait_for("documents of --config are ignored");
    assert!(said.contains("\"documents\":2"), "{said}");
    plane.wait_for_api();
    plane.signal("HUP");
    plane.wait_for("nothing to read again");
    let output = plane.run("serin get routes");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(1) && said.contains("503 store_unavailable"),
        "{said}"
    );
    let output = plane.run("serin apply -f serin.yaml --wait 1s");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(6) && said.contains("gave up after 1s"),
        "{said}"
    );
}
