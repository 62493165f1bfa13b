//! The way to the workers for a thread that is none of them.

use super::Mail;
use super::mailbox::{Full, Post};

/// A slot for letters to each worker, also to those that have not joined yet: theirs are read when
/// they do.
#[derive(Debug)]
pub struct Letterbox<L> {
    posts: Vec<Post<Mail<L>>>,
}

impl<L> Letterbox<L> {
    pub(super) fn new(posts: Vec<Post<Mail<L>>>) -> Self {
        Self { posts }
    }

    /// Leaves a letter for the application of a worker, and wakes it. It comes back if there is no room,
    /// or no such worker.
    pub fn post(&self, worker: usize, letter: L) -> Result<(), Full<L>> {
        let Some(post) = self.posts.get(worker) else {
            return Err(Full(letter));
        };
        post.post(Mail::App(letter)).map_err(|full| match full.0 {
            Mail::App(letter) => Full(letter),
            _ => unreachable!("it is the letter that comes back"),
        })
    }
}

impl<L> Clone for Letterbox<L> {
    fn clone(&self) -> Self {
        Self::new(self.posts.clone())
    }
}
