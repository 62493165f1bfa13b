//! The results: every figure of every round, and the one table made of their medians.

use std::fmt::Write as _;

/// Rows of figures, a column for each contestant.
pub(crate) struct Sheet {
    contestants: Vec<String>,
    baselines: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    label: String,
    decimals: usize,
    /// The rounds of each contestant.
    rounds: Vec<Vec<f64>>,
}

impl Sheet {
    pub(crate) fn new(contestants: Vec<String>, baselines: Vec<String>) -> Self {
        Self {
            contestants,
            baselines,
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
    /// to each baseline's.
    pub(crate) fn to_markdown(&self) -> String {
        let mut lines = vec![vec![self.title()]];
        lines[0].extend(self.contestants.iter().cloned());
        for row in &self.rows {
            let medians: Vec<Option<f64>> = row.rounds.iter().map(|of| median(of)).collect();
            let references: Vec<Option<f64>> = self
                .baseline_columns()
                .map(|column| column.and_then(|column| medians[column]))
                .collect();
            let mut line = vec![row.label.clone()];
            line.extend(
                medians
                    .iter()
                    .map(|figure| cell(*figure, &references, row.decimals)),
            );
            lines.push(line);
        }
        layout(&lines)
    }

    fn title(&self) -> String {
        match &self.baselines[..] {
            [] | [_] => "median (ratio)".to_owned(),
            several => format!("median (ratio to {})", several.join(", ")),
        }
    }

    /// The column of each baseline, if it takes part.
    fn baseline_columns(&self) -> impl Iterator<Item = Option<usize>> {
        let column = |wanted: &String| self.contestants.iter().position(|name| name == wanted);
        self.baselines.iter().map(column)
    }

    pub(crate) fn to_json(&self) -> String {
        let mut json = format!(
            "{{\n  \"baseline\": {:?},\n  \"rows\": [",
            self.baselines.join(",")
        );
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

fn cell(figure: Option<f64>, references: &[Option<f64>], decimals: usize) -> String {
    let Some(figure) = figure else {
        return "-".to_owned();
    };
    let ratio = |reference: &Option<f64>| match reference {
        Some(reference) if *reference > 0.0 => format!("{:.2}", figure / reference),
        _ => "-".to_owned(),
    };
    let ratios: Vec<_> = references.iter().map(ratio).collect();
    match ratios.iter().all(|ratio| ratio == "-") {
        true => format!("{figure:.decimals$}"),
        false => format!("{figure:.decimals$} ({})", ratios.join(", ")),
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
        let mut sheet = Sheet::new(vec!["a".into(), "b".into()], vec!["a".into()]);
        sheet.note("speed", 0, "a", 200.0);
        sheet.note("speed", 0, "b", 100.0);
        sheet.note("only b", 1, "b", 1.0);
        let table = sheet.to_markdown();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[2], "| speed          | 200 (1.00) | 100 (0.50) |");
        assert_eq!(lines[3], "| only b         |          - |        1.0 |");
        assert!(lines.iter().all(|line| line.len() == lines[0].len()));
    }

    #[test]
    fn each_of_two_baselines_has_its_ratio() {
        let baselines = vec!["a".into(), "c".into()];
        let mut sheet = Sheet::new(vec!["a".into(), "b".into(), "c".into()], baselines);
        for (name, figure) in [("a", 200.0), ("b", 100.0), ("c", 400.0)] {
            sheet.note("speed", 0, name, figure);
        }
        sheet.note("not a", 0, "b", 3.0);
        sheet.note("not a", 0, "c", 6.0);
        let table = sheet.to_markdown();
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("| median (ratio to a, c) |"));
        assert!(lines[2].contains(" 100 (0.50, 0.25) |"), "{}", lines[2]);
        assert!(lines[3].contains(" 3 (-, 0.50) |"), "{}", lines[3]);
    }
}
