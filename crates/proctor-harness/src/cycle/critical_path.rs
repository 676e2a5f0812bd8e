//! Which of the town's commands the landing waited for.

use chrono::TimeDelta;
use proctor_judge::evidence::Time;

use super::commands::Command;
use super::ticks::TICK;

/// Commands by which agents wait instead of working: nothing waits for them, but for the last one, which its agent goes on from.
const WAITING: [&str; 1] = ["gt refinery ready"];
/// Commands that name an agent, or its rig, and start it or wake it while they still run.
const WAKING: [&str; 6] = ["gt mayor start", "gt nudge", "gt sling", "gt mail send", "gt rig boot", "gt refinery start"];
/// The command by which a worker hands its work to the refinery of its rig, which goes on while it still runs.
const HANDING_IN: &str = "gt done";
/// So long after its last command an agent gives the next one, unless it waited for somebody: it asks its model in between.
const THINKING: TimeDelta = TimeDelta::seconds(1);
/// One look of tolerance: an end is seen that much later than it was.
const SLACK: TimeDelta = TimeDelta::milliseconds(2 * TICK.as_millis() as i64);
/// Ends that lie closer together than a third of a tick were seen at one look.
const SAME_LOOK: TimeDelta = TimeDelta::milliseconds(TICK.as_millis() as i64 / 3);

/// What the landing waited for, from the beginning: going backwards from `landed`, always the command that the next one waited for. Each with
/// the time until the next one began at most: no moment counts twice.
pub(crate) fn critical_path(commands: &[Command], begun: Time, landed: Time) -> Vec<Command> {
    let given: Vec<&Command> = commands.iter().filter(|command| command.at >= begun && !is_part(command, commands)).collect();
    let mut path: Vec<Command> = Vec::new();
    let mut until = landed;
    while let Some(last) = awaited(&given, path.last(), until) {
        let counted = (until - last.at).as_seconds_f64().min(last.wall_s);
        until = last.at;
        path.push(Command { wall_s: counted, ..last.clone() });
    }
    path.reverse();
    path
}

/// Whether another command of the same agent began before a command and ended after it, or was seen to end at the same look: an agent gives
/// one after the other.
fn is_part(command: &Command, commands: &[Command]) -> bool {
    let holds = |other: &Command| other.at < command.at && command.at < other.end() && command.end() <= other.end() + SAME_LOOK;
    commands.iter().any(|other| other.agent == command.agent && holds(other))
}

/// What a command that began at `until` waited for: the one that its agent gave just before, which may have been the look that found what
/// the agent was waiting for; else the one that woke its agent, up to that moment; else whichever ended last.
fn awaited<'a>(given: &[&'a Command], next: Option<&Command>, until: Time) -> Option<&'a Command> {
    let begun = || given.iter().copied().filter(move |command| command.at < until);
    let ended = || begun().filter(move |command| command.end() <= until + SLACK);
    let own = next.filter(|next| !is_waiting(next)).and_then(|next| {
        let just_before = |command: &&Command| command.agent == next.agent && command.end() + THINKING >= until;
        ended().filter(just_before).max_by_key(|command| command.end())
    });
    let running = || {
        next.and_then(|next| {
            begun().filter(|command| command.end() > until && wakes(command, &next.agent)).max_by_key(|command| command.at)
        })
    };
    own.or_else(running).or_else(|| ended().filter(|command| !is_waiting(command)).max_by_key(|command| command.end()))
}

/// Whether a command is one that wakes that agent.
fn wakes(command: &Command, agent: &str) -> bool {
    let (rig, role) = agent.split_once('/').unwrap_or((agent, ""));
    if command.command.starts_with(HANDING_IN) {
        return role == "refinery" && command.agent.split('/').next() == Some(rig);
    }
    // Whom it is for stands before the flags, whose texts may name anybody.
    let mut named = command.command.split_whitespace().take_while(|word| !word.starts_with('-'));
    let mail = format!("{rig}/{}", role.rsplit('/').next().unwrap_or_default());
    command.agent != agent
        && WAKING.iter().any(|waking| command.command.starts_with(waking))
        && named.any(|word| word == rig || word == mail)
}

