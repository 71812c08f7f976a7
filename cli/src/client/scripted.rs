//! A server for tests that answers from a script, and tells what it was asked.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::Api;
use crate::args::remote::Server;

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\netag: \"7\"\r\ncontent-length: 8\r\n\r\n{\"a\": 1}";
pub(super) const AWAY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

/// Answers one connection after the other with the next text; "" hangs up. What it was asked comes
/// out of the channel.
pub(super) async fn server(
    answers: Vec<&'static str>,
) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (asked, questions) = mpsc::unbounded_channel();
    actix_rt::spawn(async move {
        for answer in answers {
            let (stream, _) = listener.accept().await.unwrap();
            let question = exchange(stream, answer).await.unwrap();
            let _ = asked.send(question);
        }
    });
    (at, questions)
}

async fn exchange(mut stream: TcpStream, answer: &str) -> io::Result<String> {
    let mut question = Vec::new();
    let mut piece = [0; 4096];
    while !is_whole(&question) {
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            break;
        }
        question.extend_from_slice(&piece[..count]);
    }
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(String::from_utf8_lossy(&question).into_owned())
}

fn is_whole(question: &[u8]) -> bool {
    let text = String::from_utf8_lossy(question).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| {
        length
            .parse()
            .is_ok_and(|length: usize| body.len() >= length)
    })
}

/// Asks the server at this address.
pub(super) fn api(at: SocketAddr, patience: Option<Duration>) -> Api {
    Api::new(&asking(at))
        .expect("the address is one")
        .patient(patience)
}

/// The flags that name it.
pub(super) fn asking(at: SocketAddr) -> Server {
    Server {
        server: format!("http://{at}/"),
        token: Some("tk-serin-x".to_owned()),
    }
}
