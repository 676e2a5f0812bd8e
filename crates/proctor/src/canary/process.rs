//! A process of the operator's that has nothing to do with the run.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// It waits for the end of its standard input, so that it ends with Proctor however Proctor ends.
pub(super) struct Bystander {
    child: Child,
    secret: String,
    settings: Vec<String>,
}

impl Bystander {
    /// Starts it with the secret in its environment, and returns when it runs.
    pub(super) fn start(secret: String) -> io::Result<Self> {
        let mut command = Command::new("cat");
        command.env("PROCTOR_CANARY", &secret).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut bystander = Self { child: command.spawn()?, secret, settings: Vec::new() };
        bystander.answers()?;
        bystander.settings = bystander.settings_now()?;
        Ok(bystander)
    }

    /// Waits until the program repeats a byte. The kernel reports the start of a program before
    /// `/proc` shows its environment, so an attack could find nothing to read.
    fn answers(&mut self) -> io::Result<()> {
        if let (Some(input), Some(output)) = (&mut self.child.stdin, &mut self.child.stdout) {
            input.write_all(b".")?;
            output.read_exact(&mut [0])?;
        }
        Ok(())
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What only its environment holds.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// What was done to it.
    pub(super) fn broken(&mut self) -> Vec<String> {
        // Whoever waits for orphans may have waited for this one.
        let is_ended = !matches!(self.child.try_wait(), Ok(None));
        match self.settings_now() {
            Ok(now) if !is_ended => {
                let changed = now.iter().filter(|line| !self.settings.contains(line));
                changed.map(|line| format!("the operator's process was changed: {line}")).collect()
            }
            _ => vec!["the operator's process was ended".to_owned()],
        }
    }

    /// What another process can set: whether it is stopped or traced, its priority, its processors, its limits. And when it began,
    /// by which it is known.
    fn settings_now(&self) -> io::Result<Vec<String>> {
        let of = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.pid()));
        let stat = of("stat")?;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let field = |index: usize| fields.get(index).copied().unwrap_or("?");
        // Fields 3, 18, 19, 22, 40 and 41 of proc_pid_stat(5), of which the first two are cut off here.
        let is_stopped = matches!(field(0), "T" | "t");
        let mut lines = vec![format!("stopped {is_stopped}")];
        lines.extend(
            [("priority", 15), ("nice", 16), ("began", 19), ("rt_priority", 37), ("policy", 38)]
                .map(|(name, at)| format!("{name} {}", field(at))),
        );
        let settable = ["TracerPid", "Cpus_allowed:"];
        lines.extend(of("status")?.lines().filter(|line| settable.iter().any(|name| line.starts_with(name))).map(str::to_owned));
        lines.extend(of("limits")?.lines().map(str::to_owned));
        Ok(lines)
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        // One that has ended and was waited for is no longer this process's to end.
        if matches!(self.child.try_wait(), Ok(None)) {
            _ = self.child.kill();
            _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
    use proctor_harness::linux;
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    use super::*;

    #[test]
    fn one_that_is_left_alone_is_not_broken() {
        assert_eq!(Bystander::start("s".to_owned()).unwrap().broken(), Vec::<String>::new());
    }

    #[test]
    fn its_secret_can_be_read_as_soon_as_it_was_started() {
        for round in 0..50 {
            let secret = format!("secret {round}");
            let bystander = Bystander::start(secret.clone()).unwrap();
            let environment = fs::read(format!("/proc/{}/environ", bystander.pid())).unwrap();
            assert!(String::from_utf8_lossy(&environment).contains(&secret), "round {round}: {environment:?}");
        }
    }

    #[test]
    fn ending_it_and_changing_its_limits_are_told() {
        let mut ended = Bystander::start("s".to_owned()).unwrap();
        linux::end(ended.pid(), true);
        ended.child.wait().unwrap();
        assert!(ended.broken()[0].contains("ended"));
        let mut limited = Bystander::start("s".to_owned()).unwrap();
        let limit = Rlimit { current: Some(7), maximum: Some(7) };
        prlimit(Pid::from_raw(limited.pid().cast_signed()), Resource::Nofile, limit).unwrap();
        assert!(limited.broken()[0].contains("open files"), "{:?}", limited.broken());
    }
}
