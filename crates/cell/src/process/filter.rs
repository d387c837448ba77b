//! The system call filter: what an ordinary program has a use for, and nothing else.
//!
//! A list of permissions (`allowed` says where it is from), with arguments checked where a permitted call has a dangerous
//! one: families and protocols of sockets, flags of `clone`, requests of `ioctl`, options of `prctl`, modes that lend
//! rights. What is not on the list answers EPERM, or ENOSYS where libraries try and take an older way. The kernel
//! remembers which calls always pass (since Linux 5.11), so that the list's length costs nothing on those.

mod allowed;
mod short;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};

use allowed::{ALLOWED, ALLOWED_HERE, FIRST_UNKNOWN, OPTIONS, REQUEST_KINDS, REQUESTS, SOCKETS};

/// Compiled filters, in the order in which they are installed: a refusal wins over a permission, and of several
/// refusals the one installed last gives the answer.
#[derive(Debug)]
pub(crate) struct Filters {
    always: Vec<BpfProgram>,
    uncounted: BpfProgram,
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Answered with ENOSYS, so that libraries take their older way: io_uring escapes system call rules, and what clone3 and
/// openat2 are asked for lies in memory, where a filter cannot read it.
const ABSENT: &[libc::c_long] = &[
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_setup,
    libc::SYS_io_destroy,
    libc::SYS_io_submit,
    libc::SYS_io_cancel,
    libc::SYS_io_getevents,
    libc::SYS_clone3,
    libc::SYS_openat2,
    libc::SYS_memfd_secret,
    STATMOUNT,
    LISTMOUNT,
];

/// Numbers that are the same everywhere.
const STATMOUNT: libc::c_long = 457;
const LISTMOUNT: libc::c_long = 458;

/// Answered with ENOSYS where no control group counts memory: such a segment belongs to no process, so nobody looking
/// from outside could count it.
const UNCOUNTED: libc::c_long = libc::SYS_shmget;

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

/// The bits of a socket's kind that are not flags (`SOCK_TYPE_MASK`).
const SOCKET_KIND: u64 = 0xf;

/// Terminal requests that type on somebody else's behalf, or reach other consoles.
const TERMINAL_REQUESTS: [u64; 4] = [
    0x5412, /* TIOCSTI */
    0x541c, /* TIOCLINUX */
    0x541d, /* TIOCCONS */
    0x5423, /* TIOCSETD */
];

const NEW_NAMESPACE: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Compiles the filters, once per launcher.
pub(crate) fn compile() -> io::Result<Filters> {
    let absent =
        |calls: &[libc::c_long]| refuse(calls.iter().map(|call| (*call, Vec::new())).collect(), libc::ENOSYS);
    let socket = |rules| BTreeMap::from([(libc::SYS_socket, rules)]);
    Ok(Filters {
        always: vec![
            permit()?,
            refuse(dangerous_arguments()?, libc::EPERM)?,
            absent(ABSENT)?,
            refuse(socket(foreign_protocols()?), libc::EPROTONOSUPPORT)?,
            refuse(socket(vec![foreign_family()?]), libc::EAFNOSUPPORT)?,
            unknown_numbers(),
        ],
        uncounted: absent(&[UNCOUNTED])?,
    })
}

/// What is on the list passes; of the rest only what has the right arguments.
fn permit() -> io::Result<BpfProgram> {
    let checked = build(permitted()?, refusal(libc::EPERM), SeccompAction::Allow)?;
    let listed: BTreeSet<_> = ALLOWED.iter().chain(ALLOWED_HERE).copied().collect();
    Ok(short::before(checked, FIRST_UNKNOWN, |number| listed.contains(&number.into())))
}

/// What the rules are about is looked at; every other known call passes.
fn refuse(rules: Rules, errno: libc::c_int) -> io::Result<BpfProgram> {
    let calls: BTreeSet<_> = rules.keys().copied().collect();
    let list = build(rules, SeccompAction::Allow, refusal(errno))?;
    Ok(short::before(list, FIRST_UNKNOWN, |number| !calls.contains(&number.into())))
}

/// Installs them on this process for good. Needs no_new_privs. `counted`: a control group counts the memory.
pub(crate) fn install(filters: &Filters, counted: bool) -> io::Result<()> {
    let uncounted = (!counted).then_some(&filters.uncounted);
    let mut programs = filters.always.iter().chain(uncounted);
    programs.try_for_each(|program| seccompiler::apply_filter(program).map_err(io::Error::other))
}

/// Calls that pass with some arguments only.
fn permitted() -> io::Result<Rules> {
    let mut rules = Rules::new();
    let equal = |index, value: u64| (index, SeccompCmpOp::Eq, value);
    let kinds = REQUEST_KINDS.iter().map(|kind| rule(&[(1, SeccompCmpOp::MaskedEq(0xff00), *kind)]));
    let single = REQUESTS.iter().map(|request| rule(&[equal(1, *request)]));
    rules.insert(libc::SYS_ioctl, kinds.chain(single).collect::<io::Result<_>>()?);
    let options = OPTIONS.iter().map(|option| rule(&[equal(0, u64::from(option.cast_unsigned()))]));
    rules.insert(libc::SYS_prctl, options.collect::<io::Result<_>>()?);
    // Asking (0xffffffff) and the ordinary domain (0) are fine; others switch protections off.
    let personalities = [0, 0xffff_ffff].map(|domain| rule(&[equal(0, domain)]));
    rules.insert(libc::SYS_personality, personalities.into_iter().collect::<io::Result<_>>()?);
    let mut sockets = vec![rule(&[equal(0, u64::from(libc::AF_UNIX.cast_unsigned()))])?];
    for (family, kind, protocols) in SOCKETS {
        for protocol in protocols {
            sockets.push(rule(&[
                equal(0, u64::from(family.cast_unsigned())),
                (1, SeccompCmpOp::MaskedEq(SOCKET_KIND), u64::from(kind.cast_unsigned())),
                equal(2, u64::from(protocol.cast_unsigned())),
            ])?);
        }
    }
    rules.insert(libc::SYS_socket, sockets);
    Ok(rules)
}

fn dangerous_arguments() -> io::Result<Rules> {
    let mut rules = Rules::new();
    let namespaces =
        (0..32).map(|bit| 1u64 << bit).filter(|bit| bit & u64::from(NEW_NAMESPACE.cast_unsigned()) != 0);
    let clone: io::Result<Vec<_>> =
        namespaces.map(|bit| rule(&[(0, SeccompCmpOp::MaskedEq(bit), bit)])).collect();
    rules.insert(libc::SYS_clone, clone?);
    let ioctl: io::Result<Vec<_>> =
        TERMINAL_REQUESTS.iter().map(|request| rule(&[(1, SeccompCmpOp::Eq, *request)])).collect();
    rules.insert(libc::SYS_ioctl, ioctl?);
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

/// Relatives of TCP and UDP: a library that tries one takes TCP when it hears that there is none. Raw sockets are left to
/// the list, and answer EPERM as they do outside.
fn foreign_protocols() -> io::Result<Vec<SeccompRule>> {
    let known = [0, libc::IPPROTO_TCP, libc::IPPROTO_UDP];
    let unknown = known.map(|protocol| (2, SeccompCmpOp::Ne, u64::from(protocol.cast_unsigned())));
    let local = (0, SeccompCmpOp::Ne, u64::from(libc::AF_UNIX.cast_unsigned()));
    let kinds = [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET];
    let rules = kinds.map(|kind| {
        let kind = (1, SeccompCmpOp::MaskedEq(SOCKET_KIND), u64::from(kind.cast_unsigned()));
        rule(&[kind, local.clone()].into_iter().chain(unknown.clone()).collect::<Vec<_>>())
    });
    rules.into_iter().collect()
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

fn refusal(errno: libc::c_int) -> SeccompAction {
    SeccompAction::Errno(errno.cast_unsigned())
}

fn build(rules: Rules, otherwise: SeccompAction, matching: SeccompAction) -> io::Result<BpfProgram> {
    let architecture = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    SeccompFilter::new(rules, otherwise, matching, architecture)
        .and_then(BpfProgram::try_from)
        .map_err(io::Error::other)
}

/// Answers ENOSYS to every number past the table that the list was made from. Among them are x32's, which carry the
/// architecture of x86-64 and a high bit.
fn unknown_numbers() -> BpfProgram {
    let (load, jump_if_at_least, answer) = (
        (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16,
        (libc::BPF_RET | libc::BPF_K) as u16,
    );
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        step(load, 0, 0, 0),
        step(jump_if_at_least, 0, 1, FIRST_UNKNOWN),
        step(answer, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned()),
        step(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

#[cfg(test)]
mod tests {
    use super::{ABSENT, ALLOWED, ALLOWED_HERE, FIRST_UNKNOWN, compile};

    #[test]
    fn no_call_is_both_permitted_and_absent_or_listed_twice() {
        let mut all: Vec<_> = ALLOWED.iter().chain(ALLOWED_HERE).chain(ABSENT).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(all.iter().all(|call| **call < FIRST_UNKNOWN.into()));
    }

    #[test]
    fn the_filters_compile_and_fit_the_kernels_ceiling() {
        let filters = compile().unwrap();
        assert!(filters.always.iter().all(|program| program.len() <= 4096));
    }
}
