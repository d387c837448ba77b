//! System calls without a safe interface elsewhere. All `unsafe` of the crate but the test suite's is here.

use std::{
    convert::Infallible,
    ffi::{CStr, CString},
    io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    path::Path,
    ptr,
};

use rustix::mount::MountAttrFlags;
use tokio::io::{Interest, unix::AsyncFd};

/// Both sides of [`fork`].
#[derive(Debug)]
pub(crate) enum Forked {
    /// In the new process.
    Child,
    /// In the old one.
    Parent {
        /// Process id of the child, in the caller's pid namespace.
        pid: i32,
        /// Descriptor of the child.
        pidfd: OwnedFd,
    },
}

/// `fork` with `CLONE_*` flags (namespaces, `CLONE_PARENT`). Only the launcher calls it, which never has a second thread.
pub(crate) fn fork(flags: libc::c_int) -> io::Result<Forked> {
    let mut pidfd: RawFd = -1;
    let bits = flags | libc::CLONE_PIDFD | libc::SIGCHLD;
    let no_stack = ptr::null_mut::<libc::c_void>();
    // SAFETY: without CLONE_VM and with a null stack this is fork: the child runs on a copy of this stack. The process
    // has one thread, so no lock can be held by a thread that does not exist in the child. `pidfd` outlives the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone, bits, no_stack, &raw mut pidfd, 0, 0) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => {
            // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Forked::Parent { pid: i32::try_from(pid).unwrap_or_default(), pidfd })
        }
    }
}

/// Ends the process at once: in a forked process the destructors and exit handlers belong to somebody else.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: _exit touches no memory of ours.
    unsafe { libc::_exit(status) }
}

/// Descriptors from the kernel's hand (`SCM_RIGHTS` is wrapped by rustix; this is for numbers 0 to 2).
pub(crate) fn take_standard_fd(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC reads two integers.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fcntl has just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Makes `number` (0 to 2) refer to the same open file; it survives `exec`.
pub(crate) fn place_standard_fd(file: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    // SAFETY: dup2 on a live descriptor; 0 to 2 are owned by nobody as an `OwnedFd` in this process.
    check(unsafe { libc::dup2(file.as_raw_fd(), number) })
}

/// Closes every descriptor from `first` up, at once or at `exec`.
pub(crate) fn close_from(first: RawFd, at_exec: bool) -> io::Result<()> {
    let flags = if at_exec { CLOSE_RANGE_CLOEXEC } else { 0 };
    // SAFETY: callers are about to exec or loop on descriptors below `first`; owners above it are never used again.
    check_long(unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags) })
}

/// `CLOSE_RANGE_CLOEXEC`, `linux/close_range.h`.
const CLOSE_RANGE_CLOEXEC: libc::c_uint = 1 << 2;

#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Sets attributes of a mount by descriptor, and of all mounts below it if `recursive`.
pub(crate) fn set_mount_attributes(
    mount: BorrowedFd<'_>,
    set: MountAttrFlags,
    recursive: bool,
) -> io::Result<()> {
    let attr = MountAttr { attr_set: u64::from(set.bits()), attr_clr: 0, propagation: 0, userns_fd: 0 };
    mount_setattr(mount, &attr, recursive)
}

/// Lets ids on disk appear translated by the map of a user namespace. The mount must not be attached yet.
pub(crate) fn set_mount_id_map(mount: BorrowedFd<'_>, user_namespace: BorrowedFd<'_>) -> io::Result<()> {
    let set = u64::from(MountAttrFlags::MOUNT_ATTR_IDMAP.bits());
    let fd = u64::try_from(user_namespace.as_raw_fd()).unwrap_or(u64::MAX);
    mount_setattr(mount, &MountAttr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: fd }, true)
}

fn mount_setattr(mount: BorrowedFd<'_>, attr: &MountAttr, recursive: bool) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let (fd, path, size) = (mount.as_raw_fd(), c"".as_ptr(), size_of::<MountAttr>());
    // SAFETY: `attr` is a valid mount_attr of the size given; the path is a C string.
    check_long(unsafe { libc::syscall(libc::SYS_mount_setattr, fd, path, flags, ptr::from_ref(attr), size) })
}

/// Brings the loopback device of this network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: ifreq is plain data; all zero is a valid value of it.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = libc::c_char::try_from(*from).unwrap_or_default();
    }
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or_default();
    // SAFETY: SIOCSIFFLAGS reads an ifreq, and the request lives until the call returns.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request) })
}

/// Enters the network namespace of another process.
pub(crate) fn join_network_of(process: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: setns takes a live descriptor and an integer.
    check(unsafe { libc::setns(process.as_raw_fd(), libc::CLONE_NEWNET) })
}

/// Lets a packet socket see each packet on its arrival only.
pub(crate) fn ignore_outgoing(socket: BorrowedFd<'_>) -> io::Result<()> {
    /// `linux/if_packet.h`
    const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
    let (yes, size) = (1_i32, 4);
    let (level, name) = (libc::SOL_PACKET, PACKET_IGNORE_OUTGOING);
    // SAFETY: the option takes an integer of this size, which lives until the call returns.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const yes).cast(), size) })
}

