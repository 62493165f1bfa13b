//! The bundle a run leaves: numbers for programs, logs for other tools, pictures for people.
//!
//! ```text
//! DIR/summary.json          the numbers (crate::summary)
//!     environment.json      command, kernel, settings, binaries (crate::environment)
//!     samples.csv           one row a second (crate::series)
//!     TAG.SERIES.hlog       HdrHistogram interval log of each tag: response, service, lateness
//!     report.html           everything above to look at, offline, in one file
//!     headline.png          the ramp, for a slide
//! ```
//!
//! The logs and samples are written while the run goes on. The pictures are drawn from the files alone, so
//! that an interrupted or merged run is drawn by the same code as any other.

pub mod bundle;
mod charts;
mod headline;
mod page;
mod plot;
mod svg;

use std::io;
use std::path::Path;

use bundle::Bundle;

/// Draws `report.html` and `headline.png` from the other files of a bundle.
pub fn draw(dir: &Path) -> io::Result<()> {
    let bundle = Bundle::read(dir)?;
    std::fs::write(dir.join("report.html"), page::render(&bundle))?;
    std::fs::write(dir.join("headline.png"), headline::png(&bundle)?)
}

/// The page that lays two bundles over each other.
#[must_use]
pub fn comparison_page(comparison: &crate::diff::Comparison, a: &Bundle, b: &Bundle) -> String {
    page::render_comparison(comparison, a, b)
}
