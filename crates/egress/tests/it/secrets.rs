//! A secret is used at its host and never seen in the cell.

use std::sync::{Arc, atomic::Ordering};

use cella_egress::{Placeholders, Record, Verdict};

use crate::{
    api::Ca,
    cell::{has, http},
    stage::{KEY, ONE, Stage, written},
};

fn used(record: &Record) -> bool {
    matches!(record.verdict, Verdict::Used { .. })
}

#[test]
pub(crate) fn the_value_takes_the_place_of_the_placeholder_and_the_cell_sees_only_that() {
    let Some(mut stage) = Stage::set(ONE) else { return };
    for (protocol, version) in [("--http1.1", http::Version::HTTP_11), ("--http2", http::Version::HTTP_2)] {
        let answer = stage.get("/echo?a=b", &[protocol]);
        let seen = stage.api.last();
        assert_eq!((seen.version, seen.header("authorization")), (version, format!("Bearer {KEY}").as_str()));
        assert_eq!(seen.target, "/echo?a=b");
        assert!(answer.contains(&format!("authorization: Bearer {}", stage.key())), "{answer}");
        assert!(!answer.contains(KEY), "{answer}");
        let record = stage.cell.record("a use", used);
        let Verdict::Used { secret, place, method, path, .. } = record.verdict else { panic!("a use") };
        assert_eq!(
            (secret.as_str(), place.as_str(), method.as_str(), path.as_str()),
            ("KEY", "the header authorization", "GET", "/echo")
        );
        stage.cell.record("a repetition", |r| matches!(r.verdict, Verdict::Reflected { times: 1, .. }));
    }
}

#[test]
fn clients_of_several_kinds_work_with_the_variables_of_a_cell() {
    let Some(stage) = Stage::set(ONE) else { return };
    let (url, key, file) = (stage.url("/echo"), stage.key(), stage.trusted.display().to_string());
    let python = format!(
        "import urllib.request as u\nr = u.Request('{url}', headers={{'Authorization': 'Bearer {key}'}}, data=b'x=1')\n\
         print(u.urlopen(r).status)"
    );
    let file = format!("SSL_CERT_FILE={file}");
    assert_eq!(stage.cell.run(&["env", &file, "python3", "-c", &python]).printed(), "200");
    assert_eq!((stage.api.last().method.as_str(), stage.api.last().body), ("POST", b"x=1".to_vec()));
    if has("node") {
        let node = format!(
            "fetch('{url}', {{headers: {{authorization: 'Bearer {key}'}}}}).then(r => console.log(r.status))"
        );
        let file = file.replace("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS");
        assert_eq!(stage.cell.run(&["env", &file, "node", "-e", &node]).printed(), "200");
    }
    assert!(stage.api.seen().iter().all(|seen| seen.header("authorization") == format!("Bearer {KEY}")));
}

#[test]
pub(crate) fn another_host_gets_neither_the_value_nor_the_request() {
    let ca = Ca::new();
    let (api, other) = (ca.api("api.example"), ca.api("other.example"));
    if !has("curl") {
        return;
    }
    let terms = format!("{ONE}[secrets.OTHER]\nfrom = \"env:OTHER\"\nhosts = [\"other.example\"]\n");
    let port = other.port;
    let Some(mut stage) = Stage::with(&terms, &Arc::default(), &ca, (api, &[("other.example", port)])) else {
        return;
    };
    let bearer = format!("Authorization: Bearer {}", stage.key());
    stage.refused("CE2331", &["-H", &bearer, &format!("https://other.example:{port}/")]);
    assert!(other.seen().is_empty());
}

#[test]
pub(crate) fn whoever_speaks_for_another_host_inside_tls_is_refused() {
    let Some(mut stage) = Stage::set(ONE) else { return };
    let (url, bearer) = (stage.url("/"), format!("Authorization: Bearer {}", stage.key()));
    stage.refused("CE2310", &["--http1.1", "-H", "Host: evil.example", "-H", &bearer, &url]);
    stage.refused("CE2310", &["--http2", "-H", "Host: evil.example", "-H", &bearer, &url]);
    for line in [
        "CONNECT api.example:443",
        "CONNECT 203.0.113.7:443",
        "GET https://api.example/x",
        "GET https://evil.example/x",
    ] {
        let outcome = stage.python(&format!(
            "s.sendall(f'{line} HTTP/1.1\\r\\nHost: api.example\\r\\nAuthorization: {{key}}\\r\\n\\r\\n'.encode())\n\
             print(s.recv(4096).decode())"
        ));
        assert!(outcome.printed().contains("CE2327"), "{line}: {}", outcome.out);
    }
    assert!(stage.api.seen().is_empty());
}

