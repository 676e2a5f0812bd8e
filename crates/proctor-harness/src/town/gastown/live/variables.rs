//! Variables of a tmux server that hold for sessions made from now on: how telemetry's addresses reach agents of a town that runs already.
//!
//! `gt` hands an agent the addresses for its program and for `bd`, not its own: `gt` itself has them only where the tmux server was
//! started with them. What a variable was before is entered in the registry first, so that `proctor clean` can put it back.

use super::super::calls::Calls;
use crate::base::Base;
use crate::clean::TMUX_VARIABLE;
use crate::cycle::Clock;
use crate::halt::Halt;

/// Global variables of one tmux server, as they were.
pub(super) type Before = Vec<(String, Option<String>)>;

/// Sets variables; what they were before.
pub(super) async fn set(
    calls: &Calls,
    socket: (&str, &str),
    base: &Base,
    clock: &Clock,
    with: &[(String, String)],
) -> Result<Before, Halt> {
    let (name, path) = socket;
    let mut before = Vec::new();
    for (key, value) in with {
        let was = value_of(calls, name, key).await;
        base.note(TMUX_VARIABLE, &crate::clean::tmux_variable(path, key, was.as_deref()), clock())?;
        calls.must(calls.program("tmux", &["-L", name, "set-environment", "-g", key, value])).await?;
        before.push((key.clone(), was));
    }
    Ok(before)
}

/// Puts variables back. A server that is gone has none.
pub(super) async fn put_back(calls: &Calls, socket: &str, before: &Before) -> Result<(), Halt> {
    for (key, was) in before {
        let args: Vec<&str> = match was {
            Some(value) => vec!["-L", socket, "set-environment", "-g", key, value],
            None => vec!["-L", socket, "set-environment", "-gu", key],
        };
        calls.run(calls.program("tmux", &args)).await?;
    }
    Ok(())
}

async fn value_of(calls: &Calls, socket: &str, key: &str) -> Option<String> {
    let shown = calls.program("tmux", &["-L", socket, "show-environment", "-g", key]).run().await.ok()?;
    let text = shown.out();
    let (name, value) = text.trim_end_matches('\n').split_once('=')?;
    (shown.ok() && name == key).then(|| value.to_owned())
}
