//! When tokens expire: what is due, by the second.
//!
//! A token's end is a date, a whole second, and thousands share one; so there is a list for each
//! second with something due, eight bytes an entry. What is due may since have been prolonged or be gone:
//! whoever takes it looks, and notes it again.

use std::collections::BTreeMap;

use crate::hub::SessionId;

/// What expires when.
#[derive(Default)]
pub(super) struct Expiries {
    connections: BTreeMap<u64, Vec<SessionId>>,
    /// Boxed names: few subscriptions have tokens of their own.
    subscriptions: BTreeMap<u64, Vec<(SessionId, Box<str>)>>,
}

/// Something that may have expired.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Due {
    Connection(SessionId),
    Subscription(SessionId, Box<str>),
}

impl Expiries {
    pub(super) fn note_connection(&mut self, at_s: u64, id: SessionId) {
        self.connections.entry(at_s).or_default().push(id);
    }

    pub(super) fn note_subscription(&mut self, at_s: u64, id: SessionId, channel: &str) {
        let list = self.subscriptions.entry(at_s).or_default();
        list.push((id, channel.into()));
    }

    /// The next one that is due.
    pub(super) fn take_due(&mut self, now_s: u64) -> Option<Due> {
        if let Some(id) = take(&mut self.connections, now_s) {
            return Some(Due::Connection(id));
        }
        take(&mut self.subscriptions, now_s).map(|(id, channel)| Due::Subscription(id, channel))
    }

    /// When the next one will be.
    pub(super) fn next_s(&self) -> Option<u64> {
        let first = self.connections.keys().next();
        first
            .into_iter()
            .chain(self.subscriptions.keys().next())
            .min()
            .copied()
    }
}

fn take<T>(map: &mut BTreeMap<u64, Vec<T>>, now_s: u64) -> Option<T> {
    let mut first = map.first_entry().filter(|entry| *entry.key() <= now_s)?;
    let due = first.get_mut().pop();
    if first.get().is_empty() {
        first.remove();
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u32) -> SessionId {
        SessionId {
            index,
            generation: 1,
        }
    }

    #[test]
    fn everything_is_due_in_its_second_and_once() {
        let mut expiries = Expiries::default();
        for (index, at_s) in [(1, 20), (2, 10), (3, 20), (4, 30)] {
            expiries.note_connection(at_s, id(index));
        }
        expiries.note_subscription(15, id(1), "news");
        assert_eq!(expiries.next_s(), Some(10));
        assert_eq!(expiries.take_due(9), None);
        assert_eq!(expiries.take_due(19), Some(Due::Connection(id(2))));
        let due = Due::Subscription(id(1), "news".into());
        assert_eq!(expiries.take_due(19), Some(due));
        assert_eq!(expiries.take_due(19), None);
        let mut due = vec![expiries.take_due(25), expiries.take_due(25)];
        due.sort_by_key(|due| format!("{due:?}"));
        let expected = [1, 3].map(|index| Some(Due::Connection(id(index))));
        assert_eq!(due, expected);
        assert_eq!(expiries.next_s(), Some(30));
        assert_eq!(expiries.take_due(u64::MAX), Some(Due::Connection(id(4))));
        assert_eq!(expiries.next_s(), None);
    }
}
