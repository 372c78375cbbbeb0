//! Files and folders of the system that everything may read. A list with a reason per row; `/etc` is never whole, since
//! uid 0 without capabilities still owns `/etc/shadow`.

use crate::path::JailPath;

/// What is named that way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemRow {
    /// Absolute path of a file, or of a folder with all that it holds.
    pub path: &'static str,
    /// Why code needs it.
    pub reason: &'static str,
}

const fn row(path: &'static str, reason: &'static str) -> SystemRow {
    SystemRow { path, reason }
}

/// The list. A row that a machine does not have is simply absent there.
///
/// Left out on purpose: `/opt` and `/srv` (data of services lies there; name what is needed as a root), `/var`, `/run`,
/// `/sys`, `/boot`, `/home`, and of `/etc` all that is not below.
pub const SYSTEM: &[SystemRow] = &[
    row("/usr", "programs and libraries"),
    row("/bin", "programs; a link to /usr/bin on most systems"),
    row("/sbin", "programs; a link to /usr/sbin on most systems"),
    row("/lib", "libraries; a link to /usr/lib on most systems"),
    row("/lib32", "libraries"),
    row("/lib64", "libraries; the loader's own path"),
    row("/libx32", "libraries"),
    row("/nix/store", "programs and libraries of Nix; nothing there is secret by Nix's own rule"),
    row("/etc/ld.so.cache", "the loader finds libraries by it"),
    row("/etc/ld.so.conf", "the loader's folders"),
    row("/etc/ld.so.conf.d", "the loader's folders"),
    row("/etc/passwd", "names of uids; holds no password"),
    row("/etc/group", "names of gids"),
    row("/etc/nsswitch.conf", "how the C library looks names up"),
    row("/etc/hosts", "names of this machine"),
    row("/etc/host.conf", "resolver order"),
    row("/etc/gai.conf", "address order of getaddrinfo(3)"),
    row("/etc/gitconfig", "git's settings of this machine; libgit2 fails where it is there and cannot be read"),
    row("/etc/protocols", "getprotobyname(3)"),
    row("/etc/services", "getservbyname(3)"),
    row("/etc/localtime", "local time"),
    row("/etc/timezone", "local time"),
    row("/etc/locale.alias", "names of locales"),
    row("/etc/locale.conf", "default locale"),
    row("/etc/default/locale", "default locale"),
    row("/etc/alternatives", "links behind cc, python, java, editor"),
    row("/etc/ssl/certs", "certificates of authorities; keys lie beside in /etc/ssl/private and stay out"),
    row("/etc/ssl/openssl.cnf", "OpenSSL's settings"),
    row("/etc/ssl/cert.pem", "certificates of authorities"),
    row("/etc/pki/tls/certs", "certificates of authorities"),
    row("/etc/pki/tls/cert.pem", "certificates of authorities"),
    row("/etc/pki/tls/openssl.cnf", "OpenSSL's settings"),
    row("/etc/pki/ca-trust/extracted", "certificates of authorities"),
    row("/etc/ca-certificates", "certificates of authorities"),
    row("/etc/crypto-policies/back-ends", "TLS settings that OpenSSL includes"),
    row("/etc/os-release", "which system this is"),
    row("/etc/debian_version", "which system this is"),
    row("/etc/alpine-release", "which system this is"),
    row("/etc/redhat-release", "which system this is"),
    row("/etc/machine-info", "which system this is"),
    row("/etc/lsb-release", "which system this is"),
    row("/etc/mime.types", "types by file name"),
    row("/etc/magic", "file(1)"),
    row("/etc/inputrc", "readline"),
    row("/etc/terminfo", "terminals"),
    row("/etc/shells", "programs that start a shell ask it"),
    row("/etc/bash.bashrc", "bash of the distribution"),
    row("/etc/profile", "sh of the distribution"),
    row("/etc/python3", "python of the distribution"),
    row("/etc/python3.11", "python's site settings"),
    row("/etc/python3.12", "python's site settings"),
    row("/etc/python3.13", "python's site settings"),
    row("/etc/perl", "perl's site settings"),
    row("/etc/fonts", "fonts"),
    row("/etc/java-11-openjdk", "the JVM's settings"),
    row("/etc/java-17-openjdk", "the JVM's settings"),
    row("/etc/java-21-openjdk", "the JVM's settings"),
    row("/etc/java-25-openjdk", "the JVM's settings"),
    row("/etc/emacs", "start-up files of the distribution"),
    row("/etc/vim", "start-up files of the distribution"),
];

/// Devices that stand in the jail's own `/dev`. They are no system *files*: file tools and plugins have no use for them.
pub const DEVICES: &[SystemRow] = &[
    row("/dev/null", "git is fatal without it"),
    row("/dev/zero", "empty pages and blocks"),
    row("/dev/full", "tests of full disks"),
    row("/dev/random", "keys"),
    row("/dev/urandom", "git add fails without it"),
    row("/dev/shm", "shared memory between a command's own processes; a tmpfs of its own"),
    row("/dev/ptmx", "pseudo-terminals; an instance of its own"),
    row("/dev/pts", "pseudo-terminals; an instance of its own"),
    row("/dev/fd", "bash process substitution; a link into /proc/self"),
    row("/dev/stdin", "a link into /proc/self"),
    row("/dev/stdout", "a link into /proc/self"),
    row("/dev/stderr", "a link into /proc/self"),
];

/// The list as paths, for a [`crate::Policy`].
#[must_use]
pub fn paths() -> Vec<JailPath> {
    // Rows are absolute and clean, which the test below holds.
    SYSTEM.iter().filter_map(|row| JailPath::absolute(row.path).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_clean_unique_and_have_reasons() {
        let mut seen = std::collections::BTreeSet::new();
        for row in SYSTEM.iter().chain(DEVICES) {
            assert_eq!(JailPath::absolute(row.path).unwrap().to_string(), row.path);
            assert!(seen.insert(row.path), "{}", row.path);
            assert!(!row.reason.is_empty());
        }
        assert_eq!(paths().len(), SYSTEM.len());
    }

    #[test]
    fn nothing_secret_lies_in_the_list() {
        for secret in [
            "/etc/shadow",
            "/etc/gshadow",
            "/etc/sudoers",
            "/etc/ssl/private/key.pem",
            "/etc/ssh/ssh_host_rsa_key",
            "/etc/pki/tls/private/k",
            "/etc/krb5.keytab",
            "/root/.ssh/id",
            "/run/docker.sock",
            "/var/lib/x",
            "/proc/1/environ",
        ] {
            let secret = JailPath::absolute(secret).unwrap();
            assert!(paths().iter().all(|path| !secret.is_within(path)), "{secret}");
        }
        let cert = JailPath::absolute("/etc/ssl/certs/ca-certificates.crt").unwrap();
        assert!(paths().iter().any(|path| cert.is_within(path)));
    }
}
