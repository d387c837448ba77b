//! Registries of npm and Python packages on this machine, with one package each.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

/// What is answered, by path.
type Pages = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Answers `GET` until the test is over.
pub(crate) struct Registry {
    address: SocketAddr,
    pages: Pages,
    /// Where its pages say that they are.
    base: String,
}

impl Registry {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let registry = Self { address, pages: Pages::default(), base: format!("http://{address}") };
        let pages = registry.pages.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let pages = pages.clone();
                thread::spawn(move || answer(stream, &pages));
            }
        });
        registry
    }

    /// The same, found under that name by those who take it for their proxy.
    pub(crate) fn behind(base: &str) -> Self {
        Self { base: base.to_owned(), ..Self::new() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn page(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.pages.lock().unwrap().insert(path.to_owned(), bytes.into());
    }

    /// `tool` 1.0.0 for npm: a program that prints `text`, and a script that runs when it is installed.
    pub(crate) fn npm_tool(&self, dir: &Path, text: &str, script: &str) {
        let package = dir.join("package");
        fs::create_dir_all(&package).unwrap();
        let manifest = serde_json::json!({
            "name": "tool", "version": "1.0.0", "bin": "tool.js", "scripts": { "postinstall": "node install.js" },
        });
        fs::write(package.join("package.json"), manifest.to_string()).unwrap();
        fs::write(package.join("tool.js"), format!("#!/usr/bin/env node\nconsole.log('{text}')\n")).unwrap();
        fs::write(package.join("install.js"), script).unwrap();
        let tarball = dir.join("tool.tgz");
        let packed = Command::new("tar").arg("-czf").arg(&tarball).arg("-C").arg(dir).arg("package").status();
        assert!(packed.unwrap().success());
        let bytes = fs::read(&tarball).unwrap();
        let digest = Command::new("sh")
            .arg("-c")
            .arg("openssl dgst -sha512 -binary \"$0\" | openssl base64 -A")
            .arg(&tarball)
            .output()
            .unwrap();
        let digest = String::from_utf8(digest.stdout).unwrap();
        let mut version = manifest;
        let (url, integrity) = (self.url("/tool-1.0.0.tgz"), format!("sha512-{}", digest.trim()));
        version["dist"] = serde_json::json!({ "tarball": url, "integrity": integrity });
        let all = serde_json::json!({
            "name": "tool", "dist-tags": { "latest": "1.0.0" }, "versions": { "1.0.0": version },
        });
        self.page("/tool", all.to_string());
        self.page("/tool-1.0.0.tgz", bytes);
    }

    /// `tool` 1.0 for Python, a wheel whose program prints `text`; its file is said to be at `files`.
    pub(crate) fn wheel(&self, dir: &Path, text: &str, files: &str) {
        let script = format!(
            "import zipfile\nz = zipfile.ZipFile('tool-1.0-py3-none-any.whl', 'w')\n\
             z.writestr('tool.py', 'def main():\\n    print(\"{text}\")\\n')\n\
             i = 'tool-1.0.dist-info/'\n\
             z.writestr(i + 'METADATA', 'Metadata-Version: 2.1\\nName: tool\\nVersion: 1.0\\n')\n\
             z.writestr(i + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
             z.writestr(i + 'entry_points.txt', '[console_scripts]\\ntool = tool:main\\n')\n\
             z.writestr(i + 'RECORD', '')\nz.close()\n"
        );
        fs::create_dir_all(dir).unwrap();
        let made = Command::new("python3").arg("-c").arg(script).current_dir(dir).status();
        assert!(made.unwrap().success());
        let name = "tool-1.0-py3-none-any.whl";
        self.page(&format!("/{name}"), fs::read(dir.join(name)).unwrap());
        self.page(
            "/simple/tool/",
            format!("<html><body><a href=\"{files}/{name}\">{name}</a></body></html>"),
        );
    }
}

fn answer(stream: TcpStream, pages: &Pages) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    let mut header = String::new();
    if reader.read_line(&mut request).is_err() {
        return;
    }
    while reader.read_line(&mut header).is_ok_and(|count| count > 2) {
        header.clear();
    }
    let target = request.split(' ').nth(1).unwrap_or("/").split('?').next().unwrap_or("/");
    // A proxy is asked for whole addresses.
    let path =
        target.split_once("://").map_or(target, |(_, rest)| &rest[rest.find('/').unwrap_or(0)..]).to_owned();
    let page = pages.lock().unwrap().get(&path).cloned();
    let (status, body) = page.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    let kind = match path.as_str() {
        path if path.starts_with("/simple") => "text/html",
        path if path.ends_with(".tgz") || path.ends_with(".whl") => "application/octet-stream",
        _ => "application/json",
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    let _gone = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}
