//! The `server` block: facts of one process.
//!
//! Whether a port is free or a file exists is found out when the process starts; here only whether
//! the block can be meant.

use std::net::SocketAddr;

use super::{Findings, key};
use crate::{address::Network, fault::Pointer, v1};

/// More workers than any machine has cores for is a typing error.
const WORKERS_MAX: f64 = 1_024.0;

pub(super) fn check(server: &v1::Server, at: &Pointer, findings: &mut Findings) {
    listener(&server.listen, &at.key("listen"), findings);
    listener(&server.admin_listen, &at.key("adminListen"), findings);
    findings.range(
        &at.key("workers"),
        server.workers.map(f64::from),
        1.0..=WORKERS_MAX,
    );
    findings.word(&at.key("auth"), &server.auth, &["required", "none"]);
    findings.count(&at.key("maxBodyBytes"), server.max_body_bytes);
    if let Some(drain) = &server.drain {
        findings.duration_or_zero(&at.key("drain").key("grace"), &drain.grace);
        findings.duration(&at.key("drain").key("limit"), &drain.limit);
    }
    networks(
        &server.allowed_networks,
        &at.key("allowedNetworks"),
        findings,
    );
    networks(&server.trusted_proxies, &at.key("trustedProxies"), findings);
    tls(server.tls.as_ref(), &at.key("tls"), findings);
    for (i, origin) in server
        .cors
        .iter()
        .flat_map(|cors| &cors.origins)
        .enumerate()
    {
        if !is_origin(origin) {
            let message = "is no origin: write scheme, host and port only, e.g. \
                           https://chat.example, and never *";
            findings.fault(&at.key("cors").key("origins").at(i), "bad_origin", message);
        }
    }
    if let Some(limits) = &server.limits {
        let is_redis = |url: &str| url.starts_with("redis://") || url.starts_with("rediss://");
        if !limits.redis.is_empty() && !is_redis(&limits.redis) {
            let message = "begins with neither redis:// nor rediss://";
            findings.fault(&at.key("limits").key("redis"), "bad_url", message);
        }
    }
    if let Some(logging) = &server.logging {
        let at = at.key("logging");
        findings.word(&at.key("format"), &logging.format, &["json", "text"]);
        let levels = ["error", "warn", "info", "debug", "trace"];
        findings.word(&at.key("level"), &logging.level, &levels);
    }
    if let Some(telemetry) = &server.telemetry {
        let at = at.key("telemetry");
        url(&telemetry.otlp_endpoint, &at.key("otlpEndpoint"), findings);
        findings.word(
            &at.key("protocol"),
            &telemetry.protocol,
            &["grpc", "http/protobuf"],
        );
        findings.range(&at.key("sampleRatio"), telemetry.sample_ratio, 0.0..=1.0);
    }
    if let Some(etcd) = &server.etcd {
        check_etcd(etcd, &at.key("etcd"), findings);
    }
    if let Some(control_plane) = &server.control_plane {
        check_control_plane(control_plane, &at.key("controlPlane"), findings);
    }
}

pub(super) fn is_http_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(|b| b.is_ascii_graphic())
    })
}

fn listener(text: &str, at: &Pointer, findings: &mut Findings) {
    if !text.is_empty() && text.parse::<SocketAddr>().is_err() {
        let message = format!("{text:?} is no address with a port: write e.g. 127.0.0.1:8080");
        findings.fault(at, "bad_address", message);
    }
}

fn networks(texts: &[String], at: &Pointer, findings: &mut Findings) {
    for (i, text) in texts.iter().enumerate() {
        if let Err(bad) = text.parse::<Network>() {
            findings.fault(&at.at(i), "bad_network", format!("{text:?}: {bad}"));
        }
    }
}

fn url(text: &str, at: &Pointer, findings: &mut Findings) {
    if !text.is_empty() && !is_http_url(text) {
        findings.fault(
            at,
            "bad_url",
            "is no URL: write http:// or https://, a host and a port",
        );
    }
}

/// Silently serving in plain text where TLS was asked for would be worse than not starting.
fn tls(tls: Option<&v1::Tls>, at: &Pointer, findings: &mut Findings) {
    let Some(tls) = tls else { return };
    if [&tls.cert_file, &tls.key_file, &tls.client_ca_file]
        .iter()
        .any(|file| !file.is_empty())
    {
        let message =
            "not built yet: Serin cannot serve TLS; put a proxy before it and remove this";
        findings.fault(at, "not_built", message);
    }
}

fn is_origin(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let legal = |b: u8| {
        b.is_ascii_lowercase()
            || b.is_ascii_digit()
            || matches!(b, b'.' | b'-' | b':' | b'[' | b']')
    };
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(legal))
}

fn check_etcd(etcd: &v1::Etcd, at: &Pointer, findings: &mut Findings) {
    let pairs = [
        ("certFile", &etcd.cert_file, "keyFile", &etcd.key_file),
        (
            "username",
            &etcd.username,
            "passwordFile",
            &etcd.password_file,
        ),
    ];
    for (field, value, other, other_value) in pairs {
        if value.is_empty() != other_value.is_empty() {
            let message = format!("{field} and {other} belong together: write both or neither");
            findings.fault(at, "incomplete", message);
        }
    }
}

fn check_control_plane(settings: &v1::ControlPlane, at: &Pointer, findings: &mut Findings) {
    listener(&settings.listen, &at.key("listen"), findings);
    listener(&settings.grpc_listen, &at.key("grpcListen"), findings);
    url(
        settings.prometheus.as_deref().unwrap_or_default(),
        &at.key("prometheus"),
        findings,
    );
    tls(settings.tls.as_ref(), &at.key("tls"), findings);
    let at = at.key("tokens");
    for (i, token) in settings.tokens.iter().enumerate() {
        let at = at.at(i);
        findings.name(&at.key("name"), &token.name);
        key::role(&token.role, &at.key("role"), findings);
        key::source([&token.sha256, &token.env, &token.file], &at, findings);
    }
    let tokens = || settings.tokens.iter().enumerate();
    findings.unique(
        tokens().map(|(i, t)| (at.at(i).key("name"), t.name.as_str())),
        "duplicate_name",
    );
    for (i, token) in tokens().filter(|(_, token)| !token.sha256.is_empty()) {
        let same =
            |other: &&v1::ControlPlaneToken| other.sha256.eq_ignore_ascii_case(&token.sha256);
        if let Some(first) = settings.tokens.iter().take(i).find(same) {
            let message = format!("is the same secret as that of token {:?}", first.name);
            findings.fault(&at.at(i).key("sha256"), "duplicate_secret", message);
        }
    }
}
