//! Unix sockets of the host.

use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, sendto, socket};
use stigmer_policy::Promise::UnixSockets;

use crate::probe::act::{Act, Attempt, Barred, Effect, How};
use crate::probe::scene::Scene;

pub(super) const ACTS: &[Act] = &[
    Act {
        promise: UnixSockets,
        name: "stream",
        sentence: "connect to a unix socket of the host by path",
        how: How::Plain(stream),
        effect: None,
    },
    Act {
        promise: UnixSockets,
        name: "datagram",
        sentence: "send to a datagram socket of the host by path",
        how: How::Plain(datagram),
        effect: Some(|set| Effect::seen(set.received(DATAGRAM))),
    },
    Act {
        promise: UnixSockets,
        name: "abstract",
        sentence: "connect to an abstract socket of the host",
        how: How::Plain(abstract_name),
        effect: None,
    },
    Act {
        promise: UnixSockets,
        name: "pair",
        sentence: "send from a datagram pair to a socket of the host",
        how: How::Plain(pair),
        effect: Some(|set| Effect::seen(set.received(PAIR))),
    },
];

const DATAGRAM: &[u8] = b"by a datagram socket";
const PAIR: &[u8] = b"by a pair";

fn at(scene: &Scene, name: &str) -> Result<SocketAddrUnix, Barred> {
    // A path of more than 107 bytes has no address; then the control fails, too.
    Ok(SocketAddrUnix::new(scene.outside.join(name))?)
}

fn stream(scene: &Scene) -> Attempt {
    let address = at(scene, "s")?;
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    Ok(connect(&socket, &address)?)
}

fn datagram(scene: &Scene) -> Attempt {
    let address = at(scene, "d")?;
    let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    sendto(&socket, DATAGRAM, SendFlags::NOSIGNAL | SendFlags::DONTWAIT, &address)?;
    Ok(())
}

fn abstract_name(scene: &Scene) -> Attempt {
    let address = SocketAddrUnix::new_abstract_name(scene.abstract_name.as_bytes())?;
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    Ok(connect(&socket, &address)?)
}

fn pair(scene: &Scene) -> Attempt {
    let address = at(scene, "d")?;
    let (one, _other) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    sendto(&one, PAIR, SendFlags::NOSIGNAL | SendFlags::DONTWAIT, &address)?;
    Ok(())
}
