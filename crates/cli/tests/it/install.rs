//! Packages: installed in a cell that reaches the registry, run in one that does not, and locked.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use super::{
    home::{Ended, Home, Node},
    registry::Registry,
};

/// Longest time that an installation may take here.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a package's install script can do, written to a file of its own.
const SPY: &str = "
const fs = require('fs'), net = require('net');
const tries = { env: Object.keys(process.env).filter(k => k.includes('SECRET')) };
for (const [name, path] of [['secret', '@HOME@/secret'], ['settings', '@HOME@/.npmrc']]) {
  try { tries[name] = fs.readFileSync(path, 'utf8'); } catch (e) { tries[name] = e.code; }
}
try { fs.writeFileSync('@HOME@/planted', ''); } catch (e) {}
const [host, port] = '@REGISTRY@'.split(':');
const socket = net.connect(Number(port), host);
const done = (what) => { tries.registry = what; fs.writeFileSync('tries.json', JSON.stringify(tries)); process.exit(0); };
socket.on('connect', () => done('reached'));
socket.on('error', (e) => done(e.code));
";

/// `cella` with a registry that the user's own settings name.
struct Packages {
    home: Home,
    registry: Registry,
}

impl Packages {
    fn new() -> Self {
        let (home, registry) = (Home::new(), Registry::new());
        home.write(".npmrc", &format!("registry={}\n//127.0.0.1/:_authToken=hunter2\n", registry.url("/")));
        home.write(".config/pip/pip.conf", &format!("[global]\nindex-url = {}\n", registry.url("/simple")));
        home.write("secret", "hunter2");
        home.write("cella.toml", "[node]\nlisten = \"127.0.0.1:0\"\n");
        let script = SPY.replace("@HOME@", &home.path("").display().to_string());
        let script = script.replace("@REGISTRY@", &registry.address().to_string());
        registry.npm_tool(&home.path("made"), "from npm", &script);
        registry.wheel(&home.path("made"), "from python", &registry.url(""));
        Self { home, registry }
    }

    fn command(&self, store: &str, args: &[&str]) -> Command {
        let mut command = self.home.command(args);
        command.env("XDG_DATA_HOME", self.home.path(store)).env("SECRET", "hunter2");
        command
    }

    fn cella(&self, args: &[&str]) -> Ended {
        Ended::of(&mut self.command("data", args))
    }

    /// Where a package is.
    fn installed(&self, store: &str, start: &str) -> PathBuf {
        let entries = fs::read_dir(self.home.path(store).join("cella/store")).unwrap().flatten();
        let named = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(start);
        entries.filter(named).map(|entry| entry.path()).find(|path| path.is_dir()).unwrap()
    }
}

#[test]
fn the_installer_reaches_the_registry_and_the_servers_cell_does_not() {
    let packages = Packages::new();
    let reach = format!(
        "fetch('{}').then(() => console.log('reached'), (e) => console.log('not', e.cause.code))",
        packages.registry.url("/tool")
    );
    let added = packages.cella(&["add", "tool", "--", "npx", "-y", "tool"]);
    assert_eq!(added.status, 0, "{added:?}");
    let line = format!("node -e \"{reach}\"");
    let run = packages.cella(&["shell", "tool", "--", "-c", &line]);
    assert!(run.out.starts_with("not "), "{run:?}");
    let outside = Ended::of(Command::new("node").args(["-e", &reach]));
    assert_eq!(outside.out, "reached\n", "the same outside of the cell");
}

