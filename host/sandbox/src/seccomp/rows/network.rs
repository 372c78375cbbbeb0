//! Sockets. At full level a network namespace leads nowhere but to the daemon's listeners; this list takes away the
//! families that such a namespace does not hold. At base level it is the wall: no socket but a connected pair.

use crate::seccomp::rule::{ArgTest, COMMANDS, EVERYONE, FULL, NOBODY, Row, Verdict, Who, row};

const UNIX: u64 = libc::AF_UNIX as u64;
const INET: u64 = libc::AF_INET as u64;
const INET6: u64 = libc::AF_INET6 as u64;
const NETLINK: u64 = libc::AF_NETLINK as u64;
const STREAM: u64 = libc::SOCK_STREAM as u64;
const DGRAM: u64 = libc::SOCK_DGRAM as u64;
const RAW: u64 = libc::SOCK_RAW as u64;
const SEQPACKET: u64 = libc::SOCK_SEQPACKET as u64;
/// What of a socket type is the type (linux/net.h, `SOCK_TYPE_MASK`); the kernel knows two flags and rejects the rest.
const TYPE: u64 = 0xf;

/// socket(family, type, protocol), full level. Not: UDP (no name needs it, see resolv.conf's `use-vc`; nothing leaks by
/// it either), raw, MPTCP (slips past Landlock's rules), AF_VSOCK (not held by a namespace: reaches the hypervisor),
/// AF_PACKET, AF_ALG and all other families.
const SOCKET: Who = NOBODY.full(Verdict::allow_when(&[
    &[ArgTest::int(0, &[UNIX]), ArgTest::new(1, TYPE, &[STREAM, DGRAM, SEQPACKET])],
    &[
        ArgTest::int(0, &[INET, INET6]),
        ArgTest::new(1, TYPE, &[STREAM]),
        ArgTest::int(2, &[libc::IPPROTO_IP as u64, libc::IPPROTO_TCP as u64]),
    ],
    // getifaddrs: dev servers print where they listen. It belongs to the namespace, and only reads without capabilities.
    &[
        ArgTest::int(0, &[NETLINK]),
        ArgTest::new(1, TYPE, &[RAW, DGRAM]),
        ArgTest::int(2, &[libc::NETLINK_ROUTE as u64]),
    ],
]));

/// socketpair(family, type, …): connected for good. A datagram pair (and "raw", which the kernel makes one) can be
/// connected anew, to a path outside.
const CONNECTED_PAIR: &[&[ArgTest]] = &[&[ArgTest::int(0, &[UNIX]), ArgTest::new(1, TYPE, &[STREAM, SEQPACKET])]];
/// Event loops of the runner's libraries wake themselves by a stream pair.
const SOCKETPAIR: Who = NOBODY
    .commands(Verdict::allow_when(CONNECTED_PAIR))
    .runner(Verdict::allow_when(&[&[ArgTest::int(0, &[UNIX]), ArgTest::new(1, TYPE, &[STREAM])]]));

/// MSG_FASTOPEN connects while sending, past the rules on connect.
const FASTOPEN: u64 = libc::MSG_FASTOPEN as u64;
const WITHOUT_FASTOPEN: Verdict = Verdict::allow_when(&[&[ArgTest::new(3, FASTOPEN, &[0])]]);
/// sendto(socket, buffer, length, flags, …)
const SENDTO: Who = NOBODY.commands(WITHOUT_FASTOPEN).runner(WITHOUT_FASTOPEN);
/// sendmmsg(socket, messages, count, flags)
const SENDMMSG: Who = NOBODY.commands(WITHOUT_FASTOPEN);
/// sendmsg(socket, message, flags)
const WITHOUT_FASTOPEN_MSG: Verdict = Verdict::allow_when(&[&[ArgTest::new(2, FASTOPEN, &[0])]]);
const SENDMSG: Who = NOBODY.commands(WITHOUT_FASTOPEN_MSG).runner(WITHOUT_FASTOPEN_MSG);

/// setsockopt(socket, level, name, …): all but TCP_ULP, which loads protocol modules into the kernel.
const SETSOCKOPT: Who = NOBODY.commands(Verdict::refuse_when(&[&[
    ArgTest::int(1, &[libc::IPPROTO_TCP as u64]),
    ArgTest::int(2, &[libc::TCP_ULP as u64]),
]]));

pub(super) const ROWS: &[Row] = &[
    row!(SYS_socket, SOCKET, "unix and TCP at full level; none at base, where paths reach the host"),
    row!(SYS_socketpair, SOCKETPAIR, "connected pairs: node's child processes, multiprocessing"),
    row!(SYS_connect, FULL, "to listeners of the namespace; at base level none is to be reached"),
    row!(SYS_bind, FULL, "dev servers"),
    row!(SYS_listen, FULL, "dev servers"),
    row!(SYS_accept, FULL, "dev servers"),
    row!(SYS_accept4, FULL, "dev servers"),
    row!(SYS_getsockname, EVERYONE, "own address of a held socket"),
    row!(SYS_getpeername, EVERYONE, "other end's address"),
    row!(SYS_getsockopt, EVERYONE, "options, peer's ids"),
    row!(SYS_setsockopt, SETSOCKOPT, "options; no protocol module (TCP_ULP)"),
    row!(SYS_shutdown, EVERYONE, "ends one direction"),
    row!(SYS_sendto, SENDTO, "sends; never MSG_FASTOPEN"),
    row!(SYS_sendmsg, SENDMSG, "sends, also descriptors; never MSG_FASTOPEN"),
    row!(SYS_sendmmsg, SENDMMSG, "sends several: resolvers; never MSG_FASTOPEN"),
    row!(SYS_recvfrom, EVERYONE, "receives"),
    row!(SYS_recvmsg, EVERYONE, "receives, also descriptors"),
    row!(SYS_recvmmsg, COMMANDS, "receives several"),
];
