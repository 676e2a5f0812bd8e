//! Aligned columns of text.

/// Rows of cells under a heading; the last column is not padded.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column names.
    pub(crate) fn new(names: &[&str]) -> Self {
        Self { rows: vec![names.iter().map(|name| (*name).to_owned()).collect()] }
    }

    /// Adds a row. A cell stays on its line.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| proctor_judge::visible_line(cell).into_owned()).collect());
    }

    /// The text, one line a row, without trailing blanks.
    pub(crate) fn render(&self) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                let pad = width.saturating_sub(cell.chars().count()) + 2;
                line.push_str(&" ".repeat(pad));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        (0..columns).map(width_of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_begin_below_each_other_whatever_their_letters() {
        let mut table = Table::new(&["case", "got"]);
        table.row(vec!["größe".to_owned(), "x".to_owned()]);
        table.row(vec!["a much longer case".to_owned(), "y".to_owned()]);
        let text = table.render();
        let columns: Vec<Option<usize>> = text
            .lines()
            .zip(["got", "x", "y"])
            .map(|(line, last)| line.find(last).map(|at| line[..at].chars().count()))
            .collect();
        assert_eq!(columns, [Some(20), Some(20), Some(20)], "{text}");
    }
}
