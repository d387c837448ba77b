//! What is tried, inside and outside: each prints `OUT` with what it got, or `DENIED` with why not.

#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "each block is one system call on values of its own, made to see whether the kernel refuses it"
)]

use std::{
    ffi::CString,
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream},
    },
    process::{Command, ExitCode},
    ptr,
    time::Duration,
};

/// Argument under which this binary makes an attempt.
pub(crate) const ARG: &str = "__attempt";
/// How long a connection is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Gives what was got hold of.
type Attempt = fn(&[String]) -> io::Result<String>;

const ATTEMPTS: &[(&str, Attempt)] = &[
    ("read", |args| fs::read_to_string(&args[0])),
    ("write", |args| fs::write(&args[0], "changed").map(|()| "written".into())),
    ("append", |args| {
        fs::OpenOptions::new().append(true).open(&args[0])?.write_all(b"changed").map(|()| "appended".into())
    }),
    ("remove", |args| fs::remove_file(&args[0]).map(|()| "removed".into())),
    ("chmod", |args| chmod(&args[0])),
    ("lend", |args| lend(&args[0], &args[1])),
    ("read-through-link", read_through_link),
    ("list", |args| list(&args[0])),
    ("find-process", |args| find_process(&args[0])),
    ("kill", |args| zero(unsafe { libc::kill(number(&args[0]), libc::SIGKILL) })),
    ("ptrace", |args| zero_long(unsafe { libc::ptrace(libc::PTRACE_SEIZE, number(&args[0]), 0, 0) })),
    ("ptrace-child", |_| ptrace_child()),
    ("read-memory", |args| read_memory(number(&args[0]))),
    ("tcp", |args| tcp(&args[0])),
    ("abstract", |args| abstract_socket(&args[0])),
    ("unix", |args| UnixStream::connect(&args[0]).map(|_| "connected".into())),
    ("shared-memory", |args| shared_memory(number(&args[0]))),
    ("socket", |args| open_socket(number(&args[0]), number(&args[1]), number(&args[2]))),
    ("user-namespace", |_| zero(unsafe { libc::unshare(libc::CLONE_NEWUSER) })),
    ("clone-user-namespace", |_| clone_into(libc::CLONE_NEWUSER)),
    ("mount", |_| mount_tmpfs()),
    ("syscall", |args| call(&args[0])),
    ("type-on-terminal", |_| type_on_terminal()),
    ("personality", |_| personality()),
    ("euid-of", |args| euid_of(&args[0])),
    ("environment", |args| std::env::var(&args[0]).map_err(io::Error::other)),
    ("descriptors", |_| descriptors()),
    ("hostname", |args| hostname(&args[0])),
    ("session-keyring", |_| keyring()),
    // what is allowed, and programs that the tests need
    ("loopback", |_| loopback()),
    ("threads", |_| threads()),
    ("executable-memory", |_| executable_memory()),
    ("memory", |args| eat(parse(&args[0]), false)),
    ("shared", |args| eat(parse(&args[0]), true)),
    ("forks", |args| forks(parse(&args[0]))),
    ("open-files", |_| open_files()),
    ("fill", |args| fill(&args[0])),
    ("many-files", |args| many_files(&args[0])),
    ("spin", |_| spin()),
    ("daemon", |args| daemon(&args[0])),
    ("status", |_| status()),
    ("udp", |args| udp(&args[0])),
    ("tcp-by-name", |args| tcp_by_name(&args[0])),
    ("serve", |args| serve(&args[0])),
    // Holding it until killed.
    ("hold", |args| eat(parse(&args[0]), false).map(|_| wait_for_ever())),
    ("hold-shared", |args| eat(parse(&args[0]), true).map(|_| wait_for_ever())),
    ("hold-memory-file", |args| memory_file(parse(&args[0])).map(|_held| wait_for_ever())),
    ("segment", |_| zero(unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o600) })),
    ("option", |args| zero(unsafe { libc::prctl(number(&args[0]), 0, 0, 0, 0) })),
    ("request", |args| zero(unsafe { libc::ioctl(2, parse(&args[0]) as libc::c_ulong, 0) })),
    ("mark-opaque", |args| mark_opaque(&args[0])),
    ("make-whiteout", |args| make_whiteout(&args[0])),
    ("bind", |args| std::net::TcpListener::bind(&args[0]).map(|_| "bound".into())),
];