#[test]
fn code_of_a_package_runs_only_where_it_is_allowed_and_then_in_the_installers_cell() {
    let packages = Packages::new();
    let added = packages.cella(&["add", "tool", "--", "npx", "-y", "tool"]);
    assert_eq!(added.status, 0, "{added:?}");
    let tries = packages.installed("data", "npm-tool").join("node_modules/tool/tries.json");
    assert!(!tries.exists(), "install scripts do not run unasked");

    let allowed = "[servers.tool]\ncommand = \"npx\"\nargs = [\"-y\", \"tool\"]\nbuild_from_source = true\n";
    packages.home.write("cella.toml", allowed);
    let run = packages.cella(&["shell", "tool", "--", "-c", "true"]);
    assert_eq!(run.status, 0, "{run:?}");
    let built = packages.home.path("data/cella/store");
    let mut built = fs::read_dir(built).unwrap().flatten().map(|entry| entry.path());
    let built =
        built.find(|path| path.join("node_modules/tool/tries.json").exists()).expect("the script ran");
    let tries = built.join("node_modules/tool/tries.json");
    let tries: serde_json::Value = serde_json::from_str(&fs::read_to_string(tries).unwrap()).unwrap();
    assert_eq!(tries["env"], serde_json::json!([]), "{tries}");
    assert_eq!((tries["secret"].as_str(), tries["settings"].as_str()), (Some("ENOENT"), Some("ENOENT")));
    assert_ne!(tries["registry"], "reached", "no host that the user does not grant: {tries}");
    assert!(!packages.home.path("planted").exists());
}

#[test]
fn a_host_that_the_settings_do_not_name_is_named_and_can_be_granted() {
    let packages = Packages::new();
    packages.registry.wheel(&packages.home.path("made"), "from afar", "http://files.example");
    let refused = packages.cella(&["add", "tool", "--", "uvx", "tool"]);
    assert_eq!((refused.status, refused.code()), (1, "CE4132"), "{refused:?}");
    assert!(refused.err.contains("files.example"), "{refused:?}");
    assert!(!packages.home.read("cella.toml").contains("tool"), "nothing is half-done");

    packages.home.write("cella.toml", "[install]\negress = [\"files.example:80\"]\n");
    let unreachable = packages.cella(&["add", "tool", "--", "uvx", "tool"]);
    assert_eq!(unreachable.code(), "CE4133", "granted, and there is no such host: {unreachable:?}");
}

#[test]
fn another_machine_installs_the_same_or_nothing() {
    let packages = Packages::new();
    for (name, runner) in [("a", "npx"), ("b", "uvx")] {
        let added = packages.cella(&["add", name, "--", runner, "tool"]);
        assert_eq!(added.status, 0, "{added:?}");
    }
    let lock = packages.home.read("cella.lock");
    assert!(lock.contains("sha512-") && lock.contains("sha256:"), "{lock}");
    assert!(!lock.contains("127.0.0.1"), "it names no registry: {lock}");
    let start = |store: &str, name: &str| {
        Ended::of(&mut packages.command(store, &["shell", name, "--", "-c", "true"]))
    };
    for name in ["a", "b"] {
        let started = start("second", name);
        assert_eq!(started.status, 0, "{started:?}");
    }
    let script = SPY.replace("@HOME@", "/nowhere");
    packages.registry.npm_tool(&packages.home.path("made"), "from somebody else", &script);
    packages.registry.wheel(&packages.home.path("made"), "from somebody else", &packages.registry.url(""));
    for name in ["a", "b"] {
        let refused = start("third", name);
        assert_eq!(refused.code(), "CE4137", "{refused:?}");
    }
    let left = fs::read_dir(packages.home.path("third/cella/store")).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).filter(|name| name != "cache").collect();
    assert!(left.iter().all(|name| name.to_string_lossy().ends_with(".lock")), "{left:?}");

    assert_eq!(packages.cella(&["rm", "a"]).status, 0);
    assert!(!packages.home.read("cella.lock").contains("npm-tool"), "nobody needs it any more");
}

