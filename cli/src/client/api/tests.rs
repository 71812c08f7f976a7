//! How one call ends, against a server that answers from a script.

use awc::http::header::IF_MATCH;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::client::scripted::{AWAY, OK, api, server};

#[actix_rt::test]
async fn a_call_carries_token_precondition_and_body_and_an_answer_its_etag() {
    let (at, mut questions) = server(vec![OK]).await;
    let call = Call::new(Method::PUT, "/keys/web")
        .header(IF_MATCH, "\"3\"")
        .json("{}".to_owned());
    let answer = api(at, None).call(&call).await.unwrap();
    assert_eq!(answer.revision(), Some("7"));
    assert_eq!(
        answer.tree().unwrap().get("a").and_then(Tree::number),
        Some(1.0)
    );
    let question = questions.recv().await.unwrap().to_lowercase();
    for part in [
        "put /api/v1/keys/web http/1.1",
        "authorization: bearer tk-serin-x",
        "if-match: \"3\"",
        "content-type: application/json",
        "\r\n\r\n{}",
    ] {
        assert!(question.contains(part), "no {part:?} in {question}");
    }
}

#[actix_rt::test]
async fn patience_outlasts_503_and_lost_connections_and_nothing_else() {
    let long = Some(Duration::from_secs(20));
    let (at, _) = server(vec![AWAY, "", OK]).await;
    assert!(api(at, long).get("/routes").await.is_ok());

    let (at, _) = server(vec![AWAY]).await;
    let refused = api(at, None).get("/routes").await.unwrap_err();
    assert_eq!(refused.status().map(|status| status.as_u16()), Some(503));

    let forbidden = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
    let (at, _) = server(vec![forbidden, OK]).await;
    let refused = api(at, long).get("/routes").await.unwrap_err();
    assert_eq!(refused.status().map(|status| status.as_u16()), Some(403));
}

#[actix_rt::test]
async fn patience_ends_with_its_own_exit_code() {
    let (at, questions) = server(vec![]).await;
    drop(questions);
    let refused = api(at, Some(Duration::from_millis(150)))
        .get("/routes")
        .await
        .unwrap_err();
    let failed = Failed::from(refused);
    assert!(matches!(failed, Failed::TimedOut(_)), "{failed:?}");
    assert!(
        failed.to_string().starts_with("gave up after 150ms: "),
        "{failed}"
    );
}

#[actix_rt::test]
async fn a_redirect_is_not_followed_and_carries_the_token_nowhere() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = elsewhere.local_addr().unwrap();
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{to}/\r\ncontent-length: 0\r\n\r\n"
    );
    let (at, _) = server(vec![answer.leak()]).await;
    let refused = api(at, None).get("/routes").await.unwrap_err();
    assert_eq!(refused.status().map(|status| status.as_u16()), Some(307));
    let visited = timeout(Duration::from_millis(50), elsewhere.accept()).await;
    assert!(visited.is_err(), "the redirect was followed");
}

#[actix_rt::test]
async fn nobody_there_is_said_with_the_address_and_the_way_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let refused = api(at, None).get("/routes").await.unwrap_err();
    let said = Failed::from(refused).to_string();
    for part in ["cannot reach", &at.to_string(), "SERIN_SERVER"] {
        assert!(said.contains(part), "{said}");
    }
}

#[rustfmt::skip]
#[test]
fn an_address_or_token_that_cannot_be_one_is_a_usage_error() {
    for (server, token) in [("", None), ("127.0.0.1:8090", None), ("ftp://a", None), ("http://", None), ("http://a", Some("two\nlines"))] {
        let asked = Server { server: server.to_owned(), token: token.map(str::to_owned) };
        let failed = Api::new(&asked).map(drop).unwrap_err();
        assert!(matches!(failed, Failed::Usage(_)), "{server} {token:?}: {failed:?}");
    }
}

#[actix_rt::test]
async fn who_is_no_control_plane_is_told_by_its_address_and_asked_once() {
    let others = [
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 13\r\n\r\n{\"error\":\"no\"}",
    ];
    for other in others {
        let (at, _) = server(vec![other, OK]).await;
        let refused = api(at, Some(Duration::from_secs(20))).get("/routes").await;
        let failed = Failed::from(refused.unwrap_err());
        assert!(matches!(failed, Failed::Error(_)), "{failed:?}");
        let said = failed.to_string();
        let words = format!("http://{at} is no control plane");
        assert!(
            said.contains(&words) && said.contains("SERIN_SERVER"),
            "{said}"
        );
    }
}

#[actix_rt::test]
async fn https_to_who_speaks_http_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    actix_rt::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 64];
        stream.read_exact(&mut hello).await.unwrap();
        let refusal = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        stream.write_all(refusal).await.unwrap();
        // It stays open: the client is to judge by what it has read.
        std::future::pending::<()>().await;
    });
    let server = Server {
        server: format!("https://{at}"),
        token: None,
    };
    let refused = Api::new(&server).unwrap().get("/routes").await.unwrap_err();
    let said = Failed::from(refused).to_string();
    assert!(
        said.contains("write http://") && !said.contains("Invalid"),
        "{said}"
    );
}
