//! The story: an agent with a recorded model and three servers, one of them dishonest. It is killed between a payment and its record,
//! taken up again, and pays once; then it is replayed, forked, and tested under a stricter contract.
//!
//! Each scene is the program itself, run as a user would run it, in a directory of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::steps::Tally;
use crate::{exit::Stop, print::Printer};

/// How long one scene may take. Stops a demo on a stuck machine from standing there for ever.
const SCENE: Duration = Duration::from_secs(60);

/// The stage of the story.
struct Story {
    dir: PathBuf,
    program: PathBuf,
}

/// Plays it below a directory.
pub(super) async fn play(below: &Path, printer: Printer, tally: &mut Tally) -> Result<(), Stop> {
    let dir = below.join("story");
    set(&dir).map_err(Stop::system(dir.display()))?;
    let program = std::env::current_exe().map_err(Stop::system("this program"))?;
    let story = Story { dir, program };
    printer.note("  an agent pays an invoice; its model is a recording, its servers are real:");
    let run = story.begins(printer, tally).await?;
    story.is_killed_while_it_pays(printer, tally).await?;
    story.goes_on_and_pays_once(&run, printer, tally).await?;
    story.is_done_again_for_nothing(&run, printer, tally).await?;
    story.goes_another_way(&run, printer, tally).await
}

impl Story {
    async fn begins(&self, printer: Printer, tally: &mut Tally) -> Result<String, Stop> {
        let begun = self.cella(&["run", "clerk", "pay what is due, and tell the accountant"]).await?;
        let shown = self.shown("last").await?;
        let facts = lines(&shown);
        let reads = facts.iter().filter(|fact| fact.contains("calls files/read_file")).count();
        tally.check(printer, reads == 2, "run: two invoices read at the same time", &text(&begun));
        let letter = facts.iter().find(|fact| fact.contains("Tried beside")).cloned().unwrap_or_default();
        let denied = letter.contains("key: not read") && letter.contains("elsewhere: refused");
        tally.check(
            printer,
            denied,
            "run: the mail server reached for your private key and for a host: neither is there for it",
            &letter,
        );
        let waits = begun.status.code() == Some(75) && shown["waiting"][0]["tool"] == "bank__pay";
        tally.check(
            printer,
            waits,
            "run: the payment waits for a human, who may come days later",
            &text(&begun),
        );
        Ok(shown["run"].as_str().unwrap_or("last").to_owned())
    }

    async fn is_killed_while_it_pays(&self, printer: Printer, tally: &mut Tally) -> Result<(), Stop> {
        let step = self.shown("last").await?["waiting"][0]["step"].as_str().unwrap_or("s4").to_owned();
        let mut pays =
            self.command(&["approve", "last", &step]).spawn().map_err(Stop::system("this program"))?;
        let booked = self.booked(&mut pays).await;
        let killed = pays.kill().await.is_ok();
        let why = "the payment was not seen in the bank's book";
        tally.check(printer, booked && killed, "kill -9 between the payment and its record", why);
        Ok(())
    }

    async fn goes_on_and_pays_once(
        &self,
        run: &str,
        printer: Printer,
        tally: &mut Tally,
    ) -> Result<(), Stop> {
        let resumed = self.cella(&["resume", run]).await?;
        let facts = lines(&self.shown(run).await?);
        let probed = facts.iter().any(|fact| fact.contains("calls bank/payment_status"));
        tally.check(
            printer,
            probed,
            "resume: the call in doubt is asked after, not made again",
            &text(&resumed),
        );
        let payments = fs::read_to_string(self.dir.join("bank/book")).unwrap_or_default().lines().count();
        let once = payments == 1 && resumed.status.success();
        let what =
            format!("resume: paid once. The agent says: {}", String::from_utf8_lossy(&resumed.stdout).trim());
        tally.check(printer, once, &what, &format!("{payments} payments; {}", text(&resumed)));
        Ok(())
    }

    async fn is_done_again_for_nothing(
        &self,
        run: &str,
        printer: Printer,
        tally: &mut Tally,
    ) -> Result<(), Stop> {
        let replayed = self.cella(&["replay", run]).await?;
        let said = String::from_utf8_lossy(&replayed.stdout).trim().replace(&format!("{run}: "), "");
        tally.check(printer, replayed.status.success(), &format!("replay: {said}"), &text(&replayed));
        Ok(())
    }

    async fn goes_another_way(&self, run: &str, printer: Printer, tally: &mut Tally) -> Result<(), Stop> {
        let shown = self.shown(run).await?;
        let letter = shown["facts"].as_array().into_iter().flatten().find(|fact| {
            fact["kind"] == "answered"
                && fact["text"].as_str().is_some_and(|text| text.contains("mail__send"))
        });
        let at = letter.and_then(|fact| fact["seq"].as_u64()).unwrap_or_default();
        let forked = self.cella(&["fork", &format!("{run}@{at}"), "--say", "no letters, please"]).await?;
        let diff = self.cella(&["diff", run, "last"]).await?;
        let shared = String::from_utf8_lossy(&diff.stdout).lines().next().unwrap_or_default().to_owned();
        let differs = diff.status.code() == Some(7);
        tally.check(
            printer,
            differs,
            &format!("fork at event {at}: {shared}, then it goes its own way"),
            &text(&forked),
        );
        let stricter = self.dir.join("stricter.toml").display().to_string();
        let tested = self.cella(&["backtest", "--contract", &stricter, "--server", "bank"]).await?;
        let said = String::from_utf8_lossy(&tested.stdout).lines().next().unwrap_or_default().to_owned();
        let found = tested.status.code() == Some(7);
        tally.check(printer, found, &format!("backtest of a stricter contract: {said}"), &text(&tested));
        Ok(())
    }

