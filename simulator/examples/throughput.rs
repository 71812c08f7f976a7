//! How fast is the simulator itself?
//!
//! `cargo run --release -p serin-simulator --example throughput [server|client ADDR MODE SECONDS CONNECTIONS]`
//! Two processes, so that each can be pinned to a core of its own; the server's CPU time per answer
//! is the figure that counts. The client sends a request as soon as the answer before it is whole.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serin_simulator::{Model, Recording, Script, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match args.as_slice() {
        ["server", addr, journal] => runtime.block_on(server(parse(addr)?, *journal == "on")),
        ["client", addr, mode, seconds, connections] => {
            let wanted = Wanted {
                addr: parse(addr)?,
                stream: *mode == "stream",
                lasting: Duration::from_secs(parse(seconds)?),
            };
            runtime.block_on(client(wanted, parse(connections)?))
        }
        _ => Err(io::Error::other(
            "server ADDR on|off  or  client ADDR plain|stream SECONDS CONNECTIONS",
        )),
    }
}

#[derive(Clone, Copy)]
struct Wanted {
    addr: SocketAddr,
    stream: bool,
    lasting: Duration,
}

async fn server(addr: SocketAddr, journal: bool) -> io::Result<()> {
    let model = Model {
        padding: 500,
        ..Model::default()
    };
    let stream = Model {
        answer_tokens: 64,
        events_per_write: 1,
        ..Model::default()
    };
    let mut script = Script::default()
        .with("plain", model)
        .with("stream", stream);
    if !journal {
        script.journal = Recording::Off;
    }
    let simulator = Simulator::start(addr, script).await?;
    println!("{}", simulator.addr());
    std::future::pending().await
}

async fn client(wanted: Wanted, connections: usize) -> io::Result<()> {
    let until = Instant::now() + wanted.lasting;
    let tasks: Vec<_> = (0..connections)
        .map(|_| tokio::spawn(one(wanted, until)))
        .collect();
    let (mut answers, mut bytes) = (0, 0);
    for task in tasks {
        let (some, size) = task.await.map_err(io::Error::other)??;
        answers += some;
        bytes = size;
    }
    let rate = answers as f64 / wanted.lasting.as_secs_f64();
    println!("{answers} answers of {bytes} bytes, {rate:.0}/s");
    Ok(())
}

async fn one(wanted: Wanted, until: Instant) -> io::Result<(u64, usize)> {
    let mut connection = TcpStream::connect(wanted.addr).await?;
    connection.set_nodelay(true)?;
    let prompt = "x".repeat(900);
    let (model, more) = if wanted.stream {
        ("stream", r#","stream":true"#)
    } else {
        ("plain", "")
    };
    let body = format!(
        r#"{{"model":"{model}"{more},"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
    );
    let length = body.len();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer sk-1\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let end: &[u8] = if wanted.stream { b"0\r\n\r\n" } else { b"}" };
    let mut buffer = vec![0; 64 << 10];
    let (mut answers, mut size) = (0, 0);
    while Instant::now() < until {
        connection.write_all(request.as_bytes()).await?;
        let mut got = 0;
        // The first answer teaches how long all of them are.
        while got < size || (size == 0 && !buffer[..got].ends_with(end)) {
            got += connection.read(&mut buffer[got..]).await?;
        }
        size = got;
        answers += 1;
    }
    Ok((answers, size))
}

fn parse<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse()
        .map_err(|_| io::Error::other(format!("cannot read {text}")))
}
