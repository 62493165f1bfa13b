//! Pieces of a run joined to pieces that are large enough to say something.
//!
//! The engine reports four times a second while it opens connections, once a second afterwards, and whenever
//! it ends. A quarter of a second is no second: what counts seconds, or needs enough of something in each,
//! joins neighbours first.

/// Joins neighbours until each is enough. What is left over at the end joins the one before it.
pub fn join_until<T>(
    pieces: impl IntoIterator<Item = T>,
    is_enough: impl Fn(&T) -> bool,
    join: impl Fn(&mut T, &T),
) -> Vec<T> {
    let mut joined: Vec<T> = Vec::new();
    for piece in pieces {
        match joined.last_mut() {
            Some(last) if !is_enough(last) => join(last, &piece),
            _ => joined.push(piece),
        }
    }
    if joined.len() > 1
        && let Some(rest) = joined.pop_if(|last| !is_enough(last))
        && let Some(last) = joined.last_mut()
    {
        join(last, &rest);
    }
    joined
}

/// A second as a timer keeps it: it may ring a little early.
pub const SECOND_S: f64 = 0.95;

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(pieces: &[u32]) -> Vec<u32> {
        join_until(
            pieces.iter().copied(),
            |piece| *piece >= 10,
            |sum, piece| *sum += piece,
        )
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_too_small() {
        assert_eq!(joined(&[3, 3, 3, 3, 10, 25, 4, 6, 1]), [12, 10, 25, 11]);
        assert_eq!(joined(&[10, 10]), [10, 10]);
        assert_eq!(joined(&[]), [0; 0]);
        assert_eq!(joined(&[4, 5]), [9], "all there is");
    }
}
