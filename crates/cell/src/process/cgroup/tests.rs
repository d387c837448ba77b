use std::path::{Path, PathBuf};

use super::{CPU_PERIOD_MICROS, CgroupMount, Controller, own_path, settings};
use crate::{Ask, CgroupVersion, Limits};

#[test]
fn mounts_of_both_versions_are_read_and_others_are_not() {
    let v1 = "38 34 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct";
    let mount = CgroupMount::parse(v1).unwrap();
    assert_eq!((mount.version, mount.options), (CgroupVersion::V1, "rw,cpu,cpuacct"));
    assert_eq!(mount.dir_of("/a/b"), Some(PathBuf::from("/sys/fs/cgroup/cpu,cpuacct/a/b")));
    let v2 = "30 23 0:26 /x /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate";
    assert_eq!(CgroupMount::parse(v2).unwrap().version, CgroupVersion::V2);
    assert_eq!(CgroupMount::parse("25 1 0:1 / /proc rw - proc proc rw"), None);
}

#[test]
fn a_group_outside_of_what_is_mounted_has_no_directory() {
    let line = "30 23 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
    let mount = CgroupMount::parse(line).unwrap();
    assert_eq!(mount.dir_of("/other"), None);
    assert_eq!(mount.dir_of("/docker/1/../../other"), None);
    assert_eq!(mount.dir_of("/docker/1").as_deref(), Some(Path::new("/sys/fs/cgroup")));
}

#[test]
fn our_own_group_is_found_by_controller() {
    let own = "9:name=systemd:/s\n4:memory:/m:with:colons\n1:cpu,cpuacct:/c\n0::/unified\n";
    assert_eq!(own_path(own, |names| names == "memory"), Some("/m:with:colons"));
    assert_eq!(own_path(own, str::is_empty), Some("/unified"));
}

#[test]
fn a_limit_that_is_not_asked_for_makes_no_group() {
    let limits =
        Limits { memory_bytes: Ask::No, processes: Ask::No, cpu_milli: Ask::No, ..Limits::default() };
    for controller in Controller::ALL {
        assert!(settings(controller, CgroupVersion::V1, &limits).is_empty());
    }
}

#[test]
fn a_tiny_processor_share_stays_above_what_the_kernel_accepts() {
    let limits = Limits { cpu_milli: Ask::Require(1), ..Limits::default() };
    let v2 = settings(Controller::Cpu, CgroupVersion::V2, &limits);
    assert_eq!(v2, [("cpu.max", format!("1000 {CPU_PERIOD_MICROS}"), true)]);
}
