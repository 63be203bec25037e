//! What the machine says about itself: its memory, the limits set on this process, which boot this is.

use std::fs;
use std::path::Path;

/// The share of the machine's memory that an arena takes at most unless told otherwise, in percent.
const SHARE: u64 = 80;

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The smallest memory limit of this process's control groups, versions 2 and 1, in bytes.
fn group_limit(groups: &str, root: &Path) -> Option<u64> {
    let mut least = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (top, file) = match controllers {
            "" => (root.to_path_buf(), "memory.max"),
            c if c.split(',').any(|c| c == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => continue,
        };
        // A limit anywhere above holds too. In a container the path may lie outside of what is mounted.
        let mut at = Path::new(path.trim_start_matches('/'));
        loop {
            least = least.into_iter().chain(number(&top.join(at).join(file))).min();
            match at.parent() {
                Some(up) => at = up,
                None => break,
            }
        }
    }
    least
}

/// Bytes of memory that this process may have: the machine's, or its control group's limit where that is lower.
pub fn memory() -> u64 {
    let machine = machine_memory();
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    group_limit(&groups, Path::new("/sys/fs/cgroup")).map_or(machine, |limit| limit.min(machine))
}

#[cfg(target_os = "linux")]
fn machine_memory() -> u64 {
    let info = rustix::system::sysinfo();
    (info.totalram as u64).saturating_mul(u64::from(info.mem_unit.max(1)))
}

#[cfg(not(target_os = "linux"))]
fn machine_memory() -> u64 {
    8 << 30
}

/// The budget of an arena when none is given: 80 % of [`memory`].
pub fn default_budget() -> u64 {
    memory() / 100 * SHARE
}

/// The identity of this boot of the machine, zero where it is not to be had. Memory of another boot is rubbish.
pub fn boot_id() -> u128 {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    u128::from_str_radix(&text.trim().replace('-', ""), 16).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_memory() {
        let memory = memory();
        assert!(memory > 64 << 20, "{memory}");
        assert!(default_budget() < memory && default_budget() > memory / 2);
        assert_ne!(boot_id(), 0);
    }

    #[test]
    fn takes_the_lowest_group_limit() {
        let root = std::env::temp_dir().join(format!("mmsb-groups-{}", std::process::id()));
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(root.join("memory/c")).unwrap();
        fs::write(root.join("a/memory.max"), "1000000\n").unwrap();
        fs::write(root.join("a/b/memory.max"), "max\n").unwrap();
        fs::write(root.join("memory/c/memory.limit_in_bytes"), "700\n").unwrap();
        assert_eq!(group_limit("0::/a/b\n", &root), Some(1_000_000));
        assert_eq!(group_limit("5:cpu,memory:/c\n0::/a/b\n", &root), Some(700));
        assert_eq!(group_limit("0::/\n", &root), None);
        fs::remove_dir_all(&root).unwrap();
    }
}
