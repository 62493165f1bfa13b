//! A page as headless Chromium sees it, with every chart touched by a pointer.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Scratch, chromium};

/// What came of a page.
pub(super) struct Page {
    /// The document after its scripts ran.
    pub(super) dom: String,
    /// Lines of the browser's console.
    pub(super) complaints: Vec<String>,
}

/// Mark of a chart that has something drawn in it, all of it inside its frame, and that answers the pointer.
pub(super) const DRAWN: &str = "data-probe=\"drawn\"";

/// Moves a pointer over every chart, and writes on each what is wrong with it.
const PROBE: &str = "<script>
for (const svg of document.querySelectorAll('svg')) {
  const frame = svg.getBoundingClientRect(), findings = [];
  const marks = [...svg.querySelectorAll('path, polyline, rect, circle')];
  if (!marks.some((mark) => mark.getBoundingClientRect().width > frame.width / 10)) findings.push('nothing is drawn');
  for (const label of svg.querySelectorAll('text')) {
    const box = label.getBoundingClientRect();
    if (box.left < frame.left - 2 || box.right > frame.right + 2 || box.bottom > frame.bottom + 2)
      findings.push(`outside: ${label.textContent}`);
  }
  if (svg.querySelector('metadata.hover')) {
    const middle = { clientX: frame.left + frame.width / 2, clientY: frame.top + frame.height / 2 };
    svg.dispatchEvent(new PointerEvent('pointermove', middle));
    const tip = document.getElementById('tip');
    if (tip.style.display !== 'block' || !/\\d/.test(tip.textContent)) findings.push('the pointer is ignored');
    svg.dispatchEvent(new PointerEvent('pointerleave'));
    if (tip.style.display !== 'none') findings.push('the tip stays');
  }
  svg.dataset.probe = findings.join('; ') || 'drawn';
}
document.getElementById('theme')?.click();
</script>";

impl Page {
    /// Opens a file and touches it; `None` where there is no browser.
    pub(super) fn open(file: &Path) -> Option<Self> {
        let chromium = chromium()?;
        let scratch = Scratch::new("browser");
        let html = fs::read_to_string(file).unwrap();
        let probed = html.replace("</body>", &format!("{PROBE}</body>"));
        assert_ne!(probed, html, "the page has an end to put the probe at");
        let output = Command::new(chromium)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args([
                "--enable-logging=stderr",
                "--v=0",
                "--window-size=1400,1000",
            ])
            .arg(format!(
                "--user-data-dir={}",
                scratch.at("profile").display()
            ))
            .arg("--dump-dom")
            .arg(format!(
                "file://{}",
                scratch.file("page.html", &probed).display()
            ))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        let dom = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(dom.contains("<body"), "no document: {log}");
        Some(Self {
            dom,
            complaints: log
                .lines()
                .filter(|line| line.contains(":CONSOLE"))
                .map(str::to_owned)
                .collect(),
        })
    }

    /// The browser had nothing to say, and every chart passed the probe; there are at least so many.
    pub(super) fn assert_drawn(&self, charts_min: usize) {
        assert_eq!(self.complaints, [""; 0]);
        let probes: Vec<&str> = self.dom.split("data-probe=\"").skip(1).collect();
        let verdicts: Vec<&str> = probes
            .iter()
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert_eq!(verdicts, vec!["drawn"; verdicts.len().max(charts_min)]);
    }
}
