//! The system call filter: what a program in a cell has no use for, and what the kernel has been broken through.
//!
//! A list of refusals, not of permissions: Node, Python and their native extensions use some 200 calls, and the list of
//! permissions belongs to a stage where it can be proven against real servers. The kernel remembers which calls always
//! pass (since Linux 5.11), so that the filter's length costs nothing on those.

use std::{collections::BTreeMap, io};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};

/// Compiled filters, in the order in which they are installed. The strictest answer wins.
#[derive(Debug)]
pub(crate) struct Filters(Vec<BpfProgram>);

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Refused with EPERM whatever their arguments.
const FORBIDDEN: &[libc::c_long] = &[
    // other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // keys of the user, which namespaces do not separate
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // large kernel interfaces with a long record of holes
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_fanotify_init,
    libc::SYS_vmsplice,
    libc::SYS_memfd_secret,
    // mounts and roots
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_mount_setattr,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // namespaces
    libc::SYS_unshare,
    libc::SYS_setns,
    // the machine
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    // other nodes' memory
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
];

/// As above, where the architecture has them.
#[cfg(target_arch = "x86_64")]
const FORBIDDEN_HERE: &[libc::c_long] = &[
    libc::SYS_kexec_file_load,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const FORBIDDEN_HERE: &[libc::c_long] = &[libc::SYS_kexec_file_load];

/// Answered with ENOSYS, so that libraries take their older way: io_uring escapes system call rules, and what clone3 and
/// openat2 are asked for lies in memory, where a filter cannot read it.
const ABSENT: &[libc::c_long] = &[
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_clone3,
    libc::SYS_openat2,
];

/// Modes that lend a file's owner or group to whoever executes it. Inside they mean nothing (`nosuid`), but a file in a
/// writable mount keeps them on the host, where somebody else may execute it as the owner.
const LENDING_MODES: [u64; 2] = [libc::S_ISUID as u64, libc::S_ISGID as u64];

/// `fchmodat2`, the same number everywhere; not every architecture's list in libc has it.
const FCHMODAT2: libc::c_long = 452;

/// Calls that set a mode, and which argument that is.
const SETS_MODE: &[(libc::c_long, u8)] = &[
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (FCHMODAT2, 2),
    (libc::SYS_mknodat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
];

/// Calls that set a mode if they make a file, and which arguments are the flags and the mode. Without these flags the mode
/// is whatever was in the register.
const OPENS: &[(libc::c_long, u8, u8)] = &[
    (libc::SYS_openat, 2, 3),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1, 2),
];

/// Flags that make a file. `O_TMPFILE` is two bits, of which this is its own.
const MAKES_FILE: [u64; 2] = [libc::O_CREAT as u64, (libc::O_TMPFILE & !libc::O_DIRECTORY) as u64];

/// Address families that a program may use; packet, netlink, vsock and the rest answer EAFNOSUPPORT.
const FAMILIES: [libc::c_int; 3] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];

/// Terminal requests that type on somebody else's behalf, or reach other consoles.
const TERMINAL_REQUESTS: [u64; 3] =
    [0x5412 /* TIOCSTI */, 0x541c /* TIOCLINUX */, 0x5423 /* TIOCSETD */];

const NEW_NAMESPACE: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Compiles the filters, once per launcher.
pub(crate) fn compile() -> io::Result<Filters> {
    let programs = [
        build(forbidden()?, libc::EPERM)?,
        build(ABSENT.iter().map(|call| (*call, Vec::new())).collect(), libc::ENOSYS)?,
        build(BTreeMap::from([(libc::SYS_socket, vec![foreign_family()?])]), libc::EAFNOSUPPORT)?,
    ];
    let mut programs: Vec<BpfProgram> = programs.into();
    programs.extend(foreign_abi());
    Ok(Filters(programs))
}

/// Installs them on this process for good. Needs no_new_privs.
pub(crate) fn install(filters: &Filters) -> io::Result<()> {
    filters.0.iter().try_for_each(|program| seccompiler::apply_filter(program).map_err(io::Error::other))
}

