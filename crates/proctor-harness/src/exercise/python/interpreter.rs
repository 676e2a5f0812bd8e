//! Finding an interpreter, asking it about itself, and running it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::{Wanted, sources};
use crate::halt::Halt;
use crate::linux;
use crate::process::{Ended, Program};

/// How long asking an interpreter about itself may take.
const ASK_LIMIT: Duration = Duration::from_secs(20);

const ABOUT: &str = "import sys, json\ntry:\n import venv, ensurepip; ok = True\nexcept ImportError: ok = False\nprint(json.dumps({'executable': sys.executable, 'version': sys.version.split()[0], 'venv': ok}))";

/// What an interpreter says of itself.
#[derive(Deserialize)]
pub(super) struct About {
    pub(super) executable: PathBuf,
    pub(super) version: String,
    pub(super) venv: bool,
}

pub(super) fn find(wanted: &Wanted) -> Result<PathBuf, Halt> {
    let path = wanted.environment.get("PATH").map_or("/usr/local/bin:/usr/bin:/bin", String::as_str);
    linux::find_program("python3", path).ok_or_else(|| {
        Halt::environment(format!("no Python was found (looked for python3 in {path})"))
            .hint("install python3 and python3-venv, or name an interpreter: --python PATH")
    })
}

pub(super) async fn ask(program: &Path, wanted: &Wanted) -> Result<About, Halt> {
    let text = eval(program, ABOUT, &[], wanted).await?;
    serde_json::from_str(&text)
        .map_err(|_| Halt::environment(format!("{} is no Python 3: it answered `{}`", program.display(), text.trim())))
}

/// Runs a piece of Python and gives what it printed.
pub(super) async fn eval(program: &Path, code: &str, args: &[&str], wanted: &Wanted) -> Result<String, Halt> {
    let all: Vec<&str> = ["-B", "-c", code].iter().chain(args).copied().collect();
    let ended = run(program, &all, wanted, ASK_LIMIT).await?;
    if ended.ok() {
        Ok(ended.out())
    } else {
        let message = format!("{} does not work ({}): {}", program.display(), ended.how(), ended.said());
        Err(Halt::environment(message).hint("mend it, or name another interpreter: --python PATH"))
    }
}

/// Runs an interpreter in the user's environment, without what would make it another one or lead an installation elsewhere.
pub(super) async fn run(program: &Path, args: &[&str], wanted: &Wanted, limit: Duration) -> Result<Ended, Halt> {
    let mut program_ = Program::new(program, args).env(&sources::only(&wanted.environment)).timeout(limit);
    program_.end_group = true;
    let failed = |error: io::Error| Halt::environment(format!("{} cannot be started: {error}", program.display()));
    program_.run().await.map_err(|error| failed(error).hint("name an interpreter: --python PATH"))
}