fn is_waiting(command: &Command) -> bool {
    WAITING.iter().any(|waiting| command.command.starts_with(waiting))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    fn command(begin: i64, end: i64, agent: &str, line: &str) -> Command {
        Command { at: at(begin), wall_s: (end - begin) as f64, agent: agent.into(), claimed: None, command: line.into() }
    }

    #[test]
    fn the_path_goes_back_over_what_ended_last() {
        let commands = [
            command(0, 2, "", "gt install"),
            command(2, 3, "", "gt mayor start"),
            command(3, 7, "mayor", "gt sling al-1 alice"),
            command(7, 11, "mayor", "gt sling bo-1 bob"),
            command(8, 12, "alice/polecats/x", "gt done"),
            command(11, 19, "bob/polecats/y", "gt done"),
            command(13, 18, "bob/refinery", "gt refinery ready bob --json"),
            command(19, 25, "bob/refinery", "gt mq post-merge"),
        ];
        let path = critical_path(&commands, at(0), at(20));
        let lines: Vec<&str> = path.iter().map(|c| c.command.as_str()).collect();
        assert_eq!(lines, ["gt install", "gt mayor start", "gt sling al-1 alice", "gt sling bo-1 bob", "gt done"]);
        assert_eq!(path.iter().map(|c| c.wall_s).sum::<f64>(), 19.0);
    }

    #[test]
    fn an_agents_next_command_waited_for_its_last_one_and_not_for_what_others_did_meanwhile() {
        let commands = [
            command(0, 20, "mayor", "gt sling al-1 alice"),
            command(4, 6, "mayor", "bd show al-1"),
            command(19, 20, "alice/polecats/x", "bd list"),
            command(20, 30, "mayor", "gt mail send alice/x"),
            command(20, 29, "bob/refinery", "gt refinery ready bob --json"),
            command(31, 34, "bob/refinery", "gt refinery ready bob --json"),
            command(34, 40, "bob/refinery", "gt refinery claim bo-1"),
        ];
        let path = critical_path(&commands, at(0), at(40));
        let lines: Vec<&str> = path.iter().map(|c| c.command.as_str()).collect();
        let expected = ["gt sling al-1 alice", "gt mail send alice/x", "gt refinery ready bob --json", "gt refinery claim bo-1"];
        assert_eq!(lines, expected);
        assert_eq!(path.iter().map(|c| c.wall_s).sum::<f64>(), 39.0);
    }

    #[test]
    fn an_agents_first_command_waited_for_the_one_that_woke_it_and_that_still_runs() {
        let commands = [
            command(0, 4, "", "gt nudge mayor --mode immediate --stdin"),
            command(2, 6, "mayor", "gt sling al-1 alice --no-boot"),
            command(6, 16, "mayor", "gt sling bo-1 bob --no-boot"),
            command(7, 12, "alice/polecats/x", "gt done"),
            command(13, 14, "bob/polecats/y", "gt hook --json"),
            command(14, 30, "bob/polecats/y", "gt done"),
            command(16, 19, "mayor", "gt mail send bob/y -s For alice -m Mind alice"),
            command(18, 19, "alice/refinery", "gt mq post-merge alice al-wisp-1"),
            command(22, 24, "bob/refinery", "gt refinery ready bob --json"),
            command(24, 26, "bob/refinery", "gt mq post-merge bob bo-wisp-1"),
        ];
        let path = critical_path(&commands, at(0), at(26));
        let lines: Vec<(&str, f64)> = path.iter().map(|c| (c.command.as_str(), c.wall_s)).collect();
        let expected = [
            ("gt nudge mayor --mode immediate --stdin", 2.0),
            ("gt sling al-1 alice --no-boot", 4.0),
            ("gt sling bo-1 bob --no-boot", 7.0),
            ("gt hook --json", 1.0),
            ("gt done", 8.0),
            ("gt refinery ready bob --json", 2.0),
            ("gt mq post-merge bob bo-wisp-1", 2.0),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_text_that_names_an_agent_wakes_nobody() {
        let mail = command(0, 9, "mayor", "gt mail send bob/y -s For alice -m Mind alice");
        assert!(wakes(&mail, "bob/polecats/y"));
        assert!(!wakes(&mail, "bob/polecats/z"));
        assert!(!wakes(&mail, "alice/polecats/x"));
        assert!(!wakes(&mail, "mayor"), "its own command");
    }

    #[test]
    fn no_moment_of_the_path_counts_twice() {
        // Its end was seen a look later than it was, and the next one had begun.
        let late = Command { wall_s: 4.0 + TICK.as_secs_f64(), ..command(3, 7, "mayor", "gt sling al-1 alice") };
        let path = critical_path(&[late, command(7, 11, "mayor", "gt sling bo-1 bob")], at(0), at(11));
        assert_eq!(path.iter().map(|c| c.wall_s).collect::<Vec<_>>(), [4.0, 4.0]);
    }
}
