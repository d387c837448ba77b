use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use cella_contract::DomainName;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConnection,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use super::Authority;

/// Whether a client that trusts the authority takes what it makes for `made` for the host `asked`.
fn is_taken(authority: &Authority, made: &str, asked: &str) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM")).expect("an anchor");
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(asked.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name).expect("a client");
    let made = DomainName::parse(made).expect("a name");
    let server = authority.server(&made, SystemTime::now()).expect("a certificate");
    let mut server = ServerConnection::new(server).expect("a server");
    while client.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).expect("written");
        server.read_tls(&mut wire.as_slice()).expect("read");
        server.process_new_packets()?;
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).expect("written");
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).expect("read");
        }
        client.process_new_packets()?;
    }
    Ok(())
}

fn authority() -> Authority {
    Authority::new(["api.example", "*.wild.example"], SystemTime::now()).expect("an authority")
}

#[test]
fn it_vouches_for_the_bound_hosts() {
    let authority = authority();
    for host in ["api.example", "x.wild.example", "x.y.wild.example"] {
        assert_eq!(is_taken(&authority, host, host), Ok(()), "{host}");
    }
    assert!(is_taken(&authority, "api.example", "x.wild.example").is_err(), "each host has its own");
}

#[test]
fn nobody_believes_it_about_other_hosts() {
    let authority = authority();
    for host in ["evil.example", "example", "api.example.evil"] {
        assert!(is_taken(&authority, host, host).is_err(), "{host}");
    }
    let other = self::authority();
    assert_ne!(other.pem(), authority.pem(), "each cell has its own");
}

#[test]
fn a_certificate_is_kept_for_a_day_and_then_made_anew() {
    let (authority, now) = (authority(), SystemTime::now());
    let name = DomainName::parse("api.example").expect("a name");
    let made = |at| authority.server(&name, at).expect("a certificate");
    let first = made(now);
    assert!(Arc::ptr_eq(&first, &made(now + Duration::from_secs(3600))));
    assert!(!Arc::ptr_eq(&first, &made(now + Duration::from_secs(25 * 3600))));
}
