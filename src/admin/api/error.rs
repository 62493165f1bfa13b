//! What goes wrong, in the numbers that SDKs know.

use std::borrow::Cow;

use super::super::backend::Failure;
use crate::hub::Refusal;

/// An error as it is told: SDKs look at the code, people at the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::admin) struct ApiError {
    pub(super) code: u16,
    pub(super) message: Cow<'static, str>,
}

impl ApiError {
    pub(super) const INTERNAL: Self = Self::constant(100, "internal server error");
    pub(super) const METHOD_NOT_FOUND: Self = Self::constant(104, "method not found");
    pub(super) const TOO_MANY: Self =
        Self::constant(111, "too many requests: try again in a moment");
    pub(super) const BAD_POSITION: Self = Self::constant(112, "unrecoverable position");

    const fn constant(code: u16, message: &'static str) -> Self {
        Self {
            code,
            message: Cow::Borrowed(message),
        }
    }

    /// A request that makes no sense, and why.
    pub(super) fn bad(why: &str) -> Self {
        Self {
            code: 107,
            message: format!("bad request: {why}").into(),
        }
    }

    /// A body that is not what it should be.
    pub(super) fn malformed(error: &serde_json::Error) -> Self {
        Self::bad(&error.to_string())
    }

    /// Something that others have and we have not: said, so that nobody relies on it.
    pub(super) fn unavailable(what: &str) -> Self {
        Self {
            code: 108,
            message: format!("not available: {what}").into(),
        }
    }

    /// The HTTP status for those who asked for one.
    pub(super) fn status(&self) -> u16 {
        match self.code {
            102 | 104 => 404,
            103 => 403,
            106..=108 => 400,
            111 => 429,
            112 => 416,
            _ => 500,
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let refusal = match failure {
            Failure::Late => {
                return Self::constant(
                    100,
                    "internal server error: no answer in time; it may have been done",
                );
            }
            Failure::Unavailable(what) => return Self::unavailable(what),
            Failure::Refused(refusal) => refusal,
        };
        match refusal {
            Refusal::UnknownChannel => Self::constant(102, "unknown channel"),
            Refusal::PermissionDenied => Self::constant(103, "permission denied"),
            Refusal::AlreadySubscribed => Self::constant(105, "already subscribed"),
            Refusal::LimitExceeded => Self::constant(106, "limit exceeded"),
            Refusal::NotSubscribed => Self::constant(107, "bad request: not subscribed"),
            Refusal::NotAvailable => Self::constant(108, "not available"),
            Refusal::TooMany | Refusal::Busy => Self::TOO_MANY,
            Refusal::BadPosition => Self::BAD_POSITION,
        }
    }
}