pub(crate) fn main(args: &[String]) -> ExitCode {
    let attempt = ATTEMPTS.iter().find(|(name, _)| *name == args[0]).expect("a known attempt");
    match attempt.1(&args[1..]) {
        Ok(got) => println!("OUT {got}"),
        Err(error) => println!("DENIED {error}"),
    }
    ExitCode::SUCCESS
}

/// What the kernel writes beside a directory whose lower one is hidden.
fn mark_opaque(path: &str) -> io::Result<String> {
    let path = CString::new(path)?;
    let (name, value) = (c"user.overlay.opaque", b"y");
    zero(unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) })
}

/// What the kernel puts where something was removed.
fn make_whiteout(path: &str) -> io::Result<String> {
    let path = CString::new(path)?;
    zero(unsafe { libc::mknod(path.as_ptr(), libc::S_IFCHR, 0) })
}

fn number(text: &str) -> i32 {
    text.parse().expect("a number")
}

fn parse(text: &str) -> usize {
    text.parse().expect("a number")
}

fn zero(result: i32) -> io::Result<String> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(format!("result {result}")) }
}

fn zero_long(result: libc::c_long) -> io::Result<String> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(format!("result {result}")) }
}

fn chmod(path: &str) -> io::Result<String> {
    let path = CString::new(path)?;
    zero(unsafe { libc::chmod(path.as_ptr(), 0o777) })
}

/// Makes a file that lends its owner to whoever executes it, in one of the ways there are.
fn lend(way: &str, path: &str) -> io::Result<String> {
    const MODE: libc::mode_t = 0o6755;
    let file = CString::new(path)?;
    let (at, name) = (libc::AT_FDCWD, file.as_ptr());
    let create = libc::O_CREAT | libc::O_WRONLY;
    let changes = way.contains("chmod");
    let made = changes.then(|| fs::File::create(path)).transpose()?;
    let descriptor = made.as_ref().map_or(-1, std::os::fd::AsRawFd::as_raw_fd);
    zero_long(unsafe {
        match way {
            #[cfg(target_arch = "x86_64")]
            "chmod" => libc::syscall(libc::SYS_chmod, name, MODE),
            "fchmod" => libc::syscall(libc::SYS_fchmod, descriptor, MODE),
            "fchmodat" => libc::syscall(libc::SYS_fchmodat, at, name, MODE),
            "fchmodat2" => libc::syscall(452, at, name, MODE, 0),
            "group-chmodat" => libc::syscall(libc::SYS_fchmodat, at, name, 0o2755),
            #[cfg(target_arch = "x86_64")]
            "open" => libc::syscall(libc::SYS_open, name, create, MODE),
            "openat" => libc::syscall(libc::SYS_openat, at, name, create, MODE),
            "openat2" => {
                let how: [u64; 3] = [u64::from(create.cast_unsigned()), u64::from(MODE), 0];
                libc::syscall(libc::SYS_openat2, at, name, how.as_ptr(), size_of_val(&how))
            }
            "tmpfile" => {
                let dir = CString::new(path.rsplit_once('/').map_or("/", |(dir, _)| dir))?;
                let nameless = libc::open(dir.as_ptr(), libc::O_TMPFILE | libc::O_WRONLY, MODE);
                let (from, link) =
                    (CString::new(format!("/proc/self/fd/{nameless}"))?, libc::AT_SYMLINK_FOLLOW);
                if nameless < 0 { -1 } else { libc::linkat(at, from.as_ptr(), at, name, link).into() }
            }
            #[cfg(target_arch = "x86_64")]
            "creat" => libc::syscall(libc::SYS_creat, name, MODE),
            #[cfg(target_arch = "x86_64")]
            "mknod" => libc::syscall(libc::SYS_mknod, name, libc::S_IFREG | MODE, 0),
            "mknodat" => libc::syscall(libc::SYS_mknodat, at, name, libc::S_IFREG | MODE, 0),
            other => return Err(io::Error::other(format!("unknown way {other}"))),
        }
    })
}

