//! The programs that this binary plays, chosen by the name it is called by.

mod agent;
mod fence;
mod launch;
mod town;

use std::collections::BTreeMap;
use std::process::ExitCode;

/// The environment of this process, as the other crates take it. Values that are not UTF-8 are kept lossily.
pub(crate) type Environment = BTreeMap<String, String>;

/// Whether the binary plays another program when it is called `name`.
pub(crate) fn is_one(name: &str) -> bool {
    matches!(name, "gt" | "bd" | "proctor-agent" | "agent-launch" | "proctor-fence")
}

/// Plays the program called `name`; `None` when `name` is not one of them.
pub(crate) fn run(name: &str) -> Option<ExitCode> {
    match name {
        "gt" => Some(town::run(town::Program::Gt)),
        "bd" => Some(town::run(town::Program::Bd)),
        "proctor-agent" => Some(agent::run()),
        "agent-launch" => Some(launch::run()),
        "proctor-fence" => Some(fence::run()),
        _ => None,
    }
}

/// The environment that this process was started with.
pub(crate) fn environment() -> Environment {
    crate::inherited::variables()
        .into_iter()
        .map(|(key, value)| {
            let text = |part: std::ffi::OsString| part.to_string_lossy().into_owned();
            (text(key), text(value))
        })
        .collect()
}

/// Arguments after the program's name, kept lossily as the environment is.
pub(crate) fn arguments() -> Vec<String> {
    std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect()
}
