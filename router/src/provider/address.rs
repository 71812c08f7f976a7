//! Which addresses a provider may have, checked where it counts: at connect.
//!
//! A name is resolved, every address it gave is checked, and the connection goes to a checked one.
//! There is no moment in between in which a name could come to mean another host. Literal addresses
//! pass the same check, which is why it is not a resolver: actix skips resolvers for literals.

use std::{io, net::SocketAddr, rc::Rc};

use actix_service::{Service, fn_service};
use actix_tls::connect::{ConnectError, ConnectInfo, Connection, Resolver, tcp::TcpConnector};
use actix_web::http::Uri;
use serin_proto::address::Networks;
use tokio::net::TcpStream;

/// A connector that resolves, checks and connects, with `TCP_NODELAY` set: without it a body in
/// two writes waits for the peer's delayed acknowledgement.
pub(crate) fn guarded_connector(
    networks: Rc<Networks>,
) -> impl Service<ConnectInfo<Uri>, Response = Connection<Uri, TcpStream>, Error = ConnectError> + Clone
{
    let resolver = Resolver::default().service();
    let tcp = TcpConnector::default().service();
    let connect = fn_service(move |info: ConnectInfo<Uri>| {
        let (resolver, networks) = (resolver.clone(), Rc::clone(&networks));
        async move {
            let mut resolved = resolver.call(info).await?;
            let addresses: Vec<SocketAddr> = resolved.take_addrs().collect();
            check(&networks, &addresses)?;
            let connection = tcp.call(resolved.set_addrs(addresses)).await?;
            connection
                .io_ref()
                .set_nodelay(true)
                .map_err(ConnectError::Io)?;
            Ok(connection)
        }
    });
    Rc::new(connect)
}

/// One forbidden address among many is enough: a name that resolves to both is an attack.
fn check(networks: &Networks, addresses: &[SocketAddr]) -> Result<(), ConnectError> {
    for address in addresses {
        networks.permits(address.ip()).map_err(|refusal| {
            tracing::warn!(%refusal, "provider address refused");
            ConnectError::Io(io::Error::new(
                io::ErrorKind::PermissionDenied,
                refusal.to_string(),
            ))
        })?;
    }
    Ok(())
}