#[test]
fn changed_files_are_refused_and_named_by_doctor() {
    let packages = Packages::new();
    assert_eq!(packages.cella(&["add", "tool", "--", "npx", "tool"]).status, 0);
    let start = || packages.cella(&["shell", "tool", "--", "-c", "true"]);
    assert_eq!(start().status, 0);
    let program = packages.installed("data", "npm-tool").join("node_modules/tool/tool.js");
    let text = fs::read_to_string(&program).unwrap();
    fs::write(&program, &text).unwrap();
    assert_eq!(start().status, 0, "the same content is the same package, whenever it was written");
    fs::write(&program, text.replace("from npm", "from you")).unwrap();
    let refused = start();
    assert_eq!(refused.code(), "CE4131", "{refused:?}");
    let doctor = packages.cella(&["doctor"]);
    assert!(doctor.out.contains("CE4131") && doctor.status == 1, "{doctor:?}");
    fs::write(&program, &text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(start().code(), "CE4131", "a program that may not be executed any more is another");
}

#[test]
fn a_proxy_that_the_settings_name_is_reached_and_nothing_past_it() {
    let (home, registry) = (Home::new(), Registry::behind("http://registry.invalid"));
    let proxy = format!("http://localhost:{}", registry.address().port());
    home.write(".npmrc", &format!("registry={}\nproxy={proxy}\n", registry.url("/")));
    home.write(
        ".config/pip/pip.conf",
        &format!(
            "[global]\nindex-url = {}\ntrusted-host = registry.invalid\nproxy = {proxy}\n",
            registry.url("/simple")
        ),
    );
    home.write("cella.toml", "");
    registry.npm_tool(&home.path("made"), "from npm", "");
    registry.wheel(&home.path("made"), "from python", &registry.url(""));
    for (name, runner) in [("a", "npx"), ("b", "uvx")] {
        let added = home.cella(&["add", name, "--", runner, "tool"]);
        assert_eq!(added.status, 0, "{added:?}");
    }
}

#[test]
fn the_ledger_says_what_was_installed_and_from_where() {
    let packages = Packages::new();
    packages.home.write(
        "cella.toml",
        "[node]\nlisten = \"127.0.0.1:0\"\n[servers.tool]\ncommand = \"npx\"\nargs = [\"tool\"]\nstart = \"eager\"\n",
    );
    let _node = Node::start(packages.command("data", &["up", "--json"]));
    let events =
        |kind: &str| packages.cella(&["log", "query", "--kind", kind, "--json"]).json()["events"].take();
    let began = Instant::now();
    // The tool is no server, so it is started again and again; its installation is there once.
    let started = loop {
        let found = events("cell.started");
        match found.as_array().and_then(|found| found.first()) {
            Some(first) => break first["body"].clone(),
            None => assert!(began.elapsed() < PATIENCE, "it did not start"),
        }
    };
    let installed = events("server.state");
    assert_eq!(installed.as_array().map(Vec::len), Some(1), "{installed}");
    let body = &installed[0]["body"];
    assert_eq!((body["state"].as_str(), body["version"].as_str()), (Some("installed"), Some("1.0.0")));
    assert_eq!((&started["package"], &started["files"]), (&body["package"], &body["files"]));
    assert!(body["files"].as_str().is_some_and(|digest| digest.starts_with("sha256:")), "{body}");
    let to = events("cell.connected")[0]["body"]["to"].clone();
    assert_eq!(to, packages.registry.address().to_string());
}

#[test]
fn a_broken_lock_is_refused_before_anything_is_installed() {
    let packages = Packages::new();
    packages.home.write("cella.lock", "{\"schema\":\"cella-lock/v9\",\"packages\":{}}");
    let refused = packages.cella(&["add", "tool", "--", "npx", "tool"]);
    assert_eq!((refused.status, refused.code()), (1, "CE4139"), "{refused:?}");
    assert!(!packages.home.path("data").exists());
}

#[test]
#[ignore = "asks the registries that this machine is configured for"]
fn the_real_registries_are_found_out_and_reached() {
    let home = Home::new();
    home.write("cella.toml", "");
    for line in [&["npx", "-y", "semver"][..], &["uvx", "tabulate"]] {
        let mut command = home.command(&[&["add", line[0], "--"][..], line].concat());
        let trust = ["NODE_EXTRA_CA_CERTS", "PIP_CERT", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY"];
        command.envs(trust.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        let added = Ended::of(&mut command);
        assert_eq!(added.status, 0, "{added:?}");
        let reach = "require('dns').lookup(process.argv[1], (e) => console.log(e ? 'unknown' : 'known'))";
        let asked = Command::new("npm").args(["config", "get", "registry"]).output().unwrap();
        let registry = String::from_utf8(asked.stdout).unwrap();
        let host = registry.split('/').nth(2).unwrap().to_owned();
        let script = format!("node -e \"{reach}\" {host}");
        let run = home.cella(&["shell", line[0], "--", "-c", &script]);
        assert!(line[0] != "npx" || run.out == "unknown\n", "{run:?}");
    }
}
