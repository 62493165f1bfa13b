//! The hub against a plain model, and its single promises one by one.

mod crowd;
mod dice;
mod model;
mod promises;
mod sim;
