//! `wasi:sockets`, refused. Programs that were linked against it load (Rust's standard library imports it), and every
//! attempt to use it answers `access-denied`; what was to be reached is recorded. No socket is ever made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use stigmer_policy::{Decision, Request, Rule};
use wasmtime::component::{
    ComponentNamedList, ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType,
};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::ShutdownType;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, Pollable, subscribe};

use crate::grants::not_granted;
use crate::state::State;

/// What a guest holds instead of a socket.
struct Refused(IpAddressFamily);

#[async_trait::async_trait]
impl Pollable for Refused {
    async fn ready(&mut self) {}
}

type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);
type Accepted = (Resource<Refused>, Resource<DynInputStream>, Resource<DynOutputStream>);

/// Replaces the socket interfaces that `wasmtime_wasi` put into `linker`; shadowing must be allowed.
pub(crate) fn refuse(linker: &mut Linker<State>) -> Result<()> {
    let mut tcp = linker.instance("wasi:sockets/tcp@0.2.12")?;
    socket(&mut tcp, "tcp-socket")?;
    for name in ["finish-bind", "start-listen", "finish-listen"] {
        denied::<(Resource<Refused>,), ()>(&mut tcp, &method("tcp-socket", name))?;
    }
    for name in ["keep-alive-idle-time", "keep-alive-interval"] {
        denied::<(Resource<Refused>,), u64>(&mut tcp, &method("tcp-socket", name))?;
    }
    for name in ["set-listen-backlog-size", "set-keep-alive-idle-time", "set-keep-alive-interval"] {
        denied::<(Resource<Refused>, u64), ()>(&mut tcp, &method("tcp-socket", name))?;
    }
    connects(&mut tcp, "[method]tcp-socket.start-connect")?;
    denied::<(Resource<Refused>,), Streams>(&mut tcp, "[method]tcp-socket.finish-connect")?;
    denied::<(Resource<Refused>,), Accepted>(&mut tcp, "[method]tcp-socket.accept")?;
    denied::<(Resource<Refused>,), bool>(&mut tcp, "[method]tcp-socket.keep-alive-enabled")?;
    denied::<(Resource<Refused>, bool), ()>(&mut tcp, "[method]tcp-socket.set-keep-alive-enabled")?;
    denied::<(Resource<Refused>,), u32>(&mut tcp, "[method]tcp-socket.keep-alive-count")?;
    denied::<(Resource<Refused>, u32), ()>(&mut tcp, "[method]tcp-socket.set-keep-alive-count")?;
    denied::<(Resource<Refused>,), u8>(&mut tcp, "[method]tcp-socket.hop-limit")?;
    denied::<(Resource<Refused>, u8), ()>(&mut tcp, "[method]tcp-socket.set-hop-limit")?;
    denied::<(Resource<Refused>, ShutdownType), ()>(&mut tcp, "[method]tcp-socket.shutdown")?;
    tcp.func_wrap("[method]tcp-socket.is-listening", |_: StoreContextMut<'_, State>, (_,): (Resource<Refused>,)| {
        Ok((false,))
    })?;

    let mut udp = linker.instance("wasi:sockets/udp@0.2.12")?;
    socket(&mut udp, "udp-socket")?;
    denied::<(Resource<Refused>,), ()>(&mut udp, "[method]udp-socket.finish-bind")?;
    denied::<(Resource<Refused>,), u8>(&mut udp, "[method]udp-socket.unicast-hop-limit")?;
    denied::<(Resource<Refused>, u8), ()>(&mut udp, "[method]udp-socket.set-unicast-hop-limit")?;
    type Datagrams = (Resource<Refused>, Resource<Refused>);
    for stream in ["incoming-datagram-stream", "outgoing-datagram-stream"] {
        udp.resource(stream, ResourceType::host::<Refused>(), drop_refused)?;
        polls(&mut udp, &method(stream, "subscribe"))?;
    }
    udp.func_wrap(
        "[method]udp-socket.stream",
        |mut store: StoreContextMut<'_, State>, (_, to): (Resource<Refused>, Option<IpSocketAddress>)| {
            if let Some(to) = to {
                deny(store.data_mut(), address(to));
            }
            Ok((Err::<Datagrams, _>(ErrorCode::AccessDenied),))
        },
    )?;
    datagrams(&mut udp)?;

    for (interface, function) in [
        ("wasi:sockets/tcp-create-socket@0.2.12", "create-tcp-socket"),
        ("wasi:sockets/udp-create-socket@0.2.12", "create-udp-socket"),
    ] {
        linker.instance(interface)?.func_wrap(
            function,
            |mut store: StoreContextMut<'_, State>, (family,): (IpAddressFamily,)| {
                Ok((Ok::<_, ErrorCode>(store.data_mut().table.push(Refused(family))?),))
            },
        )?;
    }
    linker.instance("wasi:sockets/ip-name-lookup@0.2.12")?.func_wrap(
        "resolve-addresses",
        |mut store: StoreContextMut<'_, State>, (_, name): (Resource<Network>, String)| {
            deny(store.data_mut(), (name, 0));
            Ok((Err::<Resource<Lookup>, _>(ErrorCode::AccessDenied),))
        },
    )?;
    Ok(())
}

