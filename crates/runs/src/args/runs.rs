//! Arguments of the verbs about runs.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use clap_complete::ArgValueCandidates;

use crate::{args::Target, complete};

#[expect(missing_docs, reason = "a line on it would change what --help shows")]
#[derive(Debug, Subcommand)]
pub enum RunVerb {
    /// Give an agent a task, and watch it
    #[command(
        after_help = "Examples:\n  cella run invoices \"pay what is due\"\n  cella run invoices \"pay what is due\" --detach      prints the run's name and leaves\n  cella run invoices \"pay what is due\" --json\n\nAgents are files: agents/NAME.toml beside cella.toml (docs/guide/agents.md). Without a running node one is started for this run.\nKill it at any moment: cella resume last goes on, and does nothing twice.\nExit codes: 0 completed, 1 failed or cancelled, 3 paused, 75 it waits for somebody: cella show last."
    )]
    Run(Run),
    /// List runs, the newest first
    #[command(after_help = "Examples:\n  cella runs\n  cella runs --json")]
    Runs(Target),
    /// Show where a run stands and what happened in it
    #[command(
        after_help = "Examples:\n  cella show last\n  cella show 3f9a --json\n  cella show last --tape > tape.jsonl      what its models said, to be played by a provider with wire = \"cassette\"\n\nA run is named by its name, the beginning of it, or last."
    )]
    Show(Show),
    /// Go on with a run that was interrupted or paused, and watch it
    #[command(
        after_help = "Examples:\n  cella resume last\n  cella resume 3f9a --detach\n\nA call that was under way when the node ended is in doubt, and its contract says what is done: again (pure, read, idempotent\nwith the same key), undone first (reversible), asked after by its probe (irreversible), else you are asked: cella resolve."
    )]
    Resume(Resume),
    /// Agree to a call that waits for approval
    #[command(after_help = "Examples:\n  cella approve last s3\n  cella approve 3f9a s3")]
    Approve(Step),
    /// Refuse a call that waits for approval
    #[command(after_help = "Example:\n  cella deny last s3 --why \"too dear\"")]
    Deny {
        #[command(flatten)]
        step: Step,
        /// Why, for the model
        #[arg(long, default_value = "", value_name = "TEXT")]
        why: String,
    },
    /// Say whether a call in doubt was done
    #[command(
        after_help = "Examples:\n  cella resolve last s3 --happened --result \"receipt 17\"\n  cella resolve last s3 --did-not-happen     it is done now\n  cella resolve last s3 --give-up            the model hears that nobody knows"
    )]
    Resolve(Resolve),
    /// End a run; what is under way is waited for
    #[command(after_help = "Example:\n  cella cancel last")]
    Cancel(Which),
    /// Do a run again for nothing: no network, no model, no tool; stops at the first event that is not what it would be
    #[command(
        after_help = "Examples:\n  cella replay last\n  cella replay 3f9a --json\n  cella replay last --cells                  calls tools without effect once more, and compares what they answer\n  cella replay last --model openai/gpt-5     asks another model; its calls hear what the run heard, and nobody is called\n\nExit codes: 0 identical, 7 it diverges."
    )]
    Replay(Replay),
    /// Begin a run that shares everything with another up to an event
    #[command(
        after_help = "Examples:\n  cella fork last --say \"do not send the mail\"\n  cella fork 3f9a@41\n  cella fork 3f9a@41 --agent careful\n\nBetween the beginning of a call and its end there is no state that two runs could share; the error says which events are near."
    )]
    Fork(Fork),
    /// Two runs side by side: what they share, and what each did from there on
    #[command(after_help = "Example:\n  cella diff 3f9a 71c0\n\nExit codes: 0 the same, 7 they differ.")]
    Diff {
        /// A run
        #[arg(add = ArgValueCandidates::new(complete::runs))]
        left: String,
        /// Another
        #[arg(add = ArgValueCandidates::new(complete::runs))]
        right: String,
    },
    /// What old runs would have met under another contract or agreement, or done as another agent
    #[command(
        after_help = "Examples:\n  cella backtest --contract stricter.toml --server bank\n  cella backtest --agent agents/careful.toml --since 7d --json\n  cella backtest --agreement tighter.toml      [budgets] and [prices] as in cella.toml\n\nExact up to the first divergence of each run, and says so. Exit codes: 0 nothing changes, 7 something does."
    )]
    Backtest(Backtest),
}

