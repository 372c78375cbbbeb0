use std::net::SocketAddr;
use std::sync::Arc;

use stigmer_egress::{Configured, Egress, EgressError, Pin, Proxy, ProxyError, Reach};
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::support::*;
use super::tls::{secure, trusting};

/// A CONNECT proxy that leads every name to `to`.
async fn proxy(to: SocketAddr, answer: &'static str) -> (SocketAddr, Heads) {
    let heads = Heads::default();
    let seen = heads.clone();
    let address = listen(move |mut stream| {
        let seen = seen.clone();
        async move {
            let head = head(&mut stream).await;
            seen.lock().unwrap().push(head);
            let _ = stream.write_all(answer.as_bytes()).await;
            if answer.contains(" 200 ") {
                let mut onward = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut onward).await;
            }
        }
    })
    .await;
    (address, heads)
}

fn configured(port: u16) -> Reach {
    let configured = Some(Configured { host: "api.example.com".to_owned(), port, typed: false });
    Reach { configured, ..reach(&[("api.example.com", port), ("127.0.0.1", port)]) }
}

const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

#[tokio::test]
async fn a_configured_endpoint_goes_through_it_and_the_name_is_not_resolved_here() {
    let (server, file) = secure("api.example.com").await;
    let (at, heads) = proxy(server, ESTABLISHED).await;
    let mut settings = trusting(&file);
    settings.proxy = Some(Proxy::parse(&format!("http://me:pa%20ss@{at}"), "").unwrap());
    let table = Table::of(&[&["127.0.0.1"]]);
    let door = Egress::with_resolver(settings, Arc::new(table.clone())).unwrap();
    let url = format!("https://api.example.com:{}/", server.port());
    let response = door.send(&configured(server.port()), get(&url)).await.unwrap();
    assert_eq!(response.extensions().get::<Pin>().unwrap().to_string(), "address pin: by the proxy");
    assert_eq!(response.into_body().collect().await.unwrap(), "ok");
    let head = heads.lock().unwrap()[0].clone();
    assert!(head.starts_with(&format!("CONNECT api.example.com:{} HTTP/1.1\r\n", server.port())), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic bWU6cGEgc3M=\r\n"), "{head}");
    assert_eq!(table.asked(), Vec::<String>::new());
    assert_eq!(door.secrets().count(), 2);

    // The same host, not configured (a plugin's request), goes straight.
    let plain = reach(&[("api.example.com", server.port()), ("127.0.0.1", server.port())]);
    let response = door.send(&plain, get(&url)).await.unwrap();
    assert_eq!(response.extensions().get::<Pin>(), Some(&Pin::Address(server)));
    assert_eq!((heads.lock().unwrap().len(), table.asked().len()), (1, 1));
}

#[tokio::test]
async fn no_proxy_is_obeyed_and_the_list_still_rules() {
    let (server, file) = secure("api.example.com").await;
    let (at, heads) = proxy(server, ESTABLISHED).await;
    let mut settings = trusting(&file);
    settings.proxy = Some(Proxy::parse(&format!("http://{at}"), "example.com").unwrap());
    let door = Egress::with_resolver(settings, Arc::new(Table::of(&[&["127.0.0.1"]]))).unwrap();
    let url = format!("https://api.example.com:{}/", server.port());
    door.send(&configured(server.port()), get(&url)).await.unwrap();
    assert!(heads.lock().unwrap().is_empty());

    let mut unlisted = configured(server.port());
    unlisted.hosts = vec![rule("127.0.0.1", server.port())];
    assert!(door.send(&unlisted, get(&url)).await.unwrap_err().denial().is_some());
}

#[tokio::test]
async fn a_proxy_that_says_no_is_named_without_its_password() {
    for (answer, want) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy wants a user and password"),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "the proxy answered with status 403"),
        ("220 mail.example ESMTP\r\n\r\n", "the proxy's answer cannot be read"),
    ] {
        let (at, _) = proxy("127.0.0.1:1".parse().unwrap(), answer).await;
        let settings = stigmer_egress::Settings {
            proxy: Some(Proxy::parse(&format!("http://me:canary@{at}"), "").unwrap()),
            extra_roots: None,
        };
        let (server, file) = secure("api.example.com").await;
        let settings = stigmer_egress::Settings { extra_roots: Some(file.path().to_owned()), ..settings };
        let door = Egress::with_resolver(settings, Arc::new(Table::default())).unwrap();
        let url = format!("https://api.example.com:{}/", server.port());
        let error = door.send(&configured(server.port()), get(&url)).await.unwrap_err();
        let EgressError::Proxy { source, .. } = &error else { panic!("{error:?}") };
        assert_eq!(source.to_string(), want);
        assert!(error.hint().is_some() && !format!("{error:?} {door:?}").contains("canary"));
        assert!(!matches!(source, ProxyError::Unreachable(..)));
    }
}
