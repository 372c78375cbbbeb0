//! A provider that knows no key.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

const BODY: &str = r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#;

/// Listens until the process ends.
pub(crate) struct Refusing {
    port: u16,
    keys: Arc<Mutex<Vec<String>>>,
}

impl Refusing {
    pub(crate) fn start() -> Refusing {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (port, keys) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<String>>>::default());
        let seen = keys.clone();
        std::thread::spawn(move || listener.incoming().for_each(|stream| answer(&stream.unwrap(), &seen)));
        Refusing { port, keys }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The keys of all requests.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.keys.lock().unwrap().clone()
    }
}

/// One request, one refusal.
fn answer(stream: &TcpStream, keys: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "x-api-key" => keys.lock().unwrap().push(value.to_owned()),
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    let head = format!(
        "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        BODY.len()
    );
    let mut stream = stream;
    stream.write_all((head + BODY).as_bytes()).unwrap();
}
