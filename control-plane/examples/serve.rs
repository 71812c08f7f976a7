//! temporary
#![expect(clippy::unwrap_used, reason = "temporary")]
use std::net::SocketAddr;
use serin_control_plane::{Digest, Listeners, Settings, SettingsToken, run};
use serin_proto::{address::Networks, token::Role};
use serin_store::MemoryStore;
fn main() {
    let port: u16 = std::env::args().nth(1).unwrap().parse().unwrap();
    let token = |role: Role| SettingsToken { name: role.as_str().to_owned(), role, sha256: Digest::of(format!("{role}-secret").as_bytes()) };
    let settings = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], port)), grpc_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        tokens: Role::ALL.map(token).to_vec(), allowed_networks: Networks::parse(&["127.0.0.0/8"]).unwrap(),
        id: "t".into(), version: "0", commit: "0",
    };
    let listeners = Listeners::bind(&settings).unwrap();
    actix_rt::System::new().block_on(run(settings, listeners, MemoryStore::new(), std::future::pending())).unwrap();
}
