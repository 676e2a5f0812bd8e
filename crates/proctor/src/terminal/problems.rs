//! Problems of scenario files, each drawn under the line that it is about.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use proctor_harness::scenario::{Files, Problem};

use super::Screen;

/// All given problems, one after the other.
pub(crate) fn draw<'a>(files: &Files, problems: impl Iterator<Item = &'a Problem>) -> String {
    let screen = Screen::of_stderr();
    let renderer = if screen.colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Unicode).term_width(screen.width);
    let drawn: Vec<String> = problems.map(|problem| draw_one(files, problem, &renderer)).collect();
    drawn.join("\n")
}

fn draw_one(files: &Files, problem: &Problem, renderer: &Renderer) -> String {
    let title = Level::ERROR.primary_title(&problem.message);
    let path = format!("{}/{}", files.label(), problem.file);
    let advice = advice(problem);
    let text = files.text(&problem.file).filter(|_| problem.line > 0);
    let Some(text) = text else {
        let place = format!("in {path}");
        let group = title.element(Level::NOTE.message(&place));
        let groups = match &advice {
            Some(advice) => [group.element(Level::HELP.message(advice))],
            None => [group],
        };
        return renderer.render(&groups).to_string();
    };
    let mark = AnnotationKind::Primary.span(span(text, problem));
    let mark = match &advice {
        Some(advice) => mark.label(advice),
        None => mark,
    };
    let snippet = Snippet::source(text).path(&path).annotation(mark);
    renderer.render(&[title.element(snippet)]).to_string()
}

fn advice(problem: &Problem) -> Option<String> {
    match (&problem.nearest, &problem.hint) {
        (Some(nearest), Some(hint)) => Some(format!("did you mean `{nearest}`? ({hint})")),
        (Some(nearest), None) => Some(format!("did you mean `{nearest}`?")),
        (None, hint) => hint.clone(),
    }
}

/// The problem's bytes in the text, from its line, column and length in characters.
fn span(text: &str, problem: &Problem) -> std::ops::Range<usize> {
    let lines = text.split_inclusive('\n');
    let line_start: usize = lines.take(problem.line - 1).map(str::len).sum();
    let line = text.get(line_start..).unwrap_or_default();
    let byte_of = |characters: usize| line.char_indices().nth(characters).map_or(line.len(), |(at, _)| at);
    let first = problem.column.saturating_sub(1);
    line_start + byte_of(first)..line_start + byte_of(first + problem.length)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn files(text: &str) -> Files {
        let map = BTreeMap::from([("scenario.toml".to_owned(), text.as_bytes().to_vec())]);
        Files::new("mine", map)
    }

    #[test]
    fn a_problem_stands_under_its_line() {
        let text = "schema = 1\ntïtle = 3\ntime_out = \"30m\"\n";
        let start = text.find("time_out").unwrap_or_default();
        let problem =
            Problem::at("scenario.toml", text, start..start + 8, "unknown key `time_out`").nearest("time_out", ["timeout"]);
        let drawn = draw(&files(text), [&problem].into_iter());
        for part in ["unknown key `time_out`", "mine/scenario.toml:3:1", "did you mean `timeout`?", "^^^^^^^^"] {
            let found = drawn.contains(part) || part == "^^^^^^^^" && drawn.contains("━━━━━━━━");
            assert!(found, "{part} is missing in\n{drawn}");
        }
    }

    #[test]
    fn a_problem_of_a_whole_file_names_the_file() {
        let problem = Problem::of_file("prompt.md", "the file is missing").hint("write it");
        let drawn = draw(&files(""), [&problem].into_iter());
        for part in ["the file is missing", "mine/prompt.md", "write it"] {
            assert!(drawn.contains(part), "{part} is missing in\n{drawn}");
        }
    }
}
