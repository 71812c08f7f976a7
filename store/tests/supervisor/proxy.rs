//! A wire between client and server that can be cut: at a byte, or until told otherwise.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// Where a connection is cut: after so many bytes in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) asked: usize,
    pub(crate) answered: usize,
}

impl Cut {
    pub(crate) const NEVER: Self = Self {
        asked: usize::MAX,
        answered: usize::MAX,
    };
    pub(crate) const AT_ONCE: Self = Self {
        asked: 0,
        answered: 0,
    };
}

#[derive(Clone)]
enum Upstream {
    Address(SocketAddr),
    Socket(PathBuf),
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    cut: Arc<watch::Sender<Cut>>,
}

impl Proxy {
    /// A wire to an address.
    pub(crate) async fn start(upstream: SocketAddr) -> Self {
        Self::to(Upstream::Address(upstream)).await
    }

    /// A wire to a socket in the file system.
    pub(crate) async fn to_socket(path: PathBuf) -> Self {
        Self::to(Upstream::Socket(path)).await
    }

    async fn to(upstream: Upstream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let cut = Arc::new(watch::Sender::new(Cut::NEVER));
        let shared = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let cut = shared.subscribe();
                tokio::spawn(carry(client, upstream.clone(), cut));
            }
        });
        Self { address, cut }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.address.to_string()
    }

    /// From now on, for connections that stand too: they are cut if they carried more already.
    pub(crate) fn cut(&self, cut: Cut) {
        self.cut.send_replace(cut);
    }
}

async fn carry(client: TcpStream, upstream: Upstream, cut: watch::Receiver<Cut>) {
    // A small write must not wait for an answer: both sides speak at will.
    let _ = client.set_nodelay(true);
    match upstream {
        Upstream::Address(address) => {
            if let Ok(server) = TcpStream::connect(address).await {
                let _ = server.set_nodelay(true);
                join(client, server, cut).await;
            }
        }
        Upstream::Socket(path) => {
            if let Ok(server) = UnixStream::connect(path).await {
                join(client, server, cut).await;
            }
        }
    }
}

/// The first direction that ends takes the other one with it: both sockets are closed.
async fn join(
    client: impl AsyncRead + AsyncWrite,
    server: impl AsyncRead + AsyncWrite,
    cut: watch::Receiver<Cut>,
) {
    let (from_client, to_client) = split(client);
    let (from_server, to_server) = split(server);
    tokio::select! {
        () = pump(from_client, to_server, cut.clone(), |cut| cut.asked) => {}
        () = pump(from_server, to_client, cut, |cut| cut.answered) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut cut: watch::Receiver<Cut>,
    limit: impl Fn(&Cut) -> usize,
) {
    let mut piece = vec![0; 16 * 1024];
    let mut carried = 0;
    loop {
        let left = limit(&cut.borrow_and_update()).saturating_sub(carried);
        if left == 0 {
            return;
        }
        let most = left.min(piece.len());
        tokio::select! {
            read = from.read(&mut piece[..most]) => match read {
                Ok(count @ 1..) => {
                    carried += count;
                    if to.write_all(&piece[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            changed = cut.changed() => if changed.is_err() {
                return;
            },
        }
    }
}
