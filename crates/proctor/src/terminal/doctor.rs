//! What the machine has, one line a thing: ✓ as needed, ! worth knowing, ✗ missing; below it what to do.

use proctor_harness::doctor::{Line, State};
use proctor_judge::visible_line;

use super::Screen;

/// All lines, by group.
pub(crate) fn render(lines: &[Line], screen: Screen) -> String {
    let widest = lines.iter().map(|line| line.what.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    let mut group = "";
    for line in lines {
        if line.group != group {
            let gap = if group.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}{}\n", line.group));
            group = line.group;
        }
        let sign = sign(line.state, screen.colour);
        text.push_str(&format!("  {sign} {:<widest$}  {}\n", visible_line(&line.what), visible_line(&line.found)));
        if !line.advice.is_empty() {
            text.push_str(&format!("    {:<widest$}  → {}\n", "", visible_line(&line.advice)));
        }
    }
    text
}

fn sign(state: State, colour: bool) -> String {
    let (sign, code) = match state {
        State::Good => ("✓", "32"),
        State::Doubtful => ("!", "1;33"),
        State::Missing => ("✗", "1;31"),
    };
    if colour { format!("\u{1b}[{code}m{sign}\u{1b}[0m") } else { sign.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_stands_below_what_was_found() {
        let line = |group, what: &str, state, advice: &str| Line {
            group,
            what: what.into(),
            state,
            found: "found".into(),
            advice: advice.into(),
        };
        let lines = [
            line("programs", "git", State::Good, ""),
            line("programs", "python3", State::Missing, "install it"),
            line("machine", "disk", State::Doubtful, "make room"),
        ];
        let text = render(&lines, Screen { live: false, colour: false, width: 80 });
        let expected = "programs\n  ✓ git      found\n  ✗ python3  found\n             → install it\n\nmachine\n  ! disk     found\n             → make room\n";
        assert_eq!(text, expected);
        assert!(render(&lines, Screen { live: false, colour: true, width: 80 }).contains("\u{1b}[1;31m✗"));
    }
}
