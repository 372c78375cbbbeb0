//! Sockets by argument, and what the kernel does with the pairs that are allowed.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use libc::{AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RAW, SOCK_SEQPACKET};
use libc::{MSG_FASTOPEN, MSG_NOSIGNAL, SOCK_STREAM};

use super::table::{DIRT, Line, check, line};

#[test]
fn families_types_and_protocols() {
    check(&[
        line!(SYS_socket(AF_UNIX, SOCK_STREAM, 0) "AEEE"),
        line!(SYS_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) "AEEE"),
        line!(SYS_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) "AEEE"),
        line!(SYS_socket(AF_INET6, SOCK_STREAM, libc::IPPROTO_TCP) "AEEE"),
        line!(SYS_socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, libc::NETLINK_ROUTE) "AEEE"),
        line!(SYS_socket(AF_INET, SOCK_STREAM, libc::IPPROTO_MPTCP) "EEEE"),
        line!(SYS_socket(AF_INET, SOCK_STREAM, libc::IPPROTO_MPTCP as u64 | DIRT) "EEEE"),
        line!(SYS_socket(AF_INET, SOCK_STREAM, libc::IPPROTO_SCTP) "EEEE"),
        line!(SYS_socket(AF_INET, SOCK_DGRAM, 0) "EEEE"),
        line!(SYS_socket(AF_INET6, SOCK_DGRAM, libc::IPPROTO_UDP) "EEEE"),
        line!(SYS_socket(AF_INET, SOCK_DGRAM, libc::IPPROTO_ICMP) "EEEE"),
        line!(SYS_socket(AF_INET, SOCK_RAW, libc::IPPROTO_ICMP) "EEEE"),
        line!(SYS_socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, 0) "EEEE"),
        line!(SYS_socket(AF_NETLINK, SOCK_RAW, libc::NETLINK_NETFILTER) "EEEE"),
        line!(SYS_socket(AF_NETLINK, SOCK_RAW, libc::NETLINK_KOBJECT_UEVENT) "EEEE"),
        line!(SYS_socket(libc::AF_VSOCK, SOCK_STREAM, 0) "EEEE"),
        line!(SYS_socket(libc::AF_VSOCK as u64 | DIRT, SOCK_STREAM, 0) "EEEE"),
        line!(SYS_socket(libc::AF_PACKET, SOCK_RAW, 0) "EEEE"),
        line!(SYS_socket(libc::AF_ALG, SOCK_SEQPACKET, 0) "EEEE"),
        line!(SYS_socket(libc::AF_BLUETOOTH, SOCK_STREAM, 0) "EEEE"),
        line!(SYS_socket(libc::AF_XDP, SOCK_RAW, 0) "EEEE"),
    ]);
    let others = (0..64_u64)
        .filter(|&family| ![AF_UNIX, AF_INET, AF_INET6, AF_NETLINK].iter().any(|&known| known as u64 == family));
    for family in others {
        let arguments: &'static [u64] = Box::leak(Box::new([family, SOCK_STREAM as u64, 0]));
        check(&[Line("socket of another family", libc::SYS_socket, arguments, "EEEE")]);
    }
}