    /// Waits until the bank has the payment in its book, or the payer is over.
    async fn booked(&self, pays: &mut Child) -> bool {
        let book = self.dir.join("bank/book");
        let seen = async {
            while !fs::read_to_string(&book).is_ok_and(|book| book.ends_with('\n')) {
                if pays.try_wait().ok().flatten().is_some() {
                    return false;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            true
        };
        tokio::time::timeout(SCENE, seen).await.unwrap_or(false)
    }

    async fn shown(&self, run: &str) -> Result<Value, Stop> {
        let shown = self.cella(&["show", run, "--json"]).await?;
        Ok(serde_json::from_slice(&shown.stdout).unwrap_or_default())
    }

    async fn cella(&self, args: &[&str]) -> Result<Output, Stop> {
        let ran = tokio::time::timeout(SCENE, self.command(args).output()).await;
        let late = || Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "it does not end"));
        ran.unwrap_or_else(|_| late()).map_err(Stop::system("this program"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .arg("--config")
            .arg(self.dir.join("cella.toml"))
            .env("XDG_STATE_HOME", self.dir.join("state"))
            .env("XDG_RUNTIME_DIR", self.dir.join("run"))
            .env("NO_COLOR", "1")
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// What happened in a run, one sentence each.
fn lines(shown: &Value) -> Vec<String> {
    let facts = shown["facts"].as_array().cloned().unwrap_or_default();
    facts.iter().map(|fact| fact["text"].as_str().unwrap_or_default().to_owned()).collect()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

fn set(dir: &Path) -> std::io::Result<()> {
    for part in ["agents", "invoices", "bank", "keys", "run", "state"] {
        fs::create_dir_all(dir.join(part))?;
    }
    let here = dir.display().to_string();
    fs::write(dir.join("keys/id_ed25519"), "not a key, but one should not be able to tell\n")?;
    fs::write(dir.join("invoices/17.txt"), "Invoice 17\nDue: 40.00 EUR\n")?;
    fs::write(dir.join("invoices/18.txt"), "Invoice 18\nPaid on 3 November\n")?;
    fs::write(dir.join("cella.toml"), CONFIG.replace("HERE", &here))?;
    fs::write(dir.join("files.toml"), FILES.replace("HERE", &here))?;
    fs::write(dir.join("bank.toml"), BANK.replace("HERE", &here))?;
    fs::write(dir.join("mail.toml"), MAIL)?;
    fs::write(dir.join("stricter.toml"), STRICTER)?;
    fs::write(dir.join("agents/clerk.toml"), CLERK)?;
    fs::write(dir.join("clerk.jsonl"), tape(&here))
}

/// A text, and tools to be called.
type Said = (&'static str, Vec<(&'static str, Value)>);

/// What the model said when it was recorded.
fn tape(here: &str) -> String {
    let read =
        |invoice: u32| ("files__read_file", json!({ "path": format!("{here}/invoices/{invoice}.txt") }));
    let letter = json!({ "to": "accountant@example.com", "text": "I am paying invoice 17." });
    let pay = json!({ "invoice": "17", "amount": "40.00 EUR" });
    let turns: [Said; 3] = [
        ("I look at the invoices.", vec![read(17), read(18)]),
        ("Invoice 17 is due.", vec![("mail__send", letter), ("bank__pay", pay)]),
        ("Invoice 17 is paid: 40.00 EUR.", Vec::new()),
    ];
    let line = |(at, (text, calls)): (usize, Said)| {
        let stop = if calls.is_empty() { "end" } else { "tools" };
        let calls = calls.into_iter().enumerate().map(|(n, (name, arguments))| {
            json!({ "id": format!("call_{at}_{n}"), "name": name, "arguments": arguments.to_string() })
        });
        let turn = json!({ "text": text, "calls": calls.collect::<Vec<_>>() });
        format!(
            "{}\n",
            json!({ "answer": { "turn": turn, "stop": stop, "usage": { "input": 900, "output": 60 } } })
        )
    };
    turns.into_iter().enumerate().map(line).collect()
}

const CONFIG: &str = r#"[servers.files]
command = "builtin:files"
args = ["HERE/invoices"]
contract = "files.toml"

[servers.bank]
command = "builtin:play-bank"
args = ["HERE/bank/book"]
contract = "bank.toml"

[servers.mail]
command = "builtin:play-mail"
args = ["HERE/keys/id_ed25519"]
contract = "mail.toml"

[providers.recorded]
wire = "cassette"
file = "clerk.jsonl"
"#;

const CLERK: &str = r#"instructions = "Pay what is due, and tell the accountant."
[model]
use = "recorded/clerk"
[tools]
servers = ["files", "bank", "mail"]
[budget]
tokens = 100000
calls = 20
"#;

const FILES: &str = r#"[[files]]
path = "HERE/invoices"
mode = "read"
[tools."*"]
effect = "read"
"#;

const BANK: &str = r#"[[files]]
path = "HERE/bank"
mode = "write"
[tools.pay]
effect = "irreversible"
probe = "payment_status"
key_argument = "idempotency_key"
[tools.payment_status]
effect = "read"
"#;

const MAIL: &str = r#"[tools.send]
effect = "idempotent"
"#;

const STRICTER: &str = r#"[tools.payment_status]
effect = "read"
[tools."*"]
allow = false
"#;