fn read_through_link(args: &[String]) -> io::Result<String> {
    let link = format!("{}/link-{}", args[0], std::process::id());
    std::os::unix::fs::symlink(&args[1], &link)?;
    let read = fs::read_to_string(&link);
    fs::remove_file(&link)?;
    read
}

fn list(path: &str) -> io::Result<String> {
    let names: Vec<String> =
        fs::read_dir(path)?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    if names.is_empty() { Err(io::Error::other("empty")) } else { Ok(names.join(" ")) }
}

fn find_process(token: &str) -> io::Result<String> {
    let own = std::process::id();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        if pid == own {
            continue;
        }
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(token) {
            return Ok(format!("process {pid}"));
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

fn ptrace_child() -> io::Result<String> {
    let mut child = Command::new("/bin/sleep").arg("5").spawn()?;
    let pid = i32::try_from(child.id()).unwrap_or_default();
    let traced = zero_long(unsafe { libc::ptrace(libc::PTRACE_ATTACH, pid, 0, 0) });
    child.kill()?;
    traced
}

fn read_memory(pid: i32) -> io::Result<String> {
    let mut byte = 0u8;
    let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // Whether anything is mapped there does not matter: EFAULT comes after the permission check.
    let remote = libc::iovec { iov_base: ptr::dangling_mut(), iov_len: 1 };
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    let error = io::Error::last_os_error();
    if read >= 0 || error.raw_os_error() == Some(libc::EFAULT) { Ok("permitted".into()) } else { Err(error) }
}

fn tcp(address: &str) -> io::Result<String> {
    let address = address.parse().map_err(io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// As [`tcp`], of the first address that the C library's resolver gives.
fn tcp_by_name(name: &str) -> io::Result<String> {
    use std::net::ToSocketAddrs;
    let address = name.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    tcp(&address.to_string())
}

/// Sends a datagram; the kernel's refusal comes with the second.
fn udp(address: &str) -> io::Result<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(address)?;
    socket.send(b"hello")?;
    socket.send(b"hello").map(|_| "sent".into())
}

/// Says that it listens, and answers one connection.
fn serve(address: &str) -> io::Result<String> {
    let listener = std::net::TcpListener::bind(address)?;
    println!("listening");
    let (mut stream, _) = listener.accept()?;
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    stream.write_all(&[byte[0] + 1])?;
    Ok("served".into())
}

fn abstract_socket(name: &str) -> io::Result<String> {
    UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?).map(|_| "connected".into())
}

fn shared_memory(id: i32) -> io::Result<String> {
    let memory = unsafe { libc::shmat(id, ptr::null(), libc::SHM_RDONLY) };
    if memory as isize == -1 { Err(io::Error::last_os_error()) } else { Ok("attached".into()) }
}

fn open_socket(family: i32, kind: i32, protocol: i32) -> io::Result<String> {
    zero(unsafe { libc::socket(family, kind, protocol) })
}

fn clone_into(flags: i32) -> io::Result<String> {
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) };
    if pid == 0 {
        unsafe { libc::_exit(0) };
    }
    zero_long(pid)
}

fn mount_tmpfs() -> io::Result<String> {
    // As far as a plain user gets outside: in namespaces of its own.
    if unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let (none, dir, kind) = (c"none", c"/tmp", c"tmpfs");
    zero(unsafe { libc::mount(none.as_ptr(), dir.as_ptr(), kind.as_ptr(), 0, ptr::null()) })
}

