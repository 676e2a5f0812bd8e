//! `proctor-fence FENCE -- COMMAND ARGS…`: runs a command inside a fence and ends as it did.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use proctor_fence::{Command, Fence, FenceError, Status};

use crate::failure::code;

/// How long what the command leaves behind may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// Said when the arguments are not understood.
const USAGE: &str = "call it as `proctor-fence FENCE -- COMMAND ARGS…`; FENCE is JSON, @FILE, or fd:NUMBER";

/// Runs the command that the arguments name.
pub(super) fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some((fence, command)) = split(&arguments) else {
        return refuse("the arguments are not understood", Some(USAGE));
    };
    match read(&fence).and_then(|fence| proctor_fence::run(&fence, &command)) {
        Ok(ended) => end_as(ended.status),
        Err(error) => refuse(&error.to_string(), error.hint()),
    }
}

/// The fence's argument and the command.
fn split(arguments: &[OsString]) -> Option<(String, Command)> {
    let [fence, dashes, program, args @ ..] = arguments else { return None };
    let fence = fence.to_str().filter(|_| dashes == "--")?;
    let command = Command {
        program: program.clone(),
        args: args.to_vec(),
        env: std::env::vars_os().collect(),
        cwd: None,
        grace: GRACE,
        clock: chrono::Utc::now,
    };
    Some((fence.to_owned(), command))
}

fn read(fence: &str) -> Result<Fence, FenceError> {
    let unread = |error: std::io::Error| FenceError::Form(format!("{fence} cannot be read: {error}"));
    let path = match (fence.strip_prefix('@'), fence.strip_prefix("fd:")) {
        (Some(path), _) => path.to_owned(),
        (_, Some(descriptor)) => format!("/proc/self/fd/{descriptor}"),
        _ => return Fence::from_json(fence),
    };
    let mut text = String::new();
    File::open(Path::new(&path)).and_then(|mut file| file.read_to_string(&mut text)).map_err(unread)?;
    Fence::from_json(&text)
}

fn end_as(status: Status) -> ExitCode {
    match status {
        Status::Code(code) => ExitCode::from(u8::try_from(code & 0xff).unwrap_or_default()),
        Status::Signal(signal) => {
            proctor_fence::end_by(signal);
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(255))
        }
    }
}

fn refuse(message: &str, hint: Option<&str>) -> ExitCode {
    eprintln!("proctor-fence: {message}");
    if let Some(hint) = hint {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(code::USAGE)
}
