//! How the list of rejections becomes the enum and its table, from one text.

use super::class::{Class, GrpcCode};

/// One line of the table of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// The number; never reused.
    pub code: u32,
    /// The name in capitals.
    pub name: &'static str,
    /// The gRPC code that carries it.
    pub grpc: GrpcCode,
    /// The field that is wrong, if it is always the same one.
    pub field: Option<&'static str>,
    /// What is wrong, in a sentence.
    pub meaning: &'static str,
    /// What to do, in a sentence.
    pub remedy: &'static str,
}

impl CodeRow {
    /// The class, which the number's hundreds say.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::of(self.code)
    }

    /// Whether the account pays nevertheless.
    #[must_use]
    pub fn charged(&self) -> bool {
        self.class() == Class::Failed
    }
}

/// Declares the enum, its messages and its table. One item: number, name, variant with its fields, gRPC code, field,
/// meaning, message (a format string over the fields, as `thiserror` takes it), remedy.
macro_rules! rejections {
    ($(
        $code:literal $name:ident = $variant:ident $({ $($field:ident: $type:ty),+ })?,
        $grpc:ident, $path:expr, $meaning:literal,
        ($($message:tt)+),
        $remedy:literal;
    )+) => {
        /// Why something from outside was not done. The text of a rejection names the values; [`Rejection::remedy`]
        /// says what to do.
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        #[expect(missing_docs, reason = "each message says what its fields are")]
        pub enum Rejection {
            $(
                #[doc = $meaning]
                #[error($($message)+)]
                $variant $({ $($field: $type),+ })?,
            )+
        }

        impl Rejection {
            /// All rejections in the order of their numbers.
            pub const TABLE: &'static [CodeRow] = &[$(
                CodeRow {
                    code: $code,
                    name: stringify!($name),
                    grpc: GrpcCode::$grpc,
                    field: $path,
                    meaning: $meaning,
                    remedy: $remedy,
                },
            )+];

            /// The line of the table.
            #[must_use]
            pub fn row(&self) -> &'static CodeRow {
                match self {
                    $(
                        Self::$variant { .. } => {
                            const {
                                &CodeRow {
                                    code: $code,
                                    name: stringify!($name),
                                    grpc: GrpcCode::$grpc,
                                    field: $path,
                                    meaning: $meaning,
                                    remedy: $remedy,
                                }
                            }
                        }
                    )+
                }
            }
        }
    };
}
