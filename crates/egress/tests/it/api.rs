//! Somebody's API, outside of the cell: HTTPS with a certificate of an authority of its own, over HTTP/1.1 and HTTP/2.

use std::{
    convert::Infallible,
    io::Write,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio_rustls::TlsAcceptor;

/// An authority that a test trusts.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// An API and what it was asked.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request as it came out of the broker.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) version: http::Version,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

// === impl Ca ===

impl Ca {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "a test's authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// How to prove to be this host.
    pub(crate) fn server(&self, host: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        let leaf = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_no_client_auth();
        let mut config = config.with_single_cert(vec![leaf.der().clone()], key).expect("a configuration");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// Starts an API that can prove to be this host.
    pub(crate) fn api(&self, host: &str) -> Api {
        let tls = TlsAcceptor::from(self.server(host));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let api = Api { port: listener.local_addr().expect("an address").port(), seen: Arc::default() };
        let serving = api.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(serving.serve(listener, tls));
        });
        api
    }
}

// === impl Api ===

impl Api {
    /// Everything it was asked.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("unpoisoned").clone()
    }

    /// The last thing it was asked.
    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("a request")
    }

    async fn serve(self, listener: std::net::TcpListener, tls: TlsAcceptor) {
        listener.set_nonblocking(true).expect("an option");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("an option");
            let (api, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(stream).await else { return };
                let newer = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let service = service_fn(move |request| {
                    let api = api.clone();
                    async move { Ok::<_, Infallible>(api.answer(request).await) }
                });
                let stream = TokioIo::new(stream);
                if newer {
                    let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await;
                } else {
                    let _ = http1::Builder::new().serve_connection(stream, service).await;
                }
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (parts, mut body) = request.into_parts();
        if parts.uri.path() == "/sink" {
            // as much as somebody may send, and nobody looks at it
            while let Some(Ok(_)) = body.frame().await {}
            return text(Bytes::from("taken"));
        }
        let Ok(body) = body.collect().await else { return text(Bytes::from("broken")) };
        let seen = Seen {
            version: parts.version,
            method: parts.method.to_string(),
            target: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: parts.headers,
            body: body.to_bytes().to_vec(),
        };
        self.seen.lock().expect("unpoisoned").push(seen.clone());
        answered(parts.uri.path(), &seen)
    }
}

fn answered(path: &str, seen: &Seen) -> Answer {
    let repeated = seen.repeated();
    match path {
        "/gzip" => coded("gzip", gzipped(repeated.as_bytes()).into()),
        "/br" => {
            let mut out = Vec::new();
            brotli::CompressorWriter::new(&mut out, 4096, 5, 20)
                .write_all(repeated.as_bytes())
                .expect("written");
            coded("br", out)
        }
        "/zstd" => {
            let fastest = ruzstd::encoding::CompressionLevel::Fastest;
            coded("zstd", ruzstd::encoding::compress_to_vec(repeated.as_bytes(), fastest))
        }
        "/unknown" => coded("compress", repeated.into_bytes()),
        "/bytes" => {
            let bytes: Vec<_> =
                repeated.bytes().map(|b| Ok(Frame::data(Bytes::copy_from_slice(&[b])))).collect();
            Response::new(StreamBody::new(futures(bytes)).boxed_unsync())
        }
        "/forms" => {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            let key = seen.bearer();
            let hex: String = key.bytes().map(|b| format!("{b:02x}")).collect();
            let percent: String = key.bytes().map(|b| format!("%{b:02X}")).collect();
            let unicode: String = key.bytes().map(|b| format!("\\u{b:04x}")).collect();
            let base64 = STANDARD.encode(format!("user:{key}:x"));
            text(format!("{key} {hex} {percent} \"{unicode}\" {base64}").into())
        }
        "/head" => {
            let mut answer = text(Bytes::from("see the headers"));
            answer.headers_mut().insert("x-you-sent", seen.headers[header::AUTHORIZATION].clone());
            answer
        }
        "/trailer" => {
            let trailers = HeaderMap::from_iter([(
                "x-you-sent".parse().expect("a name"),
                seen.headers[header::AUTHORIZATION].clone(),
            )]);
            let frames = vec![Ok(Frame::data(Bytes::from("body"))), Ok(Frame::trailers(trailers))];
            let mut answer = Response::new(StreamBody::new(futures(frames)).boxed_unsync());
            answer.headers_mut().insert(header::TRAILER, "x-you-sent".parse().expect("a value"));
            answer
        }
        "/large" => text(vec![b'x'; 3 << 20].into()),
        _ if path.starts_with("/mebibytes/") => {
            let mut parts = path.rsplit('/');
            bulk(parts.next().unwrap_or_default(), parts.next().and_then(|n| n.parse().ok()).unwrap_or(1))
        }
        _ if path.starts_with("/to/") => {
            let mut answer = text(Bytes::new());
            *answer.status_mut() = http::StatusCode::TEMPORARY_REDIRECT;
            let to = format!("https://{}/taken", &path[4..]);
            answer.headers_mut().insert(header::LOCATION, to.parse().expect("a value"));
            answer
        }
        _ => text(repeated.into()),
    }
}

fn futures<T>(items: Vec<T>) -> futures_util::stream::Iter<std::vec::IntoIter<T>> {
    futures_util::stream::iter(items)
}

/// So many mebibytes of this kind of answer.
fn bulk(kind: &str, mebibytes: usize) -> Answer {
    let mut line = "{\"id\": 4711, \"name\": \"somebody\", \"mail\": \"somebody@example.org\"},\n".to_owned();
    match kind {
        "json" => line.push_str("{\"text\": \"he said \\\"no\\\"\\nand \\u00e9t\\u00e9\"},\n"),
        "escapes" => line = "%41\\u0042%7e\\n%e2%82%ac\\\\".to_owned(),
        _ => {}
    }
    let text = line.repeat((1 << 20) / line.len() + 1);
    let chunk = Bytes::from(text).slice(..1 << 20);
    let chunk = if kind == "gzip" { gzipped(&chunk) } else { chunk };
    let chunks = std::iter::repeat_n(chunk, mebibytes).map(|chunk| Ok(Frame::data(chunk)));
    let mut answer = Response::new(StreamBody::new(futures_util::stream::iter(chunks)).boxed_unsync());
    if kind == "gzip" {
        answer.headers_mut().insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
    }
    answer
}

/// One member; several one after the other are one answer too.
fn gzipped(bytes: &[u8]) -> Bytes {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).expect("written");
    out.finish().expect("finished").into()
}

fn text(body: Bytes) -> Answer {
    Response::new(Full::new(body).boxed_unsync())
}

fn coded(coding: &'static str, body: Vec<u8>) -> Answer {
    let mut answer = text(body.into());
    answer.headers_mut().insert(header::CONTENT_ENCODING, header::HeaderValue::from_static(coding));
    answer
}

// === impl Seen ===

impl Seen {
    /// The header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn bearer(&self) -> String {
        self.header("authorization").trim_start_matches("Bearer ").to_owned()
    }

    /// What it said, as servers like to repeat it.
    fn repeated(&self) -> String {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        format!("you sent {}\n{}\n{}\n", self.target, headers.concat(), String::from_utf8_lossy(&self.body))
    }
}
