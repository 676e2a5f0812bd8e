//! `proctor completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::code;

/// See [`crate::cli::Command::Completions`].
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  proctor completions bash > ~/.local/share/bash-completion/completions/proctor")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args) -> u8 {
    clap_complete::generate(args.shell, &mut Cli::command(), "proctor", &mut std::io::stdout());
    code::OK
}
