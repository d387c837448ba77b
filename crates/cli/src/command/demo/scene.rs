//! The stage of the demo: a directory, a configuration, contracts, some files.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

use cella_node::{
    Options, Places,
    install::{Order, Recipe, Store},
};

use crate::{exit::Stop, print::Printer, target};

/// The third-party servers of the demo: name, command line, the program it needs, effect of its tools.
const THIRD_PARTY: [(&str, &[&str], &str); 2] = [
    ("memory", &["npx", "-y", "@modelcontextprotocol/server-memory@2026.8.31"], "npm"),
    ("clock", &["uvx", "mcp-server-time@2026.10.19", "--local-timezone", "UTC"], "python3"),
];

/// Where the demo plays.
#[derive(Debug)]
pub(super) struct Scene {
    dir: tempfile::TempDir,
    servers: Vec<String>,
    left_out: Vec<(String, String)>,
}

// === impl Scene ===

impl Scene {
    /// Writes everything the demo needs and installs the third-party servers that this machine can run.
    pub(super) async fn set(offline: bool, printer: Printer) -> Result<Self, Stop> {
        let dir = tempfile::Builder::new()
            .prefix("cella-demo-")
            .tempdir()
            .map_err(Stop::system("a fresh directory"))?;
        let root = dir.path();
        props(root).map_err(Stop::system(root.display()))?;

        let mut scene = Self {
            dir,
            servers: ["fetch", "files", "time"].map(str::to_owned).to_vec(),
            left_out: Vec::new(),
        };
        let mut config = String::from(BUILT_IN);
        config = config.replace("INVOICES", &scene.dir().join("invoices").display().to_string());
        for (name, line, needs) in THIRD_PARTY {
            match scene.install(line, needs, offline, printer).await {
                Ok(()) => {
                    let args: Vec<String> = line[1..].iter().map(|a| format!("{a:?}")).collect();
                    config.push_str(&format!(
                        "\n[servers.{name}]\ncommand = {:?}\nargs = [{}]\ncontract = \"reader.contract.toml\"\n",
                        line[0],
                        args.join(", ")
                    ));
                    scene.servers.push(name.to_owned());
                }
                Err(why) => scene.left_out.push((name.to_owned(), why)),
            }
        }
        fs::write(scene.config(), config).map_err(Stop::system(scene.config().display()))?;
        printer.done(format!(
            "fresh directory {} with {} servers",
            scene.dir().display(),
            scene.servers.len()
        ));
        Ok(scene)
    }

    async fn install(
        &self,
        line: &[&str],
        needs: &str,
        offline: bool,
        printer: Printer,
    ) -> Result<(), String> {
        if offline {
            return Err("asked to stay offline".into());
        }
        let args: Vec<String> = line[1..].iter().map(|a| (*a).to_owned()).collect();
        let recipe = Recipe::read(line[0], &args).map_err(|e| e.to_string())?.ok_or("not a package")?;
        if !on_path(needs) {
            return Err(format!("{needs} is not on this machine"));
        }
        let store = Store::new(self.places().store);
        store
            .install(&Order { tell: &|text| printer.note(format!("  … {text}")), ..Order::new(&recipe) })
            .await
            .map_err(|e| e.to_string())?;
        Ok(())
    }

    /// How the node is to be started: a free port, everything else inside the directory.
    pub(super) fn options(&self) -> Options {
        let mut options = Options::new(self.places());
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr());
        options.listen = Some(free.map_or_else(|_| "127.0.0.1:0".to_owned(), |a| a.to_string()));
        options
    }

    /// All names under which tools are offered.
    pub(super) fn servers(&self) -> &[String] {
        &self.servers
    }

    /// Servers that could not take part, and why.
    pub(super) fn left_out(&self) -> &[(String, String)] {
        &self.left_out
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Takes everything away.
    pub(super) fn strike(self) -> Result<(), Stop> {
        let dir = self.dir().display().to_string();
        self.dir.close().map_err(Stop::system(dir))
    }

    fn config(&self) -> PathBuf {
        self.dir().join("cella.toml")
    }

    /// State inside the directory; only the package store is the user's own, so that a second demo is quick.
    fn places(&self) -> Places {
        let mut places = Places::of(&self.config(), &target::var);
        places.state = self.dir().join("state");
        places.socket = self.dir().join("state/cella.sock");
        places
    }
}

/// Of these processes, those that still live.
pub(super) fn alive(pids: &[u32]) -> Vec<u32> {
    pids.iter().copied().filter(|pid| Path::new("/proc").join(pid.to_string()).exists()).collect()
}

fn props(root: &Path) -> std::io::Result<()> {
    fs::create_dir(root.join("invoices"))?;
    fs::write(root.join("invoices/2026-11.txt"), "Invoice 2026-11\nTotal: 1234.50 EUR\n")?;
    fs::write(root.join("secret.txt"), "the cell must never see this\n")?;
    fs::write(root.join("files.contract.toml"), contract(root))?;
    fs::write(root.join("reader.contract.toml"), READ_ONLY)
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

const BUILT_IN: &str = r#"# The demo's configuration: what you see here is all there is.
[servers.files]
command = "builtin:files"
args = ["INVOICES"]
contract = "files.contract.toml"

[servers.time]
command = "builtin:time"
contract = "reader.contract.toml"

[servers.fetch]
command = "builtin:fetch"
contract = "reader.contract.toml"
"#;

/// Reads, and nothing else: no file of the host, no host on the network.
const READ_ONLY: &str = r#"version = 1
[tools."*"]
effect = "read"
"#;

fn contract(root: &Path) -> String {
    format!(
        "version = 1\n\n# One directory, to be read. Writing is refused before the server hears of it.\n[[files]]\npath = {:?}\nmode = \"read\"\n\n[tools.\"*\"]\neffect = \"read\"\n\n[tools.write_file]\nallow = false\n\n[tools.create_directory]\nallow = false\n",
        root.join("invoices").display().to_string()
    )
}
