//! The same over TLS, with a certificate made for the test.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::sync::Arc;

use ahoy_protocol::rendezvous::{self, ServerMessage};
use ahoy_server::{Server, ServerConfig, TlsFiles};
use common::{App, host_of, identity, sign_in, start};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio_tungstenite::Connector;

#[tokio::test]
async fn signs_in_over_tls() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let files = TlsFiles { certificate: directory.path().join("c.pem"), key: directory.path().join("k.pem") };
    fs::write(&files.certificate, made.cert.pem()).unwrap();
    fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let server = start(ServerConfig { tls: Some(files), ..ServerConfig::loopback() }).await;
    assert!(server.url().starts_with("wss://127.0.0.1:"));

    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let url = format!("{}{}", server.url(), rendezvous::PATH);
    let connector = Some(Connector::Rustls(Arc::new(config)));
    let (socket, _) = tokio_tungstenite::connect_async_tls_with_config(url, None, false, connector).await.unwrap();
    let mut app = App { identity: identity(1), socket, ice_servers: Vec::new() };
    let Some(ServerMessage::Challenge { nonce, .. }) = app.next().await else { panic!("no challenge") };
    app.tell(&sign_in(&app.identity, rendezvous::VERSION, host_of(server.url()), &nonce)).await;
    assert!(matches!(app.next().await, Some(ServerMessage::SignedIn { .. })));
    server.shutdown().await;
}

#[tokio::test]
async fn a_missing_or_wrong_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = directory.path().join("c.pem");
    let config = |certificate| ServerConfig {
        tls: Some(TlsFiles { certificate, key: directory.path().join("k.pem") }),
        ..ServerConfig::loopback()
    };
    let sentence = Server::start(config(certificate.clone())).await.unwrap_err().to_string();
    assert!(sentence.contains("c.pem") && sentence.contains("--tls-cert"), "{sentence}");
    fs::write(&certificate, "no certificate").unwrap();
    assert!(Server::start(config(certificate)).await.is_err());
}