/// Calls with arguments that cannot succeed, but fail differently when the call is reached.
fn call(name: &str) -> io::Result<String> {
    let (number, unreached): (libc::c_long, &[i32]) = match name {
        "io_uring_setup" => (libc::SYS_io_uring_setup, &[libc::EPERM, libc::ENOSYS]),
        "userfaultfd" => (libc::SYS_userfaultfd, &[libc::ENOSYS]),
        "keyctl" => (libc::SYS_keyctl, &[libc::EPERM, libc::ENOSYS]),
        "add_key" => (libc::SYS_add_key, &[libc::EPERM, libc::ENOSYS]),
        "bpf" => (libc::SYS_bpf, &[libc::ENOSYS]),
        "perf_event_open" => (libc::SYS_perf_event_open, &[libc::ENOSYS]),
        "setns" => (libc::SYS_setns, &[libc::EPERM, libc::ENOSYS]),
        "open_tree" => (libc::SYS_open_tree, &[libc::EPERM, libc::ENOSYS]),
        "clone3" => (libc::SYS_clone3, &[libc::EPERM, libc::ENOSYS]),
        "kcmp" => (libc::SYS_kcmp, &[libc::EPERM, libc::ENOSYS]),
        "io_setup" => (libc::SYS_io_setup, &[libc::ENOSYS]),
        "open_by_handle_at" => (libc::SYS_open_by_handle_at, &[libc::ENOSYS]),
        "memfd_secret" => (libc::SYS_memfd_secret, &[libc::ENOSYS]),
        "fanotify_init" => (libc::SYS_fanotify_init, &[libc::ENOSYS]),
        "statmount" => (457, &[libc::ENOSYS]),
        // `file_getattr`, of Linux 6.17
        "unknown" => (468, &[libc::ENOSYS]),
        other => return Err(io::Error::other(format!("unknown call {other}"))),
    };
    let result = unsafe { libc::syscall(number, -1, -1, -1, -1, -1, -1) };
    let error = io::Error::last_os_error();
    let unreached = result < 0
        && error.raw_os_error().is_some_and(|code| unreached.contains(&code) || code == libc::EPERM);
    if unreached { Err(error) } else { Ok(format!("reached: {result} {error}")) }
}

fn type_on_terminal() -> io::Result<String> {
    let byte = b'x';
    let result = unsafe { libc::ioctl(0, libc::TIOCSTI, &raw const byte) };
    let error = io::Error::last_os_error();
    // Standard input is no terminal: the call is reached if the kernel says so.
    if result == 0 || error.raw_os_error() == Some(libc::ENOTTY) { Ok("reached".into()) } else { Err(error) }
}

fn personality() -> io::Result<String> {
    /// `ADDR_NO_RANDOMIZE`
    const NO_RANDOM: libc::c_ulong = 0x0004_0000;
    zero(unsafe { libc::personality(NO_RANDOM) })
}

fn euid_of(program: &str) -> io::Result<String> {
    let output = Command::new(program).arg("-u").output()?;
    let uid = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if uid == "0" { Ok("root".into()) } else { Err(io::Error::other(format!("uid {uid}"))) }
}

fn descriptors() -> io::Result<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")?.flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        let number: i32 = entry.file_name().to_string_lossy().parse().unwrap_or(-1);
        if number > 2 && !target.ends_with("fd") {
            found.push(format!("{number}={}", target.display()));
        }
    }
    if found.is_empty() { Err(io::Error::other("only standard ones")) } else { Ok(found.join(" ")) }
}

fn hostname(wanted: &str) -> io::Result<String> {
    let mut name = [0u8; 256];
    zero(unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len()) })?;
    let name = String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned();
    if name == wanted { Ok(name) } else { Err(io::Error::other(name)) }
}

fn keyring() -> io::Result<String> {
    // `KEYCTL_GET_KEYRING_ID` of the session keyring, made if it is not there.
    let id = unsafe { libc::syscall(libc::SYS_keyctl, 0, -3, 1) };
    zero_long(id)
}