/// Lets a packet socket see the packets of a device: `protocol` as in `linux/if_ether.h`, in network order.
pub(crate) fn bind_packets(socket: BorrowedFd<'_>, protocol: u16, device: u32) -> io::Result<()> {
    // SAFETY: sockaddr_ll is plain data; all zero is a valid value of it.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
    address.sll_protocol = protocol;
    address.sll_ifindex = i32::try_from(device).map_err(io::Error::other)?;
    let size = u32::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or_default();
    // SAFETY: the address is one of the family and size given.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size) })
}

/// All signals back to their default, but for the two that the launcher ignores: what the node, or who started it,
/// ignored would survive `exec` and surprise every program. Once per launcher.
pub(crate) fn default_signals() {
    for signal in 1..=64 {
        // SAFETY: setting a default disposition; refused for SIGKILL and SIGSTOP, which is fine.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    for ignored in LAUNCHER_IGNORES {
        // SAFETY: sets a disposition; no handler code is involved.
        unsafe { libc::signal(ignored, libc::SIG_IGN) };
    }
}

/// A pipe whose reader is gone is an error of the write; and children are reaped by the kernel, their status forgotten.
const LAUNCHER_IGNORES: [libc::c_int; 2] = [libc::SIGPIPE, libc::SIGCHLD];

/// The launcher's two back to their default as well, and none blocked: this is for the program.
pub(crate) fn reset_signals() {
    for ignored in LAUNCHER_IGNORES {
        // SAFETY: setting a default disposition.
        unsafe { libc::signal(ignored, libc::SIG_DFL) };
    }
    // SAFETY: sigset_t is plain data and sigprocmask reads it.
    unsafe {
        let mut none: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Blocks SIGCHLD and makes it readable.
pub(crate) fn child_signal_fd() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised by sigemptyset; signalfd returns a new descriptor or -1.
    let fd = unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
        libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    check(fd)?;
    // SAFETY: made just now.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Leaves the session keyring of whoever started the node. Namespaces do not separate keys.
pub(crate) fn leave_keyring() -> io::Result<()> {
    /// `KEYCTL_JOIN_SESSION_KEYRING`
    const JOIN_SESSION: libc::c_int = 1;
    // SAFETY: a null name asks for a new, anonymous keyring.
    check_long(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION, ptr::null::<u8>()) })
}

/// Sends SIGTERM to every process of this pid namespace but the caller.
pub(crate) fn terminate_all() {
    // SAFETY: kill takes two integers.
    unsafe { libc::kill(-1, libc::SIGTERM) };
}

/// What children used: processor microseconds, and bytes of the largest one.
pub(crate) fn children_usage() -> (u64, u64) {
    // SAFETY: rusage is plain data and getrusage fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let micros = |time: libc::timeval| {
        u64::try_from(time.tv_sec).unwrap_or_default() * 1_000_000
            + u64::try_from(time.tv_usec).unwrap_or_default()
    };
    let cpu = micros(usage.ru_utime) + micros(usage.ru_stime);
    (cpu, u64::try_from(usage.ru_maxrss).unwrap_or_default() * 1024)
}

/// Replaces this process. Returns only on failure.
pub(crate) fn exec(path: &CStr, args: &[CString], env: &[CString]) -> Result<Infallible, io::Error> {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|item| item.as_ptr()).chain([ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(args), pointers(env));
    // SAFETY: both arrays end with null and point to C strings that live until the call returns.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    Err(io::Error::last_os_error())
}

/// The Landlock ABI of this kernel.
pub(crate) fn landlock_abi() -> io::Result<u32> {
    /// `LANDLOCK_CREATE_RULESET_VERSION`
    const VERSION: libc::c_uint = 1;
    // SAFETY: a null attribute of size 0 with this flag asks for the version only.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<u8>(), 0usize, VERSION) };
    if version < 0 { Err(io::Error::last_os_error()) } else { Ok(u32::try_from(version).unwrap_or(u32::MAX)) }
}

/// A path for a system call.
pub(crate) fn c_path(path: &Path) -> io::Result<CString> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

/// The filesystem's name for messages: `ext4`, or its number.
pub(crate) fn filesystem_name(file: impl AsFd) -> String {
    let Ok(stat) = rustix::fs::fstatfs(file) else { return "unknown".into() };
    let known: [(u32, &str); 10] = [
        (0xef53, "ext4"),
        (0x5846_5342, "xfs"),
        (0x9123_683e, "btrfs"),
        (0x0102_1994, "tmpfs"),
        (0x794c_7630, "overlayfs"),
        (0x6969, "nfs"),
        (0x6573_5546, "fuse"),
        (0xff53_4d42, "cifs"),
        (0x0102_1997, "9p"),
        (0x2fc1_2fc1, "zfs"),
    ];
    let number = i128::from(stat.f_type) & 0xffff_ffff;
    let name = known.iter().find(|(magic, _)| i128::from(*magic) == number);
    name.map_or_else(|| format!("filesystem {number:#x}"), |(_, name)| (*name).to_owned())
}

/// Lets the runtime wait for a descriptor.
pub(crate) fn awaitable(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd always names the same open descriptor, and closes it only when the AsyncFd drops it.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn check_long(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
