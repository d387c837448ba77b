//! Whether this machine's processor runs guests, without starting one.
//!
//! `/dev/kvm` alone proves nothing: a nested hypervisor may offer it and then run a guest's kernel by software until it
//! meets an instruction that it lacks, which takes most of a minute.

use std::{fs, path::Path};

/// What to do where it does not.
pub(crate) const FIX: &str = "run on a machine with hardware virtualisation (vmx or svm in /proc/cpuinfo), let the node's user \
                              write /dev/kvm (group kvm), or write vm = \"gvisor\"";

/// Whether guests run at the processor's own speed, or why not.
pub(crate) fn guests() -> Result<(), String> {
    let device = Path::new("/dev/kvm");
    if !device.exists() {
        return Err("/dev/kvm is not there".into());
    }
    let wanted = rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK;
    rustix::fs::access(device, wanted).map_err(|error| format!("/dev/kvm: {error}"))?;
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    judge(&processor, cfg!(target_arch = "x86_64"))
}

/// Pure.
fn judge(processor: &str, x86: bool) -> Result<(), String> {
    let flags = processor.lines().find_map(|line| line.strip_prefix("flags")).unwrap_or_default();
    let runs_guests = flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm");
    if x86 && !runs_guests {
        return Err(
            "/dev/kvm is there, but the processor shows neither vmx nor svm, so no unmodified guest boots"
                .into(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn a_processor_that_runs_no_guests_is_not_believed_for_its_device() {
        assert!(judge("model name : x\nflags\t\t: fpu vme svm\n", true).is_ok());
        assert!(judge("flags\t\t: fpu vme lahf_lm\n", true).unwrap_err().contains("vmx"));
        assert!(judge("", false).is_ok());
    }
}
