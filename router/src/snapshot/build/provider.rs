//! A provider's document, parsed once for all calls to it.

use std::{net::IpAddr, sync::Arc};

use actix_web::http::{
    header::{HeaderName, HeaderValue},
    uri::{Authority, Scheme},
};
use serin_proto::{
    base_url::{BaseUrl, Host},
    document::Document,
};

use super::header;
use crate::{
    provider::{Provider, credential::Credential},
    route::policy,
};

/// `before` lends its credential, and with it what was read of it, while the reference is the same.
pub(super) fn compile(
    source: &Arc<Document>,
    before: Option<&Arc<Provider>>,
) -> Result<Provider, String> {
    let Document::Provider(document) = &**source else {
        return Err("is no provider".to_owned());
    };
    let url = BaseUrl::parse(&document.base_url).map_err(|bad| format!("baseUrl {bad}"))?;
    let host = match &url.host {
        Host::Name(name) => name.clone(),
        Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
        Host::Address(address) => address.to_string(),
    };
    let authority = Authority::try_from(format!("{host}:{}", url.port))
        .map_err(|_| format!("baseUrl has a host that cannot be asked for: {host}"))?;
    let default_port = if url.https { 443 } else { 80 };
    let host = if url.port == default_port {
        host
    } else {
        authority.to_string()
    };
    let headers = document.headers.iter().map(|(name, value)| {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| format!("header {name}"))?;
        let value = HeaderValue::from_str(value).map_err(|_| format!("value of header {name}"))?;
        Ok((name, value))
    });
    let reference = document.credential.clone().unwrap_or_default();
    let known = before.filter(|before| *before.credential.reference() == reference);
    let connect = document
        .timeouts
        .as_ref()
        .map_or("", |timeouts| timeouts.connect.as_str());
    let provider = Provider {
        name: document.name.clone(),
        source: Arc::clone(source),
        base_url: document.base_url.clone(),
        scheme: if url.https {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        },
        authority,
        base_path: url.path,
        headers: headers.collect::<Result<Vec<_>, String>>()?,
        credential: known.map_or_else(
            || Credential::new(reference),
            |before| Arc::clone(&before.credential),
        ),
        connect: policy::duration(connect, policy::CONNECT_DEFAULT),
        usage_in_stream: document.usage_in_stream.unwrap_or(true),
        host: header(&host)?,
        common: Vec::new(),
    };
    Ok(provider.with_common())
}
