//! `proctor version`: the version, and what Proctor needs as it finds it on this machine.

use std::process::Command;

use crate::failure::code;

/// See [`crate::cli::Command::Version`].
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Programs that a run needs, with the argument that makes them say their version.
const NEEDED: [(&str, &str); 2] = [("git", "--version"), ("python3", "--version")];

/// Prints one line per program.
pub(crate) fn run(args: &Args) -> u8 {
    let found: Vec<(&str, Option<String>)> = NEEDED.iter().map(|(program, flag)| (*program, version_of(program, flag))).collect();
    if args.json {
        println!("{}", as_json(&found));
    } else {
        println!("proctor {}", env!("CARGO_PKG_VERSION"));
        for (program, version) in &found {
            println!("{program}: {}", version.as_deref().unwrap_or("not found"));
        }
    }
    code::OK
}

fn as_json(found: &[(&str, Option<String>)]) -> serde_json::Value {
    let mut object = serde_json::Map::new();
    object.insert("proctor".to_owned(), env!("CARGO_PKG_VERSION").into());
    for (program, version) in found {
        object.insert((*program).to_owned(), version.clone().into());
    }
    object.into()
}

fn version_of(program: &str, flag: &str) -> Option<String> {
    let output = Command::new(program).arg(flag).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}