#[test]
pub(crate) fn an_address_written_out_under_the_name_of_the_host_gets_the_placeholder_only() {
    let Some(mut stage) = Stage::set(ONE) else { return };
    let (url, bearer) = (stage.url("/"), format!("Authorization: Bearer {}", stage.key()));
    // this address is granted by itself, so the connection is made; nobody opens it
    let granted = format!("api.example:{}:127.0.0.1", stage.api.port);
    assert!(stage.curl(&["--resolve", &granted, "-H", &bearer, &url]).printed().contains("you sent /"));
    assert_eq!(stage.api.last().header("authorization"), format!("Bearer {}", stage.key()));
    let other = format!("api.example:{}:203.0.113.9", stage.api.port);
    assert_ne!(stage.curl(&["--resolve", &other, "-H", &bearer, &url]).code, Some(0));
    stage.cell.refusal("CE2303");
    assert_eq!((stage.api.seen().len(), stage.table.asked.load(Ordering::Relaxed)), (1, 0));
}

#[test]
pub(crate) fn a_name_that_leads_inside_gets_nothing() {
    for inside in ["10.9.9.9", "169.254.1.1", "192.168.7.7"] {
        let ca = Ca::new();
        let api = ca.api("api.example");
        let Some(mut stage) = Stage::leading_to(inside, ONE, &Arc::default(), &ca, (api, &[])) else {
            return;
        };
        let (url, bearer) = (stage.url("/"), format!("Authorization: Bearer {}", stage.key()));
        assert_ne!(stage.curl(&["-H", &bearer, &url]).code, Some(0));
        stage.cell.refusal("CE2305");
        assert_eq!(stage.table.asked.load(Ordering::Relaxed), 0, "the value is not even read");
        assert!(stage.api.seen().is_empty());
    }
}

#[test]
fn a_server_that_does_not_prove_to_be_the_host_gets_nothing() {
    let (ca, stranger) = (Ca::new(), Ca::new());
    if !has("curl") {
        return;
    }
    for api in [stranger.api("api.example"), ca.api("evil.example")] {
        let Some(mut stage) = Stage::with(ONE, &Arc::default(), &ca, (api, &[])) else { return };
        let (url, bearer) = (stage.url("/"), format!("Authorization: Bearer {}", stage.key()));
        stage.refused("CE2330", &["-H", &bearer, &url]);
        stage.refused("CE2330", &["--http1.1", "-H", &bearer, &url]);
        assert_eq!(stage.table.asked.load(Ordering::Relaxed), 0, "the value is not even read");
    }
}

#[test]
fn methods_paths_and_places_of_the_contract_hold() {
    let terms =
        format!("{ONE}methods = [\"GET\"]\npaths = [\"/v1/**\"]\nin = [\"header:x-key\", \"query:key\"]\n");
    let Some(mut stage) = Stage::set(&terms) else { return };
    let (key, right) = (stage.key().to_owned(), format!("x-key: {}", stage.key()));
    let url = |path: &str| stage.url(path);
    let (v1, v2, query, dots) =
        (url("/v1/a"), url("/v2/a"), url(&format!("/v1/a?b=c&key={key}")), url("/v1/%2e%2e/v2"));
    let (wrong, bearer) = (url(&format!("/v1/a?other={key}")), format!("Authorization: Bearer {key}"));
    assert!(stage.curl(&["-H", &right, &v1]).printed().contains("you sent /v1/a"));
    assert_eq!(stage.api.last().header("x-key"), KEY);
    assert!(stage.curl(&[&query]).printed().contains(&key));
    assert_eq!(stage.api.last().target, "/v1/a?b=c&key=sk-live%2F9f8e7d%2B6c5b4a");
    stage.refused("CE2335", &["-X", "DELETE", "-H", &right, &v1]);
    stage.refused("CE2336", &["-H", &right, &v2]);
    stage.refused("CE2337", &["--path-as-is", "-H", &right, &dots]);
    stage.refused("CE2338", &["-H", &bearer, &v1]);
    stage.refused("CE2338", &[&wrong]);
}

