//! A model's server for tests: answers from a list or by what it is asked, and can split at any byte, stall, or close in
//! the middle.
//!
//! Written over a bare socket, since a real HTTP server never breaks off where one wants it to. It depends on `tokio`
//! alone, so that other crates' tests can take this file in with `#[path]`.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What happens in the middle of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: the body goes out in one piece.
    None,
    /// The body goes out in two pieces, cut before this byte.
    Split(usize),
    /// Each byte is a piece of its own.
    Drip,
    /// The connection is closed after this many bytes, before the body's end.
    Close(usize),
    /// Nothing follows after this many bytes, and the connection stays open until the client lets go.
    Stall(usize),
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers besides those of the connection.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// What goes wrong on the way.
    pub fault: Fault,
}

impl Answer {
    /// Server-sent events.
    #[must_use]
    pub fn events(body: impl Into<Vec<u8>>) -> Self {
        Answer::of("text/event-stream", body)
    }

    /// One JSON text.
    #[must_use]
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Answer::of("application/json", body)
    }

    /// One JSON text a line.
    #[must_use]
    pub fn lines(body: impl Into<Vec<u8>>) -> Self {
        Answer::of("application/x-ndjson", body)
    }

    /// An error status (429, 500, 503, 529), with `retry-after` when it is given.
    #[must_use]
    pub fn status(status: u16, retry_after: Option<&str>) -> Self {
        let mut answer = Answer::json(format!("{{\"error\":{{\"message\":\"status {status}\"}}}}"));
        answer.status = status;
        answer.headers.extend(retry_after.map(|value| ("retry-after".to_owned(), value.to_owned())));
        answer
    }

    fn of(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Answer { status: 200, headers, body: body.into(), fault: Fault::None }
    }

    /// The same with something that goes wrong.
    #[must_use]
    pub fn with(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method and path: `POST /v1/messages`.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// First value of a header; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Where answers come from.
enum Answers {
    List(VecDeque<Answer>),
    Made(Box<dyn FnMut(&Asked) -> Answer + Send>),
}

impl Answers {
    fn next(&mut self, asked: &Asked) -> Answer {
        match self {
            Answers::List(list) => list.pop_front().unwrap_or_else(|| Answer::status(500, None)),
            Answers::Made(make) => make(asked),
        }
    }
}

struct State {
    answers: Answers,
    asked: Vec<Asked>,
}

/// A server on loopback; ends when dropped. It gives each connection the next answer, and 500 when none is left.
pub struct ModelServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl ModelServer {
    /// Starts a server that gives these answers, in order.
    ///
    /// # Errors
    /// No socket could be bound.
    pub async fn start(answers: impl IntoIterator<Item = Answer>) -> std::io::Result<Self> {
        ModelServer::with(Answers::List(answers.into_iter().collect())).await
    }

    /// Starts a server that makes each answer from the request, one request after the other.
    ///
    /// # Errors
    /// No socket could be bound.
    pub async fn answering(make: impl FnMut(&Asked) -> Answer + Send + 'static) -> std::io::Result<Self> {
        ModelServer::with(Answers::Made(Box::new(make))).await
    }

    async fn with(answers: Answers) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State { answers, asked: Vec::new() }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            // The connections end with the server.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Ok(ModelServer { address, state, task })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).asked.clone()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let Ok(asked) = read(&mut stream).await else { return };
    let answer = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = state.answers.next(&asked);
        state.asked.push(asked);
        answer
    };
    // The client may have let go: then there is nobody left to tell.
    let _ = write(&mut stream, &answer).await;
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut lines = text.lines();
    let line = lines.next().unwrap_or_default().rsplit_once(' ').map_or("", |(line, _)| line).to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    Ok(Asked { line, headers, body })
}

async fn write(stream: &mut TcpStream, answer: &Answer) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = format!("HTTP/1.1 {} Status\r\nconnection: close\r\ntransfer-encoding: chunked\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    let body = answer.body.as_slice();
    let until = |at: usize| &body[..at.min(body.len())];
    match answer.fault {
        Fault::None => chunk(stream, body).await?,
        Fault::Split(at) => {
            chunk(stream, until(at)).await?;
            // A piece of its own for the reader, as far as a sender can see to it.
            tokio::task::yield_now().await;
            chunk(stream, &body[at.min(body.len())..]).await?;
        }
        Fault::Drip => {
            for byte in body {
                chunk(stream, std::slice::from_ref(byte)).await?;
                tokio::task::yield_now().await;
            }
        }
        // Without the last chunk, so the client can tell it from an end.
        Fault::Close(at) => {
            chunk(stream, until(at)).await?;
            return stream.shutdown().await;
        }
        Fault::Stall(at) => {
            chunk(stream, until(at)).await?;
            let _ = stream.read_u8().await;
            return Ok(());
        }
    }
    stream.write_all(b"0\r\n\r\n").await?;
    stream.shutdown().await
}

async fn chunk(stream: &mut TcpStream, data: &[u8]) -> std::io::Result<()> {
    // An empty chunk would be the end.
    if data.is_empty() {
        return Ok(());
    }
    stream.write_all(format!("{:x}\r\n", data.len()).as_bytes()).await?;
    stream.write_all(data).await?;
    stream.write_all(b"\r\n").await?;
    stream.flush().await
}
