//! Connections to the gRPC listener: not more than a number at once, and none that says nothing.
//!
//! What is over the number waits in the kernel's queue. HTTP/2 pings a silent peer, but only after
//! its first words; until then the time is ours to take.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{Stream, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// Connections at once.
const CONNECTIONS_MAX: usize = 512;
/// Time for the words every HTTP/2 connection begins with.
const PREFACE_MAX: Duration = Duration::from_secs(10);
/// Their length in bytes.
const PREFACE_BYTES: usize = 24;
/// Pause when the kernel has no connection for us: usually for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections as they come.
pub(super) fn incoming(listener: TcpListener) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    stream::unfold((listener, places), |(listener, places)| async {
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        let stream = accept(&listener).await;
        let connection = Connection {
            stream,
            silence: Some((Box::pin(sleep(PREFACE_MAX)), PREFACE_BYTES)),
            _place: place,
        };
        Some((Ok(connection), (listener, places)))
    })
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it answers wait for more to send with them; it is no reason to refuse.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

/// One connection and its place among them.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// The end of the wait for its first words, and how many bytes of them are to come.
    silence: Option<(Pin<Box<Sleep>>, usize)>,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Some((end, missing)) = &mut this.silence {
            if read.is_pending() {
                ready!(end.as_mut().poll(context));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            *missing = missing.saturating_sub(buffer.filled().len() - before);
            if *missing == 0 {
                this.silence = None;
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::StreamExt as _;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::timeout,
    };

    use super::*;

    async fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let mut incoming = Box::pin(incoming(listener));
        (incoming.next().await.unwrap().unwrap(), theirs)
    }

    // The clock of these tests goes on by itself when nothing else does.
    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_is_over_after_a_while() {
        let (mut ours, mut theirs) = pair().await;
        theirs.write_all(&[b'P'; PREFACE_BYTES - 1]).await.unwrap();
        let mut read = Vec::new();
        let ended = timeout(PREFACE_MAX * 2, ours.read_to_end(&mut read)).await;
        let ended = ended.expect("its time is over").unwrap_err();
        assert_eq!(
            (ended.kind(), read.len()),
            (io::ErrorKind::TimedOut, PREFACE_BYTES - 1)
        );
    }

    #[tokio::test]
    async fn a_connection_that_has_begun_may_be_silent() {
        let (mut ours, mut theirs) = pair().await;
        theirs.write_all(&[b'P'; PREFACE_BYTES]).await.unwrap();
        let mut read = [0; PREFACE_BYTES];
        ours.read_exact(&mut read).await.unwrap();
        assert!(ours.silence.is_none(), "no time runs any more");
    }
}
