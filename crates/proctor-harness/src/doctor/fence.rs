//! What the kernel has of the fence around agents, and how to get the rest.

use proctor_fence::{Missing, Support};

use super::{Line, State};

const GROUP: &str = "fence";

/// One line when all of it is there, else one a part that is missing.
pub(super) fn lines(support: &Support) -> Vec<Line> {
    if support.is_whole() {
        let found = format!("Landlock version {}, seccomp, namespaces: all of the fence can be enforced", support.landlock);
        return vec![Line::new(GROUP, "kernel", State::Good, found)];
    }
    support.missing.iter().map(missing).collect()
}

fn missing(missing: &Missing) -> Line {
    let found = format!("not there ({}). {}", missing.why, missing.open);
    Line::new(GROUP, missing.what.clone(), State::Doubtful, found).advice(advice(&missing.what))
}

fn advice(what: &str) -> &'static str {
    match what {
        "landlock" => {
            "Linux 5.13 or later with Landlock switched on: boot with lsm=landlock before the other modules of /sys/kernel/security/lsm"
        }
        "landlock-truncate" => "Linux 6.2 or later",
        "landlock-network" => "Linux 6.7 or later",
        "landlock-devices" => "Linux 6.10 or later",
        "landlock-scopes" => "Linux 6.12 or later",
        "seccomp" => "a kernel with CONFIG_SECCOMP_FILTER, and a container that lets programs filter their own system calls",
        "observation" => "Linux 5.5 or later, and a container that lets programs filter their own system calls",
        "namespaces" => {
            "run as root, or allow user namespaces: sysctl user.max_user_namespaces; on Ubuntu also kernel.apparmor_restrict_unprivileged_userns=0"
        }
        _ => "a newer kernel",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn support(missing: &[&str]) -> Support {
        let missing = missing.iter().map(|what| Missing { what: (*what).into(), why: "no".into(), open: "It is open.".into() });
        Support {
            landlock: 7,
            seccomp: true,
            observation: true,
            namespaces: true,
            user_namespace: false,
            missing: missing.collect(),
        }
    }

    #[test]
    fn every_part_that_is_missing_says_what_that_leaves_open_and_how_to_get_it() {
        let lines = lines(&support(&["landlock-network", "namespaces"]));
        assert_eq!(lines.len(), 2);
        for line in &lines {
            assert_eq!(line.state, State::Doubtful);
            assert!(line.found.contains("It is open.") && !line.advice.is_empty(), "{line:?}");
        }
    }

    #[test]
    fn a_whole_fence_is_one_line() {
        let lines = lines(&support(&[]));
        assert_eq!((lines.len(), lines[0].state), (1, State::Good));
    }
}