/// The type of the stream that a name lookup would give.
type Lookup = wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::ResolveAddressStream;

fn datagrams(udp: &mut LinkerInstance<'_, State>) -> Result<()> {
    use wasmtime_wasi::p2::bindings::sockets::udp::{IncomingDatagram, OutgoingDatagram};
    denied::<(Resource<Refused>, u64), Vec<IncomingDatagram>>(udp, "[method]incoming-datagram-stream.receive")?;
    denied::<(Resource<Refused>,), u64>(udp, "[method]outgoing-datagram-stream.check-send")?;
    denied::<(Resource<Refused>, Vec<OutgoingDatagram>), u64>(udp, "[method]outgoing-datagram-stream.send")
}

/// What both kinds of socket have.
fn socket(interface: &mut LinkerInstance<'_, State>, socket: &str) -> Result<()> {
    interface.resource(socket, ResourceType::host::<Refused>(), drop_refused)?;
    connects(interface, &method(socket, "start-bind"))?;
    polls(interface, &method(socket, "subscribe"))?;
    for name in ["local-address", "remote-address"] {
        denied::<(Resource<Refused>,), IpSocketAddress>(interface, &method(socket, name))?;
    }
    for name in ["receive-buffer-size", "send-buffer-size"] {
        denied::<(Resource<Refused>,), u64>(interface, &method(socket, name))?;
        denied::<(Resource<Refused>, u64), ()>(interface, &method(socket, &format!("set-{name}")))?;
    }
    interface.func_wrap(
        &method(socket, "address-family"),
        |mut store: StoreContextMut<'_, State>, (socket,): (Resource<Refused>,)| {
            Ok((store.data_mut().table.get(&socket)?.0,))
        },
    )
}

fn method(resource: &str, name: &str) -> String {
    format!("[method]{resource}.{name}")
}

fn drop_refused(mut store: StoreContextMut<'_, State>, rep: u32) -> Result<()> {
    store.data_mut().table.delete(Resource::<Refused>::new_own(rep))?;
    Ok(())
}

fn denied<P, R>(interface: &mut LinkerInstance<'_, State>, name: &str) -> Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    R: ComponentType + Lower + Send + 'static,
{
    interface.func_wrap(name, |_: StoreContextMut<'_, State>, _: P| Ok((Err::<R, _>(ErrorCode::AccessDenied),)))
}

fn connects(interface: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    type Params = (Resource<Refused>, Resource<Network>, IpSocketAddress);
    interface.func_wrap(name, |mut store: StoreContextMut<'_, State>, (_, _, to): Params| {
        deny(store.data_mut(), address(to));
        Ok((Err::<(), _>(ErrorCode::AccessDenied),))
    })
}

fn polls(interface: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    interface.func_wrap(name, |mut store: StoreContextMut<'_, State>, (socket,): (Resource<Refused>,)| {
        Ok((subscribe::<Refused>(&mut store.data_mut().table, socket)?,) as (Resource<DynPollable>,))
    })
}

fn address(to: IpSocketAddress) -> (String, u16) {
    match to {
        IpSocketAddress::Ipv4(v4) => {
            let (a, b, c, d) = v4.address;
            (IpAddr::from(Ipv4Addr::new(a, b, c, d)).to_string(), v4.port)
        }
        IpSocketAddress::Ipv6(v6) => {
            let (a, b, c, d, e, f, g, h) = v6.address;
            (IpAddr::from(Ipv6Addr::new(a, b, c, d, e, f, g, h)).to_string(), v6.port)
        }
    }
}

/// Records the policy's refusal; where the policy would allow the host, raw sockets are still none of a plugin's.
fn deny(state: &mut State, (host, port): (String, u16)) {
    let subject = if port == 0 { format!("resolve {host}") } else { format!("connect {host}:{port}") };
    let denial = match state.gate.decide(&Request::Connect { host, port }) {
        Decision::Deny(denial) => denial,
        Decision::Allow { .. } => not_granted(
            Rule::DefaultDeny,
            subject,
            "plugins have no sockets; listed hosts are reached by HTTP only".into(),
        ),
    };
    state.denials.push(denial);
}