fn forbidden() -> io::Result<Rules> {
    let always = FORBIDDEN.iter().chain(FORBIDDEN_HERE).map(|call| (*call, Vec::new()));
    let mut rules: Rules = always.collect();
    let namespaces =
        (0..32).map(|bit| 1u64 << bit).filter(|bit| bit & u64::from(NEW_NAMESPACE.cast_unsigned()) != 0);
    let clone: io::Result<Vec<_>> =
        namespaces.map(|bit| rule(&[(0, SeccompCmpOp::MaskedEq(bit), bit)])).collect();
    rules.insert(libc::SYS_clone, clone?);
    let ioctl: io::Result<Vec<_>> =
        TERMINAL_REQUESTS.iter().map(|request| rule(&[(1, SeccompCmpOp::Eq, *request)])).collect();
    rules.insert(libc::SYS_ioctl, ioctl?);
    // Asking (0xffffffff) and the ordinary domain (0) are fine; others switch protections off.
    let personality = rule(&[(0, SeccompCmpOp::Ne, 0), (0, SeccompCmpOp::Ne, 0xffff_ffff)])?;
    rules.insert(libc::SYS_personality, vec![personality]);
    rules.extend(lending_modes()?);
    Ok(rules)
}

fn lending_modes() -> io::Result<Rules> {
    let is_set = |bit| SeccompCmpOp::MaskedEq(bit);
    let mut rules = Rules::new();
    for (call, mode) in SETS_MODE {
        let refused: io::Result<Vec<_>> =
            LENDING_MODES.iter().map(|bit| rule(&[(*mode, is_set(*bit), *bit)])).collect();
        rules.insert(*call, refused?);
    }
    for (call, flags, mode) in OPENS {
        let pairs = MAKES_FILE.iter().flat_map(|flag| LENDING_MODES.iter().map(move |bit| (*flag, *bit)));
        let refused: io::Result<Vec<_>> = pairs
            .map(|(flag, bit)| rule(&[(*flags, is_set(flag), flag), (*mode, is_set(bit), bit)]))
            .collect();
        rules.insert(*call, refused?);
    }
    Ok(rules)
}

fn foreign_family() -> io::Result<SeccompRule> {
    let conditions = FAMILIES.map(|family| (0, SeccompCmpOp::Ne, u64::from(family.cast_unsigned())));
    rule(&conditions)
}

/// All conditions must hold. Arguments are compared as the kernel takes them: 32 bits.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> io::Result<SeccompRule> {
    let conditions: Result<Vec<_>, _> = conditions
        .iter()
        .map(|(index, operator, value)| {
            SeccompCondition::new(*index, SeccompCmpArgLen::Dword, operator.clone(), *value)
        })
        .collect();
    conditions.and_then(SeccompRule::new).map_err(io::Error::other)
}

fn build(rules: Rules, errno: libc::c_int) -> io::Result<BpfProgram> {
    let architecture = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let answer = SeccompAction::Errno(errno.cast_unsigned());
    SeccompFilter::new(rules, SeccompAction::Allow, answer, architecture)
        .and_then(BpfProgram::try_from)
        .map_err(io::Error::other)
}

/// x32 calls carry the architecture of x86-64 and other numbers, so the filters above would let them pass.
#[cfg(target_arch = "x86_64")]
fn foreign_abi() -> Option<BpfProgram> {
    /// `__X32_SYSCALL_BIT`
    const X32: u32 = 0x4000_0000;
    let (load, jump_if_at_least, answer) = (
        (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16,
        (libc::BPF_RET | libc::BPF_K) as u16,
    );
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    Some(vec![
        step(load, 0, 0, 0),
        step(jump_if_at_least, 0, 1, X32),
        step(answer, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned()),
        step(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ])
}

#[cfg(not(target_arch = "x86_64"))]
fn foreign_abi() -> Option<BpfProgram> {
    None
}
