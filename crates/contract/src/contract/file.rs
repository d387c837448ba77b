//! The keys of a contract file. Their comments are the descriptions in the published JSON Schema.

use std::time::Duration;

use crate::{
    ByteSize, CpuShare, Effect, Egress, EnvName, HostName, Isolation, Location, Lock, Mode, Phase, Preset,
    Rate, ToolName, Wall,
    read::{Located, Named, table},
    texts::{Method, PathText, PlaceholderFormat, UrlPath},
};

table! {
    /// What a server may touch and what its tools promise. Whatever is not named is denied.
    pub(crate) struct ContractTable {
        /// Version of the format; 1, which is the default.
        version: u32,
        /// What the contract is based on; its limits and file rules hold where this file says nothing. Default: untrusted.
        preset: Preset,
        /// Hosts that may be reached over TCP, as `host:port`; `*.example.com:443` for all below a name. Default: none.
        egress: Vec<Located<Egress>>,
        /// Directories and files of the host that are shown, at the same path. Default: none.
        files: Vec<Located<FileTable>>,
        /// Ceilings. What is written here must be enforceable on the machine, else the server does not start (see `best_effort`).
        limits: LimitsTable,
        /// Promises and rules of single tools by their own names; `"*"` stands for all that do not say otherwise.
        tools: Vec<Named<ToolName, ToolTable>>,
        /// Where each secret of the server may go, by the name of its variable in `env`.
        secrets: Vec<Named<EnvName, SecretTable>>,
        /// Who shares one process of the server. Default: as the server's section in cella.toml says.
        isolation: Isolation,
        /// Directories the server is told of when it asks for roots, instead of the client's. Each must lie in a granted directory.
        roots: Vec<Located<PathText>>,
        /// Walls that may fall short where the machine cannot build them; each shortfall is recorded and shown. Default: none.
        best_effort: Vec<Located<Wall>>,
    }
}

table! {
    /// A directory or file of the host that the server is shown.
    pub(crate) struct FileTable {
        /// Absolute, or relative to this file's directory, or `~/...`.
        @required path: PathText,
        /// `read` or `write`. Default: read.
        mode: Mode,
    }
}

table! {
    /// Ceilings of one cell. A unit of work is one call to a server, or the whole run of `cella exec`.
    pub(crate) struct LimitsTable {
        /// Memory of the process tree, its private files included, for example "512MiB". Past it the cell is killed.
        memory: ByteSize,
        /// Processes and threads at once. Past it fork fails.
        processes: u32,
        /// Size of each private directory (/tmp, home). Past it writes fail.
        disk: ByteSize,
        /// Files and directories in each private directory. Past it creating fails.
        inodes: u32,
        /// Processor time per second, in per cent of one processor: "50%", "200%". Past it the cell is slowed down.
        cpu: CpuShare,
        /// Processor time of one process, for example "30s". Past it the process is killed. Default: none.
        cpu_time: Duration,
        /// Time for one unit of work, for example "60s". Past it the cell is killed.
        time: Duration,
        /// Open files of one process. Past it opening fails.
        open_files: u32,
        /// Largest file that may be written. Past it writing fails. Default: none beyond `disk`.
        file_size: ByteSize,
        /// Standard output of one unit of work: of a server, one message. Past it the cell is killed.
        stdout: ByteSize,
        /// Standard error of one unit of work. What is more is thrown away.
        stderr: ByteSize,
        /// Arguments of one call. Past it the call is refused.
        arguments: ByteSize,
        /// Processes of the server at one time when clients do not share one. Past it clients are told to wait.
        instances: u32,
    }
}

table! {
    /// What a tool promises and when it may be called.
    pub(crate) struct ToolTable {
        /// Whether it may be called. Default: true.
        allow: bool,
        /// What a call does to the world; decides what happens after a crash. Default: irreversible.
        effect: Effect,
        /// The tool of the same server that takes a call back. Needed with `effect = "reversible"`.
        undo: ToolName,
        /// The tool of the same server that says whether a call happened.
        probe: ToolName,
        /// Phases of a plan in which it may be called. Default: all.
        phases: Vec<Located<Phase>>,
        /// What a call locks, for example "fs:/invoices/**": shared by tools that only read, else exclusive.
        locks: Vec<Located<Lock>>,
        /// How often it may be called, for example "100/min". Default: no limit.
        rate: Rate,
        /// Longest time for a call, for example "30s".
        timeout: Duration,
    }
}

table! {
    /// Where a secret may go. Without hosts it goes nowhere.
    pub(crate) struct SecretTable {
        /// Hosts that may receive it; each must be in `egress`.
        hosts: Vec<Located<HostName>>,
        /// HTTP methods of requests that may carry it. Default: all.
        methods: Vec<Located<Method>>,
        /// Paths of requests that may carry it; `*` stands for any text. Default: all.
        paths: Vec<Located<UrlPath>>,
        /// Where in a request it may stand. Default: header.
        locations: Vec<Located<Location>>,
        /// How the placeholder begins where the server's software checks it, for example "ghp_".
        format: PlaceholderFormat,
        /// The server computes with the value itself, so it is given into the cell. Default: false.
        in_cell: bool,
    }
}
