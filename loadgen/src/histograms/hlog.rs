//! HdrHistogram interval logs, as the Java tools read and write them.
//!
//! The crate's own writer gives neither the format line nor the legend, and its example uses the
//! uncompressed form that Java's reader refuses; so the few lines are written here, the encoding (V2 with
//! deflate) is the crate's. One file per tag and series, without `Tag=`: HistogramLogProcessor then needs
//! no option.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

/// Writes one log.
pub struct HlogWriter<W: Write> {
    out: W,
    serializer: V2DeflateSerializer,
    encoded: Vec<u8>,
}

/// One interval read back.
#[derive(Debug)]
pub struct LogInterval {
    /// Seconds since the start of the log.
    pub start_s: f64,
    /// Length of the interval.
    pub length_s: f64,
    /// What was recorded in it.
    pub histogram: Histogram<u64>,
}

impl<W: Write> HlogWriter<W> {
    /// Begins a log: comments, times, legend.
    pub fn new(mut out: W, label: &str, started_unix_s: f64) -> io::Result<Self> {
        let label = label.replace(['\r', '\n'], " ");
        writeln!(
            out,
            "#[{label}; values in nanoseconds, logged by loadgen {}]",
            env!("CARGO_PKG_VERSION")
        )?;
        writeln!(out, "#[Histogram log format version 1.3]")?;
        writeln!(
            out,
            "#[StartTime: {started_unix_s:.3} (seconds since epoch)]"
        )?;
        writeln!(
            out,
            "#[BaseTime: {started_unix_s:.3} (seconds since epoch)]"
        )?;
        writeln!(
            out,
            "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\""
        )?;
        Ok(Self {
            out,
            serializer: V2DeflateSerializer::new(),
            encoded: Vec::new(),
        })
    }

    /// Writes one interval; an empty one too, because a gap is a finding.
    pub fn interval(
        &mut self,
        start_s: f64,
        length_s: f64,
        histogram: &Histogram<u64>,
    ) -> io::Result<()> {
        self.encoded.clear();
        self.serializer
            .serialize(histogram, &mut self.encoded)
            .map_err(io::Error::other)?;
        let max_ms = histogram.max() as f64 / 1e6;
        writeln!(
            self.out,
            "{start_s:.3},{length_s:.3},{max_ms:.3},{}",
            STANDARD.encode(&self.encoded)
        )
    }

    /// Flushes and hands the sink back.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Reads a log: ours, Java's, or one with tags (which are ignored). Each interval is handed over and not
/// kept: a dense histogram is 190 KB, an hour of them would be 680 MB.
pub fn read(log: &[u8], mut each: impl FnMut(LogInterval)) -> io::Result<()> {
    let mut deserializer = Deserializer::new();
    for entry in IntervalLogIterator::new(log) {
        let entry = entry.map_err(|error| invalid(format!("not an interval log: {error:?}")))?;
        let LogEntry::Interval(line) = entry else {
            continue;
        };
        let encoded = STANDARD
            .decode(line.encoded_histogram())
            .map_err(|error| invalid(error.to_string()))?;
        let histogram = deserializer
            .deserialize(&mut encoded.as_slice())
            .map_err(|error| invalid(error.to_string()))?;
        each(LogInterval {
            start_s: line.start_timestamp().as_secs_f64(),
            length_s: line.duration().as_secs_f64(),
            histogram,
        });
    }
    Ok(())
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histograms::new_histogram;
    use crate::random::Random;

    /// Three intervals, the middle one empty.
    fn sample() -> (Vec<u8>, Vec<Histogram<u64>>) {
        let mut random = Random::new(5);
        let mut writer = HlogWriter::new(Vec::new(), "echo\nresponse", 1_441_812_279.474).unwrap();
        let mut written = Vec::new();
        for second in 0..3 {
            let mut histogram = new_histogram();
            for _ in 0..if second == 1 { 0 } else { 1000 } {
                histogram.record(20_000 + random.below(90_000_000)).unwrap();
            }
            writer.interval(f64::from(second), 1.0, &histogram).unwrap();
            written.push(histogram);
        }
        (writer.finish().unwrap(), written)
    }

    #[test]
    fn the_header_is_what_java_tools_look_for() {
        let text = String::from_utf8(sample().0).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("#[echo response; values in nanoseconds"));
        assert_eq!(lines[1], "#[Histogram log format version 1.3]");
        assert_eq!(
            lines[2],
            "#[StartTime: 1441812279.474 (seconds since epoch)]"
        );
        assert!(lines[4].starts_with("\"StartTimestamp\",\"Interval_Length\""));
        // 0x1c849304 (V2, deflated) begins with these letters in base64: the form Java's reader expects.
        assert!(
            lines[5].split(',').nth(3).unwrap().starts_with("HISTF"),
            "{}",
            lines[5]
        );
        assert_eq!(lines.len(), 8);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (log, written) = sample();
        let mut intervals = Vec::new();
        read(&log, |interval| intervals.push(interval)).unwrap();
        assert_eq!(intervals.len(), 3);
        for (second, (interval, histogram)) in intervals.iter().zip(&written).enumerate() {
            assert!((interval.start_s - second as f64).abs() < 1e-9);
            assert!((interval.length_s - 1.0).abs() < 1e-9);
            assert_eq!(&interval.histogram, histogram);
        }
    }

    #[test]
    fn a_broken_log_is_an_error() {
        for log in [&b"0.1,1.0,2.0,!!!!\n"[..], b"0.1,1.0,2.0,AAAA\n", b"junk\n"] {
            assert!(read(log, |_| ()).is_err());
        }
        assert!(read(b"", |_| panic!("there is no interval")).is_ok());
    }
}
