//! What a group may have of the disks.

use std::fs;

use crate::{CgroupVersion, Limits};

/// A weight of the unified tree, which the older files count in tenths.
const USUAL_WEIGHT: u32 = 100;

/// As in the parent: file, value, and whether the limit is none without it.
pub(super) fn settings(version: CgroupVersion, limits: &Limits) -> Vec<(&'static str, String, bool)> {
    let mut settings = Vec::new();
    if let Some(weight) = limits.io_weight.value() {
        let weight = weight.clamp(1, 10_000);
        settings.push(match version {
            // Which file there is depends on the scheduler of the disks; one of them has to be.
            CgroupVersion::V1 => {
                ("blkio.bfq.weight", (weight * 10 / USUAL_WEIGHT).clamp(1, 1000).to_string(), true)
            }
            CgroupVersion::V2 => ("io.weight", format!("default {weight}"), true),
        });
    }
    if let Some(bytes) = limits.io_bytes_per_second.value() {
        for disk in disks() {
            match version {
                CgroupVersion::V1 => {
                    let value = format!("{disk} {bytes}");
                    settings.push(("blkio.throttle.read_bps_device", value.clone(), true));
                    settings.push(("blkio.throttle.write_bps_device", value, true));
                }
                CgroupVersion::V2 => {
                    settings.push(("io.max", format!("{disk} rbps={bytes} wbps={bytes}"), true));
                }
            }
        }
    }
    settings
}

/// `major:minor` of every whole disk.
fn disks() -> Vec<String> {
    let disks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let numbers = disks.filter_map(|disk| fs::read_to_string(disk.path().join("dev")).ok());
    numbers.map(|number| number.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::settings;
    use crate::{Ask, CgroupVersion, Limits};

    #[test]
    fn a_weight_is_written_as_each_tree_wants_it() {
        let limits = Limits { io_weight: Ask::Require(200), ..Limits::default() };
        assert_eq!(settings(CgroupVersion::V2, &limits), [("io.weight", "default 200".to_owned(), true)]);
        assert_eq!(settings(CgroupVersion::V1, &limits), [("blkio.bfq.weight", "20".to_owned(), true)]);
        assert!(settings(CgroupVersion::V2, &Limits::default()).is_empty());
    }
}
