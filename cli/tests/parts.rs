//! More documents than one change may hold.

use crate::gateway::{Gateway, SETTINGS, write};

/// Routes named so that each part needs a provider of another one.
fn routes(count: usize) -> String {
    let provider =
        |n| format!("  - {{name: p{n}, dialect: openai, baseUrl: \"https://a.example/v1\"}}\n");
    let route = |n| {
        format!(
            "  - {{name: r{n}, targets: [{{name: a, provider: p{}, model: m}}], traffic: {{weights: \
             {{a: 100}}}}}}\n",
            n % 110
        )
    };
    let providers: String = (0..110).map(provider).collect();
    let routes: String = (0..count).map(route).collect();
    format!("providers:\n{providers}routes:\n{routes}")
}

fn count(gateway: &Gateway, kind: &str) -> usize {
    let printed = gateway.printed(&format!("serin get {kind} -o json"));
    printed.matches("\"name\": \"").count()
}

#[test]
fn hundreds_of_documents_go_in_parts_and_come_back_as_they_were() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write(folder.path(), "serin.yaml", SETTINGS);
    let gateway = Gateway::start(folder.path());
    write(folder.path(), "many.yaml", &routes(150));

    let difference = gateway.printed("serin diff -f many.yaml");
    assert_eq!(difference.matches("\n+ routes/").count(), 150);
    assert_eq!(difference.matches("+ providers/").count(), 110);
    let output = gateway.run("serin apply -f many.yaml");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("260 documents go in 3 parts"), "{said}");
    assert!(said.contains("260 changed, 0 as before"), "{said}");
    assert_eq!(gateway.printed("serin get providers").lines().count(), 111);
    assert_eq!(gateway.printed("serin get routes").lines().count(), 151);

    write(folder.path(), "back.yaml", &gateway.printed("serin export"));
    assert_eq!(gateway.printed("serin diff -f back.yaml --traffic"), "");
    assert!(count(&gateway, "routes") > 150);
}

#[test]
fn a_part_whose_record_would_be_too_large_is_halved() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write(folder.path(), "serin.yaml", SETTINGS);
    let gateway = Gateway::start(folder.path());
    let header = "x".repeat(100_000);
    let provider = |n| {
        format!(
            "  - {{name: p{n}, dialect: openai, baseUrl: \"https://a.example/v1\", headers: \
             {{x-a: {header}}}}}\n"
        )
    };
    let providers: String = (0..12).map(provider).collect();
    write(
        folder.path(),
        "large.yaml",
        &format!("providers:\n{providers}"),
    );
    let applied = gateway.printed("serin apply -f large.yaml");
    assert_eq!(applied.lines().count(), 12, "{applied}");
    // The file of `serin up` takes the same way, and each half is told.
    let others = providers.replace("name: p", "name: q");
    write(
        folder.path(),
        "serin.yaml",
        &format!("{SETTINGS}providers:\n{others}"),
    );
    let (lines, first) = gateway.wait_behind(0, "documents of the file applied");
    let (_, second) = gateway.wait_behind(lines, "documents of the file applied");
    let halves = [first, second].map(|line| line.contains("\"documents\":6"));
    assert_eq!(halves, [true, true]);
}

#[test]
fn what_was_done_before_a_refusal_is_said() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write(folder.path(), "serin.yaml", SETTINGS);
    let gateway = Gateway::start(folder.path());
    let text = routes(100).replace(
        "name: r99, targets: [{name: a, provider: p99",
        "name: r99, targets: [{name: a, provider: nobody",
    );
    write(folder.path(), "many.yaml", &text);
    let output = gateway.run("serin apply -f many.yaml");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "many.yaml:212:47: /routes/99/targets/0/provider: ",
        "200 of 210 documents were applied before",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}
