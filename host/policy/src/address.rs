//! Which IP addresses lead back into a private place: this machine, the local network, a cloud's metadata service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Says why `address` is not an ordinary place on the internet, or `None` when it is one.
///
/// Written as a deny list for IPv4 (IANA special-purpose registry, RFC 6890) and as an allow list for IPv6: what is not
/// global unicast (`2000::/3`) is private. Addresses that carry an IPv4 address inside (`::ffff:0:0/96`, NAT64
/// `64:ff9b::/96`) are judged by it.
///
/// The caller asks this of the address that it is about to dial, not of one that it resolved earlier.
#[must_use]
pub fn is_private(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

fn v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, d] = address.octets();
    Some(match (a, b, c, d) {
        (0, ..) => "an address of this network (0.0.0.0/8)",
        (10, ..) => "a private address (10.0.0.0/8)",
        (100, 100, 100, 200) => "a cloud metadata address (100.100.100.200)",
        (100, 64..=127, ..) => "a carrier-grade NAT address (100.64.0.0/10)",
        (127, ..) => "a loopback address (127.0.0.0/8)",
        // Public by number, but it answers only inside Azure, as its wire server.
        (168, 63, 129, 16) => "a cloud metadata address (168.63.129.16)",
        (169, 254, 169, 254) => "a cloud metadata address (169.254.169.254)",
        (169, 254, ..) => "a link-local address (169.254.0.0/16)",
        (172, 16..=31, ..) => "a private address (172.16.0.0/12)",
        (192, 0, 0, _) => "a protocol address (192.0.0.0/24)",
        (192, 0, 2, _) | (198, 51, 100, _) | (203, 0, 113, _) => "a documentation address (RFC 5737)",
        (192, 88, 99, _) => "a 6to4 relay address (192.88.99.0/24)",
        (192, 168, ..) => "a private address (192.168.0.0/16)",
        (198, 18..=19, ..) => "a benchmark address (198.18.0.0/15)",
        (224..=239, ..) => "a multicast address (224.0.0.0/4)",
        (240..=255, ..) => "a reserved address (240.0.0.0/4)",
        _ => return None,
    })
}

fn v6(address: Ipv6Addr) -> Option<&'static str> {
    let s = address.segments();
    let inner = || {
        let [.., a, b, c, d] = address.octets();
        Ipv4Addr::new(a, b, c, d)
    };
    match s {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => return v4(inner()),
        _ => {}
    }
    Some(match s {
        [0, 0, 0, 0, 0, 0, 0, 0] => "the unspecified address (::)",
        [0, 0, 0, 0, 0, 0, 0, 1] => "the loopback address (::1)",
        [0x64, 0xff9b, 1, ..] => "a local NAT64 address (64:ff9b:1::/48)",
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254] => "a cloud metadata address (fd00:ec2::254)",
        [0xfc00..=0xfdff, ..] => "a unique local address (fc00::/7)",
        [0xfe80..=0xfebf, ..] => "a link-local address (fe80::/10)",
        [0xff00..=0xffff, ..] => "a multicast address (ff00::/8)",
        // Protocol assignments, Teredo (2001::/32) among them, which carries an IPv4 address that we do not see.
        [0x2001, 0..=0x1ff, ..] => "a protocol or tunnel address (2001::/23)",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "a documentation address (RFC 3849, RFC 9637)",
        [0x2002, ..] => "a 6to4 tunnel address (2002::/16)",
        [0x2000..=0x3fff, ..] => return None,
        _ => "not a global address",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_places_in_every_spelling() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.1.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::8.8.8.8",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::",
            "3fff::1",
            "100::1",
            "5f00::1",
            "4000::1",
        ] {
            assert!(is_private(text.parse().unwrap()).is_some(), "{text}");
        }
    }

    #[test]
    fn public_twins() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "168.63.129.17",
            "169.253.1.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2003::1",
            "2606:4700::1111",
            "3ffe::1",
        ] {
            assert_eq!(is_private(text.parse().unwrap()), None, "{text}");
        }
    }
}
