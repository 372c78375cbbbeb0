//! Tries to reach the network.

use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use exports::test::network::guest::Guest;

wit_bindgen::generate!({ path: "wit" });

struct Guest_;

fn text<T>(result: std::io::Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{:?}: {error}", error.kind()))
}

impl Guest for Guest_ {
    fn connect(host: String, port: u16) -> Result<(), String> {
        text(TcpStream::connect((host.as_str(), port)).map(drop))
    }

    fn listen(port: u16) -> Result<(), String> {
        text(TcpListener::bind(("127.0.0.1", port)).map(drop))
    }

    fn send(host: String, port: u16) -> Result<(), String> {
        let socket = text(UdpSocket::bind(("0.0.0.0", 0)))?;
        text(socket.send_to(b"x", (host.as_str(), port)).map(drop))
    }

    fn resolve(name: String) -> Result<Vec<String>, String> {
        text((name.as_str(), 0).to_socket_addrs()).map(|found| found.map(|address| address.to_string()).collect())
    }
}

export!(Guest_);
