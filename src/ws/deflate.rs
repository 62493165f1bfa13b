//! permessage-deflate (placeholder: nothing is negotiated yet).

/// What both ends agreed on.
#[derive(Clone, Copy, Debug)]
pub struct Agreed {}

/// The compression state of one connection.
#[derive(Debug, Default)]
pub struct Compression {
    /// `None` without the extension.
    pub agreed: Option<Agreed>,
}

/// What all connections of a worker share.
#[derive(Debug, Default)]
pub struct Codec {}
