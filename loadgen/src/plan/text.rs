//! The plan as a person reads it.

use std::fmt;

use super::Plan;
use super::knobs::{Knob, shown};
use crate::units::{bytes, thousands};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_tuples(f)?;
        self.write_routes(f)?;
        self.write_cost(f)?;
        self.write_knobs(f)?;
        self.write_walls(f)?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

impl Plan {
    fn write_tuples(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listeners = match self.listeners.as_slice() {
            [one] => one.to_string(),
            [first, .., last] => format!("{first} ... {last} ({} listeners)", self.listeners.len()),
            [] => String::new(),
        };
        writeln!(
            f,
            "{} connections to {listeners}",
            thousands(self.connections)
        )?;
        writeln!(
            f,
            "  per listener    {}",
            thousands(self.connections_per_listener)
        )?;
        writeln!(f, "  sources         {}", self.sources.join(", "))?;
        writeln!(
            f,
            "  ports of each   {} ({})",
            thousands(self.ports_per_source),
            self.ports
        )?;
        writeln!(f, "  tuples          {}\n", thousands(self.tuples))
    }

    fn write_routes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.setup.is_empty() {
            return writeln!(
                f,
                "routes: none needed, every source address is local already\n"
            );
        }
        write_lines(f, "on this host, before:", &self.setup)?;
        write_lines(f, "on the server, before:", &self.setup_on_server)?;
        write_lines(f, "on this host, after (undo):", &self.undo)?;
        writeln!(f)
    }

    fn write_cost(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = &self.memory;
        let line = |f: &mut fmt::Formatter<'_>, what: &str, total: u64| {
            let each = total / self.connections.max(1);
            writeln!(
                f,
                "  {what:<24}{:>10}   {:>6} B each",
                bytes(total as f64),
                thousands(each)
            )
        };
        writeln!(f, "expected memory, idle:")?;
        line(f, "kernel, server side", memory.server_kernel_bytes)?;
        line(f, "kernel, client side", memory.client_kernel_bytes)?;
        line(f, "the server, if Throng", memory.server_user_bytes)?;
        line(f, "this program", memory.client_user_bytes)?;
        let where_ = if self.both_ends_here {
            "on this host (both ends)"
        } else {
            "on this host"
        };
        line(f, where_, memory.here_bytes)?;
        writeln!(
            f,
            "descriptors per thread: {}\n",
            thousands(self.descriptors_per_thread)
        )
    }

    fn write_knobs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "settings ({} of {} in order here):",
            self.knobs.iter().filter(|k| k.met).count(),
            self.knobs.len()
        )?;
        for knob in &self.knobs {
            write_knob(f, knob)?;
        }
        writeln!(f)
    }

    fn write_walls(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first_wall() {
            Some(wall) => {
                writeln!(
                    f,
                    "FIRST WALL: {} at {} connections",
                    wall.name,
                    thousands(wall.at_connections)
                )?;
                writeln!(f, "  shows as  {}\n  cure      {}", wall.symptom, wall.cure)?;
            }
            None => writeln!(
                f,
                "no wall below {} connections on this host",
                thousands(self.connections)
            )?,
        }
        for wall in &self.walls {
            writeln!(f, "  {:>16}  {}", thousands(wall.at_connections), wall.name)?;
        }
        Ok(())
    }
}

fn write_knob(f: &mut fmt::Formatter<'_>, knob: &Knob) -> fmt::Result {
    let now = knob.now.as_deref();
    let now = now.map_or_else(|| "not readable".into(), shown);
    let side = format!("{:?}", knob.side).to_lowercase();
    let mark = if knob.met { "ok " } else { "LOW" };
    writeln!(
        f,
        "  {mark} {:<32}{side:<8}{now:>16}, needs {}",
        knob.name,
        shown(&knob.need)
    )?;
    if knob.met {
        Ok(())
    } else {
        writeln!(f, "      {}\n      else: {}", knob.command, knob.why)
    }
}

fn write_lines(f: &mut fmt::Formatter<'_>, title: &str, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}")?;
    lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
}
