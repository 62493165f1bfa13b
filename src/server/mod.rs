//! The server: it alone knows everybody, and puts the parts together.

pub mod run;

pub use run::run;