#[test]
pub(crate) fn basic_authentication_json_and_forms_are_written_as_they_have_it() {
    let terms = format!("{ONE}in = [\"basic\", \"json:auth.key\", \"form:key\"]\n");
    let Some(mut stage) = Stage::set(&terms) else { return };
    let (url, key) = (stage.url("/"), stage.key().to_owned());
    stage.curl(&["-u", &format!("user:{key}"), &url]).printed();
    assert_eq!(stage.api.last().header("authorization"), "Basic dXNlcjpzay1saXZlLzlmOGU3ZCs2YzViNGE=");
    let json = format!("{{\"a\": \"é\", \"auth\": {{\"key\": \"{key}\"}}}}");
    stage.curl(&["--json", &json, &url]).printed();
    let sent = format!("{{\"a\": \"é\", \"auth\": {{\"key\": \"{KEY}\"}}}}");
    assert_eq!(String::from_utf8_lossy(&stage.api.last().body), sent);
    assert_eq!(stage.api.last().header("content-length"), sent.len().to_string());
    stage.curl(&["-d", &format!("x=1&key={key}"), &url]).printed();
    assert_eq!(stage.api.last().body, b"x=1&key=sk-live%2F9f8e7d%2B6c5b4a");
    stage.refused("CE2338", &["--json", &format!("{{\"other\": \"{key}\"}}"), &url]);
    let coded = written("any bytes");
    let file = format!("@{}", coded.display());
    stage.refused("CE2341", &["--data-binary", &file, "-H", "Content-Encoding: gzip", &url]);
}

#[test]
pub(crate) fn a_placeholder_in_another_form_is_refused() {
    let Some(mut stage) = Stage::set(ONE) else { return };
    let (url, key) = (stage.url("/"), stage.key().to_owned());
    let percent: String = key.bytes().map(|b| format!("%{b:02X}")).collect();
    let hex: String = key.bytes().map(|b| format!("{b:02x}")).collect();
    stage.refused("CE2340", &["-H", &format!("Authorization: Bearer {percent}"), &url]);
    stage.refused("CE2340", &["-H", &format!("Authorization: {hex}"), &url]);
    stage.refused("CE2338", &["-d", &format!("x={key}"), &url]);
}

#[test]
pub(crate) fn a_placeholder_in_many_small_pieces_is_still_found() {
    let terms = format!("{ONE}in = [\"header\", \"json:**\"]\n");
    let Some(stage) = Stage::set(&terms) else { return };
    let outcome = stage.python(
        "s.getpeername(); s._sslobj\n\
         body = '{\"k\": \"' + key + '\"}'\n\
         head = f'POST / HTTP/1.1\\r\\nHost: api.example\\r\\nAuthorization: Bearer {key}\\r\\n'\n\
         head += f'Content-Type: application/json\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n'\n\
         for b in head.encode(): s.sendall(bytes([b]))\n\
         for b in body: s.sendall(f'1\\r\\n{b}\\r\\n'.encode())\n\
         s.sendall(b'0\\r\\n\\r\\n'); print(s.recv(99).split()[1].decode())",
    );
    assert_eq!(outcome.printed(), "200");
    let seen = stage.api.last();
    assert_eq!(seen.header("authorization"), format!("Bearer {KEY}"));
    assert_eq!(String::from_utf8_lossy(&seen.body), format!("{{\"k\": \"{KEY}\"}}"));
}

#[test]
fn a_long_body_with_a_placeholder_in_it_is_broken_off() {
    let Some(mut stage) = Stage::set(ONE) else { return };
    let body = format!("{}{}{}", "x".repeat(700_000), stage.key(), "x".repeat(700_000));
    let (file, url) = (written(&body), stage.url("/"));
    let clean = written(&"y".repeat(1_400_000));
    for protocol in ["--http1.1", "--http2"] {
        stage.curl(&[protocol, "--data-binary", &format!("@{}", clean.display()), &url]).printed();
        assert_eq!(stage.api.last().body.len(), 1_400_000);
        let before = stage.api.seen().len();
        let outcome = stage.curl(&[protocol, "--data-binary", &format!("@{}", file.display()), &url]);
        assert!(outcome.out.contains("CE2338"), "{}{}", outcome.out, outcome.err);
        stage.cell.refusal("CE2338");
        assert_eq!(stage.api.seen().len(), before, "no complete request arrives");
    }
}

