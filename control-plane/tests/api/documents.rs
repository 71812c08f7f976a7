//! Documents are created, read, replaced and deleted, each from what was seen of it.

use serde_json::{Value, json};
use serin_proto::token::Role;

use crate::{
    client::Request,
    stage::{Stage, chat, provider, route},
};

const CHAT: &str = "/api/v1/routes/chat";

#[test]
fn what_was_written_is_read_again_under_one_etag() {
    let stage = Stage::new();
    let put = stage.write("/api/v1/providers/sim", &provider());
    assert_eq!(put.json(), provider());
    let read = stage.read("/api/v1/providers/sim");
    assert_eq!((read.json(), read.etag()), (provider(), put.etag()));
    let known = Request::get("/api/v1/providers/sim").header("if-none-match", &put.etag());
    let known = stage.admin(known);
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(known.etag(), put.etag());
    let other = Request::get("/api/v1/providers/sim").header("if-none-match", "\"1\"");
    assert_eq!(stage.admin(other).status, 200);
}

#[test]
fn head_tells_what_get_would_without_the_body() {
    let stage = Stage::with_chat();
    for path in [CHAT, "/api/v1/routes", "/api/v1/watch", "/livez", "/"] {
        let head = stage.admin(Request::new("HEAD", path));
        assert_eq!(head.status, 200, "{path}");
        assert!(head.body.is_empty(), "{path}");
    }
    let head = stage.admin(Request::new("HEAD", CHAT));
    let get = stage.read(CHAT);
    for name in ["etag", "content-type", "content-length"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
}

#[test]
fn to_replace_and_to_delete_one_names_what_one_saw() {
    let stage = Stage::with_chat();
    let etag = stage.read(CHAT).etag();
    let put = |request: Request| stage.admin(request).status;
    assert_eq!(put(Request::put(CHAT, &chat())), 428);
    assert_eq!(put(Request::put(CHAT, &chat()).if_match("\"1\"")), 412);
    let only_new = Request::put(CHAT, &chat()).header("if-none-match", "*");
    assert_eq!(put(only_new), 412, "create only");
    assert_eq!(put(Request::delete(CHAT)), 428);
    assert_eq!(put(Request::delete(CHAT).if_match("\"1\"")), 412);
    assert_eq!(put(Request::delete(CHAT).if_match(&etag)), 200);
    assert_eq!(put(Request::delete(CHAT).if_match("*")), 412, "it is gone");
    assert_eq!(
        put(Request::put(CHAT, &chat()).if_match("*")),
        412,
        "replace only"
    );
    assert_eq!(
        put(Request::put(CHAT, &chat()).header("if-none-match", "*")),
        201
    );
    assert_eq!(put(Request::get("/api/v1/routes/none")), 404);
}

#[test]
fn a_dry_run_of_any_write_tells_the_difference_and_leaves_all_as_it_is() {
    let stage = Stage::with_chat();
    let before = stage.read("/api/v1/routes").json();
    let mut other = chat();
    other["aliases"] = json!(["gpt-4"]);
    let token = json!({ "role": "viewer", "sha256": "0".repeat(64) });
    let tries = [
        Request::put("/api/v1/routes/chat?dryRun=true", &other).if_match("*"),
        Request::put(
            "/api/v1/providers/new?dryRun=true",
            &json!({ "dialect": "simulated", "baseUrl": "http://127.0.0.1:1/v1" }),
        ),
        Request::put("/api/v1/tokens/ci?dryRun=true", &token),
        Request::delete("/api/v1/routes/chat?dryRun=true").if_match("*"),
        Request::post(
            "/api/v1/store/adopt?dryRun=true",
            &json!({ "reason": "try" }),
        ),
    ];
    for request in tries {
        let tried = stage.admin(request.clone());
        assert_eq!(tried.status, 200, "{request:?} {}", tried.text());
        assert_eq!(tried.json()["auditId"], Value::Null, "{}", tried.text());
    }
    assert_eq!(stage.read("/api/v1/routes").json(), before);
    assert_eq!(stage.read("/api/v1/providers").items(), [provider()]);
    assert!(stage.read("/api/v1/tokens").items().is_empty());
    assert_eq!(
        stage.read("/api/v1/audit").items().len(),
        2,
        "of what was there before"
    );
}

#[test]
fn an_unknown_field_is_refused_with_its_name_and_place() {
    let stage = Stage::with_chat();
    let text = "{\n  \"targets\": [],\n  \"traffic\": {\"wieghts\": {\"gpt\": 100}}\n}";
    let put = Request::new("PUT", CHAT)
        .body("application/json", text)
        .if_match("*");
    let refused = stage.admin(put);
    assert_eq!(refused.problem(), (400, "invalid_request".to_owned()));
    let fault = &refused.json()["errors"][0];
    assert_eq!(fault["pointer"], "/traffic/wieghts");
    assert_eq!(fault["code"], "unknown_field");
    assert_eq!(fault["line"], 3, "{fault}");
    let message = fault["message"].as_str().unwrap_or_default();
    assert!(message.contains("did you mean weights?"), "{message}");
}

#[test]
fn all_faults_are_told_at_once() {
    let stage = Stage::with_chat();
    let body = json!({
        "aliases": ["Bad alias!"],
        "targets": [{ "name": "gpt", "provider": "sim", "model": "" }],
        "traffic": { "weights": { "gpt": 99 }, "fallback": ["ghost"] },
        "timeouts": { "firstToken": "never" },
    });
    let refused = stage.admin(Request::put("/api/v1/routes/new", &body));
    assert_eq!(refused.problem(), (422, "invalid_document".to_owned()));
    let mut pointers: Vec<String> = refused.faults().into_iter().map(|(at, _)| at).collect();
    pointers.sort();
    let expected = [
        "/aliases/0",
        "/targets/0/model",
        "/timeouts/firstToken",
        "/traffic/fallback/0",
        "/traffic/weights",
    ];
    assert_eq!(pointers, expected, "{}", refused.text());
}

#[test]
fn the_whole_result_is_judged_not_the_document_alone() {
    let stage = Stage::with_chat();
    let mut other = route("other", &json!({ "gpt": 100 }));
    other["aliases"] = json!(["chat"]);
    other["targets"][1]["provider"] = json!("nobody");
    let refused = stage.admin(Request::put("/api/v1/routes/other", &other));
    assert_eq!(refused.problem().0, 422);
    let mut pointers: Vec<String> = refused.faults().into_iter().map(|(at, _)| at).collect();
    pointers.sort();
    assert_eq!(
        pointers,
        ["/aliases/0", "/targets/1/provider"],
        "{}",
        refused.text()
    );
    let internal = json!({ "dialect": "openai", "baseUrl": "http://169.254.169.254/v1" });
    let refused = stage.admin(Request::put("/api/v1/providers/meta", &internal));
    assert_eq!(refused.problem().0, 422);
    assert_eq!(refused.faults()[0].0, "/baseUrl");
}

#[test]
fn a_secret_is_its_digest_and_nothing_that_a_file_may_say() {
    let stage = Stage::with_chat();
    for secret in [
        json!({ "env": "APP_KEY" }),
        json!({ "file": "/run/secrets/app" }),
        json!({}),
    ] {
        let key = json!({ "secrets": [secret], "routes": ["*"] });
        let refused = stage.admin(Request::put("/api/v1/keys/app", &key));
        assert_eq!(refused.problem().0, 422, "{secret}: {}", refused.text());
    }
}

#[test]
fn what_something_needs_is_not_deleted() {
    let stage = Stage::with_chat();
    let refused = stage.admin(Request::delete("/api/v1/providers/sim").if_match("*"));
    assert_eq!(refused.problem(), (409, "in_use".to_owned()));
    assert!(refused.text().contains("routes chat"), "{}", refused.text());
    assert_eq!(stage.admin(Request::delete(CHAT).if_match("*")).status, 200);
    let deleted = stage.admin(Request::delete("/api/v1/providers/sim").if_match("*"));
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    assert_eq!(deleted.json()["changes"][0]["after"], Value::Null);
}

#[test]
fn the_name_is_that_of_the_url() {
    let stage = Stage::with_chat();
    let mut unnamed = provider();
    unnamed.as_object_mut().unwrap().remove("name");
    let put = stage.write("/api/v1/providers/other", &unnamed);
    assert_eq!(put.json()["name"], "other");
    let refused = stage.admin(Request::put("/api/v1/providers/third", &provider()));
    assert_eq!(refused.problem().0, 422);
    assert_eq!(refused.faults()[0].0, "/name");
    let refused = stage.admin(Request::put("/api/v1/providers/Third!", &unnamed));
    assert_eq!(refused.problem().0, 422);
    assert_eq!(
        refused.faults(),
        [("/name".to_owned(), "bad_name".to_owned())]
    );
    assert_eq!(
        stage
            .admin(Request::get("/api/v1/providers/Third!"))
            .problem()
            .0,
        404
    );
}

#[test]
fn a_list_comes_in_pages_that_together_are_everything_once() {
    let stage = Stage::with_chat();
    for number in 0..5 {
        let name = format!("r{number}");
        stage.write(
            &format!("/api/v1/routes/{name}"),
            &route(&name, &json!({ "gpt": 100 })),
        );
    }
    let (mut names, mut path) = (Vec::new(), "/api/v1/routes?limit=2".to_owned());
    for _ in 0..3 {
        let page = stage.read(&path).json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        names.extend(
            items
                .iter()
                .map(|item| item["name"].as_str().unwrap().to_owned()),
        );
        let Some(token) = page["nextPageToken"].as_str() else {
            break;
        };
        path = format!("/api/v1/routes?limit=2&pageToken={token}");
    }
    assert_eq!(names, ["chat", "r0", "r1", "r2", "r3", "r4"]);
    let whole = stage.read("/api/v1/routes");
    let again = Request::get("/api/v1/routes").header("if-none-match", &whole.etag());
    let again = stage.admin(again);
    assert!([200, 304].contains(&again.status), "{}", again.status);
}

#[test]
fn what_cannot_be_read_is_named_and_healed_by_its_etag() {
    let stage = Stage::with_chat();
    let revision = stage.put_raw("config/routes/chat", b"no document");
    let read = stage.admin(Request::get(CHAT));
    assert_eq!(read.problem(), (409, "unreadable_document".to_owned()));
    assert_eq!(read.etag(), format!("\"{revision}\""));
    let list = stage.read("/api/v1/routes").json();
    assert_eq!(list["items"], json!([]));
    assert_eq!(list["unreadable"][0]["name"], "chat");
    assert_eq!(list["unreadable"][0]["revision"], revision);
    let healed = stage.admin(Request::put(CHAT, &chat()).if_match(&read.etag()));
    assert_eq!(healed.status, 200, "{}", healed.text());
    assert_eq!(stage.read(CHAT).json()["name"], "chat");
}

#[test]
fn digests_are_whole_for_an_admin_and_short_for_others() {
    let stage = Stage::with_chat();
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let key = json!({ "name": "app", "secrets": [{ "sha256": digest }], "routes": ["*"] });
    stage.write("/api/v1/keys/app", &key);
    let of = |role, path: &str| {
        let answer = stage.as_role(role, Request::get(path)).json();
        let key = answer
            .get("items")
            .map_or(&answer, |items| &items[0])
            .clone();
        key["secrets"][0]["sha256"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    for path in ["/api/v1/keys/app", "/api/v1/keys"] {
        assert_eq!(of(Role::Admin, path), digest);
        assert_eq!(of(Role::Viewer, path), &digest[..8]);
        assert_eq!(of(Role::Operator, path), &digest[..8]);
    }
    let short = json!({ "secrets": [{ "sha256": &digest[..8] }], "routes": ["*"] });
    let refused = stage.admin(Request::put("/api/v1/keys/app", &short).if_match("*"));
    assert_eq!(refused.problem().0, 422);
    assert_eq!(refused.faults()[0].0, "/secrets/0/sha256");
}

#[test]
fn a_warning_comes_in_the_head_of_the_answer() {
    let stage = Stage::with_chat();
    let key = json!({ "name": "app", "routes": [] });
    let put = stage.write("/api/v1/keys/app", &key);
    let warning = put.header("warning").unwrap_or_default();
    assert!(
        warning.starts_with("299 - \""),
        "{warning:?} {}",
        put.text()
    );
}

#[test]
fn a_token_that_is_written_opens_at_once_and_no_more_when_it_is_deleted() {
    let stage = Stage::with_chat();
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let put = stage.write(
        "/api/v1/tokens/ci",
        &json!({ "role": "viewer", "sha256": digest }),
    );
    assert!(put.header("etag").is_some());
    let ask = || stage.ask(&Request::get(CHAT).token("test")).status;
    assert_eq!(ask(), 200);
    let deleted = stage.admin(Request::delete("/api/v1/tokens/ci").if_match("*"));
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    assert_eq!(ask(), 401);
}
