//! The flag that sets the fence around what agents start.

use proctor_judge::evidence::FenceMode;

/// `--fence`, for whatever plays runs.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct FenceChoice {
    /// The fence around what agents start
    #[arg(long, value_enum, value_name = "MODE", default_value = "on")]
    fence: Mode,
}

/// The modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// As much of it as this kernel has is enforced
    On,
    /// Nothing is refused; what would be is recorded
    Warn,
    /// There is none
    Off,
}

impl FenceChoice {
    /// The harness's word for it.
    pub(crate) fn mode(self) -> FenceMode {
        match self.fence {
            Mode::On => FenceMode::On,
            Mode::Warn => FenceMode::Warn,
            Mode::Off => FenceMode::Off,
        }
    }

    /// The flag that repeats the choice; none for the default.
    pub(crate) fn words(self) -> Option<String> {
        (self.fence != Mode::On).then(|| format!("--fence {}", self.mode().word()))
    }
}
