//! The programs that a run is made with.

use super::{Line, Places, State};
use crate::exercise::python;
use crate::halt::Halt;
use crate::town::gastown::programs::{self, Row};

const GROUP: &str = "programs";

/// What of a real town's programs the built-in town needs too.
const OF_EVERY_TOWN: &str = "git";

/// One line a program. `real`: whether those of the real town are needed.
pub(super) async fn lines(real: bool, places: Places<'_>) -> Result<Vec<Line>, Halt> {
    let found = programs::find(places.environment, places.home).await?;
    let rows = programs::judge(&found);
    let (shared, own): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.what == OF_EVERY_TOWN);
    let mut lines: Vec<Line> = shared.into_iter().map(line).collect();
    lines.push(python_line(places).await);
    if real {
        lines.extend(programs::named_folder(places.environment).into_iter().chain(own).map(line));
    }
    Ok(lines)
}

fn line(row: Row) -> Line {
    let state = match (row.ok, row.why.is_empty()) {
        (false, _) => State::Missing,
        (true, false) => State::Doubtful,
        (true, true) => State::Good,
    };
    let found = if row.why.is_empty() { row.found } else { format!("{}: {}", row.found, row.why) };
    Line::new(GROUP, row.what, state, found).advice(row.advice)
}

async fn python_line(places: Places<'_>) -> Line {
    let line = |state, found: String| Line::new(GROUP, "python3", state, found);
    match python::interpreter(places.environment).await {
        Ok(found) if found.venv => line(State::Good, format!("{} with venv ({})", found.version, found.program.display())),
        Ok(found) => line(State::Missing, format!("{} without venv or ensurepip ({})", found.version, found.program.display()))
            .advice("install python3-venv, or name an interpreter that has the packages: proctor run --python PATH"),
        Err(halt) => line(State::Missing, halt.message).advice(halt.hint.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_holds_with_a_reason_is_worth_knowing() {
        let row = |ok, why: &str| Row { what: "bd".into(), found: "1.0.5".into(), ok, why: why.into(), advice: "do it".into() };
        assert_eq!(line(row(true, "")).state, State::Good);
        assert_eq!(line(row(true, "untried")).state, State::Doubtful);
        let missing = line(row(false, "too new"));
        assert_eq!((missing.state, missing.found.as_str(), missing.advice.as_str()), (State::Missing, "1.0.5: too new", "do it"));
    }
}
