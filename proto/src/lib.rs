//! What Latchkey's parts say to each other: the generated messages, clients and
//! servers of `latchkey.<service>.v1`, and their descriptors.
//!
//! The `.proto` files beside this crate are the source; comments there say the
//! units and bounds of every field.

mod redacted;

/// The auth service's inner API.
pub mod auth {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("latchkey.auth.v1");

        /// Encoded `google.protobuf.FileDescriptorSet` of this API and its imports.
        pub const FILE_DESCRIPTOR_SET: &[u8] =
            include_bytes!(concat!(env!("OUT_DIR"), "/auth.bin"));
    }
}

/// The cart service's API.
pub mod cart {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("latchkey.cart.v1");

        /// Encoded `google.protobuf.FileDescriptorSet` of this API and its imports.
        pub const FILE_DESCRIPTOR_SET: &[u8] =
            include_bytes!(concat!(env!("OUT_DIR"), "/cart.bin"));
    }
}

/// The profile service's API.
pub mod profile {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("latchkey.profile.v1");

        /// Encoded `google.protobuf.FileDescriptorSet` of this API and its imports.
        pub const FILE_DESCRIPTOR_SET: &[u8] =
            include_bytes!(concat!(env!("OUT_DIR"), "/profile.bin"));
    }
}
