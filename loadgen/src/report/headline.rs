//! `headline.png`: the ramp and four numbers, for a slide.
//!
//! The same SVG as on the page, rasterised in memory. The font travels in the program: the servers this runs
//! on have none, and a chart without words is a riddle.

use std::io;
use std::sync::Arc;

use resvg::{tiny_skia, usvg};

use super::bundle::Bundle;
use super::charts;
use super::svg::{Anchor, Svg, TextStyle};
use crate::summary::Summary;
use crate::units::{millis, thousands};

/// Draws the picture: 1600 x 900 on dark.
pub(super) fn png(bundle: &Bundle) -> io::Result<Vec<u8>> {
    let svg = themed(&compose(bundle));
    let mut options = usvg::Options {
        font_family: "Ubuntu".into(),
        ..usvg::Options::default()
    };
    Arc::make_mut(&mut options.fontdb).load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    let tree = usvg::Tree::from_str(&svg, &options).map_err(io::Error::other)?;
    let mut pixels = tiny_skia::Pixmap::new(WIDTH, HEIGHT)
        .ok_or_else(|| io::Error::other("no memory for the picture"))?;
    resvg::render(
        &tree,
        tiny_skia::Transform::identity(),
        &mut pixels.as_mut(),
    );
    pixels.encode_png().map_err(io::Error::other)
}

/// The whole picture, colours still named.
fn compose(bundle: &Bundle) -> String {
    let summary = &bundle.summary;
    let mut svg = Svg::default();
    svg.rect(
        (-4.0, -4.0),
        (f64::from(WIDTH) + 8.0, f64::from(HEIGHT) + 8.0),
        "bg",
        1.0,
    );
    let title = format!(
        "{} connections, proven alive",
        thousands(summary.connections.proven_alive)
    );
    svg.text(
        (80.0, 122.0),
        &title,
        &TextStyle {
            size: 62.0,
            weight: 300,
            colour: "ink",
            anchor: Anchor::Start,
        },
    );
    svg.text(
        (82.0, 170.0),
        &subtitle(summary),
        &TextStyle {
            size: 24.0,
            weight: 300,
            colour: "muted",
            anchor: Anchor::Start,
        },
    );
    for (at, (value, label)) in numbers(summary).into_iter().enumerate() {
        let x = 82.0 + at as f64 * 372.0;
        svg.text(
            (x, 254.0),
            &value,
            &TextStyle {
                size: 44.0,
                weight: 300,
                colour: "teal",
                anchor: Anchor::Start,
            },
        );
        svg.text(
            (x, 288.0),
            &label,
            &TextStyle {
                size: 20.0,
                weight: 300,
                colour: "muted",
                anchor: Anchor::Start,
            },
        );
    }
    let mut outer = svg.finish(f64::from(WIDTH), f64::from(HEIGHT), "headline");
    if let Some(chart) = charts::ramp::draw(&bundle.points, (1080.0, 390.0)) {
        // Scaled as a whole, so that the axis text grows with the picture.
        let inner = chart.svg.replacen(
            "<svg ",
            "<svg x=\"44\" y=\"318\" width=\"1512\" height=\"546\" ",
            1,
        );
        outer = outer.replacen(
            "</svg>",
            &format!("{}{inner}</svg>", legend(&chart.legend)),
            1,
        );
    }
    outer
}

fn legend(entries: &[(&'static str, String)]) -> String {
    let mut svg = Svg::default();
    let mut x = 130.0;
    for (colour, name) in entries {
        svg.rect((x, 868.0), (16.0, 16.0), colour, 1.0);
        svg.text(
            (x + 26.0, 882.0),
            name,
            &TextStyle {
                size: 20.0,
                weight: 300,
                colour: "soft",
                anchor: Anchor::Start,
            },
        );
        x += 60.0 + name.len() as f64 * 11.0;
    }
    svg.finish(f64::from(WIDTH), f64::from(HEIGHT), "legend")
}

fn subtitle(summary: &Summary) -> String {
    let stamp = if summary.synthetic {
        "SYNTHETIC, nothing was measured - "
    } else {
        ""
    };
    let listeners = match summary.connections.listeners {
        0 | 1 => "one listener".to_owned(),
        many => format!("{many} listeners"),
    };
    format!(
        "{stamp}{} - {} - {listeners}",
        summary.scenario, summary.target
    )
}

fn numbers(summary: &Summary) -> Vec<(String, String)> {
    let mut numbers = vec![(
        format!(
            "{}/s",
            thousands(summary.rates.connects_per_s.round() as u64)
        ),
        "connects during the ramp".to_owned(),
    )];
    if summary.latency_ms.response.count > 0 {
        numbers.push((
            millis(summary.latency_ms.response.p99),
            "p99 response".into(),
        ));
        numbers.push((
            format!(
                "{}/s",
                thousands(summary.rates.received_per_s.round() as u64)
            ),
            "messages answered".into(),
        ));
    }
    if let Some(server) = &summary.server {
        numbers.push((
            format!("{:.0} B", server.rss_bytes_per_connection),
            "server memory per connection".into(),
        ));
    }
    numbers
}

/// Replaces the variables of the page's style sheet: a picture has no style sheet.
fn themed(svg: &str) -> String {
    let mut themed = svg.to_owned();
    for (name, colour) in DARK {
        themed = themed.replace(&format!("var(--{name})"), colour);
    }
    themed
}

const WIDTH: u32 = 1600;
const HEIGHT: u32 = 900;
/// The dark colours of `page.css`; a test keeps them the same.
const DARK: &[(&str, &str)] = &[
    ("bg", "#0c0f14"),
    ("surface", "#141922"),
    ("ink", "#eef1f6"),
    ("soft", "#c3cad6"),
    ("muted", "#8b95a5"),
    ("grid", "#202734"),
    ("axis", "#3d4757"),
    ("faint", "#6a7485"),
    ("teal", "#35d0b2"),
    ("blue", "#6b9bff"),
    ("sky", "#7cc7f5"),
    ("amber", "#ffb547"),
    ("violet", "#b094ff"),
    ("rose", "#f58bb0"),
    ("slate", "#93a1b8"),
    ("red", "#ff6b6b"),
    ("heat", "#6b9bff"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_the_colours_of_the_dark_page() {
        let css = include_str!("page.css");
        for (name, colour) in DARK {
            let rule = format!("--{name}: {colour};");
            assert_eq!(
                css.matches(&rule).count(),
                2,
                "{rule} stands in both dark rules"
            );
        }
        assert!(!themed("fill=\"var(--teal)\"").contains("var("));
    }
}
