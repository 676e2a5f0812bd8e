//! Markdown from texts that know nothing of it: tables, lines, code, blocks.

use std::fmt::Write as _;

use crate::visible::visible;

/// A cell that begins with this is already Markdown.
pub(crate) const RAW: &str = "\u{0}";

/// A table, or the word that there is nothing to put into one.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = String::new();
    let mut any = false;
    for row in rows {
        if !any {
            let _ = writeln!(text, "| {} |\n|{}", head.join(" | "), "---|".repeat(head.len()));
        }
        any = true;
        let cells: Vec<String> = row.iter().map(|c| c.strip_prefix(RAW).map_or_else(|| cell(c), str::to_owned)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    if any { text + "\n" } else { "None.\n\n".into() }
}

/// Text inside a table: one line, no cell borders, no markup.
pub(crate) fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}

/// Text on one line that Markdown takes as it is.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '\n' | '\t' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '*' | '_' | '`' | '\\' | '[' | ']' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Code in a line: the fence is longer than any run of backticks inside.
pub(crate) fn code(text: &str) -> String {
    let longest = longest_fence(text);
    let fence = "`".repeat(longest + 1);
    let pad = if longest > 0 { " " } else { "" };
    format!("{fence}{pad}{}{pad}{fence}", visible(text).replace('\n', " "))
}

/// Lines of code or output as they are: no text inside ends the block.
pub(crate) fn block(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_fence(text).max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end())
}

fn longest_fence(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_evidence_stays_text() {
        assert_eq!(cell("a|b <i>_x_\n`y`"), "a\\|b &lt;i>\\_x\\_ \\`y\\`");
        assert_eq!(code("a `b`"), "`` a `b` ``");
    }

    #[test]
    fn nothing_inside_ends_a_block() {
        assert_eq!(block("text", "a\n```\nb\n"), "````text\na\n```\nb\n````\n");
    }
}
