//! Servers, resolvers and reaches for the tests.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;
use stigmer_egress::{Egress, Reach, Resolve, Settings};
use stigmer_policy::HostRule;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Answers from a table, one list per look, the last one again and again; counts the names it was asked for.
#[derive(Clone, Default)]
pub struct Table {
    answers: Arc<Mutex<VecDeque<Vec<IpAddr>>>>,
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl Table {
    pub fn of(answers: &[&[&str]]) -> Self {
        let parse = |list: &&[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
        Table { answers: Arc::new(Mutex::new(answers.iter().map(parse).collect())), asked: Arc::default() }
    }
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolve for Table {
    fn resolve<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move { Ok(answer.unwrap_or_default()) })
    }
}

pub fn egress(table: &Table) -> Egress {
    Egress::with_resolver(Settings::default(), Arc::new(table.clone())).unwrap()
}

pub fn rule(host: &str, port: u16) -> HostRule {
    HostRule { host: host.to_owned(), ports: vec![port] }
}

pub fn reach(rules: &[(&str, u16)]) -> Reach {
    Reach { hosts: rules.iter().map(|(host, port)| rule(host, *port)).collect(), ..Reach::default() }
}

pub fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

/// A server on loopback that gives each connection to `serve`.
pub async fn listen<F, Fut>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Reads one request's head.
pub async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// What a server was asked, head by head.
pub type Heads = Arc<Mutex<Vec<String>>>;

/// A server that answers each connection with the same bytes and closes it.
pub async fn answers(with: impl Into<String>) -> (SocketAddr, Heads) {
    let (with, heads) = (with.into(), Heads::default());
    let seen = heads.clone();
    let address = listen(move |mut stream| {
        let (with, seen) = (with.clone(), seen.clone());
        async move {
            let head = head(&mut stream).await;
            seen.lock().unwrap().push(head);
            let _ = stream.write_all(with.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await;
    (address, heads)
}

pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
