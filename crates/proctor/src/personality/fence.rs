//! `proctor-fence FENCE -- COMMAND ARGS…`: runs a command inside a fence and ends as it did. `proctor-fence --keeper FENCE`:
//! starts programs inside for the harness.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use proctor_fence::{Command, Ended, Fence, FenceError, Status};

use crate::failure::code;

/// How long what the command leaves behind may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// Said when the arguments are not understood.
const USAGE: &str = "call it as `proctor-fence [--report FILE] [--cwd FOLDER] FENCE -- COMMAND ARGS…`, or as `proctor-fence --keeper FENCE` with a \
                     keeper's line as standard input; FENCE is JSON, @FILE, or fd:NUMBER";

/// What is asked for.
enum Asked {
    Run { fence: String, command: Command, report: Option<PathBuf> },
    Keep { fence: String },
}

/// Does what the arguments ask for.
pub(super) fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some(asked) = parse(&arguments) else {
        return refuse("the arguments are not understood", Some(USAGE));
    };
    match asked.done() {
        Ok(code) => code,
        Err(error) => refuse(&error.to_string(), error.hint()),
    }
}

impl Asked {
    fn done(self) -> Result<ExitCode, FenceError> {
        match self {
            Self::Keep { fence } => keep(&read(&fence)?),
            Self::Run { fence, command, report } => {
                let ended = proctor_fence::run(&read(&fence)?, &command)?;
                if let Some(path) = report {
                    write(&path, &ended)?;
                }
                Ok(end_as(ended.status))
            }
        }
    }
}

fn parse(arguments: &[OsString]) -> Option<Asked> {
    match arguments {
        [flag, fence] if flag == "--keeper" => Some(Asked::Keep { fence: fence.to_str()?.to_owned() }),
        [flag, report, rest @ ..] if flag == "--report" => placed(rest, Some(report.into())),
        rest => placed(rest, None),
    }
}

/// The folder in which the command begins, as it is seen inside, and the rest.
fn placed(arguments: &[OsString], report: Option<PathBuf>) -> Option<Asked> {
    match arguments {
        [flag, cwd, rest @ ..] if flag == "--cwd" => asked(rest, report, Some(cwd.into())),
        rest => asked(rest, report, None),
    }
}

/// The fence's argument and the command.
fn asked(arguments: &[OsString], report: Option<PathBuf>, cwd: Option<PathBuf>) -> Option<Asked> {
    let [fence, dashes, program, args @ ..] = arguments else { return None };
    let fence = fence.to_str().filter(|_| dashes == "--")?.to_owned();
    let command = Command {
        program: program.clone(),
        args: args.to_vec(),
        env: crate::inherited::variables(),
        cwd,
        grace: GRACE,
        clock: chrono::Utc::now,
    };
    Some(Asked::Run { fence, command, report })
}

/// The line is taken away from standard input: nothing that is started may hold it.
fn keep(fence: &Fence) -> Result<ExitCode, FenceError> {
    let failed = |error: std::io::Error| FenceError::Form(format!("standard input is no keeper's line: {error}"));
    let line = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3).map_err(|error| failed(error.into()))?;
    let nothing = File::open("/dev/null").map_err(failed)?;
    rustix::stdio::dup2_stdin(&nothing).map_err(|error| failed(error.into()))?;
    proctor_fence::keep(fence, line, chrono::Utc::now).map(|()| ExitCode::SUCCESS)
}

fn write(path: &Path, ended: &Ended) -> Result<(), FenceError> {
    let unwritten = |error: &dyn std::fmt::Display| FenceError::Form(format!("{} cannot be written: {error}", path.display()));
    let bytes = serde_json::to_vec(ended).map_err(|error| unwritten(&error))?;
    std::fs::write(path, bytes).map_err(|error| unwritten(&error))
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