#[test]
pub(crate) fn what_a_server_repeats_in_any_form_becomes_the_placeholder() {
    let Some(stage) = Stage::set(ONE) else { return };
    for protocol in ["--http1.1", "--http2"] {
        for path in ["/gzip", "/br", "/zstd", "/bytes"] {
            let answer = stage.get(path, &[protocol, "--compressed"]);
            assert!(answer.contains(&format!("Bearer {}", stage.key())), "{path}: {answer}");
            assert!(!answer.contains(KEY), "{path}");
        }
        let headers = stage.get("/head", &[protocol, "-i"]);
        assert!(headers.contains(&format!("x-you-sent: Bearer {}", stage.key())), "{headers}");
        let forms = stage.get("/forms", &[protocol]);
        let key = stage.key();
        let hex: String = key.bytes().map(|b| format!("{b:02x}")).collect();
        assert!(forms.contains(key) && forms.contains(&hex), "{forms}");
        let digits = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
        for leaked in [KEY.to_owned(), digits(KEY), KEY.bytes().map(|b| format!("%{b:02X}")).collect()] {
            assert!(!forms.contains(&leaked), "{leaked} in {forms}");
        }
        assert!(!forms.contains("c2stbGl2ZS85ZjhlN2Qr") && !forms.contains("\\u0073\\u006b"), "{forms}");
    }
    let trailer = stage.python(
        "s.sendall(f'GET /trailer HTTP/1.1\\r\\nHost: api.example\\r\\nTE: trailers\\r\\nConnection: close\\r\\n\
         Authorization: {key}\\r\\n\\r\\n'.encode())\n\
         got = b''\n\
         while True:\n\
         \x20 part = s.recv(4096)\n\
         \x20 if not part: break\n\
         \x20 got += part\n\
         print(got.decode())",
    );
    assert!(!trailer.printed().contains(KEY) && trailer.out.contains("body"), "{}", trailer.out);
}

#[test]
fn an_answer_that_cannot_be_looked_into_is_not_passed_on() {
    let Some(mut stage) = Stage::set(ONE) else { return };
    let answer = stage.get("/unknown", &[]);
    assert!(answer.contains("CE2349") && !answer.contains(KEY), "{answer}");
    stage.cell.refusal("CE2349");
}

#[test]
fn a_large_answer_comes_whole() {
    let Some(stage) = Stage::set(ONE) else { return };
    for protocol in ["--http1.1", "--http2"] {
        let counted = stage.get("/large", &[protocol, "-o", "/dev/null", "-w", "%{size_download}"]);
        assert_eq!(counted, (3 << 20).to_string());
    }
}

#[test]
pub(crate) fn a_redirect_to_elsewhere_takes_nothing_but_the_placeholder_along() {
    let ca = Ca::new();
    let sink = ca.api("sink.example");
    let port = sink.port;
    let Some(stage) = Stage::among(ONE, &Arc::default(), &ca, &[("sink.example", port)]) else { return };
    let body = stage.get(&format!("/to/sink.example:{port}"), &["-L", "--location-trusted"]);
    assert!(body.contains("you sent /taken"), "{body}");
    let seen = sink.last();
    assert_eq!(seen.header("authorization"), format!("Bearer {}", stage.key()), "worth nothing there");
}

#[test]
pub(crate) fn a_websocket_is_refused() {
    let Some(mut stage) = Stage::set(ONE) else { return };
    let (url, bearer) = (stage.url("/"), format!("Authorization: Bearer {}", stage.key()));
    let upgrade = ["-H", "Connection: Upgrade", "-H", "Upgrade: WebSocket", "--http1.1", "-H", &bearer, &url];
    stage.refused("CE2327", &upgrade);
}

#[test]
pub(crate) fn the_placeholder_of_another_cell_is_seen() {
    let (ca, all) = (Ca::new(), Arc::<Placeholders>::default());
    let Some(first) = Stage::among(ONE, &all, &ca, &[]) else { return };
    let Some(mut second) = Stage::among(ONE, &all, &ca, &[]) else { return };
    let (url, stolen) = (second.url("/"), format!("Authorization: Bearer {}", first.key()));
    second.refused("CE2339", &["-H", &stolen, &url]);
    drop(first);
    // of a cell that is gone it is any text
    assert!(second.curl(&["-H", &stolen, &url]).printed().contains("you sent"));
}

