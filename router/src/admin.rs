//! The second listener: probes, metrics, and what is being served. No secret passes here, and
//! nothing here can change anything.

use std::{net::TcpListener, sync::Arc};

use actix_web::{
    App, HttpResponse, HttpServer,
    dev::Server,
    middleware::Compress,
    web::{self, Data},
};
use serin_proto::exposition::TEXT_CONTENT_TYPE;

use crate::{clock, record::metrics::Exposition, server, snapshot::view::View, worker::Shared};

/// Starts it on one thread of its own, so that a scrape never waits behind a request's worker.
pub(crate) fn start(
    listener: TcpListener,
    shared: &Arc<Shared>,
    exposition: Exposition,
) -> std::io::Result<Server> {
    let shared = Data::from(Arc::clone(shared));
    let exposition = Data::new(exposition);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .app_data(exposition.clone())
            .route("/livez", web::get().to(livez))
            .route("/readyz", web::get().to(readyz))
            .route("/version", web::get().to(version))
            .route("/snapshot", web::get().to(snapshot))
            .service(
                web::resource("/metrics")
                    .wrap(Compress::default())
                    .get(metrics),
            )
    });
    Ok(server
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener)?
        .run())
}

/// The process lives. It asks nothing else: a router without a provider is not a dead one.
async fn livez() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

async fn readyz(shared: Data<Shared>) -> HttpResponse {
    server::ready(&shared)
}

async fn version(shared: Data<Shared>) -> HttpResponse {
    let (version, commit) = (shared.settings.version, shared.settings.commit);
    HttpResponse::Ok().json(serde_json::json!({ "version": version, "commit": commit }))
}

async fn snapshot(shared: Data<Shared>) -> HttpResponse {
    match shared.snapshot.load() {
        Some(snapshot) => {
            let standing = shared.standing.borrow().clone();
            HttpResponse::Ok().json(View::of(
                &snapshot,
                &standing,
                shared.contact.last_ms(),
                clock::since_start_ms(clock::now()),
            ))
        }
        None => HttpResponse::ServiceUnavailable().body("no documents applied yet\n"),
    }
}

async fn metrics(exposition: Data<Exposition>) -> HttpResponse {
    let text = exposition.text(clock::now());
    HttpResponse::Ok()
        .content_type(TEXT_CONTENT_TYPE)
        .body(text)
}
