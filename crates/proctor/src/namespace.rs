//! Plays a command again as the first process of a PID namespace: for agents that must not see processes of others, and for towns that
//! would end them.
//!
//! The process outside stays and waits: it stands for the run there, hands signals on, and when it ends, the one inside ends too,
//! and with it everything in the namespace.

use std::io::ErrorKind;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};

use proctor_harness::namespace::{Maker, Marker, Namespace};

use crate::commands;
use crate::failure::{Failure, code};
use crate::personality::environment;
use crate::signals;

/// The variable by which the process outside makes itself known inside.
const MARKER: &str = "PROCTOR_NAMESPACE";

/// Where a command goes on.
pub(crate) enum Place {
    /// In this process.
    Here(Namespace),
    /// Nowhere: it was played inside a namespace and ended with this exit code.
    Played(u8),
}

/// Makes a namespace for this command and plays it there, when `wanted` and not done already. One that is not granted is no error
/// here: the run that needs it says so.
pub(crate) fn settle(wanted: bool) -> Result<Place, Failure> {
    if !wanted {
        return Ok(Place::Here(Namespace::Shared));
    }
    if let Some(holder) = std::env::var(MARKER).ok().and_then(|text| Marker::holder_outside(&text)) {
        return Ok(Place::Here(Namespace::Own(holder)));
    }
    let found = commands::runtime()?.block_on(Maker::find(&environment()));
    match found {
        Ok(maker) => play(&maker).map(Place::Played),
        Err(why) => Ok(Place::Here(Namespace::Refused(why))),
    }
}

fn play(maker: &Maker) -> Result<u8, Failure> {
    let proctor =
        std::env::current_exe().map_err(|error| Failure::environment(format!("cannot find the running program: {error}")))?;
    let mut command = Command::new(&maker.program);
    command.args(&maker.args).arg(proctor).args(std::env::args_os().skip(1)).env(MARKER, Marker::mine().text());
    // In a group of its own it does not get the terminal's signals a second time.
    command.stdin(Stdio::piped()).process_group(0);
    let mut child =
        command.spawn().map_err(|error| Failure::environment(format!("cannot start {}: {error}", maker.program.display())))?;
    let line = child.stdin.take().ok_or_else(|| Failure::harness("the process inside has no standard input"))?;
    let passed_on = signals::pass_on(line, child.id())?;
    loop {
        match child.wait() {
            Ok(status) => return ended(status, passed_on.count()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::harness(format!("cannot wait for the process inside: {error}"))),
        }
    }
}

/// The exit code of the process inside. One that a signal ended took everything in the namespace with it.
fn ended(status: ExitStatus, signals: u32) -> Result<u8, Failure> {
    if let Some(code) = status.code() {
        return Ok(u8::try_from(code).unwrap_or_else(|_| code::harness()));
    }
    if signals >= signals::AT_ONCE {
        return Ok(code::cancelled());
    }
    let signal = status.signal().unwrap_or_default();
    let message = format!("the run was ended by signal {signal}, and with it everything in its PID namespace");
    Err(Failure::harness(message).hint("`proctor clean` removes what it left"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
    use super::*;

    #[test]
    fn exit_codes_are_handed_through() {
        for code in [0_u8, 1, 2, 100, 102, 130] {
            assert_eq!(ended(ExitStatus::from_raw(i32::from(code) << 8), 0).unwrap(), code);
        }
    }

    #[test]
    fn a_signal_is_a_cancelled_run_only_when_a_person_sent_it() {
        let killed = ExitStatus::from_raw(9);
        let failure = ended(killed, 0).unwrap_err();
        assert_eq!(failure.code, code::harness());
        assert!(failure.message.contains("signal 9"), "{failure}");
        assert_eq!(ended(killed, signals::AT_ONCE).unwrap(), code::cancelled());
    }
}
