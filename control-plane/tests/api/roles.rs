//! Nothing is served without its role, however its URL is spelled.
//!
//! The endpoints and their roles are read from the OpenAPI document, which is made of the one table
//! that serves them.

use serde_json::Value;
use serin_proto::token::Role;

use crate::{
    client::{Answer, Request},
    stage::{Stage, secret},
};

/// A method, a URL, and the least role for it.
struct Endpoint {
    method: String,
    path: String,
    role: Role,
}

fn endpoints(stage: &Stage) -> Vec<Endpoint> {
    let document = stage.read("/api/v1/openapi.json").json();
    let fields = |value: &Value| value.as_object().cloned().expect("an object");
    let mut endpoints = Vec::new();
    for (path, methods) in fields(&document["paths"]) {
        for (method, operation) in fields(&methods) {
            let role = operation["x-serin-role"].as_str().map(str::parse);
            endpoints.push(Endpoint {
                method: method.to_uppercase(),
                path: ["{name}", "{id}", "{gate}"]
                    .into_iter()
                    .fold(path.clone(), |path, place| path.replace(place, "chat")),
                role: role.expect("every operation has a role").expect("a role"),
            });
        }
    }
    assert_eq!(endpoints.len(), 41);
    endpoints
}

/// Everybody: without a token, and by role.
const EVERYBODY: [Option<Role>; 4] = [
    None,
    Some(Role::Viewer),
    Some(Role::Operator),
    Some(Role::Admin),
];

fn asked(stage: &Stage, who: Option<Role>, request: Request) -> Answer {
    stage.ask(&match who {
        Some(role) => request.token(secret(role)),
        None => request,
    })
}

#[test]
fn each_endpoint_is_open_to_its_role_and_to_nobody_with_less() {
    let stage = Stage::with_chat();
    for Endpoint { method, path, role } in endpoints(&stage) {
        for who in EVERYBODY {
            // HEAD opens no stream.
            let method = if method == "GET" { "HEAD" } else { &method };
            let status = asked(&stage, who, Request::new(method, &path)).status;
            let call = format!("{method} {path} as {who:?}: {status}");
            match who {
                None => assert_eq!(status, 401, "{call}"),
                Some(who) if who < role => assert_eq!(status, 403, "{call}"),
                Some(_) => assert!(![401, 403, 405].contains(&status), "{call}"),
            }
        }
    }
}

#[test]
fn no_spelling_of_a_url_goes_round_its_role() {
    let stage = Stage::with_chat();
    let records = |stage: &Stage| stage.read("/api/v1/audit").text();
    let before = records(&stage);
    for Endpoint { method, path, role } in endpoints(&stage) {
        for who in EVERYBODY
            .into_iter()
            .filter(|who| who.is_none_or(|who| who < role))
        {
            for target in spellings(&path) {
                let answer = asked(&stage, who, Request::new(&method, &target));
                let refused = [400, 401, 403, 404, 405].contains(&answer.status);
                let text = answer.text();
                assert!(
                    refused,
                    "{method} {target:?} as {who:?}: {} {text}",
                    answer.status
                );
            }
            for (name, value) in [
                ("host", "admin.internal"),
                ("x-forwarded-for", "127.0.0.1"),
                ("authorization", "Basic YWRtaW46YWRtaW4="),
                ("authorization", "Bearer "),
                ("cookie", "token=admin-secret"),
            ] {
                let answer = asked(
                    &stage,
                    who,
                    Request::new(&method, &path).header(name, value),
                );
                // 429: so many malformed tokens came from here.
                let refused = [401, 403, 429].contains(&answer.status);
                assert!(
                    refused,
                    "{method} {path} {name}: {value} as {who:?}: {}",
                    answer.status
                );
            }
            for name in ["x-original-url", "x-rewrite-url", "x-forwarded-uri"] {
                let elsewhere = Request::get("/livez")
                    .header(name, &path)
                    .header("x-http-method-override", &method);
                assert_eq!(
                    asked(&stage, who, elsewhere).text(),
                    "ok\n",
                    "{name}: {path}"
                );
            }
        }
    }
    assert_eq!(
        records(&stage),
        before,
        "somebody without the role has changed something"
    );
}

/// The same URL as proxies and servers may read it.
fn spellings(path: &str) -> Vec<String> {
    let rest = path.strip_prefix("/api/v1").expect("a path of the API");
    let (parent, last) = path.rsplit_once('/').expect("a path");
    let first = rest.as_bytes()[1];
    let coded = format!("%{first:02x}");
    vec![
        path.to_owned(),
        format!("/{path}"),
        format!("//api/v1{rest}"),
        format!("/api//v1{rest}"),
        format!("/api/v1/{rest}"),
        format!("{path}/"),
        format!("{path}//"),
        format!("/.{path}"),
        format!("/api/v1/.{rest}"),
        format!("{path}/."),
        format!("/x/..{path}"),
        format!("/api/v1/x/..{rest}"),
        format!("/livez/..{path}"),
        format!("/api/v1/routes/..{rest}"),
        format!("/api/v1/%2e{rest}"),
        format!("/api/v1/x/%2e%2e{rest}"),
        format!("/api/v1/x/%2E%2E{rest}"),
        format!("/api/v1/%252e%252e{rest}"),
        format!("/livez%2f..{path}"),
        path.replace('/', "%2f").replacen("%2f", "/", 1),
        format!("{parent}/%2f{last}"),
        format!("{parent}%2f{last}"),
        format!("{parent}%252f{last}"),
        format!("/api/v1/{coded}{}", &rest[2..]),
        path.replacen("api", "%61pi", 1),
        path.replacen("api", "%2561pi", 1),
        format!("/api;x=1/v1{rest}"),
        format!("/api/v1;x=1{rest}"),
        format!("{path};x=1"),
        format!("{path};/"),
        format!("/;{path}"),
        format!("/livez;{path}"),
        path.to_uppercase(),
        path.replacen("api", "API", 1),
        path.replacen("v1", "V1", 1),
        format!("/api/v1{}", rest.to_uppercase()),
        path.replace('/', "\\"),
        path.replacen("v1/", "v1\\", 1),
        format!("{path}%00"),
        format!("{path}%20"),
        format!("{path}%0d%0ax"),
        format!("{path}.json"),
        format!("{path}?path=/livez"),
        format!("{path}#/livez"),
        format!("/api/v1/%c0%ae%c0%ae{rest}"),
        format!("/api/v1/..%c0%af{rest}"),
        format!("http://127.0.0.1{path}"),
        format!("http://livez{path}"),
        format!("http://admin@x{path}"),
    ]
}