#[derive(Debug, Args)]
pub struct Run {
    /// The agent: agents/AGENT.toml
    #[arg(add = ArgValueCandidates::new(complete::agents))]
    pub(crate) agent: String,
    /// What it is to do; `-` reads it from standard input
    pub(crate) task: String,
    /// The account that the run spends from, instead of the agent's
    #[arg(long, value_name = "ORG/TEAM/AGENT")]
    pub(crate) account: Option<String>,
    /// Leave it to the running node
    #[arg(long, short)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub struct Resume {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Leave it to the running node
    #[arg(long, short)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub struct Which {
    /// The run: its name, the beginning of it, or last
    #[arg(add = ArgValueCandidates::new(complete::runs))]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    pub(crate) which: Which,
    /// What its models said, as a recording
    #[arg(long, conflicts_with = "json")]
    pub(crate) tape: bool,
}

#[derive(Debug, Args)]
pub struct Replay {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Make the calls once more whose contract says that they are pure, and compare what comes of them
    #[arg(long, conflicts_with = "model")]
    pub(crate) cells: bool,
    /// Ask this model instead, which costs what it costs; what tools answered comes from the ledger
    #[arg(long, value_name = "PROVIDER/MODEL")]
    pub(crate) model: Option<String>,
}

#[derive(Debug, Args)]
pub struct Step {
    /// The run: its name, the beginning of it, or last
    #[arg(add = ArgValueCandidates::new(complete::runs))]
    pub(crate) run: String,
    /// The call: s1, s2, ...
    pub(crate) step: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("verdict").required(true))]
pub struct Resolve {
    #[command(flatten)]
    pub(crate) step: Step,
    /// It was done
    #[arg(long, group = "verdict")]
    pub(crate) happened: bool,
    /// It was not done; do it
    #[arg(long, group = "verdict")]
    pub(crate) did_not_happen: bool,
    /// Leave it
    #[arg(long, group = "verdict")]
    pub(crate) give_up: bool,
    /// What came of it, for the model
    #[arg(long, default_value = "", requires = "happened", value_name = "TEXT")]
    pub(crate) result: String,
}

#[derive(Debug, Args)]
pub struct Fork {
    /// The run, and the event at which to leave it: RUN@SEQ; without one at its last event at rest
    #[arg(value_name = "RUN[@SEQ]", add = ArgValueCandidates::new(complete::runs))]
    pub(crate) from: String,
    /// What the user says next; calls that wait give way to it
    #[arg(long, value_name = "TEXT")]
    pub(crate) say: Option<String>,
    /// Another agent, or the same one as its file is now
    #[arg(long, value_name = "AGENT", add = ArgValueCandidates::new(complete::agents))]
    pub(crate) agent: Option<String>,
    /// Begin with the files as they are on the host, instead of as the run had them
    #[arg(long)]
    pub(crate) without_files: bool,
    /// Leave it to the running node
    #[arg(long, short)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("rule").required(true))]
pub struct Backtest {
    /// A contract file
    #[arg(long, group = "rule", requires = "server", value_name = "FILE")]
    pub(crate) contract: Option<PathBuf>,
    /// The server whose contract it would be
    #[arg(long, requires = "contract", value_name = "SERVER")]
    pub(crate) server: Option<String>,
    /// An agent's file, named as the agent whose runs are meant
    #[arg(long, group = "rule", value_name = "FILE")]
    pub(crate) agent: Option<PathBuf>,
    /// A file with [budgets] and [prices], as in cella.toml
    #[arg(long, group = "rule", value_name = "FILE")]
    pub(crate) agreement: Option<PathBuf>,
    /// How far back
    #[arg(long, default_value = "30d", value_name = "TIME")]
    pub(crate) since: String,
}
