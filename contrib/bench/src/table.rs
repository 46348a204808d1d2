//! Prints what was measured: one block per question, everybody side by side, with ratios.

use std::fmt::Write;

pub struct Block {
    title: String,
    unit: &'static str,
    rows: Vec<(String, Option<f64>, String)>,
    /// What svc must reach: the row it is compared with, the highest ratio allowed.
    bounds: Vec<(&'static str, f64)>,
    /// Besides, for the musl binary, which starts faster.
    musl_bounds: Vec<(&'static str, f64)>,
}

impl Block {
    pub fn new(title: impl Into<String>, unit: &'static str) -> Block {
        Block { title: title.into(), unit, rows: Vec::new(), bounds: Vec::new(), musl_bounds: Vec::new() }
    }

    pub fn must(mut self, at_most: f64, times: &'static str) -> Block {
        self.bounds.push((times, at_most));
        self
    }

    pub fn musl_must(mut self, at_most: f64, times: &'static str) -> Block {
        self.musl_bounds.push((times, at_most));
        self
    }

    /// `values` in the unit of the block; the median is shown. None measured is shown as a dash.
    pub fn row(&mut self, label: impl Into<String>, values: Vec<f64>) {
        let spread = match (values.iter().copied().reduce(f64::min), values.iter().copied().reduce(f64::max))
        {
            (Some(least), Some(most)) if values.len() > 1 => format!("{} to {}", short(least), short(most)),
            _ => String::new(),
        };
        self.rows.push((label.into(), median(values), spread));
    }

    pub fn print(&self) {
        let value = |label: &str| {
            self.rows.iter().find(|row| row.0 == label).and_then(|row| row.1).filter(|value| *value > 0.0)
        };
        let references: Vec<&str> = ["bare loop", "runit", "s6", "tini", "catatonit", "sv status", "quiet"]
            .into_iter()
            .filter(|label| value(label).is_some())
            .collect();
        let mut text = format!("\n{}, {}\n", self.title, self.unit);
        for (label, median, spread) in &self.rows {
            let shown = median.map_or("-".to_owned(), short);
            write!(text, "  {label:<22}{shown:>12}   {spread:<22}").ok();
            for reference in references.iter().filter(|reference| **reference != label) {
                if let (Some(own), Some(other)) = (median, value(reference)) {
                    write!(text, "  {:.2} × {reference}", own / other).ok();
                }
            }
            text.push('\n');
            if label.starts_with("svc")
                && let Some(own) = median
            {
                judge(&self.bounds, self.unit, *own, &value, &mut text);
                if label.contains("musl") {
                    judge(&self.musl_bounds, self.unit, *own, &value, &mut text);
                }
            }
        }
        print!("{text}");
    }
}

fn judge(
    bounds: &[(&'static str, f64)],
    unit: &str,
    own: f64,
    value: &dyn Fn(&str) -> Option<f64>,
    text: &mut String,
) {
    for (reference, at_most) in bounds {
        let (bound, words) = match value(reference) {
            Some(other) => (other * at_most, format!("{at_most} × {reference}")),
            None if *reference == unit => (*at_most, format!("{at_most} {unit}")),
            None => continue,
        };
        let verdict = if own <= bound { "reached" } else { "NOT REACHED" };
        writeln!(text, "      {verdict}: at most {words} = {}", short(bound)).ok();
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn short(value: f64) -> String {
    match value {
        v if v >= 1000.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.3}"),
    }
}
