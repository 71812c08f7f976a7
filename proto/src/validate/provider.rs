//! A provider: dialect, address, credential, headers.
//!
//! Literal addresses and known names are judged here, in every spelling; other names are judged by
//! the router, address by address, when it connects. Nothing here repeats a header's value or a
//! credential.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Findings;
use crate::{
    address::Networks,
    base_url::{BadUrl, BaseUrl, Host},
    fault::Pointer,
    v1,
};

const DIALECTS: [&str; 2] = ["openai", "simulated"];

/// Names under which clouds offer their metadata service.
pub(super) const METADATA_NAMES: [&str; 8] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "metadata.packet.net",
    "instance-data",
    "instance-data.ec2.internal",
];

/// Headers that would carry a secret literally: the credential has its own field.
const CREDENTIAL_HEADERS: [&str; 5] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "cookie",
];

/// Headers that belong to the connection or to the body the router sends.
const OWN_HEADERS: [&str; 13] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept-encoding",
];

pub(super) fn check(
    provider: &v1::Provider,
    networks: &Networks,
    at: &Pointer,
    findings: &mut Findings,
) {
    findings.name(&at.key("name"), &provider.name);
    if findings.required(&at.key("dialect"), &provider.dialect) {
        findings.word(&at.key("dialect"), &provider.dialect, &DIALECTS);
    }
    if findings.required(&at.key("baseUrl"), &provider.base_url) {
        base_url(&provider.base_url, networks, &at.key("baseUrl"), findings);
    }
    if let Some(credential) = &provider.credential {
        check_credential(credential, &at.key("credential"), findings);
    }
    let names = provider.headers.keys();
    for (name, value) in &provider.headers {
        header(name, value, &at.key("headers").key(name), findings);
    }
    let lower: Vec<(Pointer, String)> = names
        .map(|name| (at.key("headers").key(name), name.to_ascii_lowercase()))
        .collect();
    findings.unique(
        lower.iter().map(|(at, name)| (at.clone(), name.as_str())),
        "duplicate_header",
    );
    if let Some(timeouts) = &provider.timeouts {
        findings.duration(&at.key("timeouts").key("connect"), &timeouts.connect);
    }
}

/// Whether a text may be the name of an environment variable. A pasted key is not one.
pub(super) fn is_variable(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// An HTTP token: what a header's name is made of.
pub(super) fn is_token(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(legal)
}

fn base_url(text: &str, networks: &Networks, at: &Pointer, findings: &mut Findings) {
    let refused = |address: IpAddr| networks.permits(address).err().map(|no| no.to_string());
    let parsed = BaseUrl::parse(text);
    let refusal = match &parsed {
        Ok(BaseUrl {
            host: Host::Address(address),
            ..
        }) => refused(*address),
        // To advise the usual spelling of an address that is refused anyway would mislead.
        Err(BadUrl::Spelling(address)) => refused(*address),
        Ok(BaseUrl {
            host: Host::Name(name),
            ..
        }) => refused_name(name, networks),
        Err(_) => None,
    };
    match (refusal, parsed) {
        (Some(message), _) => findings.fault(at, "forbidden_address", message),
        (None, Err(bad)) => findings.fault(at, "bad_url", bad.to_string()),
        (None, Ok(_)) => {}
    }
}

fn refused_name(name: &str, networks: &Networks) -> Option<String> {
    if METADATA_NAMES.contains(&name) {
        return Some(format!(
            "{name} is a cloud's metadata service: never allowed for a provider"
        ));
    }
    let is_local = name == "localhost" || name.ends_with(".localhost");
    let loopback = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    let open = loopback
        .into_iter()
        .any(|address| networks.permits(address).is_ok());
    (is_local && !open)
        .then(|| format!("{name} is a loopback name: add 127.0.0.0/8 to server.allowedNetworks"))
}

fn check_credential(credential: &v1::Credential, at: &Pointer, findings: &mut Findings) {
    if !credential.env.is_empty() && !credential.file.is_empty() {
        findings.fault(at, "bad_credential", "has env and file: keep one of them");
    }
    if credential.env.is_empty() && credential.file.is_empty() {
        let message = "has neither env nor file: write one, or remove credential";
        findings.fault(at, "bad_credential", message);
    }
    variable(&credential.env, &at.key("env"), findings);
}

/// The name of an environment variable, or absent.
pub(super) fn variable(name: &str, at: &Pointer, findings: &mut Findings) {
    if !name.is_empty() && !is_variable(name) {
        let message = "is not the name of an environment variable; the secret itself never \
                       stands in a document";
        findings.fault(at, "bad_variable", message);
    }
}

fn header(name: &str, value: &str, at: &Pointer, findings: &mut Findings) {
    let lower = name.to_ascii_lowercase();
    if !is_token(name) {
        findings.fault(at, "bad_header", "is not a legal header name");
    } else if CREDENTIAL_HEADERS.contains(&lower.as_str()) {
        let message = "would carry a secret: use credential: {env: …} or {file: …}";
        findings.fault(at, "bad_header", message);
    } else if OWN_HEADERS.contains(&lower.as_str()) {
        findings.fault(at, "bad_header", "is set by Serin itself: remove it");
    }
    if !value
        .bytes()
        .all(|b| b == b'\t' || (b' '..=b'~').contains(&b))
    {
        findings.fault(
            at,
            "bad_header",
            "has a value with characters other than plain ASCII",
        );
    }
}
