//! What a connection's one timer means.
//!
//! A connection has a single timer. Activity does not touch it: when it fires, this module looks
//! at what the connection is waiting for and says what is due, or when to look again. A message
//! therefore costs no timer work at all.

use super::app::Ending;
use super::connection::{Connection, Flags, Phase};
use super::desk::Ticks;

/// The verdict of a timer that fired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    /// Nothing yet: look again at this tick.
    Later(u32),
    /// It has been silent: ping it.
    Ping,
    /// It took too long.
    Over(Ending),
    /// It owes us nothing (pings are switched off).
    Never,
}

/// What is due for this connection at `now`.
pub(crate) fn due<S, C>(conn: &Connection<S, C>, ticks: &Ticks, now: u32) -> Due {
    match conn.phase {
        Phase::Opening => after(
            conn.mark_tick,
            ticks.handshake,
            now,
            Due::Over(Ending::TooSlow),
        ),
        Phase::Closing | Phase::Parting => {
            after(conn.mark_tick, ticks.close, now, Due::Over(Ending::TooSlow))
        }
        Phase::Open => earlier(
            of_silence(conn, ticks, now),
            earlier(of_message(conn, ticks, now), of_record(conn, ticks, now)),
        ),
        Phase::Dead => Due::Never,
    }
}

fn of_silence<S, C>(conn: &Connection<S, C>, ticks: &Ticks, now: u32) -> Due {
    if conn.flags.has(Flags::PINGED) {
        after(conn.mark_tick, ticks.pong, now, Due::Over(Ending::Silent))
    } else if ticks.ping == 0 {
        Due::Never
    } else {
        let spread = jitter(conn.generation, ticks.ping);
        after(conn.mark_tick, ticks.ping - spread, now, Due::Ping)
    }
}

fn of_message<S, C>(conn: &Connection<S, C>, ticks: &Ticks, now: u32) -> Due {
    match conn.inbound.begun_tick() {
        Some(begun) => after(begun, ticks.message, now, Due::Over(Ending::TooSlow)),
        None => Due::Never,
    }
}

/// A TLS record that was begun and not finished: as long as a message may take. Only whole ones are
/// signs of life, so the mark stands where this one began.
fn of_record<S, C>(conn: &Connection<S, C>, ticks: &Ticks, now: u32) -> Due {
    if !conn.flags.has(Flags::MID_RECORD) {
        return Due::Never;
    }
    let too_slow = Due::Over(Ending::TooSlow);
    after(conn.mark_tick, ticks.message, now, too_slow)
}

/// `then` once `wait` ticks have passed since `mark`. Ticks wrap; waits are far below half their
/// range, so the difference is what counts.
fn after(mark: u32, wait: u32, now: u32, then: Due) -> Due {
    if now.wrapping_sub(mark) >= wait {
        then
    } else {
        Due::Later(mark.wrapping_add(wait))
    }
}

/// The more urgent of two verdicts.
fn earlier(a: Due, b: Due) -> Due {
    match (a, b) {
        (Due::Never, other) | (other, Due::Never) => other,
        (over @ Due::Over(_), _) | (_, over @ Due::Over(_)) => over,
        (Due::Ping, _) | (_, Due::Ping) => Due::Ping,
        (Due::Later(a), Due::Later(b)) => {
            Due::Later(if (a.wrapping_sub(b) as i32) < 0 { a } else { b })
        }
    }
}

/// Up to an eighth of the interval, different for each connection and steady for one: a million
/// clients that connected in the same second must not be pinged in the same second for ever.
fn jitter(generation: u32, interval: u32) -> u32 {
    (generation.wrapping_mul(0x9E37_79B9) >> 16) % (interval / 8 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::deflate::{Codec, Compression};
    use crate::ws::frame::Role;
    use crate::ws::inbound::{Rules, Step};

    const TICKS: Ticks = Ticks {
        handshake: 100,
        message: 600,
        ping: 250,
        pong: 100,
        close: 30,
    };

    fn conn(phase: Phase, mark: u32) -> Connection<(), ()> {
        let mut conn = Connection::new((), 0, mark);
        conn.phase = phase;
        conn
    }

    fn begin_message(conn: &mut Connection<(), ()>, tick: u32) {
        let rules = Rules {
            role: Role::Server,
            message_bytes_max: 9,
            empty_fragments_max: 0,
        };
        let (mut link, mut codec) = (Compression::default(), Codec::default());
        let half_a_header = &mut [0x81];
        let step = conn
            .inbound
            .step(&rules, &mut link, &mut codec, half_a_header, &mut 0);
        assert!(matches!(step, Ok(Step::Drained)));
        conn.inbound.note_begun(tick);
    }

    #[test]
    fn each_phase_has_its_deadline() {
        let start = u32::MAX - 20; // every wait crosses the wrap
        for (phase, wait, then) in [
            (Phase::Opening, 100, Due::Over(Ending::TooSlow)),
            (Phase::Closing, 30, Due::Over(Ending::TooSlow)),
            (Phase::Parting, 30, Due::Over(Ending::TooSlow)),
            (Phase::Open, 250, Due::Ping),
        ] {
            let conn = conn(phase, start);
            let at = start.wrapping_add(wait);
            assert_eq!(
                due(&conn, &TICKS, at.wrapping_sub(1)),
                Due::Later(at),
                "{phase:?}"
            );
            assert_eq!(due(&conn, &TICKS, at), then, "{phase:?}");
        }
    }

    #[test]
    fn an_unanswered_ping_is_the_end() {
        let mut conn = conn(Phase::Open, 1000);
        conn.flags.set(Flags::PINGED);
        assert_eq!(due(&conn, &TICKS, 1099), Due::Later(1100));
        assert_eq!(due(&conn, &TICKS, 1100), Due::Over(Ending::Silent));
        conn.heard(1099);
        assert_eq!(due(&conn, &TICKS, 1100), Due::Later(1349));
    }

    #[test]
    fn a_trickled_message_ends_though_its_bytes_keep_coming() {
        let mut conn = conn(Phase::Open, 1000);
        begin_message(&mut conn, 1000);
        conn.heard(1590);
        assert_eq!(due(&conn, &TICKS, 1599), Due::Later(1600));
        assert_eq!(due(&conn, &TICKS, 1600), Due::Over(Ending::TooSlow));
        let quiet = Ticks { ping: 0, ..TICKS };
        assert_eq!(due(&conn, &quiet, 1599), Due::Later(1600));
    }

    #[test]
    fn half_a_record_ends_although_nobody_pings() {
        let quiet = Ticks { ping: 0, ..TICKS };
        let mut conn = conn(Phase::Open, 1000);
        assert_eq!(due(&conn, &quiet, 5000), Due::Never);
        conn.flags.set(Flags::MID_RECORD);
        assert_eq!(due(&conn, &quiet, 1599), Due::Later(1600));
        assert_eq!(due(&conn, &quiet, 1600), Due::Over(Ending::TooSlow));
        assert_eq!(due(&conn, &TICKS, 1300), Due::Ping);
    }

    #[test]
    fn without_pings_an_idle_connection_waits_for_ever() {
        assert_eq!(
            due(&conn(Phase::Open, 0), &Ticks { ping: 0, ..TICKS }, 1 << 20),
            Due::Never
        );
    }

    #[test]
    fn jitter_spreads_and_stays_within_an_eighth() {
        let spread: std::collections::BTreeSet<u32> = (0..1000).map(|g| jitter(g, 250)).collect();
        assert_eq!(spread.len(), 32);
        assert!(spread.iter().all(|&ticks| ticks <= 250 / 8));
    }
}
