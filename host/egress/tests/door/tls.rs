use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use stigmer_egress::{Egress, EgressError, Settings};
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::support::*;

/// A server with a certificate for `name`, and a file with the certificate of its authority.
pub async fn secure(name: &str) -> (std::net::SocketAddr, tempfile::NamedTempFile) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_cert = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            head(&mut stream).await;
            let _ = stream.write_all(OK.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, ca_cert.pem().as_bytes()).unwrap();
    (server, file)
}

pub fn trusting(file: &tempfile::NamedTempFile) -> Settings {
    Settings { extra_roots: Some(file.path().to_owned()), ..Settings::default() }
}

async fn fetch(settings: Settings, name: &str, port: u16) -> Result<bytes::Bytes, EgressError> {
    let door = Egress::with_resolver(settings, Arc::new(Table::of(&[&["127.0.0.1"]]))).unwrap();
    let listed = reach(&[(name, port), ("127.0.0.1", port)]);
    let response = door.send(&listed, get(&format!("https://{name}:{port}/"))).await?;
    response.into_body().collect().await
}

#[tokio::test]
async fn the_right_name_under_a_trusted_authority() {
    let (server, file) = secure("api.example.com").await;
    assert_eq!(fetch(trusting(&file), "api.example.com", server.port()).await.unwrap(), "ok");
    let (server, file) = secure("127.0.0.1").await;
    assert_eq!(fetch(trusting(&file), "127.0.0.1", server.port()).await.unwrap(), "ok");
}

#[tokio::test]
async fn the_wrong_name_and_an_unknown_authority() {
    let (server, file) = secure("other.example.com").await;
    let error = fetch(trusting(&file), "api.example.com", server.port()).await.unwrap_err();
    assert!(matches!(error, EgressError::Tls { .. }), "{error:?}");
    let (server, _) = secure("api.example.com").await;
    let (_, unrelated) = secure("api.example.com").await;
    let error = fetch(trusting(&unrelated), "api.example.com", server.port()).await.unwrap_err();
    assert!(matches!(error, EgressError::Tls { .. }) && error.hint().unwrap().contains("SSL_CERT_FILE"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls() {
    let (_, file) = secure("api.example.com").await;
    let plain =
        listen(|mut stream| async move { stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap() }).await;
    let error = fetch(trusting(&file), "api.example.com", plain.port()).await.unwrap_err();
    assert!(matches!(error, EgressError::Tls { .. }), "{error:?}");
}

#[test]
fn an_unusable_certificate_file_is_an_error_at_once() {
    for text in [None, Some("no certificate")] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        match text {
            Some(text) => std::io::Write::write_all(&mut file, text.as_bytes()).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let error = Egress::new(Settings { extra_roots: Some(path), ..Settings::default() }).unwrap_err();
        assert!(error.hint().unwrap().contains("SSL_CERT_FILE"), "{error}");
    }
}
