//! The client against scripted listeners: what is sent, and each way an answer may be missing.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::*;
use crate::stage::eventually;

/// Reads a request to the end of what it announces.
async fn heard(stream: &mut TcpStream) -> String {
    let (mut text, mut piece) = (String::new(), [0; 1_024]);
    loop {
        let n = stream.read(&mut piece).await.unwrap();
        text.push_str(&String::from_utf8_lossy(&piece[..n]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(n > 0, "the request broke off: {text}");
            continue;
        };
        let head = head.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|l| l.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return text;
        }
    }
}

/// Answers one request with these bytes, closes, and says what it heard.
async fn once(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let told = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = heard(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        request
    });
    (url, told)
}

fn get(url: &str) -> Request {
    Request {
        method: Method::GET,
        url: url.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(5),
        bytes_max: 1_024,
    }
}

#[tokio::test]
async fn a_request_leaves_as_asked_and_its_answer_comes_whole() {
    let (url, told) = once("HTTP/1.1 418 x\r\ncontent-length: 2\r\n\r\nhi").await;
    let mut request = get(&format!("{url}/a/b?c=d"));
    request.method = Method::POST;
    request.headers = vec![("idempotency-key", "r/1/2".to_owned())];
    request.body = Bytes::from_static(b"{}");
    let answer = Http::default().send(request).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (418, &b"hi"[..]));
    let told = told.await.unwrap();
    assert!(told.starts_with("POST /a/b?c=d HTTP/1.1\r\n"), "{told}");
    assert!(told.contains("idempotency-key: r/1/2\r\n"), "{told}");
    assert!(told.ends_with("\r\n\r\n{}"), "{told}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let head = "HTTP/1.1 302 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let (url, _told) = once(head).await;
    let answer = Http::default().send(get(&url)).await.unwrap();
    assert_eq!(answer.status, 302);
}

#[tokio::test]
async fn a_user_of_the_address_becomes_an_authorization() {
    let (url, told) = once("HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n").await;
    let url = url.replace("http://", "http://al%40ice:op%3Aen@");
    Http::default().send(get(&url)).await.unwrap();
    let told = told.await.unwrap().to_ascii_lowercase();
    // al@ice:op:en
    let expected = "authorization: basic ywxaawnlom9womvu\r\n";
    assert!(told.contains(expected), "{told}");
    assert!(!told.contains("al%40ice"), "{told}");
}

#[tokio::test]
async fn each_missing_answer_has_its_reason() {
    let http = Http::default();
    let send = |url: String| {
        let http = http.clone();
        async move { http.send(get(&url)).await.unwrap_err() }
    };

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = format!("http://{}/?secret=1", free.local_addr().unwrap());
    drop(free);
    let told = send(refused).await;
    assert!(
        matches!(&told, Failed::Connect(why) if !why.contains("secret")),
        "{told:?}"
    );

    let (url, _told) = once("").await;
    assert!(matches!(send(url).await, Failed::Broken(_)));
    let (url, _told) = once("HTTP/1.1 200 x\r\ncontent-length: 20\r\n\r\nhi").await;
    assert!(matches!(send(url).await, Failed::Broken(_)));
    let (url, _told) = once("garbage\r\n\r\n").await;
    assert!(matches!(send(url).await, Failed::Broken(_)));

    let (url, _told) = once("HTTP/1.1 200 x\r\ncontent-length: 3\r\n\r\nabc").await;
    let mut small = get(&url);
    small.bytes_max = 2;
    assert_eq!(http.send(small).await.unwrap_err(), Failed::TooLarge(2));

    for url in ["", "ftp://a/", "http://", "http:///x", "a b", "http://a b/"] {
        let told = send(url.to_owned()).await;
        assert!(matches!(told, Failed::Unsendable(_)), "{url}: {told:?}");
    }
    let mut header = get("http://127.0.0.1:1/");
    header.headers = vec![("x", "a\nb".to_owned())];
    let told = http.send(header).await.unwrap_err();
    assert!(matches!(told, Failed::Unsendable(_)), "{told:?}");
}

#[tokio::test]
async fn a_silent_server_is_left_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut request = get(&format!("http://{}/", silent.local_addr().unwrap()));
    request.timeout = Duration::from_millis(50);
    let told = Http::default().send(request).await.unwrap_err();
    assert_eq!(told, Failed::Timeout(Duration::from_millis(50)));
}

#[tokio::test]
async fn metadata_and_link_local_addresses_are_never_connected_to() {
    let http = Http::default();
    let table = [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fe80::1]/",
        "http://0.0.0.0:9/",
    ];
    for url in table {
        let told = http.send(get(url)).await.unwrap_err();
        let refused = matches!(&told, Failed::Connect(why) if why.contains("never allowed"));
        assert!(refused, "{url}: {told:?}");
    }
}

#[tokio::test]
async fn what_is_under_way_and_what_waits_are_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (open, seen) = watch::channel(0);
    let (go, gone) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            open.send_modify(|n| *n += 1);
            let mut gone = gone.clone();
            tokio::spawn(async move {
                heard(&mut stream).await;
                gone.wait_for(|gone| *gone).await.unwrap();
                let answer = b"HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            });
        }
    });
    let http = Http::default();
    let answered = Arc::new(AtomicUsize::new(0));
    let ask = |_| {
        let (http, answered, url) = (http.clone(), Arc::clone(&answered), url.clone());
        tokio::spawn(async move {
            let told = http.send(get(&url)).await;
            answered.fetch_add(usize::from(told.is_ok()), SeqCst);
            told
        })
    };
    // One more waits for its turn outside of the queue.
    let asked: Vec<_> = (0..PARALLEL_MAX + 1).map(ask).collect();
    eventually(|| async { *seen.borrow() }, |n| *n == PARALLEL_MAX).await;
    eventually(
        || async { http.jobs.get().unwrap().as_ref().unwrap().capacity() },
        |n| *n == QUEUE_MAX,
    )
    .await;
    let more: Vec<_> = (0..QUEUE_MAX).map(ask).collect();
    eventually(
        || async { http.jobs.get().unwrap().as_ref().unwrap().capacity() },
        |n| *n == 0,
    )
    .await;
    assert_eq!(http.send(get(&url)).await.unwrap_err(), Failed::Busy);
    assert_eq!(*seen.borrow(), PARALLEL_MAX);
    go.send(true).unwrap();
    for told in asked.into_iter().chain(more) {
        assert_eq!(told.await.unwrap().unwrap().status, 200);
    }
    assert_eq!(answered.load(SeqCst), PARALLEL_MAX + 1 + QUEUE_MAX);
}

#[tokio::test]
async fn whoever_stops_asking_ends_the_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let http = Http::default();
    let asking = tokio::spawn({
        let (http, url) = (http.clone(), url.clone());
        async move { http.send(get(&url)).await }
    });
    let (mut stream, _) = listener.accept().await.unwrap();
    heard(&mut stream).await;
    asking.abort();
    // Its end: nothing more is read.
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
}

#[test]
fn an_address_is_shown_without_what_may_be_secret() {
    let table = [
        ("http://u:p@h:1/a?t=1#x", "http://h:1/a"),
        ("https://h", "https://h"),
        ("https://h?q=/@", "https://h"),
        ("https://u:p%40@h/x@y", "https://h/x@y"),
        ("nothing", ""),
    ];
    for (url, expected) in table {
        assert_eq!(shown(url), expected, "{url}");
    }
}
