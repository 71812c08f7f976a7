//! Each fault is found, at its line and column, under its pointer and code; and nothing else is.
//!
//! A row changes one piece of a valid file. Line and column are those of the changed file.

use serin_proto::{Fault, yaml};

const FILE: &str = include_str!("faults/file.yaml");

/// Reads the file with `from` replaced by `to`.
fn read(from: &str, to: &str) -> Result<yaml::Read, Vec<Fault>> {
    assert_eq!(
        FILE.matches(from).count(),
        1,
        "{from:?} is in the file once"
    );
    yaml::read("f", &FILE.replace(from, to))
}

fn told(faults: &[Fault]) -> Vec<String> {
    let tell = |f: &Fault| {
        let (line, column) = (
            f.line.expect("faults have a line"),
            f.column.expect("and a column"),
        );
        format!("{line}:{column} {} {}", f.pointer, f.code)
    };
    faults.iter().map(tell).collect()
}

#[test]
fn the_file_itself_is_valid() {
    let read = yaml::read("f", FILE).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(told(&read.warnings), [""; 0]);
}

#[test]
fn each_fault_is_told_with_its_place() {
    let mut wrong = String::new();
    for row in include_str!("faults/table.txt")
        .lines()
        .filter(|line| line.contains(" => "))
    {
        let columns: Vec<&str> = row.split(" => ").collect();
        let [from, to, expected] = columns[..] else {
            panic!("{row:?} has three columns")
        };
        let [from, to] = [from, to].map(|text| text.trim().replace("\\n", "\n"));
        let found = match read(&from, &to) {
            Ok(_) => "valid".to_owned(),
            Err(faults) => told(&faults).join(", "),
        };
        if found != expected.trim() {
            wrong += &format!("{row}\n    found {found}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn all_faults_of_a_file_are_told_at_once() {
    let text = FILE
        .replace("b: 5.5}", "b: 4.5}")
        .replace("retry:", "rety:")
        .replace("dialect: openai", "dialect: 5")
        .replace("name: t, provider: openai", "name: t, provider: nope")
        .replace("- env: WEB_KEY", "- sha256: short");
    let faults = yaml::read("serin.yaml", &text).unwrap_err();
    let expected = [
        "4:14 /providers/0/dialect wrong_type",
        "19:7 /routes/0/traffic/weights weights_sum",
        "24:5 /routes/0/rety unknown_field",
        "30:35 /routes/1/targets/0/provider unknown_provider",
        "37:17 /keys/0/secrets/1/sha256 bad_secret",
    ];
    assert_eq!(told(&faults), expected);
    let first = "serin.yaml:19:7: /routes/0/traffic/weights: weights sum to 99, not 100: add 1";
    assert_eq!(faults[1].to_string(), first);
    assert_eq!(faults[2].message, "unknown field; did you mean retry?");
}

#[test]
fn a_value_that_was_not_read_causes_no_other_fault() {
    let table = [
        (
            "name: openai",
            "name: 5",
            "3:11 /providers/0/name wrong_type",
        ),
        (
            "name: chat",
            "nam: chat",
            "11:5 /routes/0/nam unknown_field",
        ),
        (
            "- name: b",
            "- name: 7",
            "15:15 /routes/0/targets/1/name wrong_type",
        ),
        (
            "total: 60s",
            "total: 60",
            "23:40 /routes/0/timeouts/total wrong_type",
        ),
        ("providers:", "provider:", "2:1 /provider unknown_field"),
    ];
    for (from, to, expected) in table {
        let faults = yaml::read("f", &FILE.replacen(from, to, 1)).unwrap_err();
        assert_eq!(told(&faults), [expected], "{to}");
    }
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    let table = [
        ("", "the file is empty; write {} to mean no documents", None),
        (
            "\n  # only a comment\n",
            "the file is empty; write {} to mean no documents",
            None,
        ),
        (
            "routes: [\n",
            "not valid YAML: unclosed bracket '['",
            Some((1, 9)),
        ),
        ("{\"routes\": [}", "not valid YAML", Some((1, 12))),
        ("routes:\n\t- a\n", "not valid YAML", Some((2, 2))),
        (
            "keys:\n  - name: a\n   tier: b\n",
            "not valid YAML",
            Some((3, 4)),
        ),
        (
            "keys: *k\n",
            "not valid YAML: alias references unknown anchor",
            Some((1, 7)),
        ),
        (
            "{}\n---\n{}\n",
            "the file has more than one YAML document",
            Some((3, 1)),
        ),
        ("- a\n", "needs a map of fields, found a list", Some((1, 1))),
        (
            "just text\n",
            "needs a map of fields, found text",
            Some((1, 1)),
        ),
    ];
    for (text, message, place) in table {
        let faults = yaml::read("f", text).unwrap_err();
        let [fault] = &faults[..] else {
            panic!("one fault for {text:?}, not {faults:#?}")
        };
        assert!(
            fault.message.starts_with(message),
            "{text:?}: {}",
            fault.message
        );
        assert!(
            !fault.message.contains("line"),
            "{text:?}: {}",
            fault.message
        );
        assert_eq!(fault.line.zip(fault.column), place, "{text:?}");
    }
}

#[test]
fn a_bomb_is_a_fault_and_no_crash() {
    let level = |i: usize| {
        format!(
            "a{i}: &a{i} [{}]\n",
            vec![format!("*a{}", i - 1); 10].join(",")
        )
    };
    let laughs: String = (1..12).map(level).collect();
    let deep_blocks: String = (0..5_000)
        .map(|i| format!("{}a:\n", " ".repeat(i)))
        .collect();
    let table = [
        (
            format!("keys: {}", "[".repeat(100_000)),
            "lists and maps are nested deeper than 16",
        ),
        (
            format!("keys: {}", "{\"a\":".repeat(100_000)),
            "lists and maps are nested deeper than 16",
        ),
        (
            "- ".repeat(100_000),
            "lists and maps are nested deeper than 16",
        ),
        (deep_blocks, "lists and maps are nested deeper than 16"),
        (
            format!("a0: &a0 [x]\n{laughs}"),
            "the file grows too large when its aliases are expanded",
        ),
        (
            "x".repeat(yaml::TEXT_BYTES_MAX + 1),
            "the file is longer than 16 MiB",
        ),
    ];
    for (text, message) in table {
        let faults = yaml::read("f", &text).unwrap_err();
        assert_eq!(faults[0].message, message);
    }
}

#[test]
fn no_fault_repeats_what_could_be_a_secret() {
    let table = [
        ("credential: {env: OPENAI_API_KEY}", "credential: hush-hush"),
        (
            "credential: {env: OPENAI_API_KEY}",
            "credential: {env: hush-hush}",
        ),
        (
            "credential: {env: OPENAI_API_KEY}",
            "credential: {file: [hush-hush]}",
        ),
        (
            "https://api.openai.com/v1",
            "https://me:hush-hush@api.openai.com/v1",
        ),
        ("x-org: org-1", "authorization: Bearer hush-hush"),
        ("x-org: org-1", "x-org: \"hush-hush\\n\""),
        ("- env: WEB_KEY", "- hush-hush"),
        ("- env: WEB_KEY", "- sha256: hush-hush"),
        ("- env: WEB_KEY", "- env: hush-hush"),
        (
            "auth: required",
            "limits: {redis: 'http://:hush-hush@127.0.0.1'}",
        ),
    ];
    for (from, to) in table {
        for fault in read(from, to).unwrap_err() {
            assert!(!fault.to_string().contains("hush"), "{to}: {fault}");
        }
    }
}

#[test]
fn json_is_read_as_yaml_is() {
    let text = r#"{"tiers": [{"name": "a", "limits": {"concurrency": 0}}], "keys": null}"#;
    let faults = yaml::read("f", text).unwrap_err();
    assert_eq!(
        told(&faults),
        ["1:52 /tiers/0/limits/concurrency out_of_range"]
    );
    assert!(yaml::read("f", "{}").unwrap().warnings.is_empty());
}

#[test]
fn a_fault_in_an_anchor_is_told_where_it_is_written() {
    let text = "tiers:\n  - {name: a, limits: &l {concurrency: 0}}\n  - {name: b, limits: *l}\n";
    let faults = yaml::read("f", text).unwrap_err();
    let expected = [
        "2:40 /tiers/0/limits/concurrency out_of_range",
        "2:40 /tiers/1/limits/concurrency out_of_range",
    ];
    assert_eq!(told(&faults), expected);
}

#[test]
fn anchors_that_refer_to_each_other_without_end_are_faults() {
    let merges: String = (1..20_000)
        .map(|i| format!("a{i}: &a{i} {{<<: *a{}}}\n", i - 1))
        .collect();
    let aliases: String = (1..20_000)
        .map(|i| format!("a{i}: &a{i} *a{}\n", i - 1))
        .collect();
    let texts = [
        "keys: &k [*k]\n".to_owned(),
        "keys: &k {a: *k}\n".to_owned(),
        "keys: &k {<<: *k}\n".to_owned(),
        format!("a0: &a0 {{x: 1}}\n{merges}"),
        format!("a0: &a0 {{x: 1}}\n{aliases}"),
    ];
    for text in texts {
        let faults = yaml::read("f", &text).unwrap_err();
        let start: String = text.chars().take(60).collect();
        assert_ne!(faults, [], "{start}");
    }
}

#[test]
fn a_great_many_keys_and_faults_take_no_great_time_and_are_told_in_part() {
    let keys: String = (0..50_000).map(|i| format!("k{i}: 1\n")).collect();
    let faults = yaml::read("f", &keys).unwrap_err();
    assert_eq!(faults.len(), serin_proto::fault::FAULTS_MAX);
    let headers: String = (0..50_000).map(|i| format!("x-{i}: a, ")).collect();
    let text = FILE.replace("x-org: org-1", &headers);
    assert!(yaml::read("f", &text).is_ok());
}