#[test]
fn pairs_and_sending() {
    const FLAGS: i32 = MSG_NOSIGNAL | MSG_FASTOPEN;
    check(&[
        line!(SYS_socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) "AAAA"),
        line!(SYS_socketpair(AF_UNIX, SOCK_SEQPACKET, 0) "AAEE"),
        line!(SYS_socketpair(AF_UNIX, SOCK_DGRAM, 0) "EEEE"),
        line!(SYS_socketpair(AF_UNIX, SOCK_DGRAM as u64 | DIRT, 0) "EEEE"),
        line!(SYS_socketpair(AF_UNIX, SOCK_RAW, 0) "EEEE"),
        line!(SYS_socketpair(AF_INET, SOCK_STREAM, 0) "EEEE"),
        line!(SYS_connect() "AEEE"),
        line!(SYS_bind() "AEEE"),
        line!(SYS_listen() "AEEE"),
        line!(SYS_accept4() "AEEE"),
        line!(SYS_sendto(3, 0, 0, MSG_NOSIGNAL) "AAAA"),
        line!(SYS_sendto(3, 0, 0, FLAGS) "EEEE"),
        line!(SYS_sendto(3, 0, 0, FLAGS as u64 | DIRT) "EEEE"),
        line!(SYS_sendmsg(3, 0, FLAGS) "EEEE"),
        line!(SYS_sendmmsg(3, 0, 1, MSG_NOSIGNAL) "AAEE"),
        line!(SYS_sendmmsg(3, 0, 1, FLAGS) "EEEE"),
        line!(SYS_setsockopt(3, libc::SOL_SOCKET, libc::SO_REUSEADDR) "AAEE"),
        line!(SYS_setsockopt(3, libc::IPPROTO_TCP, libc::TCP_NODELAY) "AAEE"),
        line!(SYS_setsockopt(3, libc::IPPROTO_TCP, libc::TCP_ULP) "EEEE"),
    ]);
}

/// Why base level allows stream and packet pairs and no datagram pair: only the last can be pointed at an outside
/// address, by `sendto` as by `connect`.
#[test]
fn only_a_datagram_pair_reaches_another_address() {
    for (kind, reaches) in [(SOCK_STREAM, false), (SOCK_SEQPACKET, false), (SOCK_DGRAM, true)] {
        let outside = Outside::bind(kind);
        let (end, other) = pair(kind);
        outside.send(&end);
        assert_eq!(outside.received(), reaches, "sendto on a pair of type {kind}");
        assert_eq!(outside.connect(&end).is_ok(), reaches, "connect on a pair of type {kind}");
        // Nor once the other end is gone.
        drop(other);
        assert_eq!(outside.connect(&end).is_ok(), reaches, "connect on half a pair of type {kind}");
    }
}

/// A datagram socket with an abstract name, standing for a service of the host, and the same name as a raw address.
struct Outside {
    socket: UnixDatagram,
    address: libc::sockaddr_un,
    length: libc::socklen_t,
}

impl Outside {
    fn bind(kind: i32) -> Outside {
        let name = format!("stigmer-test-{}-{kind}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut address = libc::sockaddr_un { sun_family: AF_UNIX as libc::sa_family_t, sun_path: [0; 108] };
        for (to, from) in address.sun_path[1..].iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        let length = size_of::<libc::sa_family_t>() + 1 + name.len();
        Outside { socket, address, length: length as libc::socklen_t }
    }

    fn connect(&self, end: &OwnedFd) -> io::Result<()> {
        // SAFETY: `address` is a whole `sockaddr_un` that outlives the call, `length` lies within it.
        let result = unsafe { libc::connect(end.as_raw_fd(), (&raw const self.address).cast(), self.length) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Sends one byte to this address; what comes of it is what `received` says.
    fn send(&self, end: &OwnedFd) {
        // SAFETY: as in `connect`; the buffer is one byte of static data.
        unsafe {
            libc::sendto(
                end.as_raw_fd(),
                b"x".as_ptr().cast(),
                1,
                MSG_NOSIGNAL,
                (&raw const self.address).cast(),
                self.length,
            )
        };
    }

    fn received(&self) -> bool {
        self.socket.recv(&mut [0]).is_ok()
    }
}

fn pair(kind: i32) -> (OwnedFd, OwnedFd) {
    let mut ends = [-1; 2];
    // SAFETY: `ends` is an array of two, which is what socketpair(2) fills.
    let result = unsafe { libc::socketpair(AF_UNIX, kind | SOCK_CLOEXEC, 0, ends.as_mut_ptr()) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
    // SAFETY: both are fresh descriptors that nothing else owns.
    ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) }).into()
}
