//! Where `/proc` is: `/` on a real machine, a directory of captured files in a test. The server's doctor
//! reads the same files, so it has the type.

pub use throng::tuning::ProcRoot;
