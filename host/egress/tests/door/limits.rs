use std::time::Duration;

use futures::StreamExt as _;
use stigmer_egress::{EgressError, Limits, Reach, Wait};
use tokio::io::AsyncWriteExt as _;

use super::support::*;

fn bounded(port: u16, limits: Limits) -> Reach {
    Reach { limits, ..reach(&[("127.0.0.1", port)]) }
}

const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(60);

fn wait_of(error: &EgressError) -> Option<Wait> {
    match error {
        EgressError::Timeout { wait, .. } => Some(*wait),
        _ => None,
    }
}

#[tokio::test]
async fn a_server_that_says_nothing() {
    let server = listen(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let limits = Limits { first_byte: SHORT, idle: LONG, ..Limits::default() };
    let error = egress(&Table::default())
        .send(&bounded(server.port(), limits), get(&format!("http://{server}/")))
        .await
        .unwrap_err();
    assert_eq!(wait_of(&error), Some(Wait::FirstByte), "{error:?}");
}

#[tokio::test]
async fn a_head_that_drips() {
    let server = listen(|mut stream| async move {
        head(&mut stream).await;
        for byte in b"HTTP/1.1 200 OK\r\nx-long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let limits = Limits { first_byte: SHORT, idle: LONG, ..Limits::default() };
    let error = egress(&Table::default())
        .send(&bounded(server.port(), limits), get(&format!("http://{server}/")))
        .await
        .unwrap_err();
    assert_eq!(wait_of(&error), Some(Wait::FirstByte), "{error:?}");
}

async fn dripping(limits: Limits) -> (Vec<u8>, EgressError) {
    let server = listen(|mut stream| async move {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nbegin").await;
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let response = egress(&Table::default())
        .send(&bounded(server.port(), limits), get(&format!("http://{server}/")))
        .await
        .unwrap();
    let mut body = response.into_body();
    let mut seen = Vec::new();
    loop {
        match body.next().await {
            Some(Ok(piece)) => seen.extend_from_slice(&piece),
            Some(Err(error)) => {
                assert!(body.next().await.is_none(), "at its end after an error");
                return (seen, error);
            }
            None => panic!("ended well"),
        }
    }
}

#[tokio::test]
async fn a_body_that_drips_is_ended_by_the_whole_time() {
    let (seen, error) = dripping(Limits { idle: LONG, whole: Duration::from_millis(300), ..Limits::default() }).await;
    assert!(seen.starts_with(b"begin."));
    assert_eq!(wait_of(&error), Some(Wait::Whole), "{error:?}");
}

#[tokio::test]
async fn a_body_that_stalls_is_ended_by_the_idle_time() {
    let server = listen(|mut stream| async move {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegin").await;
        std::future::pending::<()>().await;
    })
    .await;
    let limits = Limits { idle: SHORT, ..Limits::default() };
    let door = egress(&Table::default());
    let response = door.send(&bounded(server.port(), limits), get(&format!("http://{server}/"))).await.unwrap();
    let error = response.into_body().collect().await.unwrap_err();
    assert_eq!(wait_of(&error), Some(Wait::Idle), "{error:?}");
}

#[tokio::test]
async fn a_cut_body_is_an_error_and_not_an_end() {
    let (server, _) = answers("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegin").await;
    let door = egress(&Table::default());
    let response =
        door.send(&bounded(server.port(), Limits::default()), get(&format!("http://{server}/"))).await.unwrap();
    let error = response.into_body().collect().await.unwrap_err();
    assert!(matches!(error, EgressError::Broken { .. }) && error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn heads_and_bodies_at_their_limit_and_beyond() {
    let door = egress(&Table::default());
    for (bytes, fits) in [(4 << 10, true), (20 << 10, false)] {
        let (server, _) =
            answers(format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "a".repeat(bytes))).await;
        let limits = Limits { header_bytes: 8 << 10, ..Limits::default() };
        let got = door.send(&bounded(server.port(), limits), get(&format!("http://{server}/"))).await;
        match got {
            Ok(_) => assert!(fits),
            Err(error) => assert!(!fits && matches!(error, EgressError::TooLarge { .. }), "{error:?}"),
        }
    }
    for (limit, fits) in [(2, true), (1, false)] {
        let (server, _) = answers(OK).await;
        let limits = Limits { response_bytes: limit, ..Limits::default() };
        let reach = bounded(server.port(), limits);
        let response = door.send(&reach, get(&format!("http://{server}/"))).await.unwrap();
        assert_eq!(response.into_body().collect().await.is_ok(), fits);
    }
    for (limit, fits) in [(3, true), (2, false)] {
        let (server, _) = answers(OK).await;
        let limits = Limits { request_bytes: limit, ..Limits::default() };
        let request = http::Request::post(format!("http://{server}/")).body("abc".into()).unwrap();
        assert_eq!(door.send(&bounded(server.port(), limits), request).await.is_ok(), fits);
    }
}