#[test]
fn a_placeholder_is_not_sent_in_the_clear() {
    let (ca, port) = (Ca::new(), http("plain"));
    let Some(mut stage) = Stage::among(ONE, &Arc::default(), &ca, &[("plain.example", port)]) else { return };
    let bearer = format!("Authorization: Bearer {}", stage.key());
    let url = format!("http://plain.example:{port}/");
    assert_eq!(stage.curl(&[&url]).printed(), "plain");
    assert_ne!(stage.curl(&["-H", &bearer, &url]).code, Some(0));
    stage.cell.refusal("CE2331");
    // and never to the host itself
    let own = format!("http://api.example:{}/", stage.api.port);
    assert_ne!(stage.curl(&["-H", &bearer, &own]).code, Some(0));
    stage.cell.refusal("CE2331");
}

#[test]
fn a_program_that_trusts_somebody_else_is_told_apart() {
    let ca = Ca::new();
    let Some(mut stage) = Stage::among(ONE, &Arc::default(), &ca, &[]) else { return };
    let only = written(&ca.pem());
    let url = stage.url("/");
    let outcome = stage.cell.run(&["curl", "-sS", "-m", "20", "--cacert", &only.display().to_string(), &url]);
    assert_ne!(outcome.code, Some(0), "{}", outcome.out);
    stage.cell.refusal("CE2329");
}

#[test]
fn hosts_without_a_secret_are_not_opened() {
    let ca = Ca::new();
    let free = ca.api("free.example");
    let port = free.port;
    let Some(stage) = Stage::among(ONE, &Arc::default(), &ca, &[("free.example", port)]) else { return };
    let only = written(&ca.pem());
    let url = format!("https://free.example:{port}/");
    let outcome = stage.cell.run(&["curl", "-sS", "-m", "20", "--cacert", &only.display().to_string(), &url]);
    assert!(outcome.printed().contains("you sent"), "it sees the server's own certificate");
    assert_eq!(stage.table.asked.load(Ordering::Relaxed), 0);
}

#[test]
fn a_value_that_cannot_be_had_is_said_and_read_again_when_it_can() {
    let Some(mut stage) = Stage::set(ONE) else { return };
    let taken = stage.table.values.lock().expect("unpoisoned").remove("KEY").expect("a value");
    let url = stage.url("/");
    stage.refused("CE2401", &["-H", &format!("Authorization: Bearer {}", stage.key()), &url]);
    stage.table.values.lock().expect("unpoisoned").insert("KEY".into(), taken);
    assert!(stage.get("/", &[]).contains("you sent"));
    stage.table.values.lock().expect("unpoisoned").insert("KEY".into(), "short".into());
    stage.refused("CE2345", &["-H", &format!("Authorization: Bearer {}", stage.key()), &url]);
}

#[test]
fn many_requests_share_a_connection() {
    let Some(mut stage) = Stage::set(ONE) else { return };
    for protocol in ["--http1.1", "--http2"] {
        let urls: Vec<String> = (0..20).map(|n| stage.url(&format!("/n/{n}"))).collect();
        let (bearer, mut args) = (format!("Authorization: Bearer {}", stage.key()), vec![protocol, "-Z"]);
        if protocol == "--http1.1" {
            args.pop();
        }
        args.extend(["-H", &bearer]);
        args.extend(urls.iter().map(String::as_str));
        let before = stage.api.seen().len();
        assert_eq!(stage.curl(&args).printed().matches("you sent").count(), 20);
        assert_eq!(stage.api.seen().len(), before + 20);
    }
    let mut connections = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let record = stage.cell.record("a use", used);
        let Verdict::Used { connection, .. } = record.verdict else { continue };
        connections.insert(connection);
    }
    assert!(connections.len() <= 4, "{connections:?}");
    assert!(stage.table.asked.load(Ordering::Relaxed) <= 4);
}

#[test]
fn what_is_no_http_is_refused() {
    let Some(mut stage) = Stage::set(ONE) else { return };
    let outcome = stage.cell.python(&format!(
        "import socket, ssl\nc = ssl.create_default_context(cafile='{}'); c.set_alpn_protocols(['mqtt'])\n\
         try: c.wrap_socket(socket.create_connection(('api.example', {}), 20), server_hostname='api.example'); print('in')\n\
         except OSError: print('refused')",
        stage.trusted.display(),
        stage.api.port
    ));
    assert_eq!(outcome.printed(), "refused");
    stage.cell.refusal("CE2328");
}
