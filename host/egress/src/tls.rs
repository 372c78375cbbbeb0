//! Which certificates are trusted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_native_certs::CertificateResult;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Where Linux systems keep their bundle, the commonest first. Named here, because `load_native_certs` *replaces* the
/// system's roots by `SSL_CERT_FILE` of our own environment, where we add them.
#[cfg(target_os = "linux")]
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Elsewhere the library knows the place.
#[cfg(not(target_os = "linux"))]
const BUNDLES: &[&str] = &[];

/// Why there are no certificates to trust.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// The file that `SSL_CERT_FILE` names cannot be read.
    #[error("could not read certificates from `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls_native_certs::Error,
    },
    /// It holds no certificate.
    #[error("`{}` holds no certificate", path.display())]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// Neither the system nor the settings have one.
    #[error("the system has no certificates to trust")]
    None,
    /// The TLS library refused its own defaults.
    #[error("could not set TLS up")]
    Library(#[source] tokio_rustls::rustls::Error),
}

impl RootsError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            RootsError::None => Some("install `ca-certificates`, or name a PEM file in `SSL_CERT_FILE`".to_owned()),
            RootsError::File { .. } | RootsError::EmptyFile { .. } => {
                Some("`SSL_CERT_FILE` names a PEM file with the certificates to add".to_owned())
            }
            RootsError::Library(_) => None,
        }
    }
}

/// The certificates of the file that `SSL_CERT_FILE` names.
pub(crate) fn extra(path: &Path) -> Result<Vec<CertificateDer<'static>>, RootsError> {
    let CertificateResult { certs, mut errors, .. } = rustls_native_certs::load_certs_from_paths(Some(path), None);
    match (certs.is_empty(), errors.pop()) {
        (_, Some(source)) => Err(RootsError::File { path: path.to_owned(), source }),
        (true, None) => Err(RootsError::EmptyFile { path: path.to_owned() }),
        (false, None) => Ok(certs),
    }
}

/// The system's certificates, from the first of `bundles` that has some. A single damaged one is passed over, as every
/// client does.
fn system(bundles: &[&str]) -> Vec<CertificateDer<'static>> {
    for bundle in bundles {
        let found = rustls_native_certs::load_certs_from_paths(Some(Path::new(bundle)), None).certs;
        if !found.is_empty() {
            return found;
        }
    }
    rustls_native_certs::load_native_certs().certs
}

fn roots(bundles: &[&str], extra: &[CertificateDer<'static>]) -> Result<RootCertStore, RootsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(system(bundles).into_iter().chain(extra.iter().cloned()));
    if roots.is_empty() { Err(RootsError::None) } else { Ok(roots) }
}

/// A configuration that trusts the system's certificates and `extra`. Reads files; takes some ten milliseconds.
pub(crate) fn config(extra: &[CertificateDer<'static>]) -> Result<ClientConfig, RootsError> {
    let roots = roots(BUNDLES, extra)?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(RootsError::Library)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use tokio_rustls::rustls::client::WebPkiServerVerifier;
    use tokio_rustls::rustls::client::danger::ServerCertVerifier;
    use tokio_rustls::rustls::crypto::ring::default_provider;
    use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    /// An authority's certificate as a file, and one for `a.example` that it signed.
    fn authority() -> (tempfile::NamedTempFile, CertificateDer<'static>) {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(ca.self_signed(&ca_key).unwrap().pem().as_bytes()).unwrap();
        let issuer = Issuer::new(ca, ca_key);
        let leaf = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        (file, leaf.der().clone())
    }

    fn trusts(roots: &RootCertStore, certificate: &CertificateDer<'_>) -> bool {
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.clone().into(), default_provider().into());
        let name = ServerName::try_from("a.example").unwrap();
        verifier.build().unwrap().verify_server_cert(certificate, &[], &name, &[], UnixTime::now()).is_ok()
    }

    #[test]
    fn the_systems_certificates_stay_trusted_beside_those_of_ssl_cert_file() {
        let ((of_system, system_leaf), (named, named_leaf)) = (authority(), authority());
        let (_, strangers_leaf) = authority();
        let bundle = of_system.path().to_str().unwrap();
        let both = roots(&["/nowhere", bundle], &extra(named.path()).unwrap()).unwrap();
        assert!(trusts(&both, &system_leaf) && trusts(&both, &named_leaf) && !trusts(&both, &strangers_leaf));
        let alone = roots(&[bundle], &[]).unwrap();
        assert!(trusts(&alone, &system_leaf) && !trusts(&alone, &named_leaf));
    }

    #[test]
    fn of_this_systems_own_certificates_none_is_lost_by_adding_another() {
        let own = system(BUNDLES);
        let (named, _) = authority();
        let alone = if own.is_empty() { 0 } else { roots(BUNDLES, &[]).unwrap().len() };
        assert_eq!(roots(BUNDLES, &extra(named.path()).unwrap()).unwrap().len(), alone + 1);
    }
}
