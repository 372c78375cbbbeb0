//! Ways out: IP, and the sockets beside it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};

use stigmer_policy::Promise::{Network, OddSockets};

use super::called;
use crate::probe::act::{Act, Attempt, Effect, How};
use crate::probe::attempt::TIME;
use crate::probe::scene::Scene;

pub(super) const ACTS: &[Act] = &[
    Act {
        promise: Network,
        name: "tcp",
        sentence: "connect to a TCP port of the host",
        how: How::Plain(tcp),
        effect: None,
    },
    Act {
        promise: Network,
        name: "tcp-v6",
        sentence: "connect to a TCP port of the host over IPv6",
        how: How::Plain(tcp6),
        effect: None,
    },
    Act {
        promise: Network,
        name: "tcp-fast-open",
        sentence: "connect while sending (MSG_FASTOPEN)",
        how: How::Plain(fast_open),
        effect: None,
    },
    Act {
        promise: Network,
        name: "udp",
        sentence: "send a datagram, shaped like a DNS question, to the host",
        how: How::Plain(udp),
        effect: Some(|set| Effect::seen(set.received(QUESTION))),
    },
    Act {
        promise: OddSockets,
        name: "vsock",
        sentence: "open a socket to the hypervisor (AF_VSOCK)",
        how: How::Plain(|_| open(libc::AF_VSOCK, libc::SOCK_STREAM, 0)),
        effect: None,
    },
    Act {
        promise: OddSockets,
        name: "packet",
        sentence: "open a packet socket (AF_PACKET)",
        how: How::Plain(|_| open(libc::AF_PACKET, libc::SOCK_RAW, 0)),
        effect: None,
    },
    Act {
        promise: OddSockets,
        name: "netlink",
        sentence: "open a netlink socket other than the routing one",
        how: How::Plain(|_| open(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_KOBJECT_UEVENT)),
        effect: None,
    },
    Act {
        promise: OddSockets,
        name: "algorithm",
        sentence: "open a socket of the kernel's cipher interface (AF_ALG)",
        how: How::Plain(|_| open(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)),
        effect: None,
    },
];

/// A question for the address of `a.test`, RFC 1035 section 4.
const QUESTION: &[u8] = b"\x51\x67\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01";

fn tcp(scene: &Scene) -> Attempt {
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, scene.tcp)), TIME)?;
    Ok(())
}

fn tcp6(scene: &Scene) -> Attempt {
    let Some(port) = scene.tcp6 else { return super::absent("no IPv6") };
    TcpStream::connect_timeout(&SocketAddr::from((Ipv6Addr::LOCALHOST, port)), TIME)?;
    Ok(())
}

fn fast_open(scene: &Scene) -> Attempt {
    use rustix::net::{AddressFamily, SendFlags, SocketAddrV4, SocketType, sendto, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    // Not named in this version of the library.
    let flags = SendFlags::from_bits_retain(u32::try_from(libc::MSG_FASTOPEN).expect("a positive flag"));
    sendto(&socket, b"x", flags | SendFlags::NOSIGNAL, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, scene.tcp))?;
    Ok(())
}

fn udp(scene: &Scene) -> Attempt {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.send_to(QUESTION, (Ipv4Addr::LOCALHOST, scene.udp))?;
    Ok(())
}

/// Opening is enough: the filter is what holds these, and it holds them there.
fn open(family: i32, kind: i32, protocol: i32) -> Attempt {
    // SAFETY: socket(2) takes three numbers; the new descriptor is given up with this short-lived process.
    called(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) }.into())?;
    Ok(())
}
