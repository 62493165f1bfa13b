//! A small SVG writer. Colours are CSS variables, so that one drawing serves the light page, the dark page
//! and (with the variables replaced) the picture.

use std::fmt::Write as _;

/// Text of a drawing under construction.
#[derive(Debug, Default)]
pub(super) struct Svg {
    body: String,
}

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// Closes the drawing with its outer element.
    pub(super) fn finish(self, width: f64, height: f64, label: &str) -> String {
        format!(
            "<svg viewBox=\"0 0 {width:.0} {height:.0}\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{}\">{}</svg>",
            escape(label),
            self.body
        )
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.push(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"var(--{colour})\" stroke-width=\"{width}\"/>"
        ));
    }

    pub(super) fn rect(&mut self, at: (f64, f64), size: (f64, f64), colour: &str, opacity: f64) {
        let ((x, y), (w, h)) = (at, size);
        self.push(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" rx=\"2\" fill=\"var(--{colour})\" fill-opacity=\"{opacity:.2}\"/>"
        ));
    }

    /// Many rectangles of one colour as one element: a heat map has thousands. Their edges are not smoothed,
    /// or a pale seam would run between neighbours.
    pub(super) fn cells(&mut self, rects: &[(f64, f64, f64, f64)], colour: &str, opacity: f64) {
        if rects.is_empty() {
            return;
        }
        let mut path = String::new();
        for (x, y, w, h) in rects {
            write!(path, "M{x:.1} {y:.1}h{w:.1}v{h:.1}h-{w:.1}z")
                .expect("a String takes whatever is written");
        }
        self.push(format_args!(
            "<path d=\"{path}\" fill=\"var(--{colour})\" fill-opacity=\"{opacity:.2}\" shape-rendering=\"crispEdges\"/>"
        ));
    }

    pub(super) fn polyline(&mut self, points: &[(f64, f64)], colour: &str, width: f64) {
        if points.is_empty() {
            return;
        }
        self.push(format_args!(
            "<path d=\"{}\" fill=\"none\" stroke=\"var(--{colour})\" stroke-width=\"{width}\" stroke-linejoin=\"round\" stroke-linecap=\"round\"/>",
            path_of(points)
        ));
    }

    /// The space between an upper line and a lower one (both left to right).
    pub(super) fn area(
        &mut self,
        upper: &[(f64, f64)],
        lower: &[(f64, f64)],
        colour: &str,
        opacity: f64,
    ) {
        if upper.is_empty() {
            return;
        }
        let back: Vec<(f64, f64)> = lower.iter().rev().copied().collect();
        let path = format!("{}L{}Z", path_of(upper), &path_of(&back)[1..]);
        self.push(format_args!(
            "<path d=\"{path}\" fill=\"var(--{colour})\" fill-opacity=\"{opacity:.2}\"/>"
        ));
    }

    pub(super) fn text(&mut self, at: (f64, f64), text: &str, style: &TextStyle<'_>) {
        let anchor = match style.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.push(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" font-size=\"{}\" font-weight=\"{}\" fill=\"var(--{})\">{}</text>",
            at.0,
            at.1,
            style.size,
            style.weight,
            style.colour,
            escape(text)
        ));
    }

    /// What the page's script shows under the pointer: the plot's box and one entry per place.
    pub(super) fn hover(&mut self, plot: (f64, f64, f64, f64), entries: &[Hover]) {
        let json = serde_json::json!({ "box": [plot.0, plot.1, plot.2, plot.3], "at": entries });
        self.push(format_args!(
            "<metadata class=\"hover\">{}</metadata>",
            escape(&json.to_string())
        ));
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        self.body
            .write_fmt(element)
            .expect("a String takes whatever is written");
    }
}

/// How a text looks.
pub(super) struct TextStyle<'a> {
    pub(super) size: f64,
    pub(super) weight: u32,
    pub(super) colour: &'a str,
    pub(super) anchor: Anchor,
}

impl TextStyle<'static> {
    /// The small grey text of axes.
    pub(super) const fn axis(anchor: Anchor) -> Self {
        Self {
            size: 12.0,
            weight: 400,
            colour: "muted",
            anchor,
        }
    }

    /// Text that matters.
    pub(super) const fn strong(size: f64, anchor: Anchor) -> Self {
        Self {
            size,
            weight: 600,
            colour: "ink",
            anchor,
        }
    }
}

/// One place the pointer can be at.
#[derive(Debug, serde::Serialize)]
pub(super) struct Hover {
    /// Horizontal place in the drawing.
    pub(super) x: f64,
    /// Title of the box.
    pub(super) t: String,
    /// Rows: name, value, colour.
    pub(super) v: Vec<(String, String, &'static str)>,
}

/// Makes text harmless inside HTML and SVG.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control characters are not allowed in XML at all, not even escaped.
            c if (c as u32) < 32 && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn path_of(points: &[(f64, f64)]) -> String {
    let mut path = String::with_capacity(points.len() * 12);
    for (at, (x, y)) in points.iter().enumerate() {
        let letter = if at == 0 { 'M' } else { 'L' };
        write!(path, "{letter}{x:.1} {y:.1}").expect("a String takes whatever is written");
    }
    path
}
