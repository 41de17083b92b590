//! A migration that is added must reach the binary: `sqlx::migrate!` alone does not
//! tell cargo to look again.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
