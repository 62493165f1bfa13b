//! The hub against a plain model, and its single promises one by one.

mod model;
mod promises;
mod sim;
