//! Who is connected to the admin port, and who has to go when somebody else comes.
//!
//! There are only so many places, each with a thread. Whoever waits (between requests, in the middle of
//! one, or with an answer half read) may be asked to leave: the one that has waited longest goes when
//! the last place is taken. So clients that hang, however many, keep nobody out; and whoever is being
//! served is served to the end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sys::{Socket, clock};

/// Places. Scrapers, health checks and the backends of an application keep a handful each.
pub(super) const GUESTS_MAX: usize = 64;
/// How long one that was asked to leave may take; its thread has only to notice.
const LEAVING_MAX: Duration = Duration::from_millis(500);

/// The guest list.
#[derive(Debug, Default)]
pub(super) struct Guests {
    list: Mutex<Vec<Arc<Guest>>>,
    left: Condvar,
    evicted: AtomicU64,
    turned_away: AtomicU64,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) socket: Socket,
    /// Since when we wait for it; 0 while it waits for us.
    waiting_since_ms: AtomicU64,
}

/// A guest's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    guests: Arc<Guests>,
    guest: Arc<Guest>,
}

/// How it went with the places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    /// Places that are taken.
    pub(super) connections: u64,
    /// Guests that had to leave for others.
    pub(super) evicted: u64,
    /// Newcomers for whom nobody could leave.
    pub(super) turned_away: u64,
}

impl Guests {
    /// Takes a place, if need be somebody else's. Gives the socket back if everybody is being served.
    pub(super) fn enter(self: &Arc<Self>, socket: Socket) -> Result<Place, Socket> {
        let mut list = self.lock();
        if list.len() >= GUESTS_MAX {
            let waiting = list.iter().filter(|guest| guest.waits_since_ms() > 0);
            if let Some(guest) = waiting.min_by_key(|guest| guest.waits_since_ms()) {
                self.evicted.fetch_add(1, Ordering::Relaxed);
                // Its thread reads an end of stream and leaves.
                let _ = guest.socket.shutdown_both();
                let is_full = |list: &mut Vec<Arc<Guest>>| list.len() >= GUESTS_MAX;
                let waited = self.left.wait_timeout_while(list, LEAVING_MAX, is_full);
                list = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if list.len() >= GUESTS_MAX {
                self.turned_away.fetch_add(1, Ordering::Relaxed);
                return Err(socket);
            }
        }
        let guest = Arc::new(Guest {
            socket,
            waiting_since_ms: AtomicU64::new(clock::monotonic_ms()),
        });
        list.push(guest.clone());
        Ok(Place {
            guests: self.clone(),
            guest,
        })
    }

    pub(super) fn tally(&self) -> Tally {
        Tally {
            connections: self.lock().len() as u64,
            evicted: self.evicted.load(Ordering::Relaxed),
            turned_away: self.turned_away.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Guest>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// From now on we wait for it, and it may have to leave.
    pub(super) fn wait(&self) {
        let now_ms = clock::monotonic_ms().max(1);
        self.waiting_since_ms.store(now_ms, Ordering::Relaxed);
    }

    /// From now on it waits for us, and will get its answer.
    pub(super) fn serve(&self) {
        self.waiting_since_ms.store(0, Ordering::Relaxed);
    }

    fn waits_since_ms(&self) -> u64 {
        self.waiting_since_ms.load(Ordering::Relaxed)
    }
}

impl Place {
    pub(super) fn guest(&self) -> &Guest {
        &self.guest
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A worker that joined meanwhile may hold a copy of the descriptor: closing ours would not
        // end the connection.
        let _ = self.guest.socket.shutdown_both();
        let mut list = self.guests.lock();
        list.retain(|guest| !Arc::ptr_eq(guest, &self.guest));
        self.guests.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;
    use std::thread;

    fn newcomer() -> (Socket, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Socket::adopt(ours).unwrap(), theirs)
    }

    #[test]
    fn the_one_that_waits_longest_makes_room() {
        let guests = Arc::<Guests>::default();
        let mut theirs = Vec::new();
        let mut places: Vec<_> = (0..GUESTS_MAX)
            .map(|_| {
                let (ours, their) = newcomer();
                theirs.push(their);
                guests.enter(ours).unwrap()
            })
            .collect();
        for (index, place) in places.iter().enumerate() {
            let guest = &place.guest;
            guest
                .waiting_since_ms
                .store(1_000 - index as u64, Ordering::Relaxed);
        }
        places[GUESTS_MAX - 1].guest().serve();
        let oldest = places.remove(GUESTS_MAX - 2);
        let mut their_end = theirs.remove(GUESTS_MAX - 2);
        thread::scope(|scope| {
            scope.spawn(move || {
                // The thread of that place, which notices.
                let mut nothing = [0; 1];
                assert_eq!(their_end.read(&mut nothing).unwrap(), 0);
                drop(oldest);
            });
            let (ours, _theirs) = newcomer();
            let place = guests.enter(ours).unwrap();
            assert_eq!(guests.tally().connections, GUESTS_MAX as u64);
            drop(place);
        });
        assert_eq!((guests.tally().evicted, guests.tally().turned_away), (1, 0));
        drop(places);
        assert_eq!(guests.tally().connections, 0);
    }

    #[test]
    fn who_is_being_served_stays() {
        let guests = Arc::<Guests>::default();
        let mut theirs = Vec::new();
        let places: Vec<_> = (0..GUESTS_MAX)
            .map(|_| {
                let (ours, their) = newcomer();
                theirs.push(their);
                let place = guests.enter(ours).unwrap();
                place.guest().serve();
                place
            })
            .collect();
        assert!(guests.enter(newcomer().0).is_err());
        assert_eq!((guests.tally().evicted, guests.tally().turned_away), (0, 1));
        places[3].guest().wait();
        assert!(
            guests.enter(newcomer().0).is_err(),
            "it does not notice in time"
        );
        assert_eq!(guests.tally().evicted, 1);
    }
}
