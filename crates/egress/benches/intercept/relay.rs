//! Ends TLS and HTTP on both sides, as a broker does where a secret is bound, and looks at nothing.

use std::sync::Arc;

use http::{Request, Response, Uri, Version};
use hyper::{
    body::Incoming,
    client::conn::{http1 as asking1, http2 as asking2},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::api::Ca;

/// As the broker has them.
const WINDOW_BYTES: (u32, u32) = (256 * 1024, 1024 * 1024);

#[derive(Clone)]
struct To {
    host: &'static str,
    port: u16,
    tls: TlsConnector,
}

enum Sender {
    Http1(tokio::sync::Mutex<asking1::SendRequest<Incoming>>),
    Http2(asking2::SendRequest<Incoming>),
}

/// Starts one before the API at this port; gives its own port.
pub(crate) fn start(ca: &Ca, host: &'static str, port: u16) -> u16 {
    let accepting = TlsAcceptor::from(ca.server(host));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).expect("PEM")).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions();
    let mut config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    let (told, own) = std::sync::mpsc::channel();
    std::thread::Builder::new()
        .name("relay".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
                told.send(listener.local_addr().expect("an address").port()).expect("a bench");
                loop {
                    let (stream, _) = listener.accept().await.expect("a connection");
                    stream.set_nodelay(true).expect("an option");
                    let stream = accepting.accept(stream).await.expect("TLS");
                    let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
                    config.alpn_protocols = protocol.into_iter().collect();
                    let to = To { host, port, tls: TlsConnector::from(Arc::new(config.clone())) };
                    tokio::spawn(to.serve(stream));
                }
            });
        })
        .expect("a thread");
    own.recv().expect("a port")
}

// === impl To ===

impl To {
    async fn serve(self, stream: tokio_rustls::server::TlsStream<TcpStream>) {
        let newer = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let sender = Arc::new(self.connect(newer).await);
        let service = service_fn(move |request| {
            let (sender, to) = (sender.clone(), self.clone());
            async move { to.answered(request, &sender).await }
        });
        let stream = TokioIo::new(stream);
        let _gone = if newer {
            http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(WINDOW_BYTES.0)
                .initial_connection_window_size(WINDOW_BYTES.1)
                .serve_connection(stream, service)
                .await
        } else {
            http1::Builder::new().serve_connection(stream, service).await
        };
    }

    async fn connect(&self, newer: bool) -> Sender {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("a server");
        stream.set_nodelay(true).expect("an option");
        let name = self.host.try_into().expect("a name");
        let stream = TokioIo::new(self.tls.connect(name, stream).await.expect("TLS"));
        if newer {
            let (sender, connection) = asking2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(WINDOW_BYTES.0)
                .initial_connection_window_size(WINDOW_BYTES.1)
                .handshake(stream)
                .await
                .expect("HTTP/2");
            tokio::spawn(connection);
            Sender::Http2(sender)
        } else {
            let (sender, connection) = asking1::handshake(stream).await.expect("HTTP/1.1");
            tokio::spawn(connection);
            Sender::Http1(tokio::sync::Mutex::new(sender))
        }
    }

    async fn answered(
        &self,
        mut request: Request<Incoming>,
        sender: &Sender,
    ) -> hyper::Result<Response<Incoming>> {
        let path = request.uri().path().to_owned();
        match sender {
            Sender::Http1(sender) => {
                *request.version_mut() = Version::HTTP_11;
                let mut sender = sender.lock().await;
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                let uri = format!("https://{}:{}{path}", self.host, self.port);
                *request.uri_mut() = Uri::try_from(uri).expect("a target");
                let mut sender = sender.clone();
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}
