//! Columns of text under headings, cut to the width of the terminal.

use super::screen::{Style, paint};

pub struct Table {
    headings: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
}

#[derive(Clone, Debug, Default)]
pub struct Cell {
    text: String,
    style: Style,
    right: bool,
}

impl Cell {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Numbers stand on the right.
    pub fn number(number: impl ToString) -> Self {
        Self { text: number.to_string(), right: true, ..Self::default() }
    }

    pub fn styled(mut self, style: Style) -> Self {
        self.style = style;
        self
    }
}

impl Table {
    pub fn new(headings: &'static [&'static str]) -> Self {
        Self { headings, rows: Vec::new() }
    }

    /// As many cells as there are headings.
    pub fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.headings.len());
        self.rows.push(cells);
    }

    /// The lines; the last column is as long as it is, or as the terminal lets it be.
    pub fn lines(&self, width: Option<usize>, colour: bool) -> Vec<String> {
        let widths: Vec<usize> = self
            .headings
            .iter()
            .enumerate()
            .map(|(column, heading)| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0).max(heading.len())
            })
            .collect();
        let right: Vec<bool> = (0..widths.len())
            .map(|column| self.rows.iter().any(|row| row.get(column).is_some_and(|c| c.right)))
            .collect();
        let headings: Vec<Cell> = self
            .headings
            .iter()
            .zip(&right)
            .map(|(heading, right)| Cell { text: (*heading).to_owned(), style: Style::Bold, right: *right })
            .collect();
        let all = std::iter::once(&headings).chain(&self.rows);
        all.map(|row| one_line(row, &widths, width, colour)).collect()
    }
}

fn one_line(row: &[Cell], widths: &[usize], screen_width: Option<usize>, colour: bool) -> String {
    let mut line = String::new();
    let mut at = 0;
    for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
        let is_last = column + 1 == widths.len();
        let room = screen_width.map(|screen| screen.saturating_sub(at));
        let text = cut(&cell.text, room.filter(|_| is_last));
        let padding = " ".repeat(width.saturating_sub(text.chars().count()));
        let painted = paint(colour && !text.is_empty(), cell.style, &text);
        if cell.right {
            line.push_str(&padding);
        }
        line.push_str(&painted);
        if !is_last {
            if !cell.right {
                line.push_str(&padding);
            }
            line.push_str("  ");
        }
        at += width + 2;
    }
    line.truncate(line.trim_end().len());
    line
}

fn cut(text: &str, room: Option<usize>) -> String {
    match room {
        // Less than this says nothing: let the terminal wrap it.
        Some(room) if room >= 8 && text.chars().count() > room => {
            text.chars().take(room - 3).chain("...".chars()).collect()
        }
        Some(_) | None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "PID", "WHY"]);
        table.row(vec![Cell::new("web").styled(Style::Green), Cell::number(7), Cell::new("")]);
        table.row(vec![
            Cell::new("database"),
            Cell::number(12345),
            Cell::new("exited with code 1, again and again"),
        ]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_numbers_stand_on_the_right() {
        let expected = [
            "NAME        PID  WHY",
            "web           7",
            "database  12345  exited with code 1, again and again",
        ];
        assert_eq!(table().lines(None, false), expected);
    }

    #[test]
    fn the_last_column_is_cut_to_the_terminal() {
        let lines = table().lines(Some(40), false);
        assert_eq!(lines[2], "database  12345  exited with code 1, ...");
        assert_eq!(lines[2].len(), 40);
        // A terminal narrower than the table wraps.
        assert_eq!(table().lines(Some(10), false)[2], "database  12345  exited with code 1, again and again");
    }

    #[test]
    fn colour_does_not_shift_the_columns() {
        let lines = table().lines(None, true);
        assert_eq!(lines[0], "\x1b[1mNAME\x1b[0m        \x1b[1mPID\x1b[0m  \x1b[1mWHY\x1b[0m");
        assert_eq!(lines[1], "\x1b[32mweb\x1b[0m           7");
    }
}
