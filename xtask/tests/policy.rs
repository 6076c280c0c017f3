//! The house rules that no compiler checks.

mod policy {
    mod complaints;
    mod files;
    mod imports;
    mod manifests;
}
