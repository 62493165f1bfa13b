//! The results: every figure of every round, and the one table made of their medians.

use std::fmt::Write as _;

/// Rows of figures, a column for each contestant.
pub(crate) struct Sheet {
    contestants: Vec<String>,
    baseline: String,
    rows: Vec<Row>,
}

struct Row {
    label: String,
    decimals: usize,
    /// The rounds of each contestant.
    rounds: Vec<Vec<f64>>,
}

impl Sheet {
    pub(crate) fn new(contestants: Vec<String>, baseline: String) -> Self {
        Self {
            contestants,
            baseline,
            rows: Vec::new(),
        }
    }

    /// Notes one round's figure. Rows appear in the order of their first figure.
    pub(crate) fn note(&mut self, label: &str, decimals: usize, contestant: &str, figure: f64) {
        let Some(column) = self.contestants.iter().position(|name| name == contestant) else {
            return;
        };
        let at = self
            .rows
            .iter()
            .position(|row| row.label == label)
            .unwrap_or_else(|| {
                let rounds = vec![Vec::new(); self.contestants.len()];
                self.rows.push(Row {
                    label: label.to_owned(),
                    decimals,
                    rounds,
                });
                self.rows.len() - 1
            });
        self.rows[at].rounds[column].push(figure);
    }

    /// The table, readable as text and valid as Markdown: median, and in parentheses its ratio
    /// to the baseline's.
    pub(crate) fn to_markdown(&self) -> String {
        let baseline = self
            .contestants
            .iter()
            .position(|name| *name == self.baseline);
        let mut lines = vec![vec!["median (ratio)".to_owned()]];
        lines[0].extend(self.contestants.iter().cloned());
        for row in &self.rows {
            let medians: Vec<Option<f64>> = row.rounds.iter().map(|of| median(of)).collect();
            let reference = baseline.and_then(|column| medians[column]);
            let mut line = vec![row.label.clone()];
            line.extend(
                medians
                    .iter()
                    .map(|figure| cell(*figure, reference, row.decimals)),
            );
            lines.push(line);
        }
        layout(&lines)
    }

    pub(crate) fn to_json(&self) -> String {
        let mut json = format!("{{\n  \"baseline\": {:?},\n  \"rows\": [", self.baseline);
        for (at, row) in self.rows.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(
                json,
                "{comma}\n    {{ \"metric\": {:?}, \"contestants\": {{",
                row.label
            );
            let mut comma = "";
            for (name, rounds) in self.contestants.iter().zip(&row.rounds) {
                let Some(median) = median(rounds) else {
                    continue;
                };
                let _ = write!(
                    json,
                    "{comma}\n      {name:?}: {{ \"median\": {median:.3}, \"rounds\": {rounds:.3?} }}"
                );
                comma = ",";
            }
            json.push_str("\n    } }");
        }
        json.push_str("\n  ]\n}\n");
        json
    }
}

fn cell(figure: Option<f64>, reference: Option<f64>, decimals: usize) -> String {
    match (figure, reference) {
        (None, _) => "-".to_owned(),
        (Some(figure), Some(reference)) if reference > 0.0 => {
            format!("{figure:.decimals$} ({:.2})", figure / reference)
        }
        (Some(figure), _) => format!("{figure:.decimals$}"),
    }
}

fn layout(lines: &[Vec<String>]) -> String {
    let column_count = lines[0].len();
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line[column].len())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..column_count).map(width).collect();
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(text, "| {cell:<width$} |"),
                _ => write!(text, " {cell:>width$} |"),
            };
        }
        text.push('\n');
        if at == 0 {
            for (column, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width + 1);
                text.push_str(&if column == 0 {
                    format!("|{dashes}-|")
                } else {
                    format!("{dashes}:|")
                });
            }
            text.push('\n');
        }
    }
    text
}

/// The middle figure, or the mean of the two in the middle.
fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_shrugs_off_one_bad_round() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[1.0, 900.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn the_table_has_ratios_to_the_baseline_and_dashes_for_the_missing() {
        let mut sheet = Sheet::new(vec!["a".into(), "b".into()], "a".into());
        sheet.note("speed", 0, "a", 200.0);
        sheet.note("speed", 0, "b", 100.0);
        sheet.note("only b", 1, "b", 1.0);
        let table = sheet.to_markdown();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[2], "| speed          | 200 (1.00) | 100 (0.50) |");
        assert_eq!(lines[3], "| only b         |          - |        1.0 |");
        assert!(lines.iter().all(|line| line.len() == lines[0].len()));
    }
}