fn loopback() -> io::Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    listener.accept()?.0.write_all(b"hello")?;
    let mut text = [0; 5];
    (&client).read_exact(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn threads() -> io::Result<String> {
    let sum: usize = (0..16).map(|n| std::thread::spawn(move || n)).filter_map(|t| t.join().ok()).sum();
    let output = Command::new("/bin/echo").arg("child").output()?;
    Ok(format!("{sum} {}", String::from_utf8_lossy(&output.stdout).trim()))
}

fn executable_memory() -> io::Result<String> {
    let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let memory = unsafe { libc::mmap(ptr::null_mut(), 4096, protection, flags, -1, 0) };
    if memory == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    zero(unsafe { libc::memfd_create(c"x".as_ptr(), 0) })
}

/// Touches so many MiB, a page each, and says how far it came.
fn eat(mib: usize, shared: bool) -> io::Result<String> {
    let flags = libc::MAP_ANONYMOUS | if shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
    for eaten in 0..mib {
        let size = 1 << 20;
        let memory =
            unsafe { libc::mmap(ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::other(format!("stopped at {eaten} MiB: {}", io::Error::last_os_error())));
        }
        for page in (0..size).step_by(4096) {
            unsafe { memory.cast::<u8>().add(page).write_volatile(1) };
        }
    }
    Ok(format!("{mib} MiB"))
}

/// A file without a name and without a mapping, so many MiB.
fn memory_file(mib: usize) -> io::Result<fs::File> {
    let fd = unsafe { libc::memfd_create(c"held".as_ptr(), 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut file: fs::File = unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) };
    let chunk = vec![1; 1 << 20];
    (0..mib).try_for_each(|_| file.write_all(&chunk))?;
    Ok(file)
}

fn wait_for_ever() -> String {
    loop {
        unsafe { libc::pause() };
    }
}

/// Forks so many sleepers, says how many came to be, and ends them.
fn forks(wanted: usize) -> io::Result<String> {
    let mut made = Vec::new();
    let mut refused = None;
    while made.len() < wanted && refused.is_none() {
        match unsafe { libc::fork() } {
            0 => loop {
                unsafe { libc::pause() };
            },
            -1 => refused = Some(format!("stopped at {}", made.len())),
            pid => made.push(pid),
        }
    }
    for pid in &made {
        unsafe { libc::kill(*pid, libc::SIGKILL) };
    }
    refused.map_or_else(|| Ok(format!("{} processes", made.len())), |stopped| Err(io::Error::other(stopped)))
}

fn open_files() -> io::Result<String> {
    let mut files = Vec::new();
    loop {
        match fs::File::open("/dev/null") {
            Ok(file) if files.len() < 100_000 => files.push(file),
            Ok(_) => return Ok("no end".into()),
            Err(_) => return Err(io::Error::other(format!("stopped at {}", files.len()))),
        }
    }
}

fn fill(dir: &str) -> io::Result<String> {
    let mut file = fs::File::create(format!("{dir}/fill"))?;
    let chunk = vec![1; 1 << 20];
    for written in 0..4096 {
        if file.write_all(&chunk).is_err() {
            return Err(io::Error::other(format!("stopped at {written} MiB")));
        }
    }
    Ok("4 GiB".into())
}

fn many_files(dir: &str) -> io::Result<String> {
    for made in 0..1_000_000 {
        if fs::File::create(format!("{dir}/{made}")).is_err() {
            return Err(io::Error::other(format!("stopped at {made} files")));
        }
    }
    Ok("a million".into())
}

fn spin() -> io::Result<String> {
    let mut n = 0u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

/// Leaves a process behind that has its own session and no parent, holding nothing of ours.
fn daemon(token: &str) -> io::Result<String> {
    if unsafe { libc::fork() } == 0 {
        unsafe { libc::setsid() };
        if unsafe { libc::fork() } == 0 {
            unsafe { libc::close_range(0, u32::MAX, 0) };
            let args = [c"sleep".to_owned(), c"1000".to_owned(), CString::new(token)?];
            let mut argv: Vec<*const libc::c_char> = args.iter().map(|arg| arg.as_ptr()).collect();
            argv.push(ptr::null());
            // Two durations, of which the second is the token: coreutils adds them up.
            unsafe { libc::execv(c"/bin/sleep".as_ptr(), argv.as_ptr()) };
        }
        unsafe { libc::_exit(0) };
    }
    Ok("left behind".into())
}

/// The kernel's own word on rights.
fn status() -> io::Result<String> {
    let text = fs::read_to_string("/proc/self/status")?;
    let wanted = ["Cap", "NoNewPrivs", "Seccomp:", "Uid", "Gid", "Groups"];
    let lines = text.lines().filter(|line| wanted.iter().any(|start| line.starts_with(start)));
    let umask = unsafe { libc::umask(0) };
    let mut core = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    unsafe { libc::getrlimit(libc::RLIMIT_CORE, &raw mut core) };
    let sid = unsafe { libc::getsid(0) } == unsafe { libc::getpid() };
    let own = format!("umask={umask:o} core={} leader={sid}", core.rlim_max);
    Ok(lines.map(|line| line.replace('\t', "=")).chain([own]).collect::<Vec<_>>().join(" "))
}
