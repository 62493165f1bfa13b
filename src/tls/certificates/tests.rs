//! How certificates stand by the day. What files can be like is tested in `tests/it`.

use super::*;

const NOW_S: u64 = 1_790_000_000;

#[test]
fn a_certificate_stands_by_the_day() {
    const DAY_S: u64 = 24 * 3600;
    let facts = |days: u64| Facts {
        not_before_s: NOW_S,
        not_after_s: NOW_S + days * DAY_S,
        ..Facts::default()
    };
    let year = facts(365);
    let at = |days: u64| year.standing(NOW_S + days * DAY_S);
    assert_eq!(year.standing(NOW_S - 60), Standing::NotYet(60));
    assert_eq!(at(0), Standing::Valid(365 * DAY_S));
    assert_eq!(at(351), Standing::Valid(14 * DAY_S));
    assert_eq!(at(352), Standing::Expiring(13 * DAY_S));
    assert_eq!(at(365), Standing::Expired(0));
    assert_eq!(at(366), Standing::Expired(DAY_S));
    // One of six days warns in its last half day, not all its life.
    let short = facts(6);
    assert_eq!(short.standing(NOW_S), Standing::Valid(6 * DAY_S));
    let late = NOW_S + 6 * DAY_S - 3600;
    assert_eq!(short.standing(late), Standing::Expiring(3600));
}
